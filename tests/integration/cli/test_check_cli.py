"""`workbench check`: every kind of wrong file, with its place, and nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app

Check = Callable[..., str]

EXPERIMENT = """\
name: sums
dataset: sums@1
prompts: [ask@1, ask@2]
models: [openai/gpt-4.1-mini]
scorers:
  - exact_match
  - contains
plan:
  margin: 0.03
  guards:
    - {metric: contains, margin: 0.1}
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.chdir(tmp_path)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    for folder in ("prompts/ask", "datasets", "experiments"):
        Path(folder).mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    rows = [{"key": f"k{i}", "input": {"question": f"What is {i} + {i}?"}} for i in range(3)]
    Path("datasets/sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    Path("experiments/sums.yaml").write_text(EXPERIMENT)

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["check", *arguments], prog_name="workbench")
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    return invoke


def replace(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def test_a_workspace_in_order_is_rendered_whole_without_a_database(check: Check) -> None:
    assert check() == (
        "2 prompts, 1 dataset, 1 experiment; 6 requests rendered, no model called: no problem."
    )
    assert not list(Path().glob("workbench.db*"))


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("prompts/ask/v2.yaml", "messages:", "message_list:", "prompts/ask/v2.yaml, line "),
        ("prompts/ask/v1.yaml", "{{ question }}", "{{ query }}", "prompts/ask/v1.yaml, line 6"),
        ("datasets/sums.jsonl", '"key": "k2"', '"key": "k1"', "datasets/sums.jsonl, row 3"),
        ("experiments/sums.yaml", "plan:", "plans:", "experiments/sums.yaml, line 8"),
        ("experiments/sums.yaml", "ask@2", "ask@7", "line 3: prompts[1]: no readable prompt"),
        ("experiments/sums.yaml", "- contains", "- contain", "line 7: scorers[1]:"),
        ("experiments/sums.yaml", "openai/", "nobody/", "line 4: models[0]:"),
        ("experiments/sums.yaml", "margin: 0.03", "margin: 3", "line 9: plan.margin:"),
        ("experiments/sums.yaml", "metric: contains", "metric: tone", "line 11: plan.guards[0]"),
        ("experiments/sums.yaml", "margin: 0.03", "n: 4", "line 9: plan.n: plan.n asks for 4"),
    ],
)
def test_each_problem_names_file_and_line(
    check: Check, file: str, old: str, new: str, told: str
) -> None:
    replace(file, old, new)
    assert told in check(code=2)


def test_a_variable_without_a_column_is_found_before_any_run(check: Check) -> None:
    rows = [{"key": "a", "text": "x", "other": "y"}]
    Path("datasets/sums.jsonl").write_text("".join(json.dumps(row) for row in rows))
    told = check(code=2)
    assert "experiments/sums.yaml, line 3: prompts[0]:" in told
    assert "nothing fills 'question'" in told


def test_a_value_that_does_not_fit_names_the_row(check: Check) -> None:
    replace("datasets/sums.jsonl", '"What is 1 + 1?"', "17")
    assert "ask@1 does not fit datasets/sums.jsonl, row 2:" in check(code=2)


def test_one_wrong_file_hides_no_other(check: Check) -> None:
    replace("prompts/ask/v1.yaml", "messages:", "texts:")
    replace("experiments/sums.yaml", "exact_match", "exact")
    told = check("--format", "json", code=2)
    assert len(json.loads(told)["problems"]) == 2


def test_one_file_can_be_checked_alone(check: Check) -> None:
    replace("prompts/ask/v1.yaml", "messages:", "texts:")
    assert "1 prompt," in check("prompts/ask/v2.yaml")
    assert "no readable prompt file is ask@1" in check("experiments", code=2)


def test_a_file_that_is_named_is_checked_wherever_it_lies(check: Check) -> None:
    Path("sums.yaml").write_text(EXPERIMENT)
    assert "1 experiment; 6 requests rendered" in check("sums.yaml")
    Path("draft.yaml").write_text(PROMPT.replace("version: v1\n", ""))
    assert "1 prompt, 0 datasets, 0 experiments" in check("draft.yaml")
    replace("sums.yaml", "margin: 0.03", "margn: 0.03")
    assert "sums.yaml, line 9" in check("sums.yaml", code=2)


@pytest.mark.parametrize("path", ["notes.txt", "docs"])
def test_a_path_with_nothing_to_check_is_no_success(check: Check, path: str) -> None:
    Path("notes.txt").write_text("To do.")
    Path("docs").mkdir()
    assert "no prompt, dataset or experiment file is there" in check(path, code=2)


def test_the_broken_dataset_of_an_experiment_that_is_checked_alone_is_told(check: Check) -> None:
    Path("datasets/sums.jsonl").write_text("{")
    assert "datasets/sums.jsonl" in check("experiments/sums.yaml", code=2)


def test_a_dataset_of_the_registry_only_is_told_and_no_problem(check: Check) -> None:
    replace("experiments/sums.yaml", "sums@1", "elsewhere@3")
    told = check()
    assert "no file in datasets/ is elsewhere@3, so its requests were not rendered" in told


def test_only_the_examples_in_use_are_rendered(check: Check) -> None:
    replace("experiments/sums.yaml", "name: sums", "limit: 1")
    assert "2 requests rendered" in check()


def test_a_path_that_is_not_there_is_refused(check: Check) -> None:
    assert "There is no file or folder nowhere.yaml" in check("nowhere.yaml", code=2)
