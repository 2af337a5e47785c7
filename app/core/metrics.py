"""What Prometheus reads of one process: counts and times, never content.

Only the server imports this: the library takes half a second. One `Metrics` is made for each
application and passed in; its registry is its own, so that two in one process do not add up. Labels
come from small closed sets (routes, aliases, models, codes of errors): nothing that a caller writes
becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from app.core.observers import EndedChat

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_DIRECT: Final = "direct"


class Metrics:
    """The process's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "workbench_http_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "workbench_http_request_seconds",
            "From a request's arrival to the last byte of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        chat = ("alias", "model")
        self._chats = Counter(
            "workbench_chats_total",
            "Answers in production, by how they ended and which target gave them.",
            (*chat, "provider", "role", "ending"),
            registry=registry,
        )
        self._chat_errors = Counter(
            "workbench_chat_errors_total",
            "Answers in production that failed, by the code of the error.",
            (*chat, "code"),
            registry=registry,
        )
        self._chat_seconds = Histogram(
            "workbench_chat_seconds",
            "From admission to settlement.",
            chat,
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_token_seconds = Histogram(
            "workbench_time_to_first_token_seconds",
            "From a call's beginning to its first token.",
            chat,
            buckets=_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "workbench_tokens_total",
            "Tokens of answers in production.",
            (*chat, "direction"),
            registry=registry,
        )
        self._dollars = Counter(
            "workbench_cost_dollars_total",
            "What answers in production cost, where the price is known.",
            chat,
            registry=registry,
        )
        self._refusals = Counter(
            "workbench_limit_refusals_total",
            "Requests refused because a limit or budget was reached.",
            ("holder_kind", "reason"),
            registry=registry,
        )
        self._under_way = Gauge(
            "workbench_chats_under_way", "Answers that have not ended.", registry=registry
        )
        self._jobs = Gauge(
            "workbench_jobs",
            "Jobs of the whole database that wait for a worker or are under way.",
            ("status",),
            registry=registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `route` is the template that matched, not the address."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def chat_began(self) -> None:
        self._under_way.inc()

    def chat_ended(self, chat: EndedChat) -> None:
        """Count one settled answer."""
        self._under_way.dec()
        alias = chat.alias or _DIRECT
        self._chats.labels(
            alias, chat.model, chat.provider, chat.role or _DIRECT, chat.ending
        ).inc()
        self._chat_seconds.labels(alias, chat.model).observe(chat.seconds)
        if chat.error_code is not None:
            self._chat_errors.labels(alias, chat.model, chat.error_code).inc()
        if chat.time_to_first_token_s is not None:
            self._first_token_seconds.labels(alias, chat.model).observe(chat.time_to_first_token_s)
        if chat.input_tokens is not None:
            self._tokens.labels(alias, chat.model, "input").inc(chat.input_tokens)
        if chat.output_tokens is not None:
            self._tokens.labels(alias, chat.model, "output").inc(chat.output_tokens)
        if chat.dollars is not None:
            self._dollars.labels(alias, chat.model).inc(float(chat.dollars))

    def limit_refused(self, holder_kind: str, *, budget_spent: bool) -> None:
        """Count one request that was turned away."""
        self._refusals.labels(holder_kind, "budget" if budget_spent else "rate").inc()

    def jobs(self, by_status: Mapping[str, int]) -> None:
        """Set how many jobs stand in each status; those that are not named are not known."""
        self._jobs.clear()
        for status, count in by_status.items():
            self._jobs.labels(status).set(count)

    def watch(
        self, name: str, help_text: str, label: str, read: Callable[[], Iterable[tuple[str, float]]]
    ) -> None:
        """Let a gauge be read when somebody asks: pairs of the label's value and the number."""
        self._registry.register(_Read(name, help_text, label, read))

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Read:
    """A gauge whose values are looked up at the time of asking."""

    def __init__(
        self, name: str, help_text: str, label: str, read: Callable[[], Iterable[tuple[str, float]]]
    ) -> None:
        self._name, self._help, self._label, self._read = name, help_text, label, read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._help, labels=(self._label,))
        for value, number in self._read():
            family.add_metric((value,), number)
        yield family
