"""The page of datasets: the list, a version with its examples, an upload."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import Dataset
from workbench.dashboard.elements import empty_state, link, shown_time
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views import datasets_detail, datasets_upload

__all__ = ["show"]

_PAGE: Final = 20  # datasets


def show(session: Session) -> None:
    """Draw the page."""
    name = st.query_params.get("name")
    if st.query_params.get("new") and session.may("dataset:write"):
        datasets_upload.show(session)
    elif name:
        datasets_detail.show(session, name)
    else:
        _show_list(session)


def _show_list(session: Session) -> None:
    search = st.text_input(
        "Search", key="search", bind="query-params", placeholder="part of a name"
    )
    if session.may("dataset:write"):
        link(session, "datasets", "Upload a file", icon=":material/upload:", new="1")
    cursor = st.query_params.get("cursor")
    page = session.client.page(datasets.listing(search or ""), cursor, _PAGE)
    if not page.items:
        _say_none(session, search or "")
        return
    for dataset in page.items:
        _show_row(session, dataset)
    searched = {"search": search} if search else {}
    if cursor:
        link(session, "datasets", "First page", icon=":material/first_page:", **searched)
    if page.next_cursor:
        following = {**searched, "cursor": page.next_cursor}
        link(session, "datasets", "More datasets", icon=":material/chevron_right:", **following)


def _say_none(session: Session, search: str) -> None:
    if search:
        empty_state("No dataset is called so.", "Search for something else, or for nothing.")
        return
    first = (
        "**Upload a file** above, or import"
        if session.may("dataset:write")
        else "A researcher can import"
    )
    empty_state(
        "There is no dataset yet.",
        f"{first} one with `workbench datasets import FILE --name NAME`; `workbench init --sample` "
        "makes a sample workspace with three.",
    )


def _show_row(session: Session, dataset: Dataset) -> None:
    with st.container(border=True, gap="xsmall"):
        link(session, "datasets", dataset.name, icon=":material/dataset:", name=dataset.name)
        count = "1 version" if dataset.versions == 1 else f"{dataset.versions:,} versions"
        inputs = escaped(", ".join(dataset.input_names))
        st.caption(
            f"{dataset.example_count:,} examples, {dataset.expected_count:,} with expected output; "
            f"inputs: {inputs}  \n{count}, the newest is {dataset.latest} by "
            f"{escaped(dataset.created_by)} on {escaped(shown_time(dataset.updated_at))}"
        )
