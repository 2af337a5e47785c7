"""What the page of prompts makes of the API's answers and of its own fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workbench.client.prompts import DeployedTarget, PromptDeployment
from workbench.dashboard.frames.playground import (
    FieldError,
    assembled,
    edited_messages,
    parsed_json,
    placeholders,
    typed,
    variable,
)
from workbench.dashboard.frames.prompts import content_lines, diff_blocks, stint_sentence, stints


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


def move(
    number: int, version: str, since: int, until: int | None, *, role: str = "primary"
) -> PromptDeployment:
    target = DeployedTarget(
        variant_hash="sha256:1", prompt=version, model="openai/gpt-5@1", role=role, weight=1.0
    )
    return PromptDeployment(
        alias="bot@production",
        number=number,
        reason="a test",
        is_disabled=False,
        targets=(target,),
        created_at=at(since),
        created_by="user:ada",
        ended_at=None if until is None else at(until),
    )


def test_moves_that_leave_a_version_where_it_was_are_one_stint() -> None:
    found = stints([move(3, "bot@2", 5, None), move(2, "bot@1", 3, 5), move(1, "bot@1", 1, 3)])
    assert [(it.version, it.since, it.until) for it in found] == [
        ("bot@2", at(5), None),
        ("bot@1", at(1), at(5)),
    ]


def test_a_version_that_came_back_has_two_stints() -> None:
    moves = [move(1, "bot@1", 1, 2), move(3, "bot@1", 3, None)]
    assert [(it.since, it.until) for it in stints(moves)] == [(at(3), None), (at(1), at(2))]


def test_a_stint_is_told_in_words() -> None:
    now, before = stints([move(1, "bot@1", 1, 2, role="canary"), move(2, "bot@2", 2, None)])
    assert stint_sentence(now, "{:%H}h".format) == "bot@production since 02h"
    assert stint_sentence(before, "{:%H}h".format) == (
        "was bot@production (canary) from 01h to 02h"
    )


def test_a_content_is_compared_by_all_that_a_model_sees() -> None:
    lines = content_lines(
        {
            "messages": [{"role": "user", "content": "a\nb"}, {"placeholder": "history"}],
            "variables": {"x": {"type": "string", "required": True, "default": None}},
            "parameters": {"temperature": 0},
            "tools": None,
        }
    )
    assert lines == [
        "[user]",
        "a",
        "b",
        "[history]",
        "[variables]",
        'x: {"type": "string"}',
        "[parameters]",
        "temperature: 0",
    ]


def test_equal_contents_have_no_changes() -> None:
    assert diff_blocks(["a"], ["a"]) == []


def test_changes_are_escaped() -> None:
    [block] = diff_blocks(["![x](https://evil.example)"], ["<b>new</b>"])
    assert "![x](" not in block
    assert "<b>" not in block


def test_placeholders_are_found_once_and_literal_braces_are_none() -> None:
    texts = ["{{ b }} and {{a}}", r"\{{ c }} {{ b }}", "{{ not one }}"]
    assert placeholders(texts) == ("b", "a")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "string", "3"),
        ("3", "integer", 3),
        ("0.5", "number", 0.5),
        ("true", "boolean", True),
        ("[1]", "array", [1]),
        ('{"a": 1}', "object", {"a": 1}),
        ("plain", "any", "plain"),
        ("3", "any", 3),
    ],
)
def test_a_field_holds_a_value_of_its_type(text: str, kind: str, value: object) -> None:
    assert typed(text, kind, "x") == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("many", "integer"),
        ("0.5", "integer"),
        ("true", "number"),
        ("1", "boolean"),
        ("NaN", "number"),
    ],
)
def test_a_field_with_another_type_is_refused_in_a_sentence(text: str, kind: str) -> None:
    with pytest.raises(FieldError, match="x is to be"):
        typed(text, kind, "x")


def test_a_variable_with_a_default_is_not_required() -> None:
    assert variable("x", "integer", "3", "How many.") == {
        "type": "integer",
        "required": False,
        "default": 3,
        "description": "How many.",
    }
    assert variable("x", "string", "", "") == {"type": "string"}


def test_json_of_another_kind_is_refused() -> None:
    assert parsed_json(" ", "Tools", list) is None
    with pytest.raises(FieldError, match="another kind"):
        parsed_json("{}", "Tools", list)


def test_what_is_edited_is_put_together_as_it_was() -> None:
    content = {
        "messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}],
        "variables": {},
        "parameters": {"temperature": 0},
    }
    parameters = {"temperature": 0, "top_p": None}
    again = assembled(edited_messages(content), {}, parameters, {"tools": None})
    assert again == content
