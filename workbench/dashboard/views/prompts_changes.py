"""What changed between two versions of a prompt, word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from workbench.client import prompts
from workbench.client.prompts import PromptVersion
from workbench.dashboard.elements import empty_state
from workbench.dashboard.frames.prompts import content_lines, diff_blocks, reference_of
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views.prompts_moves import go_to

__all__ = ["go_to_changes", "show", "show_changes"]

_MOST_VERSIONS: Final = 200
_MOST_DRAFTS: Final = 20
_MOST_BLOCKS: Final = 100


def go_to_changes(name: str, version: PromptVersion) -> None:
    """Show what a version that was just numbered changes against the one before it."""
    number = version.number or 1
    st.session_state["prompts-registered"] = f"{name}@{number}"
    go_to(view="Changes", before=str(max(1, number - 1)), after=str(number))


def show(session: Session, name: str) -> None:
    """Draw the choice of two versions, and what changed between them."""
    registered = st.session_state.pop("prompts-registered", None)
    if registered is not None:
        st.success(f"{escaped(registered)} is registered.", icon=":material/check:")
    known = _known(session, name)
    if not known:
        empty_state("There is nothing to compare yet.", "The prompt has no version and no draft.")
        return
    left, right = st.columns(2)
    before = left.selectbox(
        "Before",
        _with(known, "before"),
        # What somebody was sent to stands in the state, and a start of one's own would contradict.
        index=0 if "before" in st.session_state else min(1, len(known) - 1),
        key="before",
        bind="query-params",
        help="a version's number, or a draft",
    )
    after = right.selectbox(
        "After",
        _with(known, "after"),
        key="after",
        bind="query-params",
        help="a version's number, or a draft",
    )
    if before == after:
        st.info("Choose two different versions." if len(known) > 1 else "There is only one yet.")
        return
    versions = [session.client.send(prompts.version(f"{name}@{it}")) for it in (before, after)]
    show_changes(versions[0].content, versions[1].content)


def _known(session: Session, name: str) -> Sequence[str]:
    """Return what stands behind the @ of versions and drafts, newest first."""
    numbered = session.client.page(prompts.timeline(name), None, _MOST_VERSIONS).items
    drafts = session.client.page(prompts.timeline(name, drafts=True), None, _MOST_DRAFTS).items
    return [reference_of(name, it).partition("@")[2] for it in (*numbered, *drafts)]


def _with(known: Sequence[str], key: str) -> Sequence[str]:
    """Return the choices, with the one that the address names if it is older than those."""
    named = st.query_params.get(key)
    return [*known, named] if named and named not in known else known


def show_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Show what differs between two contents: what went is struck through, what came is marked."""
    blocks = diff_blocks(content_lines(before), content_lines(after))
    if not blocks:
        st.info("Nothing that a model sees differs.")
        return
    st.caption("− and struck through: only before. + and marked: only after. ±: both in one line.")
    for block in blocks[:_MOST_BLOCKS]:
        with st.container(border=True):
            st.markdown(block)
    if len(blocks) > _MOST_BLOCKS:
        st.caption(f"The first {_MOST_BLOCKS} of {len(blocks):,} changes.")
