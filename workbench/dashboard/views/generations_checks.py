"""What is asked about one generation on its page: reviews, the replay check, same answers."""

from __future__ import annotations

import streamlit as st

from workbench.client import ClientError, generations
from workbench.client.generations import GenerationDetail, Replay
from workbench.client.reviews import Mark, mark
from workbench.dashboard.elements import link, plain, shown_time
from workbench.dashboard.frames.generations import replay_sentence, same_sentences
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.text_diff import unified_diff

__all__ = ["replay_check", "replay_outcome", "reviews", "same_answers"]

_LONGEST_REASON = 2_000  # characters


@st.fragment
def reviews(session: Session, detail: GenerationDetail) -> None:
    """Show what people marked a generation as, and let those who may mark it."""
    st.markdown("#### Reviews")
    history = st.container()
    added = _marked(session, str(detail.generation.id)) if session.may("review:write") else None
    found = detail.reviews if added is None else (added, *detail.reviews)
    with history:
        if not found:
            st.caption("Nobody has reviewed it.")
        for number, one in enumerate(found):
            _mark(one, counts=number == 0 and len(found) > 1)


def _mark(found: Mark, *, counts: bool) -> None:
    latest = " · this one counts" if counts else ""
    icon = ":material/flag:" if found.mark == "flagged" else ":material/thumb_up:"
    st.markdown(f"{icon} **{escaped(found.mark)}** by {escaped(found.reviewer)}{latest}")
    st.caption(escaped(shown_time(found.created_at)))
    if found.reason:
        plain(found.reason)


def _marked(session: Session, generation_id: str) -> Mark | None:
    """Offer the form; return the mark that was just given."""
    with st.form("review", clear_on_submit=True):
        verdict = st.radio("Mark this generation as", ("ok", "flagged"), horizontal=True)
        reason = st.text_area(
            "Reason",
            max_chars=_LONGEST_REASON,
            help="Needed to flag; everybody who sees the generation's texts can read it.",
        )
        is_sent = st.form_submit_button("Save review", icon=":material/rate_review:")
    if not is_sent:
        return None
    if verdict == "flagged" and not reason.strip():
        st.warning("Say why it is flagged: the reason is empty.")
        return None
    try:
        made = session.client.send(mark(generation_id, verdict, reason.strip()))
    except ClientError as error:
        st.error(f"It was not saved. {escaped(str(error))}")
        return None
    st.success("The review is saved.")
    return made


@st.fragment
def replay_check(session: Session, generation_id: str) -> None:
    """Offer to render the request again from stored rows."""
    st.markdown("#### Replay check")
    st.caption(
        "Renders the request again from stored rows and compares it with the one that was sent. "
        "No model is called."
    )
    if not st.button("Check the replay", icon=":material/replay:"):
        return
    try:
        found = session.client.send(generations.replay(generation_id))
    except ClientError as error:
        st.error(f"It was not checked. {escaped(str(error))}")
        return
    replay_outcome(found)


def replay_outcome(found: Replay) -> None:
    """Show what came of a replay check; only a stored request that has its hash is all right."""
    sentence = escaped(replay_sentence(found))
    if found.outcome == "different" or found.hash_holds is False:
        st.error(sentence, icon=":material/difference:")
    elif found.outcome == "identical":
        st.success(sentence, icon=":material/verified:")
    else:
        st.warning(sentence, icon=":material/block:")
    if found.note:
        st.caption(escaped(found.note))
    if found.checked:
        st.caption(f"Compared: {escaped(', '.join(found.checked))}.")
    if found.stored_hash and found.hash_holds is not None:
        holds = "holds" if found.hash_holds else "does not hold"
        st.caption(
            f"The hash taken as it was sent {holds} for the stored request: "
            f"{escaped(found.stored_hash)}"
        )
    for difference in found.differences:
        lines = unified_diff(
            (difference.stored or "").split("\n"),
            (difference.rendered or "").split("\n"),
            "as sent",
            "rendered again",
        )
        plain("\n".join(lines), label=difference.part, language="diff")


@st.fragment
def same_answers(session: Session, generation_id: str, request_hash: str | None) -> None:
    """Say how often the same request was made elsewhere and how it was answered."""
    st.markdown("#### Same answer elsewhere")
    try:
        found = session.client.send(generations.same_answers(generation_id))
    except ClientError as error:
        st.error(f"It was not counted. {escaped(str(error))}")
        return
    for sentence in same_sentences(found):
        st.markdown(escaped(sentence))
    if found.requests and request_hash:
        link(
            session,
            "generations",
            "All generations with this request",
            icon=":material/content_copy:",
            request_hash=request_hash,
        )
    if found.reused:
        link(
            session,
            "generations",
            "Generations that used this answer again",
            icon=":material/recycling:",
            reused_from_id=str(found.original_id or generation_id),
        )
