"""One generation's whole story, from the request as it was sent to what people say of it.

The story of a customer's chat is on record as opened each time it is read. It is therefore read
once for the page: what asks again on the page (checks, reviews, ways of showing) are fragments.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pandas as pd
import streamlit as st

from workbench.client import generations
from workbench.client.calls import quoted
from workbench.client.generations import GenerationDetail
from workbench.dashboard.answer_markdown import answer_pieces
from workbench.dashboard.elements import link, marks_badges, plain, shown_time
from workbench.dashboard.frames.generations import (
    MEANINGS,
    Fact,
    answer_text,
    attempt_frame,
    first_token_text,
    judgement_frame,
    message_parts,
    moment_text,
    parameter_frame,
    provenance,
    purpose_word,
    score_frame,
    short_id,
    tokens_text,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped
from workbench.dashboard.views.generations_checks import replay_check, reviews, same_answers
from workbench.dashboard.views.generations_list import ending_badge, mark_badge

__all__ = ["show_detail"]

_MOST_MESSAGES: Final = 40


def show_detail(session: Session, generation_id: str) -> None:
    """Draw one generation; the API says which part of it the person may read."""
    link(session, "generations", "All generations", icon=":material/arrow_back:")
    told = session.client.send(generations.whole(quoted(generation_id)))
    detail = GenerationDetail.model_validate(told)
    _head(detail)
    texts, facts = st.columns([3, 2], gap="large")
    with texts:
        _texts(detail)
    with facts:
        _links(session, detail)
        _facts(detail)
        reviews(session, detail)
    _tables(session, detail)
    replay_check(session, generation_id)
    same_answers(session, generation_id, detail.generation.request_hash)
    _download(detail, told)


def _head(detail: GenerationDetail) -> None:
    story = detail.generation
    st.subheader(f"Generation {short_id(story.id)}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        ending_badge(story.status, None if detail.chat is None else detail.chat.ending)
        alias = None if detail.chat is None else detail.chat.alias
        st.badge(escaped(purpose_word(story.purpose, alias)), color="blue")
        if story.provider == "simulated":
            marks_badges(["simulated"])
        mark_badge(detail.reviews[0].mark if detail.reviews else None)
        st.caption(escaped(shown_time(story.started_at)))
    shown = (
        ("Latency", moment_text(story.latency_ms)),
        ("Time to first token", first_token_text(detail)),
        ("Tokens in", tokens_text(story.input_tokens)),
        ("Tokens out", tokens_text(story.output_tokens)),
        ("Cost", escaped(dollars(story.cost))),
    )
    with st.container(horizontal=True):
        for label, value in shown:
            st.metric(label, value, width="content")


def _texts(detail: GenerationDetail) -> None:
    story = detail.generation
    if detail.content_withheld:
        st.info(
            "The texts are withheld: this is a customer's chat. Reading them takes the permission "
            "`production_content:read`, which the role `auditor` has; an admin can grant it, and "
            "each opening is on record.",
            icon=":material/visibility_off:",
        )
        return
    st.markdown("#### Request as sent")
    _request(story.request)
    st.markdown("#### Answer")
    _answer(detail)
    if story.error is not None:
        st.markdown("#### Error")
        plain(answer_text(story.error), language="json")
    if story.expected_output is not None:
        st.markdown("#### Expected output")
        plain(answer_text(story.expected_output))


def _request(request: Any) -> None:
    messages = request.get("messages") if isinstance(request, dict) else None
    if not messages:
        st.caption("No request is stored: it was made elsewhere, not rendered, or erased.")
        return
    for message in messages[:_MOST_MESSAGES]:
        role = message.get("role", "message") if isinstance(message, dict) else "message"
        for kind, text in message_parts(message):
            plain(text, label=str(role) if kind == "text" else f"{role}: {kind}")
    if len(messages) > _MOST_MESSAGES:
        left = len(messages) - _MOST_MESSAGES
        st.caption(f"{left:,} more messages are in the download at the end of the page.")
    others = {
        name: request[name]
        for name in ("tools", "tool_choice", "response_format")
        if request.get(name) is not None
    }
    for name, value in others.items():
        with st.expander(f"Sent besides: {name}"):
            plain(answer_text(value), language="json")


def _answer(detail: GenerationDetail) -> None:
    output = detail.generation.output
    if output is None:
        st.caption("There is no answer: the call failed, is under way, or its text was erased.")
        return
    parts = message_parts(output)
    _main_text("\n".join(text for kind, text in parts if kind == "text"))
    for kind, text in parts:
        if kind != "text":
            plain(text, label=kind)


@st.fragment
def _main_text(text: str) -> None:
    """Show an answer as it is; as Markdown, cleaned, only on request."""
    if not text:
        st.caption("The answer has no text.")
        return
    if not st.toggle("Show the answer as Markdown", help="Cleaned: no images, links or HTML."):
        plain(text)
        return
    with st.container(border=True):
        for piece in answer_pieces(text):
            if piece.is_code:
                st.code(piece.text, language=None, wrap_lines=True)
            else:
                st.markdown(piece.text)


def _links(session: Session, detail: GenerationDetail) -> None:
    """Offer the ways on, to those pages that the person may see."""
    story, chat = detail.generation, detail.chat
    st.markdown("#### Go to")
    if story.prompt and session.may("prompt:read"):
        name, _, number = story.prompt.partition("@")
        version = {"version": number} if number.isdecimal() else {}
        link(
            session,
            "prompts",
            f"Prompt {story.prompt}",
            icon=":material/edit_note:",
            name=name,
            **version,
        )
    if story.model and session.may("model:read"):
        link(session, "models", f"Model {story.model}", icon=":material/memory:", model=story.model)
    if detail.experiment is not None:
        link(
            session,
            "experiments",
            f"Experiment {detail.experiment}",
            icon=":material/science:",
            number=str(detail.experiment),
        )
    if story.run_id is not None:
        link(
            session,
            "generations",
            "All generations of this run",
            icon=":material/list:",
            run_id=str(story.run_id),
        )
    if chat is not None and chat.conversation_id is not None:
        link(
            session,
            "generations",
            "All generations of this conversation",
            icon=":material/forum:",
            conversation_id=str(chat.conversation_id),
        )
    if story.reused_from_id is not None:
        link(
            session,
            "generations",
            "The generation that this answer is of",
            icon=":material/recycling:",
            id=str(story.reused_from_id),
        )


def _facts(detail: GenerationDetail) -> None:
    st.markdown("#### What it rests on")
    facts = provenance(detail)
    st.markdown(_fact_lines(facts))
    meant = [f"{label}: {MEANINGS[label]}" for label, _ in facts if label in MEANINGS]
    st.caption("  \n".join(meant))


def _fact_lines(facts: list[Fact]) -> str:
    return "\n".join(f"- {label}: {escaped(value)}" for label, value in facts)


def _tables(session: Session, detail: GenerationDetail) -> None:
    _table("Parameters", parameter_frame(detail), "None were asked for.")
    attempts = attempt_frame(detail.attempts)
    if not attempts.empty:
        attempts["began"] = [shown_time(attempt.started_at) for attempt in detail.attempts]
    _table("Attempts", attempts, "No call was made.")
    for attempt in detail.attempts:
        if attempt.error is not None:
            with st.expander(f"What the provider said to call {attempt.number}"):
                plain(answer_text(attempt.error), language="json")
    _table("Scores", score_frame(detail.scores), "It was not scored.")
    if detail.judgements:
        _table("Judgements", judgement_frame(detail.judgements), "")
        for found in detail.judgements:
            label = f"What {found.scorer} was asked, seat {found.seat + 1}, time {found.repeat + 1}"
            link(
                session, "generations", label, icon=":material/gavel:", id=str(found.generation_id)
            )


def _table(title: str, frame: pd.DataFrame, empty: str) -> None:
    st.markdown(f"#### {title}")
    if frame.empty:
        st.caption(empty)
        return
    st.dataframe(frame, hide_index=True, alt=f"{title}: {len(frame)} rows")


def _download(detail: GenerationDetail, told: dict[str, Any]) -> None:
    st.download_button(
        "Download this generation as JSON",
        json.dumps(told, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        file_name=f"generation-{detail.generation.id}.json",
        mime="application/json",
        on_click="ignore",
        icon=":material/download:",
    )
