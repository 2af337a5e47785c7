"""Changes to parameter facts as they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.fact_settings import FactSetting, parse_fact_setting
from app.core.parameters import ModelFacts, ParameterFact


def changed(text: str, **known: ParameterFact) -> ParameterFact:
    setting = parse_fact_setting(text)
    return setting.apply(ModelFacts(parameters=known)).parameters[setting.parameter]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("temperature=unsupported", ParameterFact(unsupported=True)),
        ("temperature=supported", ParameterFact()),
        ("temperature=fixed:1", ParameterFact(fixed=1)),
        ("temperature=fixed:0.5", ParameterFact(fixed=0.5)),
        ("logprobs=fixed:false", ParameterFact(fixed=False)),
        ("verbosity=fixed:medium", ParameterFact(fixed="medium")),
        ("temperature=min:0.1", ParameterFact(minimum=0.1)),
        ("temperature=max:1", ParameterFact(maximum=1)),
        ("temperature=default:0.7", ParameterFact(default=0.7)),
        ("temperature=exclusive:top_p,top_k", ParameterFact(exclusive=("top_p", "top_k"))),
        ("max_tokens=wire:max_completion_tokens", ParameterFact(wire="max_completion_tokens")),
    ],
)
def test_every_form_is_understood_and_written_back(text: str, fact: ParameterFact) -> None:
    assert changed(text) == fact
    assert str(parse_fact_setting(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "temperature",
        "temperature=",
        "=unsupported",
        "temperature=no",
        "temperature=fixed",
        "temperature=fixed:",
        "temperature=fixed: ",
        "temperature=unsupported:1",
        "temperature:unsupported",
    ],
)
def test_anything_else_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(Invalid, match="temperature=unsupported"):
        parse_fact_setting(text)


def test_unsupported_takes_the_place_of_a_fixed_value_and_the_other_way_round() -> None:
    assert changed("top_p=unsupported", top_p=ParameterFact(fixed=1)) == ParameterFact(
        unsupported=True
    )
    assert changed("top_p=fixed:1", top_p=ParameterFact(unsupported=True)) == ParameterFact(fixed=1)


def test_supported_takes_away_what_stands_against_it_and_keeps_bounds() -> None:
    against = ParameterFact(fixed=1, exclusive=("top_k",), maximum=1)
    assert changed("top_p=supported", top_p=against) == ParameterFact(maximum=1)


def test_exclusions_add_up() -> None:
    known = ParameterFact(exclusive=("top_k",))
    assert changed("top_p=exclusive:top_k,seed", top_p=known).exclusive == ("top_k", "seed")


def test_other_parameters_and_limits_stay() -> None:
    known = ModelFacts(
        context_window=10, max_output_tokens=5, parameters={"seed": ParameterFact(unsupported=True)}
    )
    after = parse_fact_setting("top_p=max:0.9").apply(known)
    assert after.context_window == 10
    assert after.max_output_tokens == 5
    assert after.parameters["seed"] == ParameterFact(unsupported=True)


def test_a_name_as_it_stood_on_the_wire_is_understood() -> None:
    known = ModelFacts(parameters={"max_tokens": ParameterFact(wire="max_completion_tokens")})
    after = FactSetting("max_completion_tokens", "unsupported").apply(known)
    assert after.parameters["max_tokens"].unsupported


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("temprature=unsupported", "is no parameter"),
        ("temperature=fixed:9", "out of bounds"),
        ("temperature=fixed:hot", "must be a number"),
        ("temperature=min:hot", "valid number"),
        ("temperature=exclusive:hot", "is no parameter"),
        ("max_tokens=wire:top_p", "two parameters have the wire name"),
    ],
)
def test_facts_that_cannot_hold_are_refused(text: str, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        changed(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        setting = parse_fact_setting(text)
    except Invalid:
        return
    assert parse_fact_setting(str(setting)) == setting
