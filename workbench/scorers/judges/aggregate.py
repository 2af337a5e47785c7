"""From the replies of a judge to one score. Pure.

Each seat of a panel speaks with one voice, made of its samples: the mean of its scores, or what
more than half of its verdicts say. Of several seats the median counts, or again what more than
half of them say. A tie of verdicts is no pass, because a pass has to be shown.

Whoever gives no reply that counts is missing and not against: a seat needs more than half of
its samples, a panel more than half of its seats. Below that there is no score, and the reason
is what went wrong most often.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from workbench.scorers.interface import ReasonCode, ScoreResult, ScoreStatus
from workbench.scorers.judges.reply import ReplyError, Scale, read_reply

__all__ = ["Answer", "Opinion", "combined", "opinion_of"]

_TIE: Final = 0.5
_REASONS: Final = (ReasonCode.JUDGE_ERROR, ReasonCode.JUDGE_REFUSED, ReasonCode.JUDGE_UNPARSED)


@dataclass(frozen=True, slots=True)
class Answer:
    """How one question to a judge ended: the generation's text if it has one, its status, why the
    model stopped, and the error's code if there was one."""

    text: str | None
    status: str
    finish_reason: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one seat said in one sample: a value on the scale, or the reason why there is none."""

    seat: int
    repeat: int
    value: float | None
    label: str | None = None
    reason: ReasonCode | None = None
    explanation: str = ""

    @property
    def status(self) -> ScoreStatus:
        """Whether there is a value, and if not, on whose side the cause lies."""
        if self.value is not None:
            return ScoreStatus.SCORED
        is_ours = self.reason is ReasonCode.JUDGE_ERROR
        return ScoreStatus.FAILED if is_ours else ScoreStatus.UNSCORED


def opinion_of(answer: Answer, scale: Scale, seat: int, repeat: int) -> Opinion:
    """Read one answer of a judge."""
    if answer.status == "refused":
        told = "The judge refused to answer."
        return Opinion(seat, repeat, None, reason=ReasonCode.JUDGE_REFUSED, explanation=told)
    if answer.status != "completed":
        told = f"The judge's provider gave no answer ({answer.error_code or answer.status})."
        return Opinion(seat, repeat, None, reason=ReasonCode.JUDGE_ERROR, explanation=told)
    try:
        reply = read_reply(answer.text or "", scale)
    except ReplyError as error:
        told = str(error)
        if answer.finish_reason == "length":
            told = "The reply was cut off; raise max_tokens."
        return Opinion(seat, repeat, None, reason=ReasonCode.JUDGE_UNPARSED, explanation=told)
    return Opinion(seat, repeat, reply.value, reply.label, explanation=reply.reason)


def combined(opinions: Sequence[Opinion], scale: Scale, seats: int, samples: int) -> ScoreResult:
    """Return the score of one output by all that was said of it: `seats` times `samples`."""
    by_seat: dict[int, list[float]] = defaultdict(list)
    for opinion in opinions:
        if opinion.value is not None:
            by_seat[opinion.seat].append(opinion.value)
    voices = [
        _one_voice(values, scale, fmean) for values in by_seat.values() if 2 * len(values) > samples
    ]
    if 2 * len(voices) <= seats:
        return _without_score(opinions, asked=seats * samples)
    value = _one_voice(voices, scale, median)
    told = _explanation(opinions, value, scale, asked=seats * samples)
    if scale.binary:
        return ScoreResult.verdict(value == 1.0, told)
    return ScoreResult.graded(value, told)


def _one_voice(
    values: Sequence[float], scale: Scale, merge: Callable[[Sequence[float]], float]
) -> float:
    """Return what several values, at least one, say together."""
    if scale is Scale.BINARY:
        return 1.0 if 2 * sum(values) > len(values) else 0.0
    if scale is Scale.PREFERENCE:
        most, count = Counter(values).most_common(1)[0]
        return most if 2 * count > len(values) else _TIE
    return merge(values)


def _without_score(opinions: Sequence[Opinion], asked: int) -> ScoreResult:
    """Return the most common reason; of equally common ones the one that concerns us most."""
    reasons = Counter(opinion.reason for opinion in opinions if opinion.reason is not None)
    reason = max(_REASONS, key=lambda code: reasons[code])
    counted = sum(opinion.value is not None for opinion in opinions)
    why = next((o.explanation for o in opinions if o.reason is reason), "")
    told = why if asked == 1 else f"{counted} of {asked} replies count. {why}"
    make = ScoreResult.failed if reason is ReasonCode.JUDGE_ERROR else ScoreResult.unscored
    return make(reason, told)


def _explanation(opinions: Sequence[Opinion], value: float, scale: Scale, asked: int) -> str:
    """Return the reason of the opinion nearest to the score, after how many said what."""
    given = [opinion for opinion in opinions if opinion.value is not None]
    nearest = min(given, key=lambda opinion: abs((opinion.value or 0.0) - value))
    if asked == 1:
        return nearest.explanation
    if scale in (Scale.BINARY, Scale.PREFERENCE):
        votes = Counter(opinion.label for opinion in given)
        told = ", ".join(f"{count} {label}" for label, count in votes.most_common())
    else:
        told = ", ".join(f"{opinion.value:g}" for opinion in given)
    return f"{told} of {asked}: {nearest.explanation}"
