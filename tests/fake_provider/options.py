"""The one description of a fake provider, shared by the in-process form and the command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TextIO, get_args

from tests.fake_provider.answers import DEFAULT_RIGHT_SHARE, AnswerRule, answer_rule
from tests.fake_provider.faults import FaultScript

__all__ = [
    "DEFAULT_MODELS",
    "Drift",
    "Launch",
    "ProviderOptions",
    "Strictness",
    "arguments_of",
    "parse_arguments",
]

Strictness = Literal["temperature", "top_p_with_temperature", "max_tokens"]
"""A parameter, or a pair of them, that a strict provider refuses."""

DEFAULT_MODELS = ("fake-model",)
_STRICTNESS: tuple[Strictness, ...] = get_args(Strictness)


@dataclass(frozen=True, slots=True)
class Drift:
    """From call `after` + 1 on the provider reports another model name, fingerprint or digest.

    None leaves the value as it was. The digest of an Ollama model is 64 hexadecimal digits.
    """

    after: int
    model: str | None = None
    fingerprint: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """How a fake provider behaves.

    `latency_ms` is the time from the last byte of a chat request to the first of its reply: never
    less, and about a millisecond more while the server keeps up; other paths answer at once.
    `stream_interval_ms` stands between the events of a stream. `answer` is `echo`, `arithmetic`
    (right for `right_share` of the questions), `fixed:TEXT`, or a judge: `judge-gullible`,
    `judge-longer`, `judge-noisy` (right for that share), `judge-nothings`, `judge-obedient` or
    `judge-words`. `models` are listed; with `closed`
    every other name is unknown, without it any name is served. `strict` names the parameters to
    refuse on the OpenAI paths. `ledger` is a file that gets a line for every call.
    """

    latency_ms: float = 0.0
    stream_interval_ms: float = 0.0
    seed: int = 0
    answer: str = "echo"
    right_share: float = DEFAULT_RIGHT_SHARE
    models: tuple[str, ...] = DEFAULT_MODELS
    closed: bool = False
    strict: frozenset[Strictness] = frozenset()
    drift: Drift | None = None
    script: FaultScript = field(default_factory=FaultScript)
    ledger: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what no server could do.

        Raises:
            ValueError: a negative time, an unknown answer rule or parameter, or no model.
        """
        if self.latency_ms < 0 or self.stream_interval_ms < 0:
            raise ValueError("Times have to be 0 ms or more.")
        if unknown := sorted(self.strict - set(_STRICTNESS)):
            allowed = ", ".join(_STRICTNESS)
            raise ValueError(f"Cannot be strict about {', '.join(unknown)}: use {allowed}.")
        if not self.models:
            raise ValueError("Name at least one model.")
        self.answer_rule()

    def answer_rule(self) -> AnswerRule:
        """Return the rule that makes the answers."""
        return answer_rule(self.answer, seed=self.seed, right_share=self.right_share)


class Launch(NamedTuple):
    """A parsed command line; port 0 lets the operating system choose."""

    options: ProviderOptions
    host: str
    port: int


def parse_arguments(arguments: Sequence[str], stdin: TextIO) -> Launch:
    """Read a command line; `--script -` reads the script from `stdin`.

    Raises:
        SystemExit: the arguments make no provider; the reason is on standard error.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        return Launch(_options(parsed, stdin), parsed.host, parsed.port)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fake_provider",
        description="Serve a fake OpenAI-compatible and Ollama provider on loopback.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed when ready")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--stream-interval-ms", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0, help="of answers, and of --faults")
    parser.add_argument("--answer", default="echo", help="echo, arithmetic or fixed:TEXT")
    parser.add_argument("--right-share", type=float, default=DEFAULT_RIGHT_SHARE)
    parser.add_argument("--models", type=_names, default=DEFAULT_MODELS, help="A,B")
    parser.add_argument("--closed", action="store_true", help="refuse models that are not listed")
    parser.add_argument("--strict", type=_names, default=(), help=",".join(_STRICTNESS))
    script = parser.add_mutually_exclusive_group()
    script.add_argument("--script", metavar="FILE", help="a fault script in JSON, - for stdin")
    script.add_argument("--faults", metavar="SPEC", default="", help="429-seconds=0.1,500=0.01")
    parser.add_argument("--retry-after", type=int, default=1, metavar="S", help="of --faults")
    parser.add_argument("--ledger", type=Path, metavar="FILE")
    parser.add_argument("--drift-after", type=int, metavar="CALLS")
    parser.add_argument("--drift-model", metavar="NAME")
    parser.add_argument("--drift-fingerprint", metavar="NAME")
    parser.add_argument("--drift-digest", metavar="HEX")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))


def _options(parsed: argparse.Namespace, stdin: TextIO) -> ProviderOptions:
    if parsed.script:
        text = stdin.read() if parsed.script == "-" else Path(parsed.script).read_text("utf-8")
        script = FaultScript.from_json(text)
    else:
        script = FaultScript.from_spec(
            parsed.faults, seed=parsed.seed, retry_after_s=parsed.retry_after
        )
    drift = None
    if parsed.drift_after is not None:
        drift = Drift(
            parsed.drift_after, parsed.drift_model, parsed.drift_fingerprint, parsed.drift_digest
        )
    return ProviderOptions(
        latency_ms=parsed.latency_ms,
        stream_interval_ms=parsed.stream_interval_ms,
        seed=parsed.seed,
        answer=parsed.answer,
        right_share=parsed.right_share,
        models=parsed.models,
        closed=parsed.closed,
        strict=frozenset(parsed.strict),
        drift=drift,
        script=script,
        ledger=parsed.ledger,
    )


def arguments_of(options: ProviderOptions) -> list[str]:
    """Return the arguments that parse to `options`, given its script as JSON on stdin."""
    pairs: dict[str, object] = {
        "--latency-ms": options.latency_ms,
        "--stream-interval-ms": options.stream_interval_ms,
        "--seed": options.seed,
        "--answer": options.answer,
        "--right-share": options.right_share,
        "--models": ",".join(options.models),
        "--strict": ",".join(sorted(options.strict)),
        "--ledger": options.ledger,
        "--script": "-",
    }
    if options.drift:
        pairs["--drift-after"] = options.drift.after
        pairs["--drift-model"] = options.drift.model
        pairs["--drift-fingerprint"] = options.drift.fingerprint
        pairs["--drift-digest"] = options.drift.digest
    # One word each, since a value may start with a dash.
    arguments = [f"{name}={value}" for name, value in pairs.items() if value is not None]
    return [*arguments, "--closed"] if options.closed else arguments
