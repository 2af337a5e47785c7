"""What differs between two versions of a dataset, by key."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import Change, Example
from workbench.dashboard.elements import empty_state, link, plain
from workbench.dashboard.frames.datasets import example_lines
from workbench.dashboard.frames.prompts import diff_blocks
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["show"]

_PAGE: Final = 20  # changes
_MOST_MARKED: Final = 20_000  # characters of both sides
_ICONS: Final = {
    "added": ":material/add_circle:",
    "removed": ":material/do_not_disturb_on:",
    "changed": ":material/change_circle:",
}


def show(session: Session, before: str, after: str) -> None:
    """Draw the changes from one version to another, page by page."""
    cursor = st.query_params.get("more")
    found = session.client.send(datasets.changes(before, after, cursor=cursor, limit=_PAGE))
    if not (found.added or found.removed or found.changed):
        empty_state("The two versions hold the same examples.", "They may stand in another order.")
        return
    st.caption(
        f"From {escaped(before)} to {escaped(after)}: {found.added:,} added, {found.removed:,} "
        f"removed, {found.changed:,} changed. What went is struck through, what came is marked."
    )
    for change in found.items:
        with st.expander(
            f"{change.kind}: {escaped(change.key)}",
            icon=_ICONS.get(change.kind),
            expanded=change.kind == "changed",
        ):
            _show_change(change)
    name, _, number = after.partition("@")
    here = {
        "name": name,
        "version": number,
        "view": "Changes",
        "before": before.partition("@")[2],
    }
    if cursor:
        link(session, "datasets", "First changes", icon=":material/first_page:", **here)
    if found.next_cursor:
        link(
            session,
            "datasets",
            "More changes",
            icon=":material/chevron_right:",
            more=found.next_cursor,
            **here,
        )


def _show_change(change: Change) -> None:
    if change.before is not None and change.after is not None:
        _show_both(change.before, change.after)
        return
    example = change.after or change.before
    plain("\n".join(example_lines(example)).strip())


def _show_both(before: Example, after: Example) -> None:
    old, new = example_lines(before), example_lines(after)
    if sum(map(len, old)) + sum(map(len, new)) > _MOST_MARKED:
        plain("\n".join(old).strip(), label="before")
        plain("\n".join(new).strip(), label="after")
        return
    for block in diff_blocks(old, new):
        st.markdown(block)
