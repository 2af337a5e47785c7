"""What every judge is: a scorer that asks a language model, described without calling one.

A judge knows its options, which texts its prompt is filled with, how a reply is read and how
replies become one score. It calls nothing: the runner asks. As a person writes it, a judge
names a model and perhaps a prompt; before it may be asked, both are *pinned* to versions, and
its identity then covers everything that could change a judgement: the prompt's content, each
model version with its parameters, rubric, scale and number of samples. Another one of these is
another judge.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass as pydantic_dataclass

from app.core.errors import Conflict
from app.core.hashing import JSON, ordered_json
from workbench.scorers.interface import (
    STRICT,
    AnyScorer,
    ReasonCode,
    ScorerConfig,
    ScorerConfigError,
    ScoringInput,
)
from workbench.scorers.judges.fence import fence_code, fenced
from workbench.scorers.judges.reply import Scale

__all__ = [
    "AnyJudge",
    "Judge",
    "JudgeConfig",
    "JudgeConfigT_co",
    "NotJudgeable",
    "Pins",
    "shown_output",
]

MAX_SAMPLES: Final = 100
MAX_SEATS: Final = 20


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class JudgeConfig(ScorerConfig):
    """Options that all judges have; exactly one of `model` and `models` is given."""

    model: str | None = None
    """The model that judges, such as `openai/gpt-4.1-mini`."""
    # Not strict, so that a list, which is what YAML and JSON have, becomes the tuple.
    models: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """A panel of models: the median of their scores counts, or the majority of their verdicts."""
    prompt: str | None = None
    """A prompt of the registry to ask with, such as `my-judge@3`, instead of the built-in one."""
    samples: int = 1
    """How often each model is asked about each output."""
    temperature: float | None = None
    """The temperature of the judge; left out, the prompt's, which is 0 for the built-in ones."""
    max_tokens: int | None = None
    """The longest reply, in tokens."""
    parameters: dict[str, JsonValue] | None = None
    """Other generation parameters, such as `{"top_p": 1}`."""
    json_schema: bool = True
    """Ask for the reply by JSON schema; off for a model that refuses one, which is then only told
    the form."""
    pinned: dict[str, JsonValue] | None = None
    """What prompt and models were resolved to; written by the workbench, never by a person."""

    @property
    def seats(self) -> tuple[str, ...]:
        """The models, one a seat."""
        return self.models if self.model is None else (self.model,)

    @property
    def requested_parameters(self) -> dict[str, JSON]:
        """The generation parameters that the options ask for, under our names."""
        own: dict[str, JSON] = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        return {
            **(self.parameters or {}),
            **{name: value for name, value in own.items() if value is not None},
        }


JudgeConfigT_co = TypeVar("JudgeConfigT_co", bound=JudgeConfig, covariant=True)


class NotJudgeable(Exception):
    """The example lacks what the judge's prompt needs: there is nothing to judge by."""

    def __init__(self, reason: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Pins:
    """What a judge's references were resolved to.

    `prompt_hash` is the content hash of its prompt, `variants` has for each seat the content hash
    of its variant: prompt, model version and parameters.
    """

    prompt_hash: str
    variants: tuple[str, ...]


class Judge(AnyScorer[JudgeConfigT_co]):
    """A scorer that asks a language model. Pure: it says what to ask and how to read the reply."""

    built_in: ClassVar[Mapping[Scale, str]]
    """For each scale the built-in prompt, by name and version, that asks for it."""
    variables: ClassVar[frozenset[str]]
    """What a prompt of the registry may use."""
    required_variables: ClassVar[frozenset[str]]
    """What it must use."""

    def __init__(self, config: JudgeConfigT_co) -> None:
        super().__init__(config)
        _check(self.name, config)
        self._pins = _pins(self.name, config)
        self.range = self.scale.range

    @property
    @abstractmethod
    def scale(self) -> Scale:
        """What the judge may say."""

    @property
    def binary(self) -> bool:
        """Whether the judge passes or fails an output and does nothing between."""
        return self.scale.binary

    @property
    def prompt(self) -> str:
        """The reference of the prompt to ask with."""
        return self.config.prompt or self.built_in[self.scale]

    @property
    def is_pinned(self) -> bool:
        """Whether prompt and models were resolved to versions."""
        return self._pins is not None

    @property
    def pins(self) -> Pins:
        """What prompt and models were resolved to; `Conflict` if they were not yet."""
        if self._pins is None:
            raise Conflict(
                f"{self.name} names a model and no version of it: it has to be resolved against "
                "the workspace before it can judge."
            )
        return self._pins

    def pinned_spec(
        self, prompt: str, prompt_hash: str, models: Sequence[str], variants: Sequence[str]
    ) -> dict[str, JSON]:
        """Return the judge as a mapping, with versions in place of what a person wrote.

        `models` are references of versions and `variants` the content hashes of the variants
        that they make with prompt and parameters, both one a seat.
        """
        identity = self.identity()
        config = identity["config"]
        assert isinstance(config, Mapping)  # noqa: S101 - as `identity` makes it
        return {
            "name": self.name,
            **{name: value for name, value in config.items() if name != "model"},
            "prompt": prompt,
            "models": list(models),
            "pinned": {"prompt_hash": prompt_hash, "variants": list(variants)},
        }

    def own_values(self) -> dict[str, JSON]:
        """Return what the judge's author vouches for, which stands outside of every fence."""
        return {}

    def fenced_values(
        self, texts: Mapping[str, str], secret: bytes, repeat: int
    ) -> dict[str, JSON]:
        """Return the values for the prompt: each given text in its fence, and the code."""
        ordered = sorted(texts.items())
        code = fence_code(
            secret,
            self.pins.prompt_hash,
            [part for pair in ordered for part in pair],
            repeat,
        )
        return {
            **self.own_values(),
            "code": code,
            **{name: fenced(name, text, code) for name, text in ordered},
        }


AnyJudge = Judge[Any]


def shown_output(given: ScoringInput) -> str:
    """Return the answer as a judge is shown it: the text, or what stands in its place."""
    if given.output:
        return given.output
    rest = {
        name: value
        for name, value in given.message.items()
        if name in ("tool_calls", "refusal") and value
    }
    return ordered_json(rest) if rest else ""


def _check(name: str, config: JudgeConfig) -> None:
    if (config.model is None) == (not config.models):
        raise ScorerConfigError(
            f"{name}: give one of model and models, such as model=openai/gpt-4.1-mini.",
            path="model",
        )
    if len(config.models) > MAX_SEATS:
        raise ScorerConfigError(f"{name}: a panel has at most {MAX_SEATS} models.", path="models")
    if not 1 <= config.samples <= MAX_SAMPLES:
        raise ScorerConfigError(
            f"{name}: samples must be a number from 1 to {MAX_SAMPLES}.", path="samples"
        )
    twice = {"temperature", "max_tokens"} & set(config.parameters or {})
    if twice:
        raise ScorerConfigError(
            f"{name}: {min(twice)} is an option of its own; take it out of parameters.",
            path="parameters",
        )


def _pins(name: str, config: JudgeConfig) -> Pins | None:
    """Return the option `pinned`, checked."""
    if config.pinned is None:
        return None
    prompt_hash, variants = config.pinned.get("prompt_hash"), config.pinned.get("variants")
    if (
        isinstance(prompt_hash, str)
        and isinstance(variants, list)
        and len(variants) == len(config.seats)
    ):
        return Pins(prompt_hash, tuple(map(str, variants)))
    raise ScorerConfigError(
        f"{name}: pinned is written by the workbench; leave it out.", path="pinned"
    )
