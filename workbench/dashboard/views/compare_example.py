"""One example side by side: what was asked and expected, both answers, their scores and reasons."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st
from pydantic import JsonValue

from workbench.client import NotFound, comparisons
from workbench.client.comparisons import (
    ComparedAnswer,
    ComparedAnswers,
    ComparedExampleDetail,
    Comparison,
)
from workbench.client.generations import Score
from workbench.dashboard.elements import link, plain
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.word_marks import MAX_SHOWN, Mark, marked_html
from workbench.message_text import message_text
from workbench.text_diff import Segment, Unmarked, word_diff

__all__ = ["show_example"]


def show_example(session: Session, shown: Comparison, example_id: str) -> None:
    """Draw one example of a comparison."""
    try:
        found = session.client.send(comparisons.example(shown.id, example_id))
    except NotFound:
        st.warning("This example is not in the comparison any more: choose another one.")
        return
    with st.container(border=True):
        st.subheader(escaped(found.key), anchor=False)
        st.markdown(_change(found))
        left, right = st.columns(2)
        with left:
            _input(found)
        with right:
            _expected(found)
        _answers(session, found)


def _change(found: ComparedExampleDetail) -> str:
    before, after = (_value(side.mean) for side in (found.baseline, found.candidate))
    if found.change is None:
        return f"{before} → {after}: no pair of scores"
    word = "tied" if found.change == 0 else "better" if found.change > 0 else "worse"
    several = max(found.baseline.cells, found.candidate.cells)
    over = f", means over {several} repetitions" if several > 1 else ""
    return f"Score {before} → {after}: **{word}**{over}"


def _value(value: float | None) -> str:
    return "no score" if value is None else f"{value:.3g}"


def _input(found: ComparedExampleDetail) -> None:
    st.markdown("**Input**")
    if found.input is None and found.messages is None:
        st.caption("The text was erased.")
        return
    turns = found.messages if isinstance(found.messages, list) else []
    for turn in turns:
        if isinstance(turn, dict):
            plain(_text(turn.get("content")), label=str(turn.get("role")))
    fields = found.input if isinstance(found.input, dict) else {}
    for name, value in fields.items():
        plain(_text(value), label=name)


def _expected(found: ComparedExampleDetail) -> None:
    st.markdown("**Expected output**")
    if found.expected_output is None:
        st.caption("None is given for this example.")
    else:
        plain(_text(found.expected_output), label="expected")
    if found.metadata:
        told = ", ".join(f"{name} = {_text(value)}" for name, value in found.metadata.items())
        st.caption(escaped(told))


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _answers(session: Session, found: ComparedExampleDetail) -> None:
    """Draw the answers, each repetition behind a tab of its own."""
    sides = (found.baseline, found.candidate)
    count = max(len(side.answers) for side in sides)
    if count == 1:
        _repetition(session, sides, 0)
        return
    names = [f"Repetition {number + 1}" for number in range(count)]
    for number, tab in enumerate(st.tabs(names)):
        with tab:
            _repetition(session, sides, number)
    if (all_ := max(side.cells for side in sides)) > count:
        st.caption(f"The first {count} of {all_} repetitions.")


def _repetition(
    session: Session, sides: tuple[ComparedAnswers, ComparedAnswers], number: int
) -> None:
    answers = [next((a for a in side.answers if a.repetition == number), None) for side in sides]
    texts = ["" if answer is None else _output(answer) for answer in answers]
    diff = word_diff(*texts)
    is_pair = all(texts)
    both: Sequence[tuple[Sequence[Segment], Mark, str]] = (
        (diff.before, "del", "Baseline"),
        (diff.after, "ins", "Candidate"),
    )
    if is_pair:
        st.caption(_note(diff.unmarked, identical=diff.identical))
    columns = st.columns(2)
    for column, side, answer, (segments, mark, title) in zip(
        columns, sides, answers, both, strict=True
    ):
        with column:
            st.markdown(f"**{title}**: {escaped(side.run)}")
            whole = [Segment(part.text, changed=False) for part in segments]
            _answer(session, answer, segments if is_pair else whole, mark)


def _note(unmarked: Unmarked | None, *, identical: bool) -> str:
    if identical:
        return "Both answers are the same text."
    if unmarked is Unmarked.UNALIKE:
        return "The answers have little in common, so no words are marked."
    if unmarked is Unmarked.TOO_LONG:
        return "The answers are too long to mark words."
    return "Marked are the words that only one answer has: struck out, and underlined."


def _output(answer: ComparedAnswer) -> str:
    return message_text(answer.output) if isinstance(answer.output, dict) else ""


def _answer(
    session: Session, answer: ComparedAnswer | None, segments: Sequence[Segment], mark: Mark
) -> None:
    if answer is None:
        st.caption("No outcome yet.")
        return
    if missing := _missing(answer):
        st.warning(escaped(missing), icon=":material/report:")
    if segments:
        st.html(marked_html(segments, mark))
        if (length := sum(len(part.text) for part in segments)) > MAX_SHOWN:
            st.caption(f"The first {MAX_SHOWN:,} of {length:,} characters.")
    for score in answer.scores:
        _score(score)
    link(
        session,
        "generations",
        "Whole generation",
        icon=":material/fact_check:",
        id=str(answer.generation_id),
    )


def _missing(answer: ComparedAnswer) -> str:
    """Say why there is no text, or that there is one although the answer did not complete."""
    if answer.status != "completed":
        told = answer.error.get("message") if isinstance(answer.error, dict) else None
        return ": ".join(
            str(part) for part in (answer.status, answer.error_code, told) if part is not None
        )
    if answer.output is None:
        return "The text was erased."
    return "" if _output(answer) else "An empty answer."


def _score(score: Score) -> None:
    value = score.status if score.value is None else f"{score.value:.3g}"
    label = f" ({escaped(score.label)})" if score.label else ""
    reason = f", {escaped(score.reason)}" if score.reason else ""
    st.markdown(f"{escaped(score.scorer)} v{score.version}: **{value}**{label}{reason}")
    if score.explanation:
        st.caption(escaped(score.explanation[:2_000]))
