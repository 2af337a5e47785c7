"""The example on which a prompt is tried: values by hand, or those of an example of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import Example
from workbench.dashboard.frames.playground import HISTORY, field_text, type_of, typed
from workbench.dashboard.session import Session
from workbench.dashboard.views.prompts_editor import Editor

__all__ = ["Values", "show_example"]

_MOST_DATASETS: Final = 200
_MOST_EXAMPLES: Final = 100
_MESSAGE: Final = "message"
"""The input of an example that holds the user's message; no variable is called so in a chat."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the fields of the example hold."""

    variables: Mapping[str, Any]
    history: tuple[Mapping[str, str], ...]


def show_example(session: Session, editor: Editor, content: Mapping[str, Any]) -> Values:
    """Draw the fields of the example and return what they hold.

    Raises `FieldError` for a value of another type than its variable's.
    """
    st.subheader("Example", anchor=False)
    variables: Mapping[str, Mapping[str, Any]] = content["variables"]
    has_history = any(message.get("placeholder") == HISTORY for message in content["messages"])
    if session.may("dataset:read") and (variables or has_history):
        _offer_dataset(session, editor, tuple(variables), has_history=has_history)
    values = {
        name: value
        for name, declaration in variables.items()
        if (value := _value(editor, name, type_of(declaration))) is not None
    }
    history: tuple[Mapping[str, str], ...] = ()
    if has_history:
        said = st.text_area("Message of the user", key=editor.key(_history_part()))
        history = ({"role": "user", "content": said},) if said else ()
    if not variables and not has_history:
        st.caption("The prompt has no variables: there is nothing to fill in.")
    return Values(values, history)


def _value(editor: Editor, name: str, kind: str) -> Any:
    """Draw a variable's field and return its value; None if it is empty."""
    key = editor.key(_part(name))
    if kind == "boolean":
        chosen = st.selectbox(
            f"Value of {name}",
            ("", "true", "false"),
            key=key,
            format_func=lambda it: it or "none",
            persist_state="session",
        )
        return typed(chosen, kind, name) if chosen else None
    text = st.text_area(
        f"Value of {name}",
        key=key,
        height="content",
        placeholder="" if kind == "string" else f"{kind}, as JSON",
        persist_state="session",
    )
    return typed(text, kind, name) if text else None


def _offer_dataset(
    session: Session, editor: Editor, names: Sequence[str], *, has_history: bool
) -> None:
    with st.expander("Take the values of an example", icon=":material/dataset:"):
        found = session.client.page(datasets.listing(), None, _MOST_DATASETS).items
        if not found:
            st.caption("There is no dataset yet.")
            return
        references = [f"{dataset.name}@{dataset.latest}" for dataset in found]
        reference = st.selectbox(
            "Dataset", references, index=None, key="playground-dataset", placeholder="Choose one"
        )
        if reference is None:
            return
        examples = session.client.page(datasets.examples(reference), None, _MOST_EXAMPLES).items
        by_key = {example.key: example for example in examples}
        key = st.selectbox("Example", list(by_key), key=f"playground-example-{reference}")
        if len(examples) == _MOST_EXAMPLES:
            st.caption(f"The first {_MOST_EXAMPLES} examples.")
        if key is not None:
            wanted = (*names, *((_MESSAGE,) if has_history else ()))
            st.button("Fill in", on_click=_fill, args=(editor, by_key[key], wanted))


def _fill(editor: Editor, example: Example, names: Sequence[str]) -> None:
    """Put an example's inputs into the fields of the same names."""
    for name in names:
        if name in example.input:
            part = _history_part() if name == _MESSAGE else _part(name)
            st.session_state[editor.key(part)] = field_text(example.input[name])


def _part(name: str) -> str:
    return f"value-{name}"


def _history_part() -> str:
    return "history"
