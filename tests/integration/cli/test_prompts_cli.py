"""`workbench prompts` as it is typed, on a workspace of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import open_services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from workbench.cli.prompts import app
from workbench.workspace.prompt_files import read_prompt_file

REPOSITORY = Path(__file__).resolve().parents[3]

V1 = """\
name: triage
version: v1
description: Route a ticket.
message: first try
messages:
  - {role: user, content: "Sort this: {{ ticket }}"}
variables: {ticket: {type: string, required: true}}
"""
DRAFT = """\
# a better way
name: triage
description: Route a ticket.
messages:
  - role: system
    content: |-
      You route tickets.
      Answer with one word.
  - {role: user, content: "{{ ticket }}"}
variables:
  ticket: {type: string}   # what the customer wrote
  urgent: {type: boolean, required: false, default: false}
"""

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with an empty database, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")  # migrating takes most of a second
    return tmp_path


@pytest.fixture
def run(workspace: Path) -> Run:
    def invoke(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def write(workspace: Path) -> Callable[[str, str], Path]:
    def write_file(where: str, text: str) -> Path:
        path = workspace / "prompts" / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


Write = Callable[[str, str], Path]


def draft(urgent: bool = True) -> str:
    return DRAFT.replace('"{{ ticket }}"', '"{{ ticket }} {{ urgent }}"') if urgent else DRAFT


def files(workspace: Path) -> list[str]:
    return sorted(
        path.relative_to(workspace / "prompts").as_posix()
        for path in (workspace / "prompts").rglob("*.yaml")
    )


# An empty workspace


@pytest.mark.parametrize("command", ["list", "status", "sync"])
def test_an_empty_workspace_says_what_to_do(run: Run, command: str) -> None:
    told = " ".join(run(command).stdout.split())
    assert "rite prompts/NAME/v1.yaml" in told
    assert "workbench prompts" in told


def test_an_empty_workspace_has_empty_json(run: Run) -> None:
    assert json.loads(run("list", "--format", "json").stdout) == []
    assert json.loads(run("status", "--format", "json").stdout) == {"entries": [], "problems": []}


def test_outside_a_workspace_it_is_said_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 2
    assert "workbench init" in result.stderr


# Files -> registry


def test_sync_registers_files_and_then_has_nothing_to_do(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    write("desk/triage/v2.yaml", V1.replace("triage\nversion: v1", "desk/triage\nversion: v2"))
    assert run("sync").stdout.splitlines() == [
        "registered  desk/triage@2  prompts/desk/triage/v2.yaml",
        "registered  triage@1  prompts/triage/v1.yaml",
        "2 registered.",
    ]
    assert run("sync").stdout.splitlines() == ["2 in step."]


def test_a_dry_run_changes_nothing(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    for _ in range(2):
        assert run("sync", "--dry-run").stdout.splitlines() == [
            "would register  triage@1  prompts/triage/v1.yaml",
            "Dry run: 1 to register.",
        ]


def test_a_taken_number_is_refused_with_who_when_and_the_difference(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    write("triage/v1.yaml", V1.replace("Sort this", "Please sort [this]"))
    write("triage/v2.yaml", V1.replace("v1", "v2").replace("Sort", "Route"))
    told = run("sync", code=2).stdout
    assert "registered  triage@2  prompts/triage/v2.yaml" in told  # each file stands alone
    assert "refused  prompts/triage/v1.yaml: triage@1 is taken: local:" in told
    assert " UTC." in told
    assert "-Sort this: {{ ticket }}" in told
    assert "+Please sort [this]: {{ ticket }}" in told
    assert "--renumber" in told
    assert told.splitlines()[-1] == "1 registered, 1 refused."


def test_renumber_takes_the_next_free_number_and_renames_the_file(
    run: Run, write: Write, workspace: Path
) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    write("triage/v1.yaml", "# mine\n" + V1.replace("Sort this", "Please sort this"))
    write("triage/v2.yaml", V1.replace("v1", "v2").replace("Sort", "Route"))
    assert "triage@3  prompts/triage/v3.yaml (was prompts/triage/v1.yaml)" in (
        run("sync", "--renumber", "--dry-run").stdout
    )
    assert files(workspace) == ["triage/v1.yaml", "triage/v2.yaml"]
    run("sync", "--renumber")
    assert files(workspace) == ["triage/v2.yaml", "triage/v3.yaml"]
    renamed = (workspace / "prompts/triage/v3.yaml").read_text()
    assert renamed == "# mine\n" + V1.replace("v1", "v3").replace("Sort this", "Please sort this")
    assert run("sync").stdout == "2 in step.\n"
    run("pull")
    assert run("sync").stdout == "3 in step.\n"


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_registered(
    run: Run, write: Write
) -> None:
    write("triage/v1.yaml", V1)
    write("triage/v2.yaml", V1.replace("v1", "v2").replace("role: user", "rolle: user"))
    result = run("sync", code=2)
    assert "registered  triage@1" in result.stdout
    assert "prompts/triage/v2.yaml, line 6: messages[0].rolle: unknown key 'rolle'" in (
        result.stderr
    )


def test_sync_as_json_tells_everything(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    write("triage/v1.yaml", V1.replace("Sort", "Route"))
    write("triage/v2.yaml", V1.replace("v1", "v2").replace("Sort", "Take"))
    write("triage/v3.yaml", "name: triage")
    shape = json.loads(run("sync", "--format", "json", code=2).stdout)
    assert shape["registered"] == [
        {"reference": "triage@2", "file": "prompts/triage/v2.yaml", "was": None}
    ]
    assert [(r["file"], r["code"]) for r in shape["refused"]] == [
        ("prompts/triage/v1.yaml", "number_taken")
    ]
    assert "-Sort this" in shape["refused"][0]["diff"]
    assert "v3.yaml" in shape["problems"][0]["message"]


def test_of_parallel_syncs_of_one_number_one_wins(workspace: Path, write: Write) -> None:
    """Five real processes, each with a workspace of its own over the same database."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "WORKBENCH_DATABASE_URL": f"sqlite:///{workspace / 'workbench.db'}",
    }
    processes = []
    for index in range(5):
        folder = workspace / f"clone-{index}"
        (folder / "prompts" / "triage").mkdir(parents=True)
        (folder / "workbench.yaml").touch()
        text = V1.replace("Sort this", f"Sort {index}")
        (folder / "prompts" / "triage" / "v1.yaml").write_text(text)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", "from workbench.cli.prompts import app; app(['sync'])"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    told = [process.communicate(timeout=100)[0] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 2, 2, 2, 2], told
    assert sum("registered  triage@1" in text for text in told) == 1
    assert sum("triage@1 is taken" in text for text in told) == 4


# Registry -> files


def test_pull_writes_what_only_the_registry_has_byte_for_byte_the_same(
    run: Run, write: Write, workspace: Path
) -> None:
    path = write("triage/v1.yaml", V1)
    run("sync")
    path.unlink()
    assert run("pull").stdout == "written  prompts/triage/v1.yaml\n"
    first = path.read_bytes()
    path.unlink()
    run("pull")
    assert path.read_bytes() == first
    assert run("sync").stdout == "1 in step.\n"
    assert files(workspace) == ["triage/v1.yaml"]  # built-in prompts get no file


def test_pull_overwrites_nothing(run: Run, write: Write) -> None:
    path = write("triage/v1.yaml", V1)
    run("sync")
    for text in (V1.replace("Sort", "Route"), "not a prompt"):
        path.write_text(text)
        run("pull")
        assert path.read_text() == text


def test_pull_with_nothing_to_write_says_so(run: Run) -> None:
    assert "Nothing to write" in run("pull").stderr


# Drafts


def test_publish_gives_a_draft_the_next_number_and_its_file_the_name(
    run: Run, write: Write, workspace: Path
) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    write("triage/draft.yaml", draft())
    assert run("publish", "triage", "-m", "one word: yes").stdout == (
        "Published triage@2: prompts/triage/v2.yaml (was prompts/triage/draft.yaml)\n"
    )
    assert files(workspace) == ["triage/v1.yaml", "triage/v2.yaml"]
    published = (workspace / "prompts/triage/v2.yaml").read_text()
    assert published == draft().replace(
        "name: triage\n", "name: triage\nversion: v2\nmessage: 'one word: yes'\n"
    )
    assert run("sync").stdout == "2 in step.\n"


def test_publish_takes_a_file_where_a_prompt_has_several_drafts(run: Run, write: Write) -> None:
    write("triage/draft.yaml", draft())
    other = write("triage/idea.yaml", draft().replace("one word", "the queue"))
    refused = run("publish", "triage", "-m", "x", code=2)
    assert "several drafts: prompts/triage/draft.yaml, prompts/triage/idea.yaml" in refused.stderr
    assert "triage@1" in run("publish", str(other), "-m", "x").stdout
    assert "triage@2" in run("publish", "triage", "-m", "x").stdout


def test_a_draft_from_anywhere_is_published_and_its_file_stays(run: Run, workspace: Path) -> None:
    (workspace / "mine.yaml").write_text(draft())
    assert run("publish", "mine.yaml", "-m", "x").stdout == (
        "Published triage@1: prompts/triage/v1.yaml\n"
    )
    assert (workspace / "mine.yaml").read_text() == draft()


def test_nothing_is_published_twice(run: Run, write: Write) -> None:
    write("triage/draft.yaml", draft())
    run("publish", "triage", "-m", "x")
    write("triage/draft.yaml", draft())
    assert "already triage@1" in run("publish", "triage", "-m", "y", code=2).stderr


def test_a_publication_that_was_cut_off_before_the_file_was_written_is_finished(
    run: Run, write: Write, workspace: Path
) -> None:
    write("triage/draft.yaml", draft())
    run("publish", "triage", "-m", "x")
    (workspace / "prompts/triage/v1.yaml").unlink()
    write("triage/draft.yaml", draft())
    assert (
        "Published triage@1: prompts/triage/v1.yaml" in run("publish", "triage", "-m", "y").stdout
    )
    assert run("status").stdout.count("in step") == 1


def test_a_file_that_waits_for_its_number_is_not_passed_by(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    write("triage/draft.yaml", draft())
    refused = run("publish", "triage", "-m", "x", code=2)
    assert "prompts/triage/v1.yaml is not registered yet" in refused.stderr
    assert "workbench prompts sync" in refused.stderr


def test_a_prompt_without_a_draft_says_where_one_would_be(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    refused = run("publish", "triage", "-m", "x", code=2)
    assert "triage has no draft" in refused.stderr
    assert "prompts/triage/draft.yaml" in refused.stderr


def test_publishing_needs_a_message(run: Run, write: Write) -> None:
    write("triage/draft.yaml", draft())
    run("publish", "triage", code=2)


# Looking


def test_list_shows_prompts_and_hides_built_in_ones(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    listed = run("list").stdout
    assert "triage@1" in listed
    assert "passthrough" not in listed
    assert "passthrough@1" in run("list", "--all").stdout
    (row,) = json.loads(run("list", "--format", "json").stdout)
    assert (row["name"], row["latest"], row["origin"]) == ("triage", 1, "file")


def test_long_names_are_whole_in_a_narrow_terminal(run: Run, write: Write) -> None:
    name = "customer-service-desk-emea/first-contact-triage"
    write(f"{name}/v1.yaml", V1.replace("name: triage", f"name: {name}"))
    assert f"{name}@1" in run("status").stdout
    run("sync")
    assert f"{name}@1" in run("list").stdout


def test_status_shows_every_state_and_what_brings_it_in_step(run: Run, write: Write) -> None:
    for number, text in ((1, "a"), (2, "b"), (3, "c")):
        write(f"triage/v{number}.yaml", V1.replace("v1", f"v{number}").replace("Sort", text))
    run("sync")
    write("triage/v2.yaml", V1.replace("v1", "v2").replace("Sort", "changed"))
    write("triage/v3.yaml", V1.replace("v1", "v3").replace("Sort", "c")).unlink()
    write("triage/v4.yaml", V1.replace("v1", "v4").replace("Sort", "d"))
    write("triage/draft.yaml", V1.replace("version: v1\n", "").replace("Sort", "a"))
    write("triage/broken.yaml", "name: [")
    result = run("status")
    rows = [line.split("  ") for line in result.stdout.splitlines() if line.startswith("triage")]
    assert [(row[0], row[1].strip() or row[2].strip()) for row in rows] == [
        ("triage@1", "in step"),
        ("triage@2", "differs"),
        ("triage@3", "only in registry"),
        ("triage@4", "only in files"),
        ("triage", "draft, same content as triage@1"),
    ]
    for command in ("sync", "pull", "diff", "publish"):
        assert f"workbench prompts {command}" in result.stdout
    assert "not readable  prompts/triage/broken.yaml, line " in result.stderr


def test_show_tells_what_a_version_says_and_where_it_comes_from(run: Run, write: Write) -> None:
    write("triage/draft.yaml", draft())
    run("publish", "triage", "-m", "one word")
    shown = run("show", "triage").stdout
    for part in (
        "triage@1  sha256:",
        "Route a ticket.",
        "one word",
        "local:",
        "  You route tickets.\n  Answer with one word.",
        "ticket: string, required",
        "urgent: boolean, default false",
    ):
        assert part in shown
    shape = json.loads(run("show", "triage@1", "--format", "json").stdout)
    assert shape["content"]["messages"][0]["role"] == "system"
    assert (shape["reference"], shape["number"], shape["message"]) == ("triage@1", 1, "one word")


def test_show_renders_with_values(run: Run, write: Write) -> None:
    path = write("triage/draft.yaml", draft())
    arguments = ("show", str(path), "--render", "ticket=[bold]a=b[/]", "--render", "urgent=true")
    assert "  [bold]a=b[/] true" in run(*arguments).stdout
    rendered = json.loads(run(*arguments, "--format", "json").stdout)["rendered"]
    assert rendered[-1] == {"role": "user", "content": "[bold]a=b[/] true"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["urgent=true"], "needs the variable 'ticket'"),
        (["ticket"], "write VAR=VALUE"),
        (["tickt=a"], "there is no variable 'tickt'; known are ticket, urgent"),
        (["ticket=a", "urgent=yes"], "is of type boolean; write JSON"),
        (["ticket=a", "urgent=1"], "is of type boolean, and the value is the number 1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    run: Run, write: Write, values: list[str], message: str
) -> None:
    path = write("triage/draft.yaml", draft())
    options = [part for value in values for part in ("--render", value)]
    assert message in run("show", str(path), *options, code=2).stderr


def test_a_control_character_does_not_reach_the_terminal(run: Run, write: Write) -> None:
    path = write("triage/draft.yaml", draft(urgent=False).replace("  urgent", "#").replace(
        '"{{ ticket }}"', '"\\e[2J{{ ticket }}"'
    ))  # fmt: skip
    shown = run("show", str(path)).stdout
    assert "\x1b" not in shown
    assert "⟨U+001B⟩[2J" in shown


def test_a_file_that_is_not_registered_yet_is_pointed_at(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    refused = run("show", "triage@1", code=2)
    assert "prompts/triage/v1.yaml is not registered yet" in refused.stderr


def test_diff_compares_any_two_texts(run: Run, write: Write) -> None:
    write("triage/v1.yaml", V1)
    run("sync")
    path = write("triage/draft.yaml", V1.replace("version: v1\n", "").replace("Sort", "Route"))
    assert run("diff", "triage@1", str(path)).stdout.splitlines() == [
        "--- triage@1",
        f"+++ {path}",
        "@@ -1,4 +1,4 @@",
        " [user]",
        "-Sort this: {{ ticket }}",
        "+Route this: {{ ticket }}",
        " [variables]",
        " ticket: {}",
    ]
    assert "[-Sort-]{+Route+} this: {{ ticket }}" in (
        run("diff", "triage@1", str(path), "--words").stdout
    )
    same = run("diff", "triage@1", "triage")
    assert (same.stdout, same.stderr) == ("", "triage@1 and triage@1 say the same.\n")


def test_a_draft_that_was_run_is_found_by_its_reference(run: Run, write: Write) -> None:
    """Its file may be gone: what was run can be read and published all the same."""
    path = write("triage/draft.yaml", draft())
    reference = _store_draft(path)
    path.unlink()
    assert "You route tickets." in run("show", reference).stdout
    assert run("publish", reference, "-m", "x").stdout == (
        "Published triage@1: prompts/triage/v1.yaml\n"
    )
    assert run("sync").stdout == "1 in step.\n"


def _store_draft(path: Path) -> str:
    """Store a draft as a run does, and return its reference."""

    async def store() -> str:
        async with open_services(load_settings(Path.cwd())) as services:
            file = read_prompt_file(path)
            registered = await services.prompts.register(
                local_actor(), file.name, file.content, number=None
            )
            return registered.version.reference

    return asyncio.run(store())
