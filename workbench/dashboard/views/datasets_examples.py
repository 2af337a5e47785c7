"""The examples of one version: found by what they say, and one of them whole."""

from __future__ import annotations

from typing import Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import DatasetVersion, Example, ExamplePage
from workbench.dashboard.elements import empty_state, link, plain
from workbench.dashboard.frames.datasets import example_parts, summary_of, text_of
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped, shortened

__all__ = ["show", "show_one"]

_PAGE: Final = 20  # examples
_INPUT: Final = 300  # characters
_EXPECTED: Final = 120  # characters


def show(session: Session, version: DatasetVersion) -> None:
    """Draw the examples, page by page, or those that the address asks for."""
    filters = _filters(version)
    cursor = st.query_params.get("cursor")
    page = session.client.send(
        datasets.example_page(
            version.reference,
            search=filters.get("text", ""),
            column=filters.get("column"),
            value=filters.get("value"),
            expected_output=filters.get("expected"),
            cursor=cursor,
            limit=_PAGE,
        )
    )
    for example in page.items:
        _show_row(session, version, example)
    if not page.items:
        _say_none(page, version)
    _show_steps(session, version, page, filters, is_first=cursor is None)


def _filters(version: DatasetVersion) -> dict[str, str]:
    """Draw the filters; return those that are set, as the address has them."""
    search, metadata, value = st.columns([2, 1, 1])
    text = search.text_input(
        "Search",
        key="text",
        bind="query-params",
        placeholder="part of a key or of any text",
        help="In any case of letters; a page goes through at most 10,000 examples.",
    )
    found = {"text": text or ""}
    if version.metadata_names:
        column = metadata.selectbox(
            "Metadata",
            version.metadata_names,
            index=None,
            key="column",
            bind="query-params",
            placeholder="any",
        )
        wanted = value.text_input("is", key="value", bind="query-params", disabled=not column)
        if column and wanted:
            found |= {"column": column, "value": wanted}
    if expected := st.query_params.get("expected"):
        found["expected"] = expected
        st.caption(f"With the expected output {escaped(shortened(expected, _EXPECTED))}.")
    return {name: given for name, given in found.items() if given}


def _say_none(page: ExamplePage, version: DatasetVersion) -> None:
    if page.next_cursor:
        empty_state(
            f"None among the first {page.searched:,} of {version.example_count:,} examples.",
            "Go on searching below.",
        )
        return
    empty_state("No example is like that.", "Search for something else, or for nothing.")


def _show_steps(
    session: Session,
    version: DatasetVersion,
    page: ExamplePage,
    filters: dict[str, str],
    *,
    is_first: bool,
) -> None:
    here = {"name": version.name, "version": str(version.number), **filters}
    with st.container(horizontal=True):
        if not is_first:
            link(session, "datasets", "First page", icon=":material/first_page:", **here)
        if page.next_cursor:
            link(
                session,
                "datasets",
                "Search on" if not page.items else "More examples",
                icon=":material/chevron_right:",
                cursor=page.next_cursor,
                **here,
            )


def _show_row(session: Session, version: DatasetVersion, example: Example) -> None:
    with st.container(border=True, gap="xsmall"):
        link(
            session,
            "datasets",
            example.key,
            icon=":material/short_text:",
            name=version.name,
            version=str(version.number),
            key=example.key,
        )
        if not example.input and not example.messages:
            st.caption("The text of this example was erased.")
            return
        st.markdown(escaped(summary_of(example.input, _INPUT)))
        parts = []
        if example.expected_output is not None:
            expected = shortened(text_of(example.expected_output), _EXPECTED)
            parts.append(f"expected: {escaped(expected)}")
        parts += [
            f"{escaped(name)}: {escaped(shortened(text_of(value), _EXPECTED))}"
            for name, value in example.metadata.items()
        ]
        st.caption("; ".join(parts) if parts else "no expected output")


def show_one(session: Session, version: DatasetVersion, key: str) -> None:
    """Draw one example whole."""
    link(
        session,
        "datasets",
        f"All examples of {version.reference}",
        icon=":material/arrow_back:",
        name=version.name,
        version=str(version.number),
    )
    page = session.client.send(datasets.example_page(version.reference, key=key))
    if not page.items:
        empty_state(
            "This version has no example of that key.",
            "Another version may have it, or the link may be old.",
        )
        return
    [example] = page.items
    st.header(escaped(example.key), anchor=False)
    st.caption(f"Example {example.position + 1:,} of {version.example_count:,}")
    if not example.input and not example.messages:
        st.caption("The text of this example was erased.")
    for name, text in example_parts(example):
        plain(text, label=name)
    if example.expected_output is None:
        st.caption("There is no expected output.")
