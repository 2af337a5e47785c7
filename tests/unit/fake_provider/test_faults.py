"""The fault script decides alone from what it is given, so a simulation can ask it too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_provider import FAULTS, FaultScript, find_fault
from tests.fake_provider.misbehaviour import PLAYED_FAULTS

names = st.sampled_from(sorted(FAULTS))
identities = st.text(max_size=20)


@st.composite
def scripts(draw: st.DrawFn) -> FaultScript:
    shares = draw(st.dictionaries(names, st.floats(0, 0.2), max_size=5))
    return FaultScript(
        seed=draw(st.integers(0, 1000)),
        rates=shares,
        sequence=tuple(draw(st.lists(names | st.just("ok"), max_size=5))),
        models=draw(st.dictionaries(st.text(min_size=1, max_size=8), names, max_size=3)),
        retry_after_s=draw(st.integers(0, 60)),
        reset_connections=draw(st.integers(0, 3)),
    )


def test_every_fault_of_the_catalogue_can_be_played_and_no_other() -> None:
    assert sorted(PLAYED_FAULTS) == sorted(FAULTS)


def test_there_are_at_least_thirty_faults() -> None:
    assert len(FAULTS) >= 30


@given(scripts(), identities, st.integers(1, 100))
def test_the_same_question_gets_the_same_fault(
    script: FaultScript, identity: str, attempt: int
) -> None:
    again = FaultScript.from_json(script.to_json())
    assert script.fault_for(identity, attempt) == again.fault_for(identity, attempt)


@given(scripts())
def test_a_script_survives_json(script: FaultScript) -> None:
    assert FaultScript.from_json(script.to_json()) == script


@given(st.integers(0, 10_000))
def test_rates_hold_over_many_calls_of_any_seed(seed: int) -> None:
    script = FaultScript(seed=seed, rates={"429-seconds": 0.1, "500": 0.01})
    drawn = [script.fault_for(f"identity {n}", 1) for n in range(2000)]
    limited = sum(1 for fault in drawn if fault and fault.name == "429-seconds")
    # 200 are expected; six standard deviations are 80.
    assert 120 < limited < 280


def test_attempts_of_one_identity_are_drawn_afresh() -> None:
    script = FaultScript(seed=1, rates={"500": 0.5})
    outcomes = {script.fault_for("one", attempt) is None for attempt in range(1, 30)}
    assert outcomes == {True, False}


def test_a_rate_of_one_always_strikes_and_a_rate_of_zero_never() -> None:
    always = FaultScript(rates={"401": 1.0})
    never = FaultScript(rates={"401": 0.0})
    assert all(always.fault_for(str(n), 1) for n in range(200))
    assert not any(never.fault_for(str(n), 1) for n in range(200))


def test_order_of_the_rates_does_not_matter() -> None:
    one = FaultScript(rates={"429-seconds": 0.3, "500": 0.3})
    other = FaultScript(rates={"500": 0.3, "429-seconds": 0.3})
    assert [one.fault_for(str(n), 1) for n in range(100)] == [
        other.fault_for(str(n), 1) for n in range(100)
    ]


def name_of(script: FaultScript, model: str, *, attempt: int = 1, arrival: int = 1) -> str | None:
    fault = script.fault_for_call(identity="x", attempt=attempt, model=model, arrival=arrival)
    return fault.name if fault else None


@pytest.mark.parametrize(
    ("model", "attempt", "expected"),
    [
        ("fault-500", 1, "500"),
        ("fault-500", 7, "500"),  # every time
        ("fault-500-once", 1, "500"),
        ("fault-500-once", 2, None),  # the first attempt only
        ("fault-500:latest", 1, "500"),  # as Ollama writes names
        ("fault-stream-cut-at-120", 1, "stream-cut-at-120"),
        ("faultless", 1, None),
        ("set-by-script", 3, "401"),
        ("set-once", 1, "503"),
        ("set-once", 2, None),
    ],
)
def test_model_name_chooses_the_fault(model: str, attempt: int, expected: str | None) -> None:
    script = FaultScript(models={"set-by-script": "401", "set-once": "503-once"})
    assert name_of(script, model, attempt=attempt) == expected


def test_sequence_is_served_in_order_and_then_the_rates_take_over() -> None:
    script = FaultScript(rates={"401": 1.0}, sequence=("500", "ok", "429-date"))
    served = [name_of(script, "any", arrival=arrival) for arrival in range(1, 6)]
    assert served == ["500", None, "429-date", "401", "401"]


def test_short_form_of_rates_is_read() -> None:
    script = FaultScript.from_spec("429-seconds=0.1, 500=0.01", seed=7, retry_after_s=3)
    assert script.rates == {"429-seconds": 0.1, "500": 0.01}
    assert (script.seed, script.retry_after_s) == (7, 3)


def test_only_replies_that_name_a_time_tell_a_wait() -> None:
    script = FaultScript(retry_after_s=2)
    told = {name for name in FAULTS if script.told_wait_s(find_fault(name)) == 2}
    assert told == {"429-seconds", "429-date", "429-ms"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "the script"),
        ('{"rate": {}}', "rate"),
        ('{"rates": {"500": "much"}}', r"rates\.500"),
        ('{"rates": {"500": 1.5}}', "between 0 and 1"),
        ('{"rates": {"500": 0.6, "503": 0.6}}', "more than 1"),
        ('{"sequence": ["429-second"]}', "429-seconds"),  # names the nearest fault
        ('{"models": {"m": "nothing like it"}}', "no fault called"),
        ('{"retry_after_s": -1}', "start at 0"),
        ('{"drip_interval_s": 0}', "more than 0"),
    ],
)
def test_script_that_cannot_be_served_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        FaultScript.from_json(text)


def test_entry_of_the_short_form_without_a_share_is_refused() -> None:
    with pytest.raises(ValueError, match="NAME=SHARE"):
        FaultScript.from_spec("429-seconds")
