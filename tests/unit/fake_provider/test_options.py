"""One description of a provider, however it is started."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_provider import Drift, FaultScript, ProviderOptions
from tests.fake_provider.options import Strictness, arguments_of, parse_arguments

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
drifts = st.builds(
    Drift, st.integers(0, 9), st.none() | words, st.none() | words, st.none() | words
)
strictness: list[Strictness] = ["temperature", "top_p_with_temperature", "max_tokens"]


@given(
    st.builds(
        ProviderOptions,
        latency_ms=st.floats(0, 1e4),
        stream_interval_ms=st.floats(0, 1e4),
        seed=st.integers(-5, 1000),
        answer=st.just("arithmetic") | st.builds("fixed:{}".format, st.text()),
        right_share=st.floats(0, 1),
        models=st.lists(words, min_size=1, max_size=3).map(tuple),
        closed=st.booleans(),
        strict=st.frozensets(st.sampled_from(strictness)),
        drift=st.none() | drifts,
        script=st.builds(FaultScript, seed=st.integers(-9, 9), sequence=st.just(("500", "ok"))),
        ledger=st.none() | words.map(Path),
    )
)
def test_options_survive_the_command_line(options: ProviderOptions) -> None:
    script = io.StringIO(options.script.to_json().decode())
    assert parse_arguments(arguments_of(options), script).options == options


def test_short_form_of_faults_takes_the_seed() -> None:
    launch = parse_arguments(["--faults", "500=0.5", "--seed", "3"], io.StringIO())
    assert launch.options.script == FaultScript(seed=3, rates={"500": 0.5})
    assert (launch.options.seed, launch.port, launch.host) == (3, 0, "127.0.0.1")


def test_script_is_read_from_a_file(tmp_path: Path) -> None:
    script = FaultScript(sequence=("401",))
    path = tmp_path / "script.json"
    path.write_bytes(script.to_json())
    assert parse_arguments(["--script", str(path)], io.StringIO()).options.script == script


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--strict", "seed"], "Cannot be strict about seed"),
        (["--answer", "parrot"], "use echo"),
        (["--latency-ms", "-1"], "0 ms or more"),
        (["--models", ","], "at least one model"),
        (["--faults", "501=0.1"], "no fault called"),
        (["--script", "/nowhere.json"], "No such file"),
        (["--faults", "500=0.1", "--script", "-"], "not allowed with"),
    ],
)
def test_impossible_provider_is_refused_in_one_sentence(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments, io.StringIO())
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
