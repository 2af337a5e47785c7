"""A reply says one thing and nothing else, or it is none."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.scorers.judges import ReplyError, Scale, read_reply, response_format

GOOD = '{"reason": "It names the price.", "verdict": "pass"}'
SCALES = list(Scale)


@pytest.mark.parametrize(
    ("text", "scale", "value", "label"),
    [
        (GOOD, Scale.BINARY, 1.0, "pass"),
        ('{"verdict": "fail", "reason": ""}', Scale.BINARY, 0.0, "fail"),
        (f"\n {GOOD} \n", Scale.BINARY, 1.0, "pass"),
        (f"```json\n{GOOD}\n```", Scale.BINARY, 1.0, "pass"),
        (f"```\r\n{GOOD}\r\n```", Scale.BINARY, 1.0, "pass"),
        ('{"reason": "r", "score": 4}', Scale.FIVE, 4.0, None),
        ('{"reason": "r", "score": 4.0}', Scale.FIVE, 4.0, None),
        ('{"reason": "r", "score": 0.25}', Scale.SHARE, 0.25, None),
        ('{"reason": "r", "score": 1}', Scale.SHARE, 1.0, None),
        ('{"reason": "r", "verdict": "second"}', Scale.PREFERENCE, 0.0, "second"),
        ('{"reason": "r", "verdict": "tie"}', Scale.PREFERENCE, 0.5, "tie"),
        (
            '{"reason": "He wrote {\\"verdict\\": \\"fail\\"}", "verdict": "pass"}',
            Scale.BINARY,
            1,
            "pass",
        ),
    ],
)
def test_a_whole_reply_is_read(text: str, scale: Scale, value: float, label: str | None) -> None:
    reply = read_reply(text, scale)
    assert (reply.value, reply.label) == (value, label)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("", Scale.BINARY),
        ("pass", Scale.BINARY),
        (f"Here is my verdict: {GOOD}", Scale.BINARY),
        (f"{GOOD}\nI hope this helps.", Scale.BINARY),
        (f"{GOOD}{GOOD}", Scale.BINARY),
        (f"[{GOOD}]", Scale.BINARY),
        (f"Verdict:\n```json\n{GOOD}\n```", Scale.BINARY),
        (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", Scale.BINARY),
        ('{"reason": "r", "verdict": "PASS"}', Scale.BINARY),
        ('{"reason": "r", "verdict": "tie"}', Scale.BINARY),
        ('{"reason": "r", "verdict": true}', Scale.BINARY),
        ('{"reason": "r", "verdict": ["pass"]}', Scale.BINARY),
        ('{"verdict": "pass"}', Scale.BINARY),
        ('{"reason": 1, "verdict": "pass"}', Scale.BINARY),
        ('{"reason": "r", "verdict": "pass", "score": 1}', Scale.BINARY),
        ('{"reason": "r", "verdict": "fail", "verdict": "pass"}', Scale.BINARY),
        ('{"reason": "r", "verdict": "pass"', Scale.BINARY),
        ('{"reason": "r", "score": 0}', Scale.FIVE),
        ('{"reason": "r", "score": 6}', Scale.FIVE),
        ('{"reason": "r", "score": 10}', Scale.FIVE),
        ('{"reason": "r", "score": 3.5}', Scale.FIVE),
        ('{"reason": "r", "score": "4"}', Scale.FIVE),
        ('{"reason": "r", "score": true}', Scale.FIVE),
        ('{"reason": "r", "score": null}', Scale.FIVE),
        ('{"reason": "r", "score": NaN}', Scale.SHARE),
        ('{"reason": "r", "score": 1e999}', Scale.SHARE),
        ('{"reason": "r", "score": 1' + "0" * 400 + "}", Scale.SHARE),
        ('{"reason": "r", "score": -0.01}', Scale.SHARE),
        ("[" * 100_000, Scale.SHARE),
        ('{"reason": "' + "r" * 100_000 + '", "score": 1}', Scale.SHARE),
    ],
)
def test_anything_else_is_no_reply(text: str, scale: Scale) -> None:
    with pytest.raises(ReplyError):
        read_reply(text, scale)


@given(st.text(), st.sampled_from(SCALES))
def test_reading_never_fails_in_another_way(text: str, scale: Scale) -> None:
    try:
        reply = read_reply(text, scale)
    except ReplyError:
        return
    assert scale.range[0] <= reply.value <= scale.range[1]


@given(st.sampled_from(SCALES), st.data())
def test_what_the_schema_allows_is_what_can_be_read(scale: Scale, data: st.DataObject) -> None:
    judgement = data.draw(
        st.integers(-1, 7)
        | st.floats(-1, 7, allow_nan=False)
        | st.sampled_from(["pass", "fail", "first", "second", "tie", ""])
        | st.none()
        | st.booleans()
    )
    shape = {"reason": "r", data.draw(st.sampled_from(["score", "verdict"])): judgement}
    asked = response_format(scale)["json_schema"]
    allowed = jsonschema_rs.is_valid(json.loads(json.dumps(asked))["schema"], shape)
    try:
        read_reply(json.dumps(shape), scale)
    except ReplyError:
        assert not allowed
    else:
        assert allowed
