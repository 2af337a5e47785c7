"""Generations as tables, facts and sentences (pure).

Money is in US dollars, times of calls in seconds; what is not known is said to be unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pandas as pd

from workbench.client.generations import (
    Attempt,
    Generation,
    GenerationDetail,
    Judgement,
    Replay,
    SameAnswers,
    Score,
)
from workbench.dashboard.text import dollars
from workbench.message_text import message_text

__all__ = [
    "MEANINGS",
    "PURPOSES",
    "Fact",
    "answer_text",
    "attempt_frame",
    "count_text",
    "first_token_text",
    "generation_frame",
    "heading",
    "judgement_frame",
    "message_parts",
    "moment_text",
    "outcome_word",
    "parameter_frame",
    "provenance",
    "purpose_word",
    "replay_sentence",
    "same_sentences",
    "score_frame",
    "short_id",
    "tokens_text",
]

Fact = tuple[str, str]
"""A label of ours, and a value that may be untrusted."""

PURPOSES: Final[Mapping[str, str]] = {
    "experiment": "Experiment",
    "judge": "Judge",
    "chat": "Chat",
}
"""What generations are wanted for, in words; `purpose_word` parts chats further."""

MEANINGS: Final[Mapping[str, str]] = {
    "Record": "executed: the workbench made the call; imported or reported: it was made elsewhere.",
    "Bucket": "made of the caller, always the same; canaries take the buckets from 0 upwards.",
    "Served as measured": "yes if the caller changed nothing of what the variant sends.",
    "Usage told by": "provider: it counted the tokens; estimated: the workbench did; unreported: "
    "nobody did.",
}
"""What the labels of `provenance` mean that do not say it themselves."""

_COUNTED: Final = 10_000  # where the API stops counting


def short_id(identifier: object) -> str:
    """Return the end of an id, which tells it from its neighbours; the start may be a time."""
    return str(identifier)[-8:]


def heading(found: Generation) -> str:
    """Say in a line what a generation is: its example or alias, and the end of its id."""
    if found.purpose == "judge":
        what = "Question to a judge"
    else:
        what = found.key or found.alias or "Direct call of a model"
    again = f", repetition {found.repetition}" if found.repetition else ""
    return f"{what}{again} · {short_id(found.id)}"


def outcome_word(status: str, ending: str | None) -> str:
    """Say how a generation ended: in production by its ending, which says who ended it."""
    return (ending or status).replace("_", " ")


def purpose_word(purpose: str, alias: str | None) -> str:
    """Say what a generation was wanted for; a chat without an alias called a model directly."""
    if purpose == "chat":
        return "Direct call" if alias is None else "Production"
    return PURPOSES.get(purpose, purpose)


def first_token_text(detail: GenerationDetail) -> str:
    """Say how long the first token took; an answer that came whole has none of its own."""
    story, chat = detail.generation, detail.chat
    # of chats alone a stream is asked for: never of a cell, or of a judge
    is_whole = story.origin == "executed" if chat is None else not chat.is_stream
    if story.time_to_first_token_ms is None and is_whole:
        return "not streamed"
    return moment_text(story.time_to_first_token_ms)


def moment_text(milliseconds: float | None) -> str:
    """Return a span of time in the unit that people would say it in."""
    if milliseconds is None:
        return "unknown"
    if milliseconds >= 1_000:
        return f"{milliseconds / 1_000:,.2f} s"
    return f"{milliseconds:,.0f} ms" if milliseconds >= 1 else f"{milliseconds:.2f} ms"


def tokens_text(found: int | None) -> str:
    return "unknown" if found is None else f"{found:,}"


def generation_frame(items: Iterable[Generation]) -> pd.DataFrame:
    """Return a list of generations, a row each; facts only."""
    columns = (
        "id",
        "started_at",
        "purpose",
        "origin",
        "status",
        "ending",
        "finish_reason",
        "error_code",
        "run_id",
        "key",
        "repetition",
        "alias",
        "role",
        "prompt",
        "model",
        "provider",
        "input_tokens",
        "output_tokens",
        "usage_source",
        "cost",
        "latency_ms",
        "time_to_first_token_ms",
        "attempt_count",
        "review",
        "request_id",
        "trace_id",
        "conversation_id",
    )
    rows = [{name: _cell(getattr(item, name)) for name in columns} for item in items]
    return pd.DataFrame(rows, columns=list(columns)).astype(object).fillna("")


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def message_parts(message: Any) -> list[Fact]:
    """Return what a message of a request or an answer holds, part by part, as it is.

    Texts come as texts, and all else (images above all, which are never fetched) as JSON.
    """
    if not isinstance(message, Mapping):
        return [("text", message if isinstance(message, str) else _json(message))]
    found: list[Fact] = []
    content = message.get("content")
    if isinstance(content, str):
        found.append(("text", content))
    elif content:
        for part in content:
            is_text = isinstance(part, Mapping) and isinstance(part.get("text"), str)
            found.append(("text", part["text"]) if is_text else ("part", _json(part)))
    for name, label in (("reasoning", "reasoning"), ("refusal", "refusal")):
        if message.get(name):
            found.append((label, str(message[name])))
    for call in message.get("tool_calls") or ():
        function = call.get("function", {}) if isinstance(call, Mapping) else {}
        found.append((f"tool call {function.get('name')}", str(function.get("arguments"))))
    return found


def answer_text(output: Any) -> str:
    """Return what an answer says as one text."""
    if isinstance(output, Mapping):
        return message_text(output)
    return "" if output is None else _json(output)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def parameter_frame(detail: GenerationDetail) -> pd.DataFrame:
    """Return the parameters: what was asked for, what was sent, and why something was not.

    What is asked for has our names and what is sent the provider's, so a name may stand in one
    column only.
    """
    story = detail.generation
    asked = story.asked_parameters or {}
    applied = story.applied_parameters or {}
    left_out = story.left_out_parameters or {}
    names = dict.fromkeys((*asked, *applied, *left_out))
    rows = [
        {
            "parameter": name,
            "asked": _json(asked[name]) if name in asked else "",
            "sent": _json(applied[name]) if name in applied else "",
            "left out because": str(left_out.get(name, "")),
        }
        for name in names
    ]
    return pd.DataFrame(rows, columns=["parameter", "asked", "sent", "left out because"])


def attempt_frame(attempts: Iterable[Attempt]) -> pd.DataFrame:
    """Return the calls to the provider, a row each."""
    rows = [
        {
            "call": attempt.number,
            "began": attempt.started_at,
            "outcome": attempt.outcome,
            "HTTP": "" if attempt.http_status is None else str(attempt.http_status),
            "latency": moment_text(attempt.latency_ms),
            "tokens in": tokens_text(attempt.input_tokens),
            "tokens out": tokens_text(attempt.output_tokens),
            "cost": dollars(attempt.cost),
            "provider's request": attempt.provider_request_id or "",
            "asked to wait": ""
            if attempt.retry_after_s is None
            else moment_text(attempt.retry_after_s * 1_000),
        }
        for attempt in attempts
    ]
    return pd.DataFrame(rows)


def score_frame(scores: Iterable[Score]) -> pd.DataFrame:
    """Return the scores, a row each; one without a value has its reason."""
    rows = [
        {
            "scorer": f"{score.scorer}@{score.version}",
            "value": "none" if score.value is None else f"{score.value:g}",
            "passed": "" if score.passed is None else ("yes" if score.passed else "no"),
            "label": score.label or "",
            "explanation": score.explanation or score.reason or "",
        }
        for score in scores
    ]
    return pd.DataFrame(rows)


def judgement_frame(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """Return what judges said, a row for each question."""
    rows = [
        {
            "judge": f"{found.scorer}@{found.version}",
            "model": found.model,
            "seat": found.seat + 1,
            "time asked": found.repeat + 1,
            "value": "none" if found.value is None else f"{found.value:g}",
            "label": found.label or found.reason or "",
        }
        for found in judgements
    ]
    return pd.DataFrame(rows)


def provenance(detail: GenerationDetail) -> list[Fact]:
    """Return what a generation rests on: who wanted it, what answered, by what it is found."""
    story, chat = detail.generation, detail.chat
    facts = [
        ("Wanted for", purpose_word(story.purpose, None if chat is None else chat.alias)),
        ("Record", story.origin),
        ("Run", detail.run),
        ("Dataset", detail.dataset),
        ("Example", story.key),
        ("Prompt version", story.prompt),
        ("Prompt hash", story.prompt_hash),
        ("Model version", story.model),
        ("Model as reported", story.reported_model),
        ("Fingerprint", story.reported_fingerprint),
        *(_chat_facts(detail) if chat is not None else ()),
        ("Stopped because", story.finish_reason),
        ("Error", story.error_code),
        ("Usage told by", story.usage_source),
        (
            "Cached tokens in",
            None if not story.cached_input_tokens else f"{story.cached_input_tokens:,}",
        ),
        ("Reasoning tokens", None if not story.reasoning_tokens else f"{story.reasoning_tokens:,}"),
        ("Reopened", f"{story.reopened} times" if story.reopened else None),
        ("Request id", story.request_id),
        ("Trace id", story.trace_id),
        ("Request hash", story.request_hash),
        ("Generation", str(story.id)),
    ]
    return [(label, value) for label, value in facts if value]


def _chat_facts(detail: GenerationDetail) -> list[tuple[str, str | None]]:
    chat = detail.chat
    assert chat is not None  # noqa: S101 - asked for only then
    moved = None if chat.deployment is None else f"deployment {chat.deployment}"
    return [
        ("Alias", chat.alias),
        ("Served by", moved),
        ("Role", chat.role),
        ("Bucket", None if chat.bucket is None else f"{chat.bucket:,} of 10,000"),
        ("Served as measured", "yes" if chat.is_exact else "no: the caller changed something"),
        ("Asked for in vain", ", ".join(chat.ignored) or None),
        ("Flags", ", ".join(chat.flags) or None),
        ("As a stream", "yes" if chat.is_stream else "no"),
        ("Asked by", chat.actor),
        ("End user", chat.subject),
        ("Tags", ", ".join(f"{name}={value}" for name, value in (chat.tags or {}).items()) or None),
        ("Conversation", None if chat.conversation_id is None else str(chat.conversation_id)),
    ]


def same_sentences(found: SameAnswers) -> list[str]:
    """Say how often the same request was made elsewhere, and how often the answer was the same."""
    if found.requests is None:
        told = [
            "No hash of this request is kept (as of every chat: it would tell a customer's text to "
            "whoever guesses it), so equal requests are not counted."
        ]
    elif found.requests == 0:
        told = ["No other generation has the same request."]
    else:
        has = "has" if found.requests == 1 else "have"
        told = [f"{_many(found.requests, 'other generation')} {has} the same request."]
        if found.compared:
            told.append(
                f"{found.same:,} of {found.compared:,} compared answered word for word the same."
            )
    if found.original_id is not None:
        told.append("This answer was not asked for anew: it is that of an earlier generation.")
    if found.reused:
        told.append(f"{_many(found.reused, 'other generation')} used this answer again.")
    return told


def _many(count: int, noun: str) -> str:
    if count >= _COUNTED:
        return f"{_COUNTED:,} or more {noun}s"
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"


def replay_sentence(found: Replay) -> str:
    """Say what came of a replay check."""
    if found.hash_holds is False:
        broken = (
            "Different: the stored request is not the one that was sent. It does not have the hash "
            "that was taken then."
        )
        return f"{broken} {found.reason}" if found.reason else broken
    if found.outcome == "identical":
        return "Identical: rendered again from stored rows, the request is the one that was sent."
    if found.outcome == "different":
        parts = ", ".join(it.part for it in found.differences)
        return (
            "Different: rendered again, the request is not the one that was sent. It differs in "
            f"{parts}."
        )
    return f"Cannot be replayed. {found.reason}"


def count_text(total: int) -> str:
    """Say how many there are; the API counts to 10,000."""
    return f"{total:,}+" if total >= _COUNTED else f"{total:,}"
