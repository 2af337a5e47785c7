"""`workbench datasets` as it is typed, on a workspace of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from workbench.cli.datasets import app

TICKETS = """\
id,ticket,lang,queue,customer
t-1,"My [bold]invoice[/] is wrong",en,billing,acme
t-2,"The app
crashes",en,bug,acme
t-3,Passwort vergessen,de,account,berta
"""
COLUMNS = (
    "--input", "ticket", "--expected", "queue", "--key", "id", "--metadata", "lang",
    "--cluster", "customer",
)  # fmt: skip

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    (tmp_path / "tickets.csv").write_text(TICKETS)
    shutil.copy(sqlite_template, tmp_path / "workbench.db")  # migrating takes most of a second
    return tmp_path


@pytest.fixture
def run(workspace: Path) -> Run:
    def invoke(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return invoke


def answer(result: Any) -> Any:
    return json.loads(result.stdout)


def test_an_import_says_what_came_of_it_and_what_is_next(run: Run) -> None:
    assert run("import", "tickets.csv", "--name", "tickets", *COLUMNS).stdout.splitlines() == [
        "tickets@1: 3 examples (3 with expected output)",
        "Inputs: ticket.",
        "Metadata: lang.",
        "Look at it: workbench datasets show tickets@1",
        "Run it: workbench run --dataset tickets@1 --prompt PROMPT@1 --model MODEL",
    ]


def test_the_same_file_again_changes_nothing_and_says_so(run: Run) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    again = run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    assert "Exactly this content is there since" in again.stdout
    assert answer(run("list", "--format", "json"))[0]["latest"] == 1


def test_a_changed_file_is_the_next_version_with_its_differences(run: Run, workspace: Path) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    changed = TICKETS.replace("billing", "account") + "t-4,Hello,en,other,acme\n"
    (workspace / "tickets.csv").write_text(changed)
    second = run("import", "tickets.csv", "--name", "tickets", *COLUMNS, "-m", "relabelled")
    assert "Since tickets@1: 1 added, 0 removed, 1 changed." in second.stdout
    assert run("diff", "tickets@1", "tickets@2").stdout.splitlines() == [
        "tickets@1 → tickets@2: 1 added, 0 removed, 1 changed",
        "~ t-1",
        "    expected_output: billing → account",
        "+ t-4",
        "    input.ticket: Hello",
        "    expected_output: other",
        "    metadata.lang: en",
        "    cluster: acme",
    ]
    assert (
        "1 more; --limit 2 shows all." in run("diff", "tickets@1", "tickets", "--limit", "1").stdout
    )


def test_a_diff_as_json_has_both_sides_of_every_change(run: Run, workspace: Path) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    (workspace / "tickets.csv").write_text(TICKETS.replace("billing", "account"))
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    told = answer(run("diff", "tickets@1", "tickets@2", "--format", "json"))
    assert (told["added"], told["removed"], told["changed"]) == (0, 0, 1)
    (change,) = told["changes"]
    assert (change["kind"], change["key"]) == ("changed", "t-1")
    assert change["before"]["expected_output"] == "billing"
    assert change["after"]["expected_output"] == "account"


def test_versions_without_a_difference_are_told_apart(run: Run, workspace: Path) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    header, *rows = [
        {"key": "a", "input": {"x": 1}},
        {"key": "b", "input": {"x": 2}},
    ]
    for name, order in (("one", [header, *rows]), ("two", [*rows, header])):
        (workspace / f"{name}.jsonl").write_text("\n".join(map(json.dumps, order)))
        run("import", f"{name}.jsonl", "--name", "pairs")
    assert "same examples in another order" in run("diff", "pairs@1", "pairs@2").stdout
    assert "the same version" in run("diff", "pairs@2", "pairs").stdout


def test_show_tells_facts_and_first_examples_with_user_text_as_it_stands(run: Run) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS, "--message", "first [red]batch")
    shown = run("show", "tickets").stdout
    assert "message   first [red]batch" in shown
    assert "t-1  My [bold]invoice[/] is wrong" in shown
    assert "t-2  The app crashes" in shown
    assert "One whole: workbench datasets show tickets@1 --key t-1" in shown


def test_show_one_example_prints_it_whole(run: Run) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    assert run("show", "tickets@1", "--key", "t-2").stdout.splitlines() == [
        "tickets@1 · t-2",
        "input.ticket:",
        "The app",
        "crashes",
        "expected_output: bug",
        "metadata.lang: en",
        "cluster: acme",
    ]
    told = answer(run("show", "tickets@1", "--key", "t-2", "--format", "json"))
    assert told["input"] == {"ticket": "The app\ncrashes"}


def test_names_and_keys_are_never_cut_in_a_narrow_pipe(run: Run, workspace: Path) -> None:
    key = "key-" + "x" * 50
    row = {"key": key, "input": {"ticket": "word " * 100}, "expected_output": "other " * 50}
    (workspace / "own.jsonl").write_text(json.dumps(row))
    name = "a-team-with-a-long-name/a-dataset-with-a-longer-name-than-most"
    run("import", "own.jsonl", "--name", name)
    assert f"{name}@1" in run("list").stdout
    assert key in run("show", name).stdout


def test_column_names_are_no_markup(run: Run, workspace: Path) -> None:
    (workspace / "odd.csv").write_text("[red]a[/]\nx\n")
    run("import", "odd.csv", "--name", "odd")
    assert "[red]a[/]" in run("list").stdout


def test_escape_sequences_in_a_text_do_not_reach_the_terminal(run: Run, workspace: Path) -> None:
    row = {"key": "k", "input": {"x": "red \x1b[31m text"}}
    (workspace / "own.jsonl").write_text(json.dumps(row))
    run("import", "own.jsonl", "--name", "own")
    for arguments in (("show", "own"), ("show", "own", "--key", "k")):
        assert "\x1b" not in run(*arguments).stdout


def test_an_empty_workspace_says_how_to_begin(run: Run) -> None:
    assert "workbench datasets import FILE --name NAME" in run("list").stdout
    assert answer(run("list", "--format", "json")) == []


def test_the_list_as_json_has_stable_names(run: Run) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    (told,) = answer(run("list", "--format", "json"))
    assert told.keys() == {
        "name", "latest", "versions", "example_count", "expected_count", "input_names",
        "updated_at", "created_by",
    }  # fmt: skip


def test_import_as_json_prints_nothing_else(run: Run) -> None:
    told = answer(run("import", "tickets.csv", "--name", "t", *COLUMNS, "--format", "json"))
    assert (told["reference"], told["created"], told["changes"]) == ("t@1", True, None)
    assert told["content_hash"].startswith("sha256:")


def test_rows_without_expected_output_and_repeated_inputs_are_pointed_out(
    run: Run, workspace: Path
) -> None:
    (workspace / "words.csv").write_text("word\nred\nblue\nred\n")
    told = run("import", "words.csv", "--name", "words").stdout
    assert "words@1: 3 examples (0 with expected output)" in told
    assert "1 row repeats the input of an earlier row" in told
    assert "need --expected COLUMN" in told


def test_chats_are_read_with_one_option(run: Run, workspace: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
    ]
    (workspace / "chat.jsonl").write_text(json.dumps({"messages": turns}))
    refused = run("import", "chat.jsonl", "--name", "chat", code=2)
    assert "--messages messages" in refused.stderr
    run("import", "chat.jsonl", "--name", "chat", "--messages", "messages")
    (example,) = answer(run("show", "chat", "--format", "json"))["examples"]
    assert example["input"] == {"message": "Hi"}
    assert example["messages"] == turns[:1]
    assert example["expected_output"] == "Hello."


def test_parquet_is_read_like_any_table(run: Run, workspace: Path) -> None:
    table = pyarrow.table({"q": ["1+1?", "2+2?"], "a": [2, 4]})
    parquet.write_table(table, workspace / "sums.parquet")
    told = run("import", "sums.parquet", "--name", "sums", "--input", "q", "--expected", "a")
    assert "sums@1: 2 examples (2 with expected output)" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "gone.csv", "--name", "x"), "There is no file gone.csv."),
        (("import", "tickets.csv", "--name", "My Tickets"), "is no dataset name"),
        (
            ("import", "tickets.csv", "--name", "x", "--input", "tiket"),
            "tickets.csv, row 1 (line 2), column 'tiket'",
        ),
        (
            ("import", "tickets.csv", "--name", "x", "--input", "ticket", "--key", "lang"),
            "tickets.csv, row 2: the key 'en' is already used by row 1.",
        ),
        (("show", "tickts"), "There is no dataset 'tickts'. Did you mean tickets?"),
        (("show", "tickets@9"), "tickets has the versions 1."),
        (("show", "tickets", "--key", "t-9"), "no example with the key 't-9'"),
        (("diff", "tickets@1", "tickets@2"), "There is no tickets@2"),
        (("show", "Tickets!"), "is no dataset"),
    ],
)
def test_errors_are_sentences_on_standard_error_with_exit_code_2(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    run("import", "tickets.csv", "--name", "tickets", *COLUMNS)
    refused = run(*arguments, code=2)
    assert words in refused.stderr
    assert refused.stdout == ""


def test_a_bad_last_row_imports_nothing(run: Run, workspace: Path) -> None:
    (workspace / "tickets.csv").write_text(TICKETS + "t-4,short\n")
    refused = run("import", "tickets.csv", "--name", "tickets", *COLUMNS, code=2)
    assert "tickets.csv, row 4 (line 6), column 'lang'" in refused.stderr
    assert answer(run("list", "--format", "json")) == []
