"""Guards: what is found, that nothing of it leaves a stream, and that they fail closed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.guards import (
    LONGEST_MATCH,
    Guard,
    GuardKind,
    GuardRefused,
    InputGuard,
    OutputGuard,
)

KINDS: tuple[GuardKind, ...] = ("secret", "email", "iban", "credit_card", "phone", "ipv4")
ALL = tuple(Guard(kind=kind, action="mask") for kind in KINDS)

PRIVATE_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq+/x\n" * 40
    + "-----END RSA PRIVATE KEY-----"
)  # fmt: skip
# Shapes only: each credential is the prefix of its provider and one letter, again and again.
SENSITIVE: dict[str, tuple[GuardKind, str]] = {
    "openai": ("secret", "sk-proj-" + "a" * 40),
    "github": ("secret", "ghp_" + "b" * 36),
    "aws": ("secret", "AKIA" + "C" * 16),
    "slack": ("secret", "xoxb-" + "d" * 24),
    "ours": ("secret", "wb_" + "e" * 12 + "_" + "f" * 43),
    "jwt": ("secret", "eyJ" + "g" * 20 + ".eyJ" + "h" * 30 + "." + "i" * 43),
    "private key": ("secret", PRIVATE_KEY),
    "email": ("email", "ann.example+tag@mail.example.co.uk"),
    "iban": ("iban", "DE89 3704 0044 0532 0130 00"),
    "iban in one": ("iban", "GB82WEST12345698765432"),
    "card": ("credit_card", "4111 1111 1111 1111"),
    "amex": ("credit_card", "378282246310005"),
    "phone": ("phone", "+44 20 7946 0958"),
    "ipv4": ("ipv4", "192.168.10.254"),
}


def streamed(guards: Sequence[Guard], pieces: Sequence[str]) -> str:
    output = OutputGuard(guards)
    return "".join([*(output.feed(piece) for piece in pieces), output.finish()])


def cut(text: str, places: Sequence[int]) -> list[str]:
    ends = [0, *sorted({place for place in places if 0 < place < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(("kind", "text"), SENSITIVE.values(), ids=SENSITIVE)
def test_what_is_sensitive_is_masked_and_what_stands_around_it_stays(
    kind: GuardKind, text: str
) -> None:
    checked = InputGuard(ALL).check(f"Look: {text}, and so on.")
    assert checked.text == f"Look: [{kind}], and so on."
    assert checked.masked == (kind,)


@pytest.mark.parametrize(("kind", "text"), SENSITIVE.values(), ids=SENSITIVE)
def test_a_guard_that_blocks_refuses_and_repeats_nothing(kind: GuardKind, text: str) -> None:
    with pytest.raises(GuardRefused, match=f"guard {kind}") as refused:
        InputGuard([Guard(kind=kind)]).check(f"Look: {text}.", path="messages[0].content")
    assert text not in str(refused.value)
    assert refused.value.path == "messages[0].content"


@pytest.mark.parametrize(("kind", "text"), SENSITIVE.values(), ids=SENSITIVE)
def test_nothing_of_a_match_leaves_wherever_the_stream_is_cut_in_two(
    kind: GuardKind, text: str
) -> None:
    whole = f"Look: {text} and so on."
    for place in range(len(whole) + 1):
        output = OutputGuard([Guard(kind=kind)])
        left = ""
        with pytest.raises(GuardRefused):
            for piece in (whole[:place], whole[place:]):
                left += output.feed(piece)
            output.finish()
        assert "Look: ".startswith(left)


@pytest.mark.parametrize(("kind", "text"), SENSITIVE.values(), ids=SENSITIVE)
def test_masking_a_stream_gives_what_masking_the_whole_does(kind: GuardKind, text: str) -> None:
    whole = f"Look: {text} and {text}."
    for length in (1, 2, 3, 7, 50):
        places = range(0, len(whole), length)
        assert streamed(ALL, cut(whole, list(places))) == f"Look: [{kind}] and [{kind}]."


@pytest.mark.parametrize(
    "text",
    [
        "Order 4111 1111 1111 1112 is a number that fails its check.",
        "DE00 3704 0044 0532 0130 00 has wrong check digits.",
        "Version 300.1.2.3 and 10.20.30 are no addresses.",
        "See https://example.org/@name and a@b, x @ y.",
        "The hash 3f9a20c17b5402de7a9934f9a20c17b5402de7a99 is public.",
        "Call 020 7946 0958 or +1 800.",
        "sk-short and AKIA are no keys; neither is risk-free-investments-for-everybody.",
        f"No address has so long a name: {'x' * 70}@example.org, and so on.",
    ],
)
def test_what_only_looks_similar_stays(text: str) -> None:
    assert InputGuard(ALL).check(text).text == text
    assert streamed(ALL, list(text)) == text


def test_a_number_is_found_among_other_groups_of_digits_and_words() -> None:
    assert InputGuard(ALL).check("4111 1111 1111 1111 12 x").text == "[credit_card] x"
    assert InputGuard(ALL).check("22 4111 1111 1111 1111.").text == "[credit_card]."
    assert InputGuard(ALL).check("DE89 3704 0044 0532 0130 00 THE END").text == "[iban] THE END"


def test_a_private_key_that_is_cut_off_is_masked_as_far_as_it_goes() -> None:
    assert InputGuard(ALL).check(PRIVATE_KEY[:300]).text == "[secret]"


_PLAIN = st.text(alphabet=st.sampled_from("abc xyz .,-\n@+1é漢"), max_size=60)
_SENSITIVE = st.sampled_from([text for _, text in SENSITIVE.values()])


@given(
    parts=st.lists(st.one_of(_PLAIN, _SENSITIVE), max_size=6),
    places=st.lists(st.integers(0, 3_000), max_size=30),
)
def test_a_stream_cut_anywhere_gives_what_the_whole_does(
    parts: list[str], places: list[int]
) -> None:
    whole = " ".join(parts)
    assert streamed(ALL, cut(whole, places)) == InputGuard(ALL).check(whole).text


_PATTERNS = (
    r"\bab+\b", r"-\bx", r"a.c", r"(?:ab|abc)d?", r"a+b*c", r"(?i)XA", r"b\b-", r"a[^b]{2,4}c",
    r"\bx\b|\by\b-x", r"-?\ba\b", r"a[^b]{3}c|x",
)  # fmt: skip


@given(
    pattern=st.sampled_from(_PATTERNS),
    whole=st.text(alphabet="abcxy- ", max_size=40),
    places=st.lists(st.integers(0, 40), max_size=40),
)
@example(pattern=r"-\bx", whole="a-x", places=[1, 2])
@example(pattern=r"(?:ab|abc)d?", whole="abcd", places=[1, 2, 3])
@example(pattern=r"a[^b]{3}c|x", whole="aaxac", places=[3])
@example(pattern=r"\bab+\b", whole="xab", places=[2])
def test_a_pattern_of_one_s_own_finds_in_a_stream_what_it_finds_in_the_whole(
    pattern: str, whole: str, places: list[int]
) -> None:
    guards = [Guard(kind="regex", pattern=pattern, label="found", action="mask")]
    assert streamed(guards, cut(whole, places)) == InputGuard(guards).check(whole).text


@given(st.text(max_size=200), st.lists(st.integers(0, 200), max_size=50))
def test_a_text_in_which_nothing_is_found_comes_out_as_it_is(whole: str, places: list[int]) -> None:
    guards = [Guard(kind="regex", pattern=r"\bNEVER THERE\b"), *ALL]
    if not InputGuard(ALL).check(whole).masked:
        assert streamed(guards, cut(whole, places)) == whole


@given(st.lists(st.text(max_size=300), max_size=30))
def test_what_is_held_back_is_bounded(pieces: list[str]) -> None:
    output = OutputGuard(ALL)
    for piece in pieces:
        output.feed(piece)
        assert output.held <= LONGEST_MATCH * len(ALL)


def test_plain_words_are_held_back_until_they_end_and_no_longer() -> None:
    output = OutputGuard(ALL)
    assert output.feed("Hello wor") == "Hello "
    assert output.feed("ld. ") == "world. "


def test_a_word_of_any_length_passes_the_kinds() -> None:
    whole = "x" * 20_000
    assert streamed(ALL, cut(whole, list(range(0, 20_000, 100)))) == whole


def test_what_may_become_a_match_longer_than_the_bound_is_refused() -> None:
    output = OutputGuard([Guard(kind="regex", pattern=r"<.*>", action="mask")])
    with pytest.raises(GuardRefused, match="may hold something too long"):
        for _ in range(LONGEST_MATCH):
            output.feed("<a ")


def test_a_match_longer_than_the_bound_is_refused_in_a_whole_text_too() -> None:
    guard = Guard(kind="regex", pattern=r"<[^>]*>", action="mask")
    with pytest.raises(GuardRefused, match="holds something too long"):
        InputGuard([guard]).check(f"<{'a' * LONGEST_MATCH}>")


def test_a_search_that_takes_too_long_refuses_the_text() -> None:
    guard = Guard(kind="regex", pattern=r"(?:a|aa)+(?:b|c)", action="mask")
    with pytest.raises(GuardRefused, match="takes too long"):
        InputGuard([guard]).check("a" * 4_000)


def test_guards_apply_one_after_the_other() -> None:
    guards = [
        Guard(kind="regex", pattern="plan [AB]", label="plan", action="mask"),
        Guard(kind="regex", pattern=r"\[plan\] and", label="both", action="mask"),
    ]
    assert streamed(guards, list("plan A and so on")) == "[both] so on"


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "regex"},
        {"kind": "email", "pattern": "x"},
        {"kind": "regex", "pattern": "^x"},
        {"kind": "regex", "pattern": "x*"},
        {"kind": "email", "label": "E-Mail!"},
        {"kind": "passport"},
    ],
)
def test_a_guard_that_cannot_work_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Guard.model_validate(given)
