"""From labels to a gate: a judge is checked, a gate believes it, and a changed one is blocked."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app

Run = Callable[..., str]

COUNT = 60
EXPERIMENT = """\
dataset: sums@1
prompts: [ask@1, ask@2]
models: [simulated/small]
scorers:
  - {name: judge_correctness, model: simulated/large, rubric: RUBRIC}
plan: {margin: 0.5, allow: [simulated, unauthenticated, floating]}
"""
RUNS = ("1/ask@1+simulated/small", "1/ask@2+simulated/small")


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "250")
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    lines = [
        f"k{i},Tom has {i + 30} apples and buys {2 * i + 70} more. He gives {i % 5 + 1} away. "
        f"How many apples has he?,{3 * i + 100 - i % 5 - 1}"
        for i in range(COUNT)
    ]
    Path("sums.csv").write_text("\n".join(["id,question,answer", *lines]))

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.stdout

    invoke("prompts", "sync")
    invoke(
        "datasets", "import", "sums.csv", "--name", "sums", "--key", "id", "--input", "question",
        "--expected", "answer",
    )  # fmt: skip
    return invoke


def experiment(run: Run, rubric: str) -> None:
    Path("experiment.yaml").write_text(EXPERIMENT.replace("RUBRIC", rubric))
    run("run", "experiment.yaml")


def label(run: Run, name: str, *more: str) -> str:
    """Label every answer of a run by whether its last number is the expected one."""
    stories = json.loads(run("show", name, "--limit", "200", "--format", "json"))
    with Path("labels.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "label", "comment"])
        for story in stories:
            good = story["output"]["content"].rstrip(".").endswith(story["expected_output"])
            writer.writerow([story["key"], "pass" if good else "fail", "As I see it."])
    return run("judges", "label", name, "--labels", "labels.csv", *more)


def the_only_judge(run: Run) -> dict[str, Any]:
    (judge,) = json.loads(run("judges", "list", "--format", "json"))
    assert isinstance(judge, dict)
    return judge


def test_a_gate_believes_a_qualified_judge_and_not_the_same_one_with_another_rubric(
    run: Run,
) -> None:
    experiment(run, "The number is right.")
    assert "never checked against people" in run("gate", "--fail-on", "strict,blocked", code=13)
    for name in RUNS:
        assert f"{COUNT} new labels by 1 person under quality" in label(run, name)
    digits = the_only_judge(run)["content_hash"][7:15]
    told = run("judges", "qualify", digits, "--run", RUNS[0], "--run", RUNS[1])
    assert told.startswith("qualified") and "Cost of this check: $0" in told
    gate = run("gate", "--fail-on", "strict,blocked")
    assert "Gate: PASSED" in gate
    decision = json.loads(run("gate", "--format", "json"))[0]
    assert "Corrected by 60 labels of people the difference is" in json.dumps(decision)

    experiment(run, "The number is exactly right.")
    gate = run("gate", "--fail-on", "strict,blocked", code=13)
    assert "The rubric changed since the judge was qualified on" in " ".join(gate.split())
    listed = run("judges", "list")
    assert "outdated (rubric changed)" in listed and digits in listed


def test_a_comparison_shows_how_its_judge_stands_and_what_people_say(run: Run) -> None:
    experiment(run, "The number is right.")
    for name in RUNS:
        label(run, name)
    digits = the_only_judge(run)["content_hash"][7:15]
    run("judges", "qualify", digits, "--run", RUNS[0], "--run", RUNS[1])
    found = json.loads(run("compare", "--format", "json"))
    assert found["judge"]["qualified"] is True
    assert found["judge"]["criterion"] == "quality"
    assert found["judge"]["agreement"]["low"] > 0.4
    assert found["ppi"]["n_labels"] == COUNT
    assert not {w["code"] for w in found["warnings"]} & {"judge_weak", "judge_unvalidated"}


def test_too_few_labels_prove_nothing_and_a_weak_judge_is_not_qualified(run: Run) -> None:
    experiment(run, "The number is right.")
    label(run, RUNS[0])
    lines = Path("labels.csv").read_text().splitlines()
    Path("few.csv").write_text("\n".join(lines[:30]))
    run("judges", "label", RUNS[1], "--labels", "few.csv", "--criterion", "few")
    judge = "judge_correctness:model=simulated/large"
    found = json.loads(
        run("judges", "qualify", judge, "--run", RUNS[1], "--format", "json", code=11)
    )
    assert found["decision"] == "not_proven"
    weak = "judge_rubric:model=simulated/large,scale=pass_fail,rubric=So."
    assert "not qualified" in run("judges", "qualify", weak, "--run", RUNS[0], code=10)
    assert "not qualified" in run("judges", "list")


def test_a_judge_is_shown_with_its_newest_check(run: Run) -> None:
    assert "No judge was used yet" in run("judges", "list")
    experiment(run, "The number is right.")
    digits = the_only_judge(run)["content_hash"][7:15]
    told = run("judges", "show", digits)
    assert "rubric: The number is right." in told and "never checked" in told
    label(run, RUNS[0])
    run("judges", "qualify", digits, "--run", RUNS[0])
    assert "people \\ judge" in run("judges", "show", digits)
    shown = json.loads(run("judges", "show", digits, "--format", "json"))
    assert shown["qualification"]["label_count"] == COUNT
    run("judges", "show", "abc", code=2)
    run("judges", "show", "abcdef", code=2)


def test_nothing_of_a_file_with_a_wrong_row_is_stored(run: Run) -> None:
    experiment(run, "The number is right.")
    Path("labels.csv").write_text("key,label\nk1,pass\nnowhere,pass\n")
    run("judges", "label", RUNS[0], "--labels", "labels.csv", code=2)
    judge = "judge_correctness:model=simulated/large"
    run("judges", "qualify", judge, "--run", RUNS[0], code=2)  # nobody has labelled an answer


def test_people_get_a_sheet_of_answers_drawn_at_random(run: Run) -> None:
    experiment(run, "The number is right.")
    told = run("judges", "sheet", RUNS[0], "--out", "sheet.csv", "--sample", "8")
    assert "sheet.csv: 8 of 60 answers" in told
    with Path("sheet.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["key"] for row in rows}) == 8
    assert all("apples" in row["input"] and row["output"] and row["expected"] for row in rows)
    rows[0]["label"] = "pass"
    with Path("filled.csv").open("w") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    told = run("judges", "label", RUNS[0], "--labels", "filled.csv", "--reviewer", "ada")
    assert "1 new labels by 1 person under quality; 7 rows without a label." in told
    run("judges", "sheet", RUNS[0], "--out", "sheet.csv", code=2)  # it may hold labels


def test_what_cannot_be_qualified_is_refused(run: Run) -> None:
    experiment(run, "The number is right.")
    label(run, RUNS[0])
    label(run, RUNS[0], "--criterion", "tone")
    judge = "judge_correctness:model=simulated/large"
    run("judges", "qualify", "exact_match", "--run", RUNS[0], "--criterion", "tone", code=2)
    run("judges", "qualify", judge, "--run", RUNS[0], code=2)  # two criteria
    for budget in ("0", "much"):
        run("judges", "qualify", judge, "--run", RUNS[0], "--budget", budget, code=2)
    told = label(run, RUNS[0], "--criterion", "tone")
    assert f"0 new labels by 1 person under tone, {COUNT} known already" in told
