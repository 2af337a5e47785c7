"""May this judge decide here? What was found when it was last checked, or why that does not hold.

A check holds for exactly one judge (model, prompt, rubric, parameters) and one dataset, in any
version of it. Where a judge was changed after a check, the sentence says what was changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.bootstrap import Services
from app.schemas.qualifications import QualificationView
from app.schemas.scores import ScorerView
from workbench.statistics import warnings as conditions
from workbench.statistics.warnings import CONDITIONS, AnalysisWarning, WarningCode

__all__ = ["JudgeStanding", "changed_parts", "judge_standing", "short_hash", "standing_of"]

_SHOWN_DIGITS: Final = 8
_PARTS: Final[Mapping[str, str]] = {
    "rubric": "rubric",
    "scale": "scale",
    "models": "model",
    "prompt": "prompt",
    "context": "context",
    "samples": "number of samples",
    "json_schema": "form of the reply",
}
_PARAMETERS: Final = ("temperature", "max_tokens", "parameters")


@dataclass(frozen=True, slots=True)
class JudgeStanding:
    """Whether a judge may decide a gate, in words, and the check that this rests on.

    `check` is None if no check holds here: it never was made, was made of another judge, or on
    other data. `changed` names what makes this judge another one than the qualified one.
    """

    qualified: bool
    sentence: str
    check: QualificationView | None = None
    changed: tuple[str, ...] = ()

    @property
    def criterion(self) -> str | None:
        """The criterion of the labels that this judge was held against."""
        found = None if self.check is None else self.check.result.get("criterion")
        return found if isinstance(found, str) else None

    def facts(self) -> dict[str, Any]:
        """Return what a comparison tells of the judge that scored it."""
        result: Mapping[str, Any] = {} if self.check is None else self.check.result
        return {
            "qualified": self.qualified,
            "sentence": self.sentence,
            "agreement": result.get("agreement"),
            "label_count": 0 if self.check is None else self.check.label_count,
            "criterion": self.criterion,
            "input_hash": None if self.check is None else self.check.input_hash,
        }

    def warnings(self) -> list[AnalysisWarning]:
        """Return the warnings about the judge: not checked enough, too weak, biased."""
        if self.check is None:
            told = AnalysisWarning(
                WarningCode.JUDGE_UNVALIDATED,
                CONDITIONS[WarningCode.JUDGE_UNVALIDATED].blocking,
                self.sentence,
            )
            return [told]
        result = self.check.result
        raised = [conditions.judge_unvalidated(self.check.label_count)]
        agreement = result.get("agreement")
        if isinstance(agreement, Mapping):
            raised.append(conditions.judge_weak(float(agreement["low"])))
        position = result.get("position")
        if isinstance(position, Mapping):
            raised.append(
                conditions.judge_order(float(position["consistency"]), float(position["p_value"]))
            )
        for note in result.get("notes") or ():
            if note["code"] == WarningCode.JUDGE_LENGTH:
                code = WarningCode.JUDGE_LENGTH
                raised.append(AnalysisWarning(code, CONDITIONS[code].blocking, note["text"]))
        return [warning for warning in raised if warning is not None]


async def judge_standing(
    services: Services, scorer: ScorerView, dataset: str | None
) -> JudgeStanding:
    """Return how the judge of a stored scorer stands on a dataset, named without its version;
    None for its newest check on any."""
    return standing_of(scorer, dataset, await services.qualifications.of_judges([scorer.name]))


def standing_of(
    scorer: ScorerView, dataset: str | None, checks: Sequence[QualificationView]
) -> JudgeStanding:
    """Return how a judge stands, by every check of judges of its name, newest first. Pure."""
    own = [check for check in checks if check.scorer.id == scorer.id]
    here = [check for check in own if dataset in (None, check.dataset)]
    if here:
        told = str(here[0].result["sentence"])
        if not here[0].qualified:
            told += f" (Checked on {_when(here[0])}.)"
        return JudgeStanding(here[0].qualified, told, here[0])
    check_it = f"Check it: workbench judges qualify {short_hash(scorer)} --run RUN"
    if own:
        sentence = (
            f"This judge was checked on {own[0].dataset_reference} and never on {dataset}: how "
            f"well it judges depends on the data. {check_it}"
        )
        return JudgeStanding(False, sentence)
    others = [check for check in checks if check.qualified and dataset in (None, check.dataset)]
    if not others:
        return JudgeStanding(False, f"This judge was never checked against people. {check_it}")
    # The check of the judge that is most like this one: it was changed least since.
    other = min(others, key=lambda check: len(changed_parts(check.scorer, scorer)))
    parts = changed_parts(other.scorer, scorer)
    sentence = (
        f"The {_listed(parts)} changed since the judge was qualified on {_when(other)}; that "
        f"check does not hold for it. {check_it}"
    )
    return JudgeStanding(False, sentence, changed=tuple(parts))


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def short_hash(scorer: ScorerView) -> str:
    """Return the digits by which a judge is named on the command line."""
    return scorer.content_hash.removeprefix("sha256:")[:_SHOWN_DIGITS]


def changed_parts(before: ScorerView, after: ScorerView) -> list[str]:
    """Return in words what tells two judges of one name apart."""
    found = [
        word
        for name, word in _PARTS.items()
        if before.config.get(name) != after.config.get(name) and name != "prompt"
    ]
    prompts = [_prompt(scorer) for scorer in (before, after)]
    # Another scale brings another built-in prompt with it, which is no news.
    if prompts[0] != prompts[1] and "scale" not in found:
        found.append(_PARTS["prompt"])
    if any(before.config.get(name) != after.config.get(name) for name in _PARAMETERS):
        found.append("parameters")
    if before.version != after.version:
        found.append("version")
    # Whatever else may once be an option of a judge.
    return found or ["judge"]


def _prompt(scorer: ScorerView) -> object:
    pinned = scorer.config.get("pinned")
    return pinned.get("prompt_hash") if isinstance(pinned, Mapping) else scorer.config.get("prompt")


def _when(check: QualificationView) -> str:
    return f"{check.created_at:%Y-%m-%d} ({check.dataset_reference}, {check.label_count} labels)"
