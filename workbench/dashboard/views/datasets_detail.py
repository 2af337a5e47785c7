"""One dataset version: where it comes from, its examples, what it is made of, what changed."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import DatasetVersion
from workbench.dashboard.elements import empty_state, link, shown_time
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, shortened
from workbench.dashboard.views import datasets_changes, datasets_examples, datasets_profile

__all__ = ["show"]

_EXAMPLES, _PROFILE, _CHANGES = "Examples", "Lengths and repeats", "Changes"
_MOST_VERSIONS: Final = 500
_MESSAGE: Final = 500  # characters
_HASH_SHOWN: Final = 12  # hexadecimal digits
_DONE: Final = "datasets-done"


def show(session: Session, name: str) -> None:
    """Draw the version that the address names, or the newest one."""
    link(session, "datasets", "All datasets", icon=":material/arrow_back:")
    if done := st.session_state.pop(_DONE, None):
        st.success(escaped(done), icon=":material/check:")
    versions = session.client.page(datasets.versions(name), None, _MOST_VERSIONS).items
    wanted = st.query_params.get("version", "")
    version = next((one for one in versions if str(one.number) == wanted), None)
    if version is None:
        version = (
            session.client.send(datasets.version(f"{name}@{wanted}")) if wanted else versions[-1]
        )
    key = st.query_params.get("key")
    if key is not None:
        datasets_examples.show_one(session, version, key)
        return
    _show_head(session, version, [one.number for one in versions])
    view = st.segmented_control(
        "View",
        [_EXAMPLES, _PROFILE, _CHANGES],
        default=_EXAMPLES,
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    if view == _PROFILE:
        datasets_profile.show(session, version)
    elif view == _CHANGES:
        _show_changes(session, version, [one.number for one in versions])
    else:
        datasets_examples.show(session, version)


def _show_head(session: Session, version: DatasetVersion, numbers: list[int]) -> None:
    st.header(escaped(version.reference), anchor=False)
    if version.message:
        st.markdown(escaped(shortened(version.message, _MESSAGE)))
    columns = [f"inputs: {escaped(', '.join(version.input_names))}"]
    if version.metadata_names:
        columns.append(f"metadata: {escaped(', '.join(version.metadata_names))}")
    st.caption(
        f"{version.example_count:,} examples, {version.expected_count:,} with expected output; "
        f"{'; '.join(columns)}  \nFrom {escaped(shortened(version.source, 200))}, by "
        f"{escaped(version.created_by)} on {escaped(shown_time(version.created_at))}; content "
        f"{escaped(version.content_hash.removeprefix('sha256:')[:_HASH_SHOWN])}"
    )
    with st.container(horizontal=True):
        if session.may("experiment:run"):
            link(
                session,
                "experiments",
                "Use it in an experiment",
                icon=":material/science:",
                new="1",
                dataset=version.reference,
            )
        if session.may("dataset:write"):
            link(
                session,
                "datasets",
                "Upload the next version",
                icon=":material/upload:",
                new="1",
                name=version.name,
            )
    _show_versions(session, version, numbers)


def _show_versions(session: Session, version: DatasetVersion, numbers: list[int]) -> None:
    """Link to the other versions, newest first."""
    others = [number for number in reversed(numbers) if number != version.number]
    if others:
        with st.container(horizontal=True):
            st.caption("Other versions:", width="content")
            for number in others[:20]:
                link(session, "datasets", f"{number}", name=version.name, version=str(number))


def _show_changes(session: Session, version: DatasetVersion, numbers: list[int]) -> None:
    others = [number for number in reversed(numbers) if number != version.number]
    if not others:
        empty_state(
            "This is the only version.",
            "Import the dataset again, changed, and the two can be compared here.",
        )
        return
    first = others.index(version.parent) if version.parent in others else 0
    before = st.selectbox(
        "Compared with version", others, index=first, key="before", bind="query-params"
    )
    datasets_changes.show(session, f"{version.name}@{before}", version.reference)
