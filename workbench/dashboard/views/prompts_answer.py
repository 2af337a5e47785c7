"""What came of trying a prompt: the answer with what it took, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st

from workbench.client import APIError, LimitReached
from workbench.client.playground import PlaygroundAnswer, PlaygroundPreview
from workbench.dashboard.elements import link, plain
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped
from workbench.message_text import message_text

__all__ = ["Answered", "show_answer", "show_refusal"]

_FINISHES: Final = {
    "stop": "whole",
    "length": "cut off: the most tokens were reached",
    "tool_calls": "calls tools",
    "content_filter": "filtered by the provider",
}


def show_refusal(error: APIError) -> None:
    """Say why there is no answer."""
    if isinstance(error, LimitReached):
        st.error(f"{escaped(error.detail)} Nothing was sent.", icon=":material/block:")
        return
    st.error(
        f"{escaped(error.detail)} (request {escaped(error.request_id or 'unknown')})",
        icon=":material/error:",
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer of the last run, and the hash of the content that it answers."""

    answer: PlaygroundAnswer
    content_hash: str


def show_answer(session: Session, last: Answered | None, preview: PlaygroundPreview | None) -> None:
    """Show the answer of the last run, and whether it is one to what is written now."""
    if last is None:
        return
    answer = last.answer
    st.subheader("Answer", anchor=False)
    if preview is None or preview.content_hash != last.content_hash:
        st.caption("Of a text that you have changed since.")
    plain(message_text(answer.message))
    finish = _FINISHES.get(answer.finish_reason, answer.finish_reason)
    estimated = "" if answer.usage_source == "provider" else f" ({escaped(answer.usage_source)})"
    st.markdown(
        f"Cost **{escaped(dollars(answer.cost))}**, "
        f"at most {escaped(dollars(answer.most_cost))}  \n"
        f"Tokens **{_count(answer.input_tokens)}** in, **{_count(answer.output_tokens)}** out"
        f"{estimated}  \n"
        f"Latency **{answer.latency_ms:,.0f} ms**  \n"
        f"Finished: {escaped(finish)}"
    )
    st.caption(f"{escaped(answer.prompt)} on {escaped(answer.model)}")
    if session.may("chat:read"):
        link(
            session,
            "generations",
            "The generation on record",
            icon=":material/fact_check:",
            id=str(answer.generation_id),
        )
    else:
        st.caption(f"On record as generation {answer.generation_id}.")


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
