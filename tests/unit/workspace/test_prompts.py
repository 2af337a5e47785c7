"""Files and registry compared, and what a sync would do: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.schemas.prompts import PromptContent, PromptVersionView
from app.services.prompts import AlreadyRegistered, NumberTaken
from workbench.workspace.prompt_files import PromptFile
from workbench.workspace.prompts import State, Step, compare, plan_sync

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def content(text: str) -> PromptContent:
    return PromptContent.model_validate({"messages": [{"role": "user", "content": text}]})


def file(number: int | None, text: str, name: str = "x") -> PromptFile:
    stem = "draft" if number is None else f"v{number}"
    return PromptFile(Path(f"/w/prompts/{name}/{stem}.yaml"), name, number, content(text))


def version(number: int, text: str, name: str = "x", origin: str = "file") -> PromptVersionView:
    said = content(text)
    return PromptVersionView.model_validate(
        {
            "id": uuid4(),
            "prompt_id": uuid4(),
            "name": name,
            "number": number,
            "content_hash": said.hash,
            "content": said,
            "description": "",
            "message": "",
            "origin": origin,
            "author": "local:ann",
            "created_at": NOW,
            "published_at": NOW,
        }
    )


def states(files: list[PromptFile], versions: list[PromptVersionView]) -> list[tuple[str, str]]:
    return [(entry.reference, entry.state.value) for entry in compare(files, versions)]


def plan(
    files: list[PromptFile], versions: list[PromptVersionView], *, renumber: bool = False
) -> list[Step]:
    return plan_sync(compare(files, versions), renumber=renumber)


def test_each_version_has_one_state() -> None:
    files = [file(1, "a"), file(2, "b"), file(3, "mine"), file(None, "idea"), file(1, "y", "y")]
    versions = [version(1, "a"), version(3, "theirs"), version(4, "d")]
    assert states(files, versions) == [
        ("x@1", "in step"),
        ("x@2", "only in files"),
        ("x@3", "differs"),
        ("x@4", "only in registry"),
        ("x", "draft"),
        ("y@1", "only in files"),
    ]


def test_built_in_prompts_have_no_files() -> None:
    assert compare([], [version(1, "a", "passthrough", "builtin")]) == []


@pytest.mark.parametrize("number", [None, 2])
def test_content_that_has_another_number_is_recognised(number: int | None) -> None:
    entry = next(e for e in compare([file(number, "a")], [version(1, "a")]) if e.file)
    assert entry.twin is not None
    assert entry.twin.reference == "x@1"


def test_files_are_registered_ascending_by_number() -> None:
    steps = plan([file(10, "j"), file(2, "b"), file(1, "a")], [version(1, "a")])
    assert [(s.number, s.refusal) for s in steps] == [(2, None), (10, None)]


def test_drafts_are_not_registered() -> None:
    assert plan([file(None, "idea")], []) == []


def test_a_taken_number_is_refused_and_other_files_are_not() -> None:
    steps = plan([file(1, "mine"), file(2, "b")], [version(1, "theirs")])
    assert isinstance(steps[0].refusal, NumberTaken)
    assert steps[1].refusal is None


def test_renumbering_takes_a_number_that_neither_the_registry_nor_a_file_has() -> None:
    files = [file(1, "mine"), file(2, "b"), file(5, "e")]
    steps = plan(files, [version(1, "theirs"), version(3, "c")], renumber=True)
    assert [(s.file.number, s.number) for s in steps] == [(2, 2), (5, 5), (1, 6)]
    assert [s.renumbers for s in steps] == [False, False, True]


def test_two_renumbered_files_get_two_numbers() -> None:
    files = [file(1, "mine"), file(2, "mine too")]
    steps = plan(files, [version(1, "a"), version(2, "b")], renumber=True)
    assert [(s.file.number, s.number) for s in steps] == [(1, 3), (2, 4)]


@pytest.mark.parametrize("renumber", [False, True])
def test_two_new_files_of_one_content_are_not_both_registered(renumber: bool) -> None:
    steps = plan([file(1, "a"), file(2, "a")], [], renumber=renumber)
    assert steps[0].refusal is None
    assert "x@2 has the same content as x@1" in str(steps[1].refusal)


@pytest.mark.parametrize("renumber", [False, True])
def test_a_copy_of_a_registered_file_is_refused(renumber: bool) -> None:
    (step,) = plan([file(1, "a"), file(2, "a")], [version(1, "a")], renumber=renumber)
    assert isinstance(step.refusal, AlreadyRegistered)


def test_renumbering_gives_a_file_the_number_that_its_content_has() -> None:
    """So that a renumbering that was cut off before the file was renamed can be repeated."""
    versions = [version(1, "theirs"), version(2, "mine")]
    (step,) = plan([file(1, "mine")], versions, renumber=True)
    assert (step.refusal, step.number) == (None, 2)


def test_a_file_with_a_built_in_name_is_refused() -> None:
    (step,) = plan([file(2, "a", "passthrough")], [version(1, "b", "passthrough", "builtin")])
    assert "is a built-in prompt" in str(step.refusal)


_NUMBERED = st.dictionaries(st.integers(1, 6), st.sampled_from("abcdef"), max_size=5)


@settings(deadline=None)
@given(in_files=_NUMBERED, in_registry=_NUMBERED, renumber=st.booleans())
def test_a_plan_never_gives_a_number_or_a_content_twice(
    in_files: dict[int, str], in_registry: dict[int, str], renumber: bool
) -> None:
    by_text = {text: number for number, text in in_registry.items()}  # one number a content
    versions = [version(number, text) for text, number in by_text.items()]
    entries = compare([file(number, text) for number, text in in_files.items()], versions)
    accepted = [s for s in plan_sync(entries, renumber=renumber) if s.refusal is None]
    registered = {v.number: v.content_hash for v in versions}
    for step in accepted:
        known = registered.setdefault(step.number, step.file.content.hash)
        assert known == step.file.content.hash
    assert len(set(registered.values())) == len(registered)
    in_step = [e for e in entries if e.state is State.IN_STEP]
    paths = [e.number for e in in_step] + [s.number for s in accepted]
    assert len(set(paths)) == len(paths)  # no two files end under one name
