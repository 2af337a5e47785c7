"""The faults a provider can show, by name, and the script that decides who gets which.

Pure: nothing here touches a socket, a clock or a random source. A `FaultScript` is a value, and
the fault of a call is a function of that value and four facts about the call (its identity, the
attempt number for that identity, its model and its place in the order of arrival). A simulation
that asks the same script therefore sees exactly the faults that the server will serve.

Three ways to choose a fault; the first that has an opinion decides:

1. by model: `fault-NAME` gets that fault every time, `fault-NAME-once` for the first attempt of
   each identity; `FaultScript.models` does the same for any other model name;
2. by sequence: the n-th chat call gets the n-th name (`ok` for a good answer), later ones pass on;
3. by rate: a seeded draw for (identity, attempt).

How each fault looks on the wire is written in `misbehaviour`.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tests.fake_provider.hashing import unit_interval

__all__ = ["FAULTS", "OK", "Dialects", "Fault", "FaultScript", "Forms", "Meaning", "find_fault"]

Meaning = Literal[
    "usable",
    "authentication",
    "bad_request",
    "connection",
    "content_filtered",
    "malformed_response",
    "parameter_not_supported",
    "rate_limited",
    "server",
    "timeout",
    "truncated_stream",
    "unknown_model",
]
"""What a careful client concludes; `usable` if the answer itself can be taken as it is."""

Dialects = Literal["any", "openai", "ollama"]
Forms = Literal["any", "plain", "stream"]

OK = "ok"
"""The name that stands for "no fault" in a sequence."""

_MODEL_PREFIX = "fault-"
_ONCE_SUFFIX = "-once"
_CUT_AT = re.compile(r"stream-cut-at-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of failing.

    `status` is the HTTP status that is sent, 0 when the connection ends without one. `dialect` and
    `form` say which requests can show the fault at all. `tells_wait` marks the replies that name a
    waiting time. `endless` marks those that never end by themselves: the client has to give up.
    `cut_at` is the number of bytes after which a `stream-cut-at-N` ends the stream.
    """

    name: str
    meaning: Meaning
    summary: str
    status: int = 200
    dialect: Dialects = "any"
    form: Forms = "any"
    tells_wait: bool = False
    endless: bool = False
    cut_at: int | None = None

    def applies_to(self, dialect: str, *, stream: bool) -> bool:
        """Say whether a request of this dialect and form can show the fault."""
        form = "stream" if stream else "plain"
        return self.dialect in ("any", dialect) and self.form in ("any", form)


def _status_faults() -> tuple[Fault, ...]:
    return (
        Fault("429-seconds", "rate_limited", "Retry-After in seconds", 429, tells_wait=True),
        Fault("429-date", "rate_limited", "Retry-After as an HTTP date", 429, tells_wait=True),
        Fault("429-ms", "rate_limited", "retry-after-ms in milliseconds", 429, tells_wait=True),
        Fault("429-no-header", "rate_limited", "no word about when to return", 429),
        Fault(
            "429-quota",
            "rate_limited",
            "the quota is used up, code insufficient_quota",
            429,
            dialect="openai",
        ),
        Fault("500", "server", "internal error, JSON body", 500),
        Fault("502-html", "server", "bad gateway, HTML body", 502),
        Fault("503", "server", "overloaded, JSON body", 503),
        Fault("504", "server", "gateway time-out, empty body", 504),
        Fault("307-redirect", "bad_request", "sent on to /elsewhere, which counts visits", 307),
        Fault("400", "bad_request", "refused without naming a parameter", 400),
        Fault("401", "authentication", "the key is not known", 401),
        Fault("403", "authentication", "the key may not use this model", 403),
        Fault("404-model", "unknown_model", "the model does not exist", 404),
        Fault("413", "bad_request", "the request is too large", 413),
        Fault("422", "bad_request", "a field has the wrong type", 422),
        Fault(
            "400-content-filter",
            "content_filtered",
            "the prompt was filtered, code content_filter",
            400,
            dialect="openai",
        ),
        Fault(
            "400-context-length",
            "bad_request",
            "the messages are too long, code context_length_exceeded",
            400,
            dialect="openai",
        ),
    )


def _parameter_faults() -> tuple[Fault, ...]:
    return (
        Fault(
            "400-temperature",
            "parameter_not_supported",
            "param temperature, code unsupported_value",
            400,
            dialect="openai",
        ),
        Fault(
            "400-top-p-with-temperature",
            "parameter_not_supported",
            "both named in the message only, param and code are null",
            400,
            dialect="openai",
        ),
        Fault(
            "400-max-tokens",
            "parameter_not_supported",
            "param max_tokens, code unsupported_parameter, max_completion_tokens wanted",
            400,
            dialect="openai",
        ),
    )


def _answer_faults() -> tuple[Fault, ...]:
    return (
        Fault(
            "content-filter",
            "content_filtered",
            "finish_reason content_filter, no text",
            dialect="openai",
        ),
        Fault("refusal", "usable", "the refusal field in place of content", dialect="openai"),
        Fault("empty-choices", "malformed_response", "choices is []", dialect="openai"),
        Fault("missing-message", "malformed_response", "no message (or delta) at all"),
        Fault("null-content", "malformed_response", "content is null, nothing in its place"),
        Fault("absent-usage", "usable", "no usage object", dialect="openai"),
        Fault("ollama-missing-counts", "usable", "no token counts", dialect="ollama"),
        Fault("negative-usage", "usable", "token counts below zero"),
        Fault("string-usage", "usable", "token counts as text"),
        Fault("awkward-text", "usable", "a NUL and a lone surrogate in the answer"),
    )


def _body_faults() -> tuple[Fault, ...]:
    return (
        Fault("malformed-json", "malformed_response", "JSON that stops in mid object"),
        Fault("html-200", "malformed_response", "an HTML page with status 200"),
        Fault("error-200", "server", "an error object with status 200"),
        Fault("empty-body", "malformed_response", "status 200 and no byte of body"),
        Fault("truncated-body", "connection", "half of Content-Length, then closed"),
        Fault("truncated-chunked", "connection", "closed inside a chunk"),
        Fault("endless-body", "timeout", "a valid beginning that drips for ever", endless=True),
        Fault("oversized-body", "malformed_response", "a good answer after far too much padding"),
        Fault("gzip-bomb", "malformed_response", "the same, compressed about a thousandfold"),
        Fault("slow-first-byte", "timeout", "no byte ever", 0, endless=True),
        Fault("idle-gap", "timeout", "half an answer, then silence", endless=True),
        Fault("reset-before-headers", "connection", "RST in place of a reply", 0),
        Fault("reset-after-headers", "connection", "the head, then RST"),
        Fault("reset-mid-body", "connection", "half the body, then RST"),
        Fault("close-without-reply", "connection", "closed in place of a reply", 0),
    )


def _stream_faults() -> tuple[Fault, ...]:
    return (
        Fault(
            "keep-alive-comments",
            "timeout",
            "one delta, then SSE comments for ever",
            dialect="openai",
            form="stream",
            endless=True,
        ),
        Fault(
            "stream-cut-before-finish",
            "truncated_stream",
            "the body ends cleanly with no finish reason",
            form="stream",
        ),
        Fault(
            "stream-cut-before-done",
            "truncated_stream",
            "the body ends cleanly after the finish reason, before usage and [DONE]",
            dialect="openai",
            form="stream",
        ),
        Fault(
            "stream-error-event",
            "server",
            "an error object in the middle of the stream",
            dialect="openai",
            form="stream",
        ),
        Fault(
            "ollama-error-line",
            "server",
            "an error line in the middle of the stream",
            dialect="ollama",
            form="stream",
        ),
        Fault("split-utf8", "usable", "characters cut across chunks", form="stream"),
        Fault("merged-frames", "usable", "all events in one chunk", form="stream"),
    )


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        *_status_faults(),
        *_parameter_faults(),
        *_answer_faults(),
        *_body_faults(),
        *_stream_faults(),
    )
}
"""Every named fault; `find_fault` also knows the family `stream-cut-at-N`."""


def find_fault(name: str) -> Fault:
    """Return the fault of that name, `stream-cut-at-N` (bytes of stream, N >= 0) included.

    Raises:
        ValueError: there is no such fault; the message names the nearest ones.
    """
    if fault := FAULTS.get(name):
        return fault
    if match := _CUT_AT.fullmatch(name):
        summary = f"the body ends cleanly after {match[1]} bytes of events"
        cut_at = int(match[1])
        return Fault(name, "truncated_stream", summary, form="stream", cut_at=cut_at)
    near = difflib.get_close_matches(name, FAULTS, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "see tests/fake_provider/faults.py."
    raise ValueError(f"There is no fault called {name!r}: {hint}")


@dataclass(frozen=True, slots=True)
class FaultScript:
    """Who gets which fault, and the figures that the faults use.

    `rates` are shares in [0, 1] that sum to at most 1. `retry_after_s` is what a 429 tells the
    client to wait, in whole seconds (Retry-After knows no fractions; `429-ms` sends the same time
    in milliseconds). `oversized_bytes` is the padding of an oversized body, after decoding.
    `drip_interval_s` is the time between two pieces of an endless reply. A name in `models` may end
    in `-once`, as a model name may. The first
    `reset_connections` connections after the script is set are reset as they are accepted, before
    any request could be read; such a connection is counted but is no call.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    sequence: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: int = 1
    oversized_bytes: int = 256 << 20
    drip_interval_s: float = 0.05
    reset_connections: int = 0

    def __post_init__(self) -> None:
        """Refuse names and figures that no call could be served by.

        Raises:
            ValueError: an unknown fault, a rate outside [0, 1], rates that sum to more than 1, or
                a negative figure.
        """
        for name in self.rates:
            find_fault(name)
        for name in self.sequence:
            _fault_or_ok(name)
        for name in self.models.values():
            _fault_or_ok(name.removesuffix(_ONCE_SUFFIX))
        if any(not 0 <= rate <= 1 for rate in self.rates.values()):
            raise ValueError("Every fault rate has to be a share between 0 and 1.")
        if sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("The fault rates sum to more than 1: lower some of them.")
        if min(self.retry_after_s, self.oversized_bytes, self.reset_connections) < 0:
            raise ValueError("retry_after_s, oversized_bytes and reset_connections start at 0.")
        if self.drip_interval_s <= 0:
            raise ValueError("drip_interval_s has to be more than 0 seconds.")

    @classmethod
    def from_spec(cls, spec: str, *, seed: int = 0, retry_after_s: int = 1) -> "FaultScript":
        """Read the short form of rates, for example `429-seconds=0.1,500=0.01`.

        Raises:
            ValueError: an entry is no `name=share`, or the script would be refused.
        """
        rates: dict[str, float] = {}
        for entry in filter(None, (part.strip() for part in spec.split(","))):
            name, _, share = entry.partition("=")
            try:
                rates[name] = float(share)
            except ValueError:
                raise ValueError(f"{entry!r} is no fault rate: write NAME=SHARE.") from None
        return cls(seed=seed, rates=rates, retry_after_s=retry_after_s)

    @classmethod
    def from_json(cls, text: str | bytes) -> "FaultScript":
        """Read a script from a JSON object that has any of this class's fields.

        Raises:
            ValueError: no JSON object, an unknown field, or a value that the field cannot take.
        """
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the script"
            raise ValueError(f"The fault script is refused at {where}: {first['msg']}.") from None

    def to_json(self) -> bytes:
        """Return the script as a JSON object that `from_json` reads back as an equal script."""
        return orjson.dumps(self)

    @property
    def rates_only(self) -> bool:
        """True if the fault of a call depends on nothing but its identity and attempt."""
        return not (self.sequence or self.models or self.reset_connections)

    def fault_for(self, identity: str, attempt: int) -> Fault | None:
        """Draw from the rates for the `attempt`-th call (from 1) of `identity`.

        One seeded number in [0, 1) is laid on the rates, put end to end in the order of their
        names; what is left of 1 is a good answer. Each attempt is a fresh, independent draw.
        """
        if not self.rates:
            return None
        point = unit_interval(f"{self.seed}:{identity}:{attempt}")
        for name in sorted(self.rates):
            point -= self.rates[name]
            if point < 0:
                return find_fault(name)
        return None

    def fault_for_call(
        self, *, identity: str, attempt: int, model: str, arrival: int
    ) -> Fault | None:
        """Return the fault of one call by the whole rule: model, then sequence, then rates.

        `arrival` counts the chat calls since the script was set, from 1.

        Raises:
            ValueError: the model name asks for a fault that does not exist.
        """
        if name := self._named_by(model):
            once = name.endswith(_ONCE_SUFFIX)
            return None if once and attempt > 1 else _fault_or_ok(name.removesuffix(_ONCE_SUFFIX))
        if arrival <= len(self.sequence):
            return _fault_or_ok(self.sequence[arrival - 1])
        return self.fault_for(identity, attempt)

    def told_wait_s(self, fault: Fault) -> float | None:
        """Return the seconds that the fault tells a client to wait, None if it does not say.

        An HTTP date has whole seconds and is rounded up, so `429-date` may ask up to 1 s more.
        """
        return float(self.retry_after_s) if fault.tells_wait else None

    def _named_by(self, model: str) -> str | None:
        if name := self.models.get(model):
            return name
        # Ollama names carry a tag, `fault-500:latest`.
        name = model.partition(":")[0]
        return name.removeprefix(_MODEL_PREFIX) if name.startswith(_MODEL_PREFIX) else None


def _fault_or_ok(name: str) -> Fault | None:
    return None if name == OK else find_fault(name)


_ADAPTER = TypeAdapter(FaultScript)
