"""The four judges: by rubric, by expected output, by context, and between two answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON, ordered_json
from workbench.scorers.interface import STRICT, ReasonCode, ScorerConfigError, ScoringInput
from workbench.scorers.judges.interface import (
    Judge,
    JudgeConfig,
    JudgeConfigT_co,
    NotJudgeable,
    shown_output,
)
from workbench.scorers.judges.reply import Scale

__all__ = [
    "JUDGES",
    "CorrectnessConfig",
    "FaithfulnessConfig",
    "JudgeCorrectness",
    "JudgeFaithfulness",
    "JudgePreference",
    "JudgeRubric",
    "OutputJudge",
    "PreferenceConfig",
    "RubricConfig",
]

_METADATA: Final = "metadata."
_BETTER: Final = (
    "The better answer is the one that does more of what the task asks for: correct, complete, "
    "and without anything that is made up."
)


class OutputJudge(Judge[JudgeConfigT_co]):
    """A judge of one output by itself."""

    variables = frozenset({"code", "rubric", "input", "output", "expected", "context"})
    required_variables = frozenset({"code", "output"})

    @property
    def context(self) -> tuple[str, ...]:
        """Columns of the example that hold the context."""
        return ()

    def texts(self, given: ScoringInput, variables: frozenset[str]) -> dict[str, str]:
        """Return the texts that fill those of the prompt's `variables` that come from the
        example and its output; raises `NotJudgeable` if the example lacks one of them."""
        found = {"input": _shown_input(given.variables), "output": shown_output(given)}
        if "expected" in variables:
            if given.expected is None:
                raise NotJudgeable(
                    ReasonCode.NO_EXPECTED, "The example has no expected output to judge by."
                )
            found["expected"] = _text(given.expected)
        if "context" in variables:
            found["context"] = self._context(given)
        return {name: text for name, text in found.items() if name in variables}

    def _context(self, given: ScoringInput) -> str:
        columns = {name: _column(given, name) for name in self.context}
        missing = [name for name, value in columns.items() if value is None]
        if missing or not columns:
            raise NotJudgeable(
                ReasonCode.MISSING_FACT,
                f"The example has no {missing[0]} to judge by."
                if missing
                else "The option context names no column.",
            )
        return _shown_input(columns)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RubricConfig(JudgeConfig):
    """Options of `judge_rubric`."""

    rubric: str = ""
    """What makes an answer good, in your words."""
    scale: Literal["1-5", "0-1", "pass_fail"] = "1-5"
    """Whole points from 1 to 5, a number from 0 to 1, or pass and fail."""
    context: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Columns for a prompt of your own that has the variable `context`; see
    `judge_faithfulness`."""


class JudgeRubric(OutputJudge[RubricConfig]):
    """How well an answer does by a rubric in words, as a language model sees it."""

    name = "judge_rubric"
    version = 1
    config_type = RubricConfig
    built_in = MappingProxyType(
        {
            Scale.FIVE: "judge_rubric@1",
            Scale.SHARE: "judge_rubric_share@1",
            Scale.BINARY: "judge_rubric_pass_fail@1",
        }
    )

    def __init__(self, config: RubricConfig) -> None:
        super().__init__(config)
        if not config.rubric.strip() and config.prompt is None:
            raise ScorerConfigError(
                "judge_rubric: give a rubric, such as rubric=The answer names the price.",
                path="rubric",
            )

    @property
    def scale(self) -> Scale:
        return Scale(self.config.scale)

    @property
    def context(self) -> tuple[str, ...]:
        return self.config.context

    def own_values(self) -> dict[str, JSON]:
        return {"rubric": self.config.rubric}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CorrectnessConfig(JudgeConfig):
    """Options of `judge_correctness`."""

    rubric: str = ""
    """What else makes an answer right or wrong, such as how exact a number has to be."""


class JudgeCorrectness(OutputJudge[CorrectnessConfig]):
    """Whether an answer says the same as the expected output, as a language model sees it."""

    name = "judge_correctness"
    version = 1
    config_type = CorrectnessConfig
    built_in = MappingProxyType({Scale.BINARY: "judge_correctness@1"})

    @property
    def scale(self) -> Scale:
        return Scale.BINARY

    def own_values(self) -> dict[str, JSON]:
        return {"rubric": self.config.rubric}


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FaithfulnessConfig(JudgeConfig):
    """Options of `judge_faithfulness`."""

    context: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The columns that hold what the answer may rest on: names of inputs, or `metadata.NAME`."""


class JudgeFaithfulness(OutputJudge[FaithfulnessConfig]):
    """Whether everything that an answer claims is in the context, as a language model sees it."""

    name = "judge_faithfulness"
    version = 1
    config_type = FaithfulnessConfig
    built_in = MappingProxyType({Scale.BINARY: "judge_faithfulness@1"})

    def __init__(self, config: FaithfulnessConfig) -> None:
        super().__init__(config)
        if not config.context:
            raise ScorerConfigError(
                "judge_faithfulness: say which columns are the context, such as "
                "context=document or context=metadata.source.",
                path="context",
            )

    @property
    def scale(self) -> Scale:
        return Scale.BINARY

    @property
    def context(self) -> tuple[str, ...]:
        return self.config.context


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PreferenceConfig(JudgeConfig):
    """Options of `judge_preference`."""

    rubric: str = _BETTER
    """What makes one answer better than another."""


class JudgePreference(Judge[PreferenceConfig]):
    """Which of two answers is better, asked in both orders; it compares runs and scores none."""

    name = "judge_preference"
    version = 1
    config_type = PreferenceConfig
    built_in = MappingProxyType({Scale.PREFERENCE: "judge_preference@1"})
    variables = frozenset({"code", "rubric", "input", "first", "second", "expected"})
    required_variables = frozenset({"code", "first", "second"})

    @property
    def scale(self) -> Scale:
        return Scale.PREFERENCE

    @property
    def binary(self) -> bool:
        """A pair is won, lost or a tie; won and lost count."""
        return True

    def own_values(self) -> dict[str, JSON]:
        return {"rubric": self.config.rubric}

    def texts(
        self, first: ScoringInput, second: ScoringInput, variables: frozenset[str]
    ) -> dict[str, str]:
        """Return the texts that fill the prompt's `variables`, the answers in this order.

        Both are answers to one example. Raises `NotJudgeable` if it lacks an expected output
        that the prompt wants.
        """
        found = {
            "input": _shown_input(first.variables),
            "first": shown_output(first),
            "second": shown_output(second),
        }
        if "expected" in variables:
            if first.expected is None:
                raise NotJudgeable(
                    ReasonCode.NO_EXPECTED, "The example has no expected output to judge by."
                )
            found["expected"] = _text(first.expected)
        return {name: text for name, text in found.items() if name in variables}


JUDGES: Final[Sequence[type[Judge[JudgeConfig]]]] = (
    JudgeCorrectness,
    JudgeFaithfulness,
    JudgePreference,
    JudgeRubric,
)
"""Every judge, in alphabetical order."""


def _shown_input(variables: Mapping[str, JSON]) -> str:
    """Return an example's input as one text: its only value, or an object of all of them."""
    if len(variables) == 1:
        return _text(next(iter(variables.values())))
    return ordered_json(dict(variables)) if variables else ""


def _column(given: ScoringInput, name: str) -> JSON:
    if name.startswith(_METADATA):
        return given.metadata.get(name.removeprefix(_METADATA))
    return given.variables.get(name)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ordered_json(value)
