"""`workbench aliases` as it is typed: moves, canaries, settings, the way back, a fixed text."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.bootstrap import open_services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from app.schemas.variants import NewVariant
from tests.command_line import CommandLine, arithmetic_workspace

NAME = "ask@production"
BECAUSE = ("--reason", "because")


@dataclass(frozen=True)
class Typed:
    """A workspace with two variants, by the first digits of their hashes."""

    line: CommandLine
    first: str
    second: str

    def run(self, *arguments: str, code: int = 0) -> str:
        return self.line.run("aliases", *arguments, code=code)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """The workspace that each test gets a copy of."""
    folder = tmp_path_factory.mktemp("template")
    line = arithmetic_workspace(folder, 2, {})
    line.run("models", "add", "openai/some-model")
    first, second = [make_variant(folder, f"ask@{n}", "openai/some-model") for n in (1, 2)]
    return Typed(line, first, second)


@pytest.fixture
def typed(template: Typed, tmp_path: Path) -> Typed:
    shutil.copytree(template.line.folder, tmp_path, dirs_exist_ok=True)
    return replace(template, line=CommandLine(tmp_path))


def make_variant(folder: Path, prompt: str, model: str) -> str:
    """Make a variant, as an experiment would; return the first digits of its hash."""

    async def make() -> str:
        async with open_services(load_settings(folder, {})) as services:
            new = NewVariant(prompt=prompt, model=model)
            made = await services.variant_making.make(local_actor(), new)
            return made.variant.short_hash

    return asyncio.run(make())


def test_an_alias_is_set_with_a_canary_a_fallback_and_settings(typed: Typed) -> None:
    told = typed.run(
        "set", NAME, typed.first, "--canary", f"{typed.second}=1%", "--setting", "strict=true",
        "--setting", "guards.output=[{kind: email, action: mask}]", *BECAUSE,
    )  # fmt: skip
    assert f"{NAME} is ask@1 on openai/some-model@1 ({typed.first})" in told
    assert f"1.00% of callers meet ask@2 on openai/some-model@1 ({typed.second})" in told
    assert "strict=true" in told
    assert "guards.output=[{kind: email, action: mask}]" in told
    assert "regulated" not in told
    moved = typed.line.json(
        "aliases", "set", NAME, typed.first, "--fallback", typed.second, *BECAUSE
    )
    assert [target["role"] for target in moved["current"]["targets"]] == ["primary", "fallback"]
    assert moved["current"]["settings"]["guards"]["output"][0]["kind"] == "email"


@pytest.mark.parametrize("text", ["{0}", "{0}=much", "=1%"])
def test_a_canary_that_cannot_be_read_is_told(typed: Typed, text: str) -> None:
    canary = text.replace("{0}", typed.second)
    typed.run("set", NAME, typed.first, "--canary", canary, *BECAUSE, code=2)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("strict", "write KEY=VALUE"),
        ("strict=[", "cannot be read"),
        ("colour=red", "Extra inputs are not permitted"),
        ("overrides=[colour]", "nothing that callers could override"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told(typed: Typed, setting: str, sentence: str) -> None:
    typed.run("set", NAME, typed.first, "--setting", setting, *BECAUSE, code=2)
    assert sentence in typed.line.last_error


def test_settings_are_shown_and_changed(typed: Typed) -> None:
    typed.run("set", NAME, typed.first, *BECAUSE)
    assert "regulated=false" in typed.run("settings", NAME)
    typed.run("settings", NAME, "--setting", "overrides=[stop, stream]", *BECAUSE)
    assert typed.line.json("aliases", "settings", NAME)["overrides"] == ["stop", "stream"]
    typed.run("settings", NAME, "--setting", "strict=true", code=2)
    assert "say why the alias is moved" in typed.line.last_error


def test_a_rollback_says_beforehand_what_it_does_and_does_it(typed: Typed) -> None:
    for variant in (typed.first, typed.second):
        typed.run("set", NAME, variant, *BECAUSE)
    planned = typed.run("rollback", NAME, "--dry-run")
    assert "would go from move 2 back to move 1: ask@1" in planned
    assert typed.line.json("aliases", "show", NAME)["current"]["number"] == 2
    done = typed.run("rollback", NAME, *BECAUSE)
    assert f"{NAME} is ask@1" in done
    assert typed.line.json("aliases", "show", NAME)["current"]["kind"] == "rollback"


def test_a_rollback_that_cannot_be_done_is_told_and_nothing_changes(typed: Typed) -> None:
    typed.line.run("models", "add", "openai/new-model")
    for variant in (typed.first, make_variant(typed.line.folder, "ask@1", "openai/new-model")):
        typed.run("set", NAME, variant, *BECAUSE)
    typed.line.run("models", "retire", "openai/some-model", "--successor", "openai/new-model@1")
    for arguments in (("--dry-run",), BECAUSE):
        told = typed.run("rollback", NAME, *arguments, code=2)
        assert "It cannot: The model openai/some-model@1 is retired." in told
    assert typed.line.json("aliases", "show", NAME)["current"]["number"] == 2


def test_a_disabled_alias_answers_with_a_text_and_is_enabled_by_a_rollback(typed: Typed) -> None:
    typed.run("set", NAME, typed.first, *BECAUSE)
    told = typed.run("disable", NAME, "--message", "We are back soon.", *BECAUSE)
    assert f"{NAME} is disabled and answers: We are back soon." in told
    assert "is disabled" not in typed.run("rollback", NAME, *BECAUSE)


def test_what_was_served_at_a_time_and_by_which_move_is_told(typed: Typed) -> None:
    for variant in (typed.first, typed.second):
        typed.run("set", NAME, variant, *BECAUSE)
    history = typed.line.json("aliases", "history", NAME)
    at_first = history[1]["created_at"]
    assert f"{NAME} is ask@1" in typed.run("at", NAME, "--time", at_first)
    assert f"{NAME} is ask@2" in typed.run("at", NAME, "--number", "2")
    assert typed.line.json("aliases", "at", NAME, "--time", at_first)["number"] == 1
    typed.run("at", NAME, "--time", "2020-01-01", code=2)
    assert "did not exist yet" in typed.line.last_error
    typed.run("at", NAME, "--time", "yesterday", code=2)
    typed.run("at", NAME, code=2)


def test_the_history_tells_kinds_and_reasons(typed: Typed) -> None:
    typed.run("set", NAME, typed.first, "--reason", "the first one")
    typed.run("disable", NAME, "--message", "Back soon.", "--reason", "an incident")
    told = typed.run("history", NAME)
    assert [kind in told for kind in ("disable", "move", "an incident")] == [True] * 3


def test_aliases_are_listed(typed: Typed) -> None:
    assert "No alias yet" in typed.run("list")
    typed.run("set", NAME, typed.first, "--canary", f"{typed.second}=0.05", *BECAUSE)
    assert "canary 5.00%" in typed.run("list")
    typed.run("disable", NAME, "--message", "Back soon.", *BECAUSE)
    assert "disabled" in typed.run("list")
