"""No credential survives the redactor, known or unknown, whole or in disguise."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.redaction import MASK, Redactor

CANARY = "sk-canary-ab~~?>/7Qx9+Lm2=Tz5 Rw8Yb1Nc4"
redact = Redactor([CANARY, "hunter22", "abc"])


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode(),
        CANARY[:12],
        CANARY[:12] + "********Nc4",
    ],
)
def test_a_known_secret_is_masked_in_every_form(form: str) -> None:
    clean = redact(f'{{"message": "Incorrect key {form} given"}}')

    assert CANARY[:12] not in clean
    assert form not in clean
    assert clean.startswith('{"message": "Incorrect key ***')


@given(st.text(), st.text())
def test_a_known_secret_is_masked_whatever_stands_around_it(before: str, after: str) -> None:
    assert CANARY not in redact(before + CANARY + after)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key sk-proj-abcdefgh12345 is wrong", f"key {MASK} is wrong"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: Bearer {MASK}"),
        ('{"api_key": "0123456789"}', f'{{"api_key": "{MASK}"}}'),
        ("GET /v1?api-key=s3cr3t&x=1", f"GET /v1?api-key={MASK}&x=1"),
        ("http://bob:pass@proxy:3128/", f"http://{MASK}proxy:3128/"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", f"token {MASK}"),
        (f"key wb_abcdefghij23_{'x' * 43}", f"key wb_abcdefghij23_{MASK}"),
        ("hf_abcdefghijk and AKIAIOSFODNN7EXAMPLE", f"{MASK} and {MASK}"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str, clean: str) -> None:
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 5 is too small; total_tokens=7",
        "The abc of it",  # three letters are no secret
        "https://example.org/a@b",
        "The model gpt-4o-mini does not exist",
        "Please ask a basic question",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_an_excerpt_is_bounded_and_reads_bytes() -> None:
    assert redact.excerpt(b"\xffok") == "\ufffdok"
    assert len(redact.excerpt("x" * 100_000)) == 8192
    assert redact.excerpt("short", limit=3) == "sho"


@given(st.integers(0, 40))
def test_a_secret_on_the_border_of_an_excerpt_does_not_survive_in_part(shift: int) -> None:
    limit = 100
    for place in (limit - shift, limit + 4096 - shift):
        text = "." * max(0, place) + CANARY + "." * 9000
        assert CANARY[:4] not in redact.excerpt(text, limit=limit)


def test_the_redactor_shows_no_secret_of_its_own() -> None:
    assert CANARY not in repr(redact)
