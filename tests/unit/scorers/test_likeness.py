"""Graded rules: overlap of items and likeness of texts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer

ITEMS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=6)


@pytest.mark.parametrize(
    ("spec", "output", "expected", "value"),
    [
        ("set_overlap", "a, b, c", ["a", "b"], 4 / 5),
        ("set_overlap:metric=precision", "a, b, c", ["a", "b"], 2 / 3),
        ("set_overlap:metric=recall", "a, b, c", ["a", "b"], 1.0),
        ("set_overlap:metric=jaccard", "a, b, c", ["a", "b"], 2 / 3),
        ("set_overlap", "a, a, a", ["a"], 1.0),
        ("set_overlap", "", ["a"], 0.0),
        ("set_overlap:metric=precision", "", ["a"], 0.0),
        ("set_overlap", "", [], 1.0),
        ("set_overlap", "A; b", "a, B", 0.0),
        ("set_overlap:ignore_case=true", "A; b", "a, B", 1.0),
        # However the list is written.
        ("set_overlap", '["a", "b"]', ["b", "a"], 1.0),
        ("set_overlap", '```json\n["a", 2]\n```', ["a", 2], 1.0),
        ("set_overlap", "- a\n* b\n3. c\n", ["a", "b", "c"], 1.0),
        ("set_overlap", "a, b\nc", ["a, b", "c"], 1.0),
        ("set_overlap:separator=|", "a | b|c", "a|b|c", 1.0),
        ("list_overlap", "a, a, b", ["a", "b", "b"], 2 / 3),
        ("list_overlap", "b, a", ["a", "b"], 1.0),
        ("list_overlap:ordered=true", "b, a", ["a", "b"], 1 / 2),
        ("list_overlap:ordered=true", "a, x, b", ["a", "b"], 4 / 5),
    ],
)
def test_overlap_is_as_its_definition_says(
    spec: str, output: str, expected: JSON, value: float
) -> None:
    result = judge(spec, output, expected)

    assert result.value == pytest.approx(value)
    assert result.passed is None


@given(found=ITEMS, expected=ITEMS)
def test_f1_lies_between_precision_and_recall_and_jaccard_below(
    found: list[str], expected: list[str]
) -> None:
    def value(metric: str) -> float:
        spec: dict[str, JSON] = {"name": "set_overlap", "metric": metric}
        result = judge(spec, ",".join(found), list(expected)).value
        assert result is not None
        return result

    low, high = sorted([value("precision"), value("recall")])
    assert low - 1e-12 <= value("f1") <= high + 1e-12
    assert value("jaccard") <= value("f1") + 1e-12


@given(found=ITEMS, expected=ITEMS)
def test_order_can_only_take_away(found: list[str], expected: list[str]) -> None:
    text = ",".join(found)
    anyhow = judge("list_overlap", text, list(expected)).value
    ordered = judge("list_overlap:ordered=true", text, list(expected)).value

    assert anyhow is not None
    assert ordered is not None
    assert ordered <= anyhow


def test_too_many_items_are_failed_and_an_object_is_no_list() -> None:
    assert judge("set_overlap", "a," * 10_001, ["a"]).reason is ReasonCode.SIZE_LIMIT
    assert judge("set_overlap", "a", {"a": 1}).reason is ReasonCode.EXPECTED_UNUSABLE


def brute_force_lcs(left: list[str], right: list[str]) -> int:
    """The longest common subsequence, by trying every subsequence of `left`."""
    for size in range(len(left), 0, -1):
        for chosen in itertools.combinations(left, size):
            rest = iter(right)
            if all(word in rest for word in chosen):
                return size
    return 0


WORDS = st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=6)


@given(output=WORDS, expected=WORDS)
def test_rouge_l_is_f1_of_the_longest_common_subsequence(
    output: list[str], expected: list[str]
) -> None:
    common = brute_force_lcs(output, expected)

    assert judge("rouge_l", " ".join(output), " ".join(expected)).value == pytest.approx(
        2 * common / (len(output) + len(expected))
    )


@pytest.mark.parametrize(
    ("spec", "output", "expected", "value"),
    [
        # The example of Lin (2004), section 3: LCS of 3 words out of 4.
        ("rouge_l", "police kill the gunman", "police killed the gunman", 3 / 4),
        ("rouge_l", "the gunman kill police", "police killed the gunman", 2 / 4),
        ("rouge_l:metric=precision", "a b", "a b c d", 1.0),
        ("rouge_l:metric=recall", "a b", "a b c d", 0.5),
        ("rouge_n", "The cat, the dog!", "the dog", 2 * 2 / 6),
        ("rouge_n:n=2", "the cat sat", "the cat slept", 1 / 2),
        ("rouge_n:n=2", "one", "one two", 0.0),
        ("gleu", "the cat sat", "the cat sat", 1.0),
        # 4 of 5 words, 3 of 4, 2 of 3, 1 of 2 sequences: 10 of 14 on either side.
        ("gleu", "one two three four five", "one two three four six", 10 / 14),
        ("gleu", "", "a", 0.0),
        # The nearest of several expected texts counts.
        ("rouge_l", "a b", ["x y", "a b"], 1.0),
    ],
)
def test_shared_words_are_counted_as_the_sources_say(
    spec: str, output: str, expected: JSON, value: float
) -> None:
    assert judge(spec, output, expected).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("spec", "output", "expected"),
    [
        ("rouge_n:n=2", "London", "Paris"),
        ("rouge_n:n=2", "Paris", "Paris"),
        ("rouge_n:n=2", "London", ["Paris", "the city of Paris"]),
        ("rouge_n", "+", "-"),
        ("rouge_l", "+", "-"),
        ("gleu", "\N{GRINNING FACE}", "\N{CRYING FACE}"),
    ],
)
def test_an_expected_text_without_enough_words_says_nothing(
    spec: str, output: str, expected: JSON
) -> None:
    result = judge(spec, output, expected)

    assert result.reason is ReasonCode.EXPECTED_UNUSABLE
    assert "shorter than" in result.explanation


@pytest.mark.parametrize("spec", ["rouge_l", "rouge_n", "gleu", "bleu", "chrf"])
@given(text=st.text(alphabet="ab cäß日本.", min_size=1).filter(lambda text: text.strip(". ")))
def test_every_text_is_wholly_like_itself_and_never_more(spec: str, text: str) -> None:
    value = judge(spec, text, text).value

    assert value is not None
    assert value == pytest.approx(1.0)


def test_bleu_and_chrf_are_what_sacrebleu_says() -> None:
    from sacrebleu import sentence_bleu, sentence_chrf

    output, expected = "The cat sat on the mat.", ["The cat is on the mat.", "A cat sat there."]

    assert judge("bleu", output, list(expected)).value == pytest.approx(
        sentence_bleu(output, expected).score / 100
    )
    assert judge("chrf:word_order=2", output, list(expected)).value == pytest.approx(
        sentence_chrf(output, expected, word_order=2).score / 100
    )
    assert judge("bleu:ignore_case=true", output.upper(), list(expected)).value == pytest.approx(
        sentence_bleu(output, expected, lowercase=True).score / 100
    )


@pytest.mark.parametrize("rule", ["bleu", "chrf"])
def test_empty_texts_are_equal_and_one_empty_side_is_nothing_alike(rule: str) -> None:
    assert judge(rule, "", "").value == 1.0
    assert judge(rule, "", "a cat").value == 0.0
    assert judge(rule, "a cat", "").value == 0.0


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("bleu", "a" * 20_001),
        ("chrf", "a" * 20_001),
        ("rouge_l", "a " * 20_001),
        ("gleu", "a " * 20_001),
        ("edit_distance", "a" * 50_001),
    ],
)
def test_a_text_beyond_the_size_limit_is_failed_and_not_zero(rule: str, text: str) -> None:
    result = judge(rule, text, "a")

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.SIZE_LIMIT)


@pytest.mark.parametrize(
    ("spec", "output", "expected", "passed"),
    [
        ("edit_distance:max=3", "kitten", "sitting", True),
        ("edit_distance:max=2", "kitten", "sitting", False),
        ("edit_distance:max=0", "ABC", "abc", False),
        ("edit_distance:max=0,ignore_case=true", "ABC", "abc", True),
        ("edit_distance", "18", 18, True),
    ],
)
def test_few_changes_of_characters_are_right(
    spec: str, output: str, expected: JSON, passed: bool
) -> None:
    assert judge(spec, output, expected).passed is passed


def test_options_that_cannot_work_are_refused() -> None:
    for spec in ("rouge_n:n=0", "chrf:word_order=5", "bleu:tokenize=flores200"):
        with pytest.raises(ScorerConfigError):
            parse_scorer(spec)
