"""`workbench scorers`, and a team's own scorer from its file to the stored score."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.command_line import PROMPT
from workbench.cli.main import app
from workbench.scorers import describe_scorers

Run = Callable[..., Result]

KIND = '''
"""How kind an answer is."""


def kind(output: str, expected: str | None, word: str = "5") -> tuple[bool, str]:
    """Whether the answer has a word."""
    return word in output, "looked for " + word
'''
ONE = ("run", "--dataset", "sums@1", "--prompt", "ask@1", "--model", "simulated/small")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)

    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def workspace(run: Run, tmp_path: Path, sqlite_template: Path) -> Path:
    """A workspace with four sums, a prompt and a scorer of its own."""
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    (tmp_path / "prompts" / "ask").mkdir(parents=True)
    (tmp_path / "prompts" / "ask" / "v1.yaml").write_text(PROMPT)
    rows = [f"What is {i} + {i}?,{2 * i}" for i in range(4)]
    (tmp_path / "sums.csv").write_text("\n".join(["question,answer", *rows]))
    (tmp_path / "scorers").mkdir()
    (tmp_path / "scorers" / "kind.py").write_text(KIND)
    run("prompts", "sync")
    run("datasets", "import", "sums.csv", "--name", "sums", "--expected", "answer")
    return tmp_path


def test_every_rule_is_listed_also_where_no_workspace_is(run: Run) -> None:
    listed = json.loads(run("scorers", "list", "--format", "json").stdout)

    rules = [scorer["name"] for scorer in listed if scorer["kind"] == "rule"]
    assert rules == [scorer.name for scorer in describe_scorers()]
    assert {"judge", "rule"} == {scorer["kind"] for scorer in listed}
    assert "numeric_answer" in run("scorers", "list").stdout


def test_one_scorer_is_shown_with_options_defaults_and_an_example(run: Run) -> None:
    told = " ".join(run("scorers", "show", "length").stdout.split())

    assert "length v1 rule, 0 to 1" in told
    assert 'unit text "characters"' in told
    assert "max whole number none Most that are right." in told
    assert "--scorer length:unit=words,max=50" in told
    assert "It has no options." in run("scorers", "show", "gleu").stdout


def test_an_unknown_scorer_is_refused(run: Run) -> None:
    assert "There is no scorer 'lenght'." in run("scorers", "show", "lenght", code=2).output
    assert "No workspace here" in run("scorers", "show", "team.kind", code=2).output


def test_the_team_s_scorers_are_listed_and_shown(run: Run, workspace: Path) -> None:
    (workspace / "scorers" / "broken.py").write_text("def broken(output): ...\n")

    listed = run("scorers", "list", "--format", "json")
    shown = json.loads(run("scorers", "show", "team.kind", "--format", "json").stdout)

    assert '"team.kind"' in listed.stdout
    assert "Left out: scorers/broken.py: say what the function returns" in listed.stderr
    assert shown["summary"] == "Whether the answer has a word."
    assert shown["options"][0] == {
        "name": "word",
        "kind": "text",
        "default": "5",
        "description": "",
    }


def test_a_team_s_scorer_scores_a_run_and_is_stored_with_its_source(
    run: Run, workspace: Path
) -> None:
    run(*ONE, "--scorer", "team.kind", "--scorer", "numeric_answer")

    assert "team.kind v1" in run("score", "latest", "--scorer", "team.kind").output
    before = run("score", "latest", "--scorer", "team.kind:word=0").output
    (workspace / "scorers" / "kind.py").write_text(KIND.replace("word in", "word not in"))
    after = run("score", "latest", "--scorer", "team.kind:word=0").output

    assert before != after, "changed code is another scorer, and its scores are its own"
    shown = " ".join(run("show", "latest", "--limit", "1").output.split())
    assert "looked for 5" in shown


def test_a_function_is_checked_by_its_file_or_name_and_tried_on_a_text(
    run: Run, workspace: Path
) -> None:
    by_file = run("scorers", "check", "scorers/kind.py", "--output", "5 or 6").stdout
    by_name = run("scorers", "check", "team.kind:word=7", "--output", "5 or 6").stdout

    assert "team.kind v1 can be used; it says right or wrong." in by_file
    assert "scored 1: looked for 5" in by_file
    assert "scored 0: looked for 7" in by_name
    assert "scored" not in run("scorers", "check", "team.kind").stdout


@pytest.mark.parametrize(
    ("text", "named", "told"),
    [
        ("1 / 0\n" + KIND, "scorers/kind.py", "cannot be loaded: ZeroDivisionError"),
        ("def kind(output): ...", "scorers/kind.py", "say what the function returns"),
        (KIND, "elsewhere.py", "is not in the folder scorers"),
        (KIND, "scorers/nothing.py", "There is no scorer team.nothing"),
        (KIND, "gleu", "gleu is no function of this workspace"),
    ],
)
def test_a_function_that_cannot_serve_is_told_in_a_sentence(
    run: Run, workspace: Path, text: str, named: str, told: str
) -> None:
    (workspace / "scorers" / "kind.py").write_text(text)

    assert told in " ".join(run("scorers", "check", named, code=2).output.split())


def test_a_function_that_fails_at_the_text_is_no_success(run: Run, workspace: Path) -> None:
    (workspace / "scorers" / "kind.py").write_text(KIND.replace("return", "raise OSError #"))

    told = run("scorers", "check", "team.kind", "--output", "5", code=3).stdout

    assert "failed: team.kind stopped with OSError." in told


def test_a_terminal_gets_no_escape_sequence_of_an_answer(run: Run, workspace: Path) -> None:
    row = {"id": "1", "output": "\x1b]0;title\x07\x1b[31mred\u202e"}
    (workspace / "made.jsonl").write_text(json.dumps(row) + "\n")
    (workspace / "one.csv").write_text("id,question\n1,What?\n")
    run("datasets", "import", "one.csv", "--name", "one", "--key", "id")
    run("runs", "import", "made.jsonl", "--dataset", "one@1", "--match", "id", "--output", "output")

    shown = run("show", "latest").stdout

    assert "\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown
    assert "⟨U+001B⟩[31mred⟨U+202E⟩" in shown


def test_a_faulty_function_leaves_failed_scores_and_the_run_goes_on(
    run: Run, workspace: Path
) -> None:
    (workspace / "scorers" / "kind.py").write_text(KIND.replace("return", "raise OSError #"))

    told = run(*ONE, "--scorer", "team.kind").output

    assert "4 completed" in told
    assert "stopped with OSError" in run("show", "latest", "--limit", "1").output


def test_facts_of_the_answers_reach_the_scorers(run: Run, workspace: Path) -> None:
    run(*ONE)

    told = run(
        "score",
        "latest",
        *("--scorer", "latency:max_ms=60000"),
        *("--scorer", "tokens:max=10000"),
        *("--scorer", "finish_reason"),
        *("--scorer", 'all_of:scorers=["tokens:min=1", "length:min=1"]'),
    ).output

    assert told.count("4 of 4 correct") == 4, told
