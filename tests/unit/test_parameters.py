"""Generation parameters: layers, bounds, what is sent and what is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import content_hash
from app.core.parameters import (
    ASSUMED_MAX_OUTPUT_TOKENS,
    HOUSE_DEFAULTS,
    PARAMETER_NAMES,
    ModelFacts,
    ParameterFact,
    ResolvedParameters,
    resolve_parameters,
    settle_parameters,
)

NOTHING = ModelFacts()


def facts(max_output_tokens: int | None = None, **parameters: ParameterFact) -> ModelFacts:
    return ModelFacts(max_output_tokens=max_output_tokens, parameters=parameters)


def resolve(
    request: Mapping[str, Any] | None = None,
    prompt: Mapping[str, Any] | None = None,
    known: ModelFacts = NOTHING,
) -> ResolvedParameters:
    return resolve_parameters(request or {}, prompt or {}, known)


# Layers


def test_house_defaults_hold_where_nobody_says_anything() -> None:
    resolved = resolve()
    assert resolved.applied == {"temperature": 0.2, "top_p": 0.6, "max_tokens": 1024}
    assert set(resolved.sources.values()) == {"house"}
    assert resolved.left_out == {}


def test_the_first_layer_that_names_a_parameter_wins() -> None:
    known = facts(
        temperature=ParameterFact(default=0.7),
        top_p=ParameterFact(default=0.8),
        seed=ParameterFact(default=4),
    )
    resolved = resolve({"temperature": 0}, {"temperature": 0.5, "top_p": 0.9}, known)
    assert resolved.asked == {"max_tokens": 1024, "seed": 4, "temperature": 0, "top_p": 0.9}
    assert resolved.sources == {
        "max_tokens": "house",
        "seed": "model",
        "temperature": "request",
        "top_p": "prompt",
    }


def test_a_layer_that_says_none_says_nothing() -> None:
    resolved = resolve({"temperature": None}, {"temperature": None, "seed": None})
    assert resolved.asked["temperature"] == 0.2
    assert "seed" not in resolved.asked


def test_zero_and_false_are_said() -> None:
    resolved = resolve({"temperature": 0, "logprobs": False, "stop": ""})
    assert resolved.applied["temperature"] == 0
    assert resolved.applied["logprobs"] is False
    assert resolved.applied["stop"] == ""


def test_the_inputs_are_left_as_they_are() -> None:
    request, prompt = {"stop": ("a", "b")}, {"temperature": 0.1}
    resolve(request, prompt)
    assert (request, prompt) == ({"stop": ("a", "b")}, {"temperature": 0.1})
    assert HOUSE_DEFAULTS == {"temperature": 0.2, "top_p": 0.6, "max_tokens": 1024}


# Bounds and types


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.01),
        ("temperature", 2.01),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 1.001),
        ("max_tokens", 0),
        ("max_tokens", 1025),  # nothing is known of the model: 1,024 are assumed
        ("frequency_penalty", -2.5),
        ("presence_penalty", 2.5),
        ("n", 0),
        ("n", 129),
        ("top_logprobs", 21),
        ("seed", 2**63),
        ("seed", -(2**63) - 1),
        ("max_tokens", 10**400),  # larger than any float
    ],
)
@pytest.mark.parametrize("layer", ["request", "prompt"])
def test_out_of_bounds_is_refused_with_the_path_and_never_clamped(
    name: str, value: float, layer: str
) -> None:
    with pytest.raises(Invalid, match="out of bounds") as refused:
        resolve(**{layer: {name: value}})
    assert refused.value.path == f"parameters.{name}"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("temperature", "0.2", "a number"),
        ("temperature", True, "a number"),  # Python's True is 1; JSON's is not
        ("temperature", [0.2], "a number"),
        ("max_tokens", 8.5, "a whole number"),
        ("n", math.inf, "a whole number"),
        ("seed", math.nan, "a whole number"),
        ("stop", 3, "a text or a list of texts"),
        ("stop", ["a", 3], "a text or a list of texts"),
        ("stop", {"a": "b"}, "a text or a list of texts"),
        ("logprobs", 1, "true or false"),
        ("logprobs", "true", "true or false"),
        ("reasoning_effort", 1, "a text"),
        ("verbosity", False, "a text"),
    ],
)
def test_a_wrong_type_is_refused_with_the_path(name: str, value: Any, told: str) -> None:
    with pytest.raises(Invalid, match=f"must be {told}, not") as refused:
        resolve({name: value})
    assert refused.value.path == f"parameters.{name}"


def test_an_unknown_name_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(Invalid, match=r"parameters\.temprature is no parameter.*temperature"):
        resolve({"temprature": 0})


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(Invalid) as refused:
        resolve({"temperature": "x" * 100_000})
    assert len(refused.value.message) < 300


def test_limits_are_told_in_full_figures() -> None:
    with pytest.raises(Invalid, match=r"= 2000000 is out of bounds.*takes 1 to 1047576\."):
        resolve({"max_tokens": 2_000_000}, known=facts(max_output_tokens=1_047_576))


def test_a_value_that_a_higher_layer_replaces_is_not_checked() -> None:
    assert resolve({"temperature": 1}, {"temperature": 99}).asked["temperature"] == 1


def test_a_whole_number_written_as_a_float_becomes_an_integer() -> None:
    applied = resolve({"max_tokens": 8.0, "seed": -3.0}).applied
    assert [type(applied[name]) for name in ("max_tokens", "seed")] == [int, int]


def test_stop_texts_become_a_list_whatever_sequence_they_came_in() -> None:
    assert resolve({"stop": ("a", "b")}).asked["stop"] == ["a", "b"]


def test_facts_narrow_the_bounds_and_never_widen_them() -> None:
    narrow = facts(temperature=ParameterFact(minimum=0.1, maximum=1))
    assert resolve({"temperature": 1}, known=narrow).applied["temperature"] == 1
    with pytest.raises(Invalid, match=r"takes 0\.1 to 1"):
        resolve({"temperature": 1.5}, known=narrow)
    wide = facts(temperature=ParameterFact(minimum=-5, maximum=5))
    with pytest.raises(Invalid, match="takes 0 to 2"):
        resolve({"temperature": 2.5}, known=wide)


def test_the_longest_answer_is_the_models_or_1024_where_nothing_is_known() -> None:
    assert resolve({"max_tokens": 4096}, known=facts(4096)).applied["max_tokens"] == 4096
    with pytest.raises(Invalid, match="takes 1 to 4096"):
        resolve({"max_tokens": 4097}, known=facts(4096))
    with pytest.raises(Invalid, match=f"takes 1 to {ASSUMED_MAX_OUTPUT_TOKENS}"):
        resolve({"max_tokens": 4096})


# Defaults that nobody chose


def test_the_default_limit_is_bounded_by_the_model() -> None:
    assert resolve(known=facts(100)).applied["max_tokens"] == 100
    assert resolve(known=facts(100_000)).applied["max_tokens"] == 1024
    at_most = facts(4096, max_tokens=ParameterFact(maximum=500))
    assert resolve(known=at_most).applied["max_tokens"] == 500
    at_least = facts(4096, max_tokens=ParameterFact(minimum=2000))
    assert resolve(known=at_least).applied["max_tokens"] == 2000
    too_large = facts(8000, max_tokens=ParameterFact(default=25_000))
    assert resolve(known=too_large).applied["max_tokens"] == 8000


def test_a_house_default_that_does_not_fit_is_left_out_for_nobody_asked_for_it() -> None:
    resolved = resolve(known=facts(temperature=ParameterFact(minimum=0.5)))
    assert "temperature" not in resolved.applied
    assert "house default = 0.2 is out of bounds" in resolved.left_out["temperature"]


# What the model does not take


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (ParameterFact(unsupported=True), "not supported"),
        (ParameterFact(fixed=1), "takes only 1"),
    ],
)
def test_what_was_only_a_default_is_left_out_with_the_reason(
    fact: ParameterFact, reason: str
) -> None:
    known = facts(temperature=fact)
    for prompt in ({}, {"temperature": 0.5}):
        resolved = resolve(prompt=prompt, known=known)
        assert "temperature" not in resolved.applied
        assert reason in resolved.left_out["temperature"]
        assert "temperature" in resolved.asked
        assert resolved.refused == {}


@pytest.mark.parametrize("fact", [ParameterFact(unsupported=True), ParameterFact(fixed=1)])
def test_what_this_request_asked_for_is_refused(fact: ParameterFact) -> None:
    with pytest.raises(Invalid, match="was asked for and cannot be sent") as refused:
        resolve({"temperature": 0.5}, known=facts(temperature=fact))
    assert refused.value.path == "parameters.temperature"


def test_the_fixed_value_itself_may_be_asked_for() -> None:
    assert resolve({"temperature": 1}, known=facts(temperature=ParameterFact(fixed=1))).applied[
        "temperature"
    ] == pytest.approx(1)


def test_the_wire_name_is_what_is_sent_and_our_name_is_what_is_asked() -> None:
    known = facts(500, max_tokens=ParameterFact(wire="max_completion_tokens"))
    resolved = resolve({"max_tokens": 10}, known=known)
    assert resolved.applied["max_completion_tokens"] == 10
    assert "max_tokens" not in resolved.applied
    assert resolved.asked["max_tokens"] == 10


# Parameters that exclude each other

EITHER = facts(temperature=ParameterFact(exclusive=("top_p",)))


def test_between_equals_the_named_one_yields() -> None:
    resolved = resolve(known=EITHER)
    assert resolved.applied == {"temperature": 0.2, "max_tokens": 1024}
    assert resolved.left_out == {"top_p": "cannot be sent together with temperature"}


@pytest.mark.parametrize(
    ("request_", "prompt", "kept"),
    [
        ({"top_p": 0.5}, {}, "top_p"),
        ({}, {"top_p": 0.5}, "top_p"),
        ({"temperature": 0.5}, {"top_p": 0.5}, "temperature"),
        ({"top_p": 0.5}, {"temperature": 0.5}, "top_p"),
    ],
)
def test_the_less_specific_wish_yields(
    request_: dict[str, float], prompt: dict[str, float], kept: str
) -> None:
    resolved = resolve(request_, prompt, EITHER)
    assert kept in resolved.applied
    assert len(resolved.left_out) == 1


def test_a_request_for_both_is_refused() -> None:
    with pytest.raises(Invalid, match="cannot be sent together with temperature"):
        resolve({"temperature": 0, "top_p": 1}, known=EITHER)


def test_a_parameter_that_is_not_sent_excludes_nothing() -> None:
    known = facts(temperature=ParameterFact(unsupported=True, exclusive=("top_p",)))
    assert resolve(known=known).applied["top_p"] == 0.6


def test_a_parameter_that_lost_excludes_nothing() -> None:
    """top_k (request) beats temperature (house), which would have beaten top_p (house)."""
    known = facts(
        temperature=ParameterFact(exclusive=("top_p",)),
        top_k=ParameterFact(exclusive=("temperature",)),
    )
    resolved = resolve({"top_k": 1}, known=known)
    assert resolved.applied == {"top_k": 1, "top_p": 0.6, "max_tokens": 1024}


# Settling values that were merged before


def test_what_the_catalog_learnt_since_changes_what_is_sent_and_not_what_was_asked() -> None:
    before = resolve({"seed": 1}, {"temperature": 0.5})
    learnt = facts(
        temperature=ParameterFact(unsupported=True), seed=ParameterFact(unsupported=True)
    )
    after = settle_parameters(before.asked, before.sources, learnt)
    assert after.asked == before.asked
    assert after.applied == {"max_tokens": 1024, "top_p": 0.6}
    assert after.refused == {"seed": "not supported by the model"}


# Facts


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"temprature": {"fixed": 1}}, "is no parameter"),
        ({"temperature": {"exclusive": ["topp"]}}, "is no parameter"),
        ({"temperature": {"exclusive": ["temperature"]}}, "cannot exclude itself"),
        ({"temperature": {"minimum": 1, "maximum": 0}}, "minimum is greater"),
        ({"temperature": {"minimum": 3}}, "no value of temperature lies within 3 to 2"),
        ({"temperature": {"fixed": 3}}, "the fixed value of temperature = 3 is out of bounds"),
        ({"temperature": {"fixed": "low"}}, "must be a number"),
        ({"temperature": {"default": 3}}, "the default of temperature = 3 is out of bounds"),
        ({"temperature": {"fixed": 1, "unsupported": True}}, "either unsupported or"),
        ({"max_tokens": {"default": "many"}}, "must be a number"),
        ({"max_tokens": {"wire": "top_p"}}, "two parameters have the wire name top_p"),
        ({"max_tokens": {"wire": "with space"}}, "pattern"),
        ({"temperature": {"maximum": math.inf}}, "finite"),
        ({"temperature": {"maxmum": 1}}, "not permitted"),
    ],
)
def test_facts_that_cannot_hold_are_refused(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelFacts.model_validate({"parameters": parameters})


def test_one_excluded_parameter_may_be_written_without_a_list() -> None:
    assert ParameterFact.model_validate({"exclusive": "top_p"}).exclusive == ("top_p",)


# Properties

_VALUES = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "max_tokens": st.integers(1, 1024),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "n": st.integers(1, 128),
    "top_k": st.integers(0, 1_000_000),
    "top_logprobs": st.integers(0, 20),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "stop": st.one_of(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=4)),
    "logprobs": st.booleans(),
    "reasoning_effort": st.sampled_from(["none", "low", "high"]),
    "verbosity": st.sampled_from(["low", "high"]),
}
_LAYERS = st.fixed_dictionaries({}, optional=_VALUES)
_NAMES = st.sampled_from(sorted(PARAMETER_NAMES))


@st.composite
def _facts(draw: st.DrawFn) -> ModelFacts:
    parameters = {}
    for name in draw(st.sets(_NAMES, max_size=6)):
        kind = draw(st.sampled_from(["unsupported", "fixed", "default", "exclusive", "wire"]))
        if kind in ("fixed", "default"):
            value = draw(_VALUES[name].filter(lambda v: not isinstance(v, list)))
            parameters[name] = ParameterFact.model_validate({kind: value})
        elif kind == "exclusive":
            others = draw(st.sets(_NAMES.filter(lambda n, own=name: n != own), min_size=1))
            parameters[name] = ParameterFact(exclusive=tuple(sorted(others)))
        elif kind == "wire":
            parameters[name] = ParameterFact(wire=f"wire_{name}")
        else:
            parameters[name] = ParameterFact(unsupported=True)
    return ModelFacts(parameters=parameters)


def test_every_parameter_has_values_to_be_tested_with() -> None:
    assert set(_VALUES) == PARAMETER_NAMES


@given(request=_LAYERS, prompt=_LAYERS, known=_facts())
def test_every_value_asked_is_sent_or_left_out_and_a_request_is_never_left_out(
    request: dict[str, Any], prompt: dict[str, Any], known: ModelFacts
) -> None:
    try:
        resolved = resolve(request, prompt, known)
    except Invalid as refused:
        assert refused.path is not None
        assert refused.path.removeprefix("parameters.") in request
        return
    assert len(resolved.applied) + len(resolved.left_out) == len(resolved.asked)
    assert not set(request) & set(resolved.left_out)
    assert resolved.refused == {}
    for name, value in request.items():
        fact = known.parameters.get(name)
        assert resolved.applied[(fact and fact.wire) or name] == value


@given(request=_LAYERS, prompt=_LAYERS, known=_facts())
def test_nothing_is_sent_that_the_facts_speak_against(
    request: dict[str, Any], prompt: dict[str, Any], known: ModelFacts
) -> None:
    try:
        resolved = resolve(request, prompt, known)
    except Invalid:
        return
    sent = set(resolved.asked) - set(resolved.left_out)
    for name in sent:
        fact = known.parameters.get(name, ParameterFact())
        assert not fact.unsupported
        assert fact.fixed is None or resolved.asked[name] == fact.fixed
        assert not sent & set(fact.exclusive)


@given(request=_LAYERS, prompt=_LAYERS, known=_facts())
def test_merged_values_settle_to_the_same_answer_again(
    request: dict[str, Any], prompt: dict[str, Any], known: ModelFacts
) -> None:
    try:
        first = resolve(request, prompt, known)
    except Invalid:
        return
    again = settle_parameters(first.asked, first.sources, known)
    assert again == first
    assert list(first.asked) == sorted(first.asked)


@given(request=_LAYERS, prompt=_LAYERS)
def test_the_order_in_which_parameters_are_written_does_not_matter(
    request: dict[str, Any], prompt: dict[str, Any]
) -> None:
    turned = resolve(dict(reversed(request.items())), dict(reversed(prompt.items())))
    straight = resolve(request, prompt)
    assert content_hash(dict(turned.asked)) == content_hash(dict(straight.asked))
    assert turned.sources == straight.sources


@given(
    name=_NAMES,
    value=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
    ),
)
def test_any_value_is_taken_or_refused_with_its_path(name: str, value: Any) -> None:
    try:
        resolved = resolve({name: value})
    except Invalid as refused:
        assert refused.path == f"parameters.{name}"
    else:
        assert value is None or resolved.sources[name] == "request"


@given(known=_facts())
def test_facts_survive_storage(known: ModelFacts) -> None:
    stored = known.model_dump(mode="json", exclude_defaults=True)
    assert ModelFacts.model_validate(stored) == known
