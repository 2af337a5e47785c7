"""`run --gate`, `gate` and `aliases` as they are typed: what is printed, written and returned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from app.core.errors import ConfigurationError
from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.gate_options import parse_fail_on
from workbench.cli.main import app

Run = Callable[..., str]

MODEL = ("--model", "simulated/small", "--progress", "none")
ONE = ("run", "--dataset", "sums@1", "--prompt", "ask@1", "--scorer", "numeric_answer", *MODEL)
TWO = (*ONE, "--prompt", "ask@2")
GATE = ("--margin", "0.5", "--gate")


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    lines = [f"What is {i} + {i}?,{2 * i}" for i in range(30)]
    Path("sums.csv").write_text("\n".join(["question,answer", *lines]))

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    invoke("prompts", "sync")
    invoke("datasets", "import", "sums.csv", "--name", "sums", "--expected", "answer")
    return invoke


def stored(run: Run) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("gate", "--list", "--format", "json"))
    return found


# run --gate


def test_a_gate_is_decided_after_the_run_and_written_as_markdown_and_junit(run: Run) -> None:
    told = run(*TWO, *GATE, "--markdown", "gate.md", "--junit", "gate.xml")
    assert "Gate: PASSED" in told
    assert "Advisory (simulated, unauthenticated)." in told
    assert Path("gate.md").read_text().startswith("### ✅ Gate passed")
    (suite,) = ElementTree.parse("gate.xml").getroot()
    assert suite.get("failures") == "0"
    assert len(stored(run)) == 1


def test_a_gate_without_a_margin_is_refused_before_the_run(run: Run) -> None:
    told = run(*TWO, "--gate", code=2)
    assert "declared before the run" in told
    assert "No experiment yet" in run("experiments", "list")


def test_a_gate_without_a_margin_is_refused_before_an_experiment_is_carried_on(run: Run) -> None:
    run(*TWO)
    assert "declared before the run" in run("resume", "1", "--gate", code=2)
    assert "extension never passes" in run(
        "run", "--extend", "1", "--gate", "--progress", "none", code=2
    )
    experiments = json.loads(run("experiments", "list", "--format", "json"))
    assert len(experiments) == 1


def test_a_gate_with_nothing_to_compare_with_is_refused_before_the_run(run: Run) -> None:
    assert "there is one variant" in run(*ONE, *GATE, code=2)
    assert "No experiment yet" in run("experiments", "list")


@pytest.mark.parametrize(
    "flags", [("--junit", "g.xml"), ("--markdown", "g.md"), ("--fail-on", "strict")]
)
def test_flags_of_a_gate_without_gate_are_refused(run: Run, flags: tuple[str, str]) -> None:
    assert "say --gate too" in run(*TWO, *flags, code=2)


def test_a_report_in_a_folder_that_is_not_there_is_refused_before_the_run(run: Run) -> None:
    assert "does not exist" in run(*TWO, *GATE, "--junit", "missing/gate.xml", code=2)
    assert "is a folder" in run(*TWO, *GATE, "--markdown", ".", code=2)
    assert "the same file" in run(*TWO, *GATE, "--markdown", "g", "--junit", "g", code=2)
    assert "No experiment yet" in run("experiments", "list")


def test_what_fails_the_job_is_chosen_by_fail_on(run: Run) -> None:
    few = ("--limit", "10")
    told = run(*TWO, *GATE, *few)
    assert "Gate: NOT PROVEN" in told
    assert "--fail-on does not name not proven" in told
    run(*TWO, *GATE, *few, "--fail-on", "strict", code=11)
    run("gate", "--fail-on", "not_proven", code=11)


def test_json_holds_run_and_gate_and_the_exit_code(run: Run) -> None:
    printed = run(*TWO, *GATE, "--format", "json")
    told = json.loads(printed[printed.index("{") :])
    assert told["exit_code"] == 0
    assert [gate["decision"] for gate in told["gates"]] == ["passed"]


def test_a_judge_that_nobody_checked_blocks_the_gate(run: Run) -> None:
    Path("judged.yaml").write_text(
        "dataset: sums@1\n"
        "prompts: [ask@1, ask@2]\n"
        "models: [simulated/small]\n"
        "limit: 20\n"
        "scorers:\n"
        "  - {name: judge_rubric, model: simulated/small, rubric: The answer is a number.}\n"
        "plan: {margin: 0.5}\n"
    )
    told = run(
        "run", "judged.yaml", "--gate", "--progress", "none", "--fail-on", "blocked", code=13
    )
    assert "Gate: BLOCKED" in told
    assert "never checked against people" in told


# gate


def test_the_gate_of_the_last_experiment_is_decided_and_shown_again(run: Run) -> None:
    run(*TWO, "--margin", "0.5")
    assert "Gate: PASSED" in run("gate")
    (decision,) = stored(run)
    evidence = str(decision["evidence_hash"]).removeprefix("sha256:")[:10]
    assert "Gate: PASSED" in run("gate", "--show", evidence)
    assert evidence in run("gate", "--list")
    assert "### ✅ Gate passed" in run("gate", "--show", evidence, "--format", "markdown")
    assert len(stored(run)) == 1


def test_an_experiment_that_declares_no_gate_is_refused(run: Run) -> None:
    run(*TWO)
    assert "declared before the run" in run("gate", code=2)


def test_decisions_of_one_experiment_can_be_listed(run: Run) -> None:
    assert "No gate decision yet" in run("gate", "--list")
    run(*TWO, *GATE)
    assert len(json.loads(run("gate", "1", "--list", "--format", "json"))) == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("--list", "--markdown", "g.md"),
        ("--list", "--show", "abc123"),
        ("--list", "--fail-on", "strict"),
        ("--show", "abc123", "--fail-on", "strict"),
        ("--show", "abc123", "--accept-loss", "It is cheaper."),
    ],
)
def test_flags_that_a_look_at_decisions_would_leave_unread_are_refused(
    run: Run, flags: tuple[str, ...]
) -> None:
    assert "--list" in run("gate", *flags, code=2)


def test_a_gate_of_an_extension_is_refused_before_anything_is_asked(run: Run) -> None:
    run(*TWO, "--margin", "0.5")
    assert "of an extension never passes" in run("run", "--extend", "1", "--gate", code=2)


def test_accepting_a_loss_wants_a_reason(run: Run) -> None:
    run(*TWO, "--margin", "0.5")
    assert "the reason why" in run("gate", "--accept-loss", " ", code=2)
    run("gate", "--accept-loss", "It is cheaper.")
    (decision,) = stored(run)
    evidence = decision["evidence"]
    assert isinstance(evidence, dict)
    assert evidence["sign_off"]["reason"] == "It is cheaper."


@pytest.mark.parametrize(
    ("text", "decisions"),
    [
        ("inferior", {"worse"}),
        ("worse, blocked", {"worse", "blocked"}),
        ("strict", {"worse", "not_proven", "incomparable", "blocked", "infrastructure"}),
    ],
)
def test_fail_on_names_decisions(text: str, decisions: set[str]) -> None:
    assert parse_fail_on(text) == decisions


@pytest.mark.parametrize("text", ["", ",", "worse,never"])
def test_fail_on_refuses_what_is_no_decision(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_fail_on(text)


# Baselines


def test_a_stored_run_is_a_baseline_that_is_not_run_again(run: Run) -> None:
    run(*ONE)
    told = run(*ONE[:4], "ask@2", *ONE[5:], *GATE, "--baseline", "1/ask@1")
    assert "The baseline is the stored run 1/ask@1+simulated/small, made today." in told
    assert "Experiment 2: 1 run" in told
    assert "Gate: PASSED" in told


def test_an_alias_is_a_baseline_and_its_stored_run_is_used(run: Run) -> None:
    run(*ONE)
    run("aliases", "set", "ask@production", "1/ask@1", "--reason", "x", "--allow-simulated")
    candidate = (*ONE[:4], "ask@2", *ONE[5:], "--margin", "0.5")
    for text in ("ask@production", "@production"):
        told = run(*candidate, "--baseline", text)
        assert "the stored run 1/ask@1+simulated/small is used" in told


def test_an_alias_whose_variant_was_not_run_on_these_examples_is_run_along(run: Run) -> None:
    run(*ONE, "--limit", "5")
    run("aliases", "set", "ask@production", "1/ask@1", "--reason", "x", "--allow-simulated")
    told = run(*ONE[:4], "ask@2", *ONE[5:], "--margin", "0.5", "--baseline", "@production")
    assert "so it is run too" in told
    assert "Experiment 2: 2 runs" in told
    assert "baseline 2/ask@1" in told


def test_an_alias_among_the_variants_is_that_variant(run: Run) -> None:
    run(*ONE)
    run("aliases", "set", "ask@production", "1/ask@1", "--reason", "x", "--allow-simulated")
    told = run(*TWO, "--margin", "0.5", "--baseline", "ask@production")
    assert "which is among the variants" in told
    assert "Experiment 2: 2 runs" in told


def test_an_alias_is_the_baseline_of_every_candidate_on_every_model(run: Run) -> None:
    run(*ONE)
    run("aliases", "set", "ask@production", "1/ask@1", "--reason", "x", "--allow-simulated")
    told = run(*TWO, "--model", "simulated/large", "--margin", "0.5", "--baseline", "@production")
    assert told.count("against 2/ask@1+simulated/small") == 1
    assert "against 2/ask@1+simulated/large" not in told


def test_a_baseline_that_means_nothing_is_refused(run: Run) -> None:
    told = run(*TWO, "--baseline", "nobody", code=2)
    assert "not among the prompts (ask@1, ask@2)" in told
    assert "There is no alias ask@staging" in run(*TWO, "--baseline", "@staging", code=2)


# aliases


def test_an_alias_is_set_shown_moved_and_its_moves_are_listed(run: Run) -> None:
    run(*TWO)
    assert "No alias yet" in run("aliases", "list")
    told = run("aliases", "set", "ask@production", "1/ask@1", "--reason", "a", "--allow-simulated")
    assert "ask@production is ask@1 on simulated/small@1" in told
    variants = json.loads(run("variants", "list", "--format", "json"))
    second = next(v["content_hash"] for v in variants if v["prompt"] == "ask@2")
    run("aliases", "set", "ask@production", second[7:19], "--reason", "b", "--allow-simulated")
    assert "ask@2" in run("aliases", "show", "ask@production")
    moves = json.loads(run("aliases", "history", "ask@production", "--format", "json"))
    assert [(move["number"], move["reason"]) for move in moves] == [(2, "b"), (1, "a")]
    assert "ask@2" in run("aliases", "list")


def test_a_simulated_variant_is_refused_as_an_alias(run: Run) -> None:
    run(*ONE)
    told = run("aliases", "set", "ask@production", "1/ask@1", "--reason", "a", code=2)
    assert "--allow-simulated" in told
