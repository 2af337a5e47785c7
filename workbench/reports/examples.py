"""What the page says of single examples: input, expected, answers side by side, scores.

Texts come as segments, of which those are marked that the other answer does not have.
Nothing is escaped here: that is the template's work.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from app.schemas.scores import ScoreView
from workbench.number_text import compare_command, count_text
from workbench.reports.experiment import (
    Answer,
    ComparisonReport,
    Example,
    Excerpt,
    ExperimentReport,
)
from workbench.reports.sections import Note
from workbench.text_diff import Segment, Unmarked, word_diff

__all__ = [
    "ExampleText",
    "Side",
    "answers_text",
    "changed_examples",
    "changes_text",
    "more_changes",
    "plain_examples",
]


@dataclass(frozen=True, slots=True)
class Side:
    """One answer, in segments, with what was thought of it."""

    title: str
    run: str
    segments: tuple[Segment, ...]
    missing: str
    omitted: int
    scores: tuple[tuple[str, str, str], ...]  # scorer, value, explanation


@dataclass(frozen=True, slots=True)
class ExampleText:
    """One example, ready to be shown. `tone` is loss, gain or empty; `note` is on the diff;
    `command` shows the whole of it, empty if no run has an answer."""

    key: str
    tone: str
    change: str
    input: Excerpt | None
    expected: Excerpt | None
    sides: tuple[Side, ...]
    note: str
    command: str


def changes_text(comparison: ComparisonReport) -> str:
    """Say how many examples changed and which of them are shown."""
    result, shown = comparison.result, comparison.examples
    if comparison.changed == 0:
        return "No example changed its score."
    losses = sum(1 for example in shown if (example.change or 0) < 0)
    told = (
        f"{count_text(comparison.changed, 'example')} changed: {result['baseline_only']:,} worse, "
        f"{result['candidate_only']:,} better."
    )
    if len(shown) == comparison.changed:
        return f"{told} All are shown, the worst losses first."
    parts = {"the worst {} of the losses": losses, "the best {} of the gains": len(shown) - losses}
    listed = ", then ".join(part.format(f"{n:,}") for part, n in parts.items() if n)
    return f"{told} Shown here: {listed or 'none'}."


def more_changes(comparison: ComparisonReport, shown: int | None = None) -> Note | None:
    """Say how many changed examples are not shown, and what names them; None without any.

    `shown` is how many are, where that is not all that the report holds.
    """
    left = comparison.changed - (len(comparison.examples) if shown is None else shown)
    if left <= 0:
        return None
    return Note(f"{left:,} more:", compare_command(comparison.result))


def answers_text(report: ExperimentReport) -> str:
    """Say which answers are shown where nothing was compared."""
    shown, count = len(report.examples), report.experiment.example_count
    if shown < count:
        return f"The first {shown:,} of {count_text(count, 'example')}, in the dataset's order."
    return f"All {count_text(count, 'example')}, in the dataset's order."


def changed_examples(comparison: ComparisonReport) -> list[ExampleText]:
    """Return the examples that changed, with the words that differ marked on both sides."""
    return [_example(example, ("Baseline", "Candidate")) for example in comparison.examples]


def plain_examples(report: ExperimentReport) -> list[ExampleText]:
    """Return examples with the answers of all runs; two runs are held against each other."""
    titles = ["Baseline" if run is report.baseline else "Candidate" for run in report.runs]
    if len(titles) == 1:
        titles = ["Answer"]
    return [_example(example, titles) for example in report.examples]


def _example(example: Example, titles: Sequence[str]) -> ExampleText:
    answers = example.answers
    segments, note = _marked([_text(answer) for answer in answers])
    if example.scores is not None and any(a and a.repetition for a in answers):
        note = f"The scores in the heading are means over all repetitions. {note}".strip()
    tone = "" if not example.change else "gain" if example.change > 0 else "loss"
    change = ""
    if example.scores is not None:
        before, after = (f"{score:.3g}" for score in example.scores)
        change = f"{before} → {after}"
    return ExampleText(
        key=example.key,
        tone=tone,
        change=change,
        input=example.input,
        expected=example.expected,
        sides=tuple(
            _side(title, answer, marked)
            for title, answer, marked in zip(titles, answers, segments, strict=True)
        ),
        note=note,
        command=_whole(example),
    )


def _whole(example: Example) -> str:
    run = next((answer.run for answer in example.answers if answer is not None), None)
    return "" if run is None else f"workbench show {shlex.join([run, '--key', example.key])}"


def _text(answer: Answer | None) -> str:
    return "" if answer is None or answer.text is None else answer.text.text


def _marked(texts: Sequence[str]) -> tuple[list[tuple[Segment, ...]], str]:
    """Mark the words that two texts do not share; other numbers of texts stay as they are."""
    if len(texts) != 2 or not all(texts):
        return [(Segment(text, changed=False),) for text in texts], ""
    diff = word_diff(*texts)
    note = "Both answers are the same text." if diff.identical else ""
    if diff.unmarked is Unmarked.UNALIKE:
        note = "The answers have little in common, so no words are marked."
    elif diff.unmarked is Unmarked.TOO_LONG:
        note = "The answers are too long to mark words."
    return [diff.before, diff.after], note


def _side(title: str, answer: Answer | None, segments: tuple[Segment, ...]) -> Side:
    if answer is None:
        return Side(title, "", (), "no outcome yet", 0, ())
    run = answer.run
    if answer.repetition is not None:
        run += f", repetition {answer.repetition}"
    return Side(
        title=title,
        run=run,
        segments=segments,
        missing=_missing(answer),
        omitted=answer.text.omitted if answer.text else 0,
        scores=tuple(_score(score) for score in answer.scores),
    )


def _missing(answer: Answer) -> str:
    """Say why there is no text, or that there is one although the answer did not complete."""
    if answer.status == "completed":
        if answer.text is None:
            return "the text was erased"
        return "" if answer.text.text else "an empty answer"
    return f"{answer.status}: {answer.error}" if answer.error else answer.status


def _score(score: ScoreView) -> tuple[str, str, str]:
    value = score.status if score.value is None else f"{score.value:.3g}"
    return f"{score.scorer} v{score.version}", value, score.explanation or ""
