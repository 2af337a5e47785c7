"""What callers may change of a variant, and what becomes of what they may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.aliases import AliasSettings
from app.schemas.chat import ChatRequest
from app.services.chat.overrides import apply_overrides
from tests.unit.services.chat.variants import variant

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def asking(**parameters: JSON) -> ChatRequest:
    return ChatRequest("t", (), "r", "h", parameters=parameters)


def test_without_wishes_the_variant_is_served_exactly() -> None:
    one = variant()
    found = apply_overrides(asking(), one, AliasSettings())
    assert (found.parameters, found.is_exact, found.ignored) == (one.parameters, True, ())


def test_a_wish_for_what_the_variant_has_anyway_is_none() -> None:
    strict = AliasSettings(strict=True)
    found = apply_overrides(asking(temperature=0.5, max_tokens=100, top_p=0.6), variant(), strict)
    assert (found.is_exact, found.ignored) == (True, ())


@given(
    st.integers(1, 4_096),
    st.one_of(st.none(), st.floats(0, 2)),
    st.one_of(st.none(), st.just("."), st.lists(st.text(max_size=3), min_size=1, max_size=3)),
)
def test_by_default_callers_set_stop_and_fewer_tokens_and_nothing_else(
    tokens: int, temperature: float | None, stop: Any
) -> None:
    found = apply_overrides(
        asking(max_tokens=tokens, temperature=temperature, stop=stop), variant(), AliasSettings()
    )
    applied = found.parameters.applied
    assert applied["max_completion_tokens"] == min(tokens, 100)
    assert applied["temperature"] == 0.5
    assert applied.get("stop") == stop
    wishes = {"max_tokens": tokens > 100, "temperature": temperature not in (None, 0.5)}
    assert set(found.ignored) == {name for name, vain in wishes.items() if vain}
    assert found.is_exact == (tokens >= 100 and stop is None)


def test_an_alias_may_let_callers_set_more() -> None:
    free = AliasSettings(overrides=("temperature", "seed"))
    found = apply_overrides(asking(temperature=1.0, seed=7, stop="."), variant(), free)
    assert (found.parameters.asked["temperature"], found.parameters.asked["seed"]) == (1.0, 7)
    assert found.ignored == ("stop",)


def test_a_model_called_directly_takes_everything_within_its_bounds() -> None:
    found = apply_overrides(asking(temperature=1.9, max_tokens=4_096, n=3), variant(), None)
    assert found.parameters.applied["max_completion_tokens"] == 4_096
    assert (found.ignored, found.is_exact) == ((), False)


@pytest.mark.parametrize(
    ("wish", "path"),
    [
        ({"temperature": 2.1}, "parameters.temperature"),
        ({"max_tokens": 4_097}, "parameters.max_tokens"),
        ({"top_k": 5}, "parameters.top_k"),
        ({"nonsense": 1}, "parameters.nonsense"),
        ({"logprobs": "yes"}, "parameters.logprobs"),
    ],
)
def test_what_no_model_version_takes_is_refused_with_its_path(
    wish: dict[str, JSON], path: str
) -> None:
    with pytest.raises(Invalid) as caught:
        apply_overrides(asking(**wish), variant(), None)
    assert caught.value.path == path


@pytest.mark.parametrize("settings", [AliasSettings(strict=True), AliasSettings(regulated=True)])
@pytest.mark.parametrize("wish", [{"temperature": 1.0}, {"max_tokens": 200}, {"seed": 1}])
def test_a_strict_alias_refuses_what_another_ignores(
    settings: AliasSettings, wish: dict[str, JSON]
) -> None:
    assert apply_overrides(asking(**wish), variant(), AliasSettings()).ignored == tuple(wish)
    with pytest.raises(Invalid) as caught:
        apply_overrides(asking(**wish), variant(), settings)
    assert caught.value.path == f"parameters.{next(iter(wish))}"


@pytest.mark.parametrize("field", ["tools", "tool_choice", "response_format"])
def test_the_variants_own_tools_and_form_come_before_the_callers(field: str) -> None:
    own: dict[str, Any] = {
        "tools": TOOLS,
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
    }
    theirs: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "g"}}],
        "tool_choice": "none",
        "response_format": {"type": "text"},
    }
    request = ChatRequest("t", (), "r", "h", **{field: theirs[field]})
    with_own = apply_overrides(request, variant(own), AliasSettings())
    assert (getattr(with_own, field), with_own.ignored) == (own[field], (field,))
    if field == "tool_choice":
        request = replace(request, tools=theirs["tools"])
    without = apply_overrides(request, variant(), AliasSettings())
    assert (getattr(without, field), without.is_exact) == (theirs[field], False)
    with pytest.raises(Invalid):
        apply_overrides(request, variant(), AliasSettings(regulated=True))


@pytest.mark.parametrize("own", [{}, {"tools": TOOLS}])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_a_choice_among_tools_goes_with_the_callers_own_tools_only(
    own: dict[str, Any], tools: JSON
) -> None:
    request = ChatRequest("t", (), "r", "h", tools=tools, tool_choice="none")
    theirs = not own and tools is not None
    found = apply_overrides(request, variant(own), AliasSettings())
    assert found.tool_choice == ("none" if theirs else None)
    assert found.ignored == (() if theirs else ("tool_choice",))
    assert apply_overrides(request, variant(own), None).tool_choice == "none"


def test_fields_that_nobody_honours_are_told_too() -> None:
    request = ChatRequest("t", (), "r", "h", asked_besides=("logit_bias",))
    assert apply_overrides(request, variant(), None).ignored == ("logit_bias",)


def test_a_user_is_not_kept_where_callers_may_not_name_one() -> None:
    request = ChatRequest("t", (), "r", "h", subject="user-1")
    assert apply_overrides(request, variant(), AliasSettings(overrides=())).ignored == ("user",)
