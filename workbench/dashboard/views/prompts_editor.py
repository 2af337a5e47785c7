"""The fields in which a prompt's content is written.

The fields are those of one seeding: opening another text seeds them anew, under new keys, so that
nothing of one text is ever left in the fields of another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import streamlit as st

from workbench.client import NotFound, prompts
from workbench.dashboard.frames.playground import (
    HISTORY,
    MESSAGE_ROLES,
    VARIABLE_TYPES,
    EditedMessage,
    assembled,
    edited_messages,
    field_text,
    parsed_json,
    placeholders,
    type_of,
    variable,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped

__all__ = ["Editor", "opened"]

_STATE: Final = "prompts-editor"
_SEEDINGS: Final = "prompts-seedings"
_LONGEST: Final = 200_000  # characters of one message
_FIELDS: Final = ("temperature", "top_p", "max_tokens")
_FIRST_ROLES: Final = ("system", "user")
"""Whose messages a new prompt begins with."""


@dataclass(slots=True)
class Editor:
    """What is being written: `start` is the version it began with, `newest` the newest number (0
    without any), `begun_with` what its fields held first, `seeding` part of every key."""

    name: str
    start: str | None
    seeding: int
    base: Mapping[str, Any]
    begun_with: str
    description: str
    newest: int = 0
    messages: list[EditedMessage] = field(default_factory=list)

    def key(self, part: str) -> str:
        """Return the key of a field."""
        return f"playground-{self.seeding}-{part}"

    def close(self) -> None:
        """Forget what was written; the next look begins with the newest version."""
        st.session_state.pop(_STATE, None)
        st.query_params.pop("start", None)

    def show(self) -> Mapping[str, Any]:
        """Draw the fields and return the content that they make up.

        Raises `FieldError` for a field that says nothing sensible.
        """
        self.description = (
            st.text_input(
                "What the prompt is for",
                key=self._seeded("description", self.description),
                max_chars=2000,
                persist_state="session",
            )
            or ""
        )
        st.subheader("Messages", anchor=False)
        for place, message in enumerate(self.messages, start=1):
            self._show_message(place, message)
        st.button("Add message", icon=":material/add:", on_click=self._add)
        texts = [it.content for it in self.messages if it.role != HISTORY]
        variables = self._show_variables(placeholders(texts))
        parameters = self._show_parameters()
        others = self._show_others()
        return assembled(self.messages, variables, parameters, others)

    def _show_message(self, place: int, message: EditedMessage) -> None:
        role, text = self.key(f"role-{message.number}"), self.key(f"text-{message.number}")
        st.session_state.setdefault(role, message.role)
        st.session_state.setdefault(text, message.content)
        with st.container(border=True, gap="small"):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                message.role = st.selectbox(
                    f"Role of message {place}",
                    MESSAGE_ROLES,
                    key=role,
                    format_func=_role_told,
                    persist_state="session",
                    width=200,
                )
                st.button(
                    "Remove",
                    key=self.key(f"remove-{message.number}"),
                    help=f"Remove message {place}",
                    icon=":material/delete:",
                    type="tertiary",
                    on_click=self._remove,
                    args=(message,),
                    disabled=len(self.messages) == 1,
                )
            if message.role == HISTORY:
                st.caption("Here the messages of a conversation go.")
                return
            message.content = (
                st.text_area(
                    f"Text of message {place}",
                    key=text,
                    height="content",
                    max_chars=_LONGEST,
                    placeholder="What the model is told; {{ name }} makes a variable.",
                    persist_state="session",
                )
                or ""
            )

    def _add(self) -> None:
        number = max(message.number for message in self.messages) + 1
        self.messages.append(EditedMessage(number, "user"))

    def _remove(self, message: EditedMessage) -> None:
        self.messages.remove(message)

    def _show_variables(self, names: Sequence[str]) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.base.get("variables", {})
        if not names:
            st.caption("No variables: write {{ name }} in a text to make one.")
            return {}
        with st.expander(f"Variables: {', '.join(names)}", icon=":material/data_object:"):
            return {name: self._show_variable(name, known.get(name, {})) for name in names}

    def _show_variable(self, name: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
        default = known.get("default")
        kind, text, told = st.columns([1, 1, 2])
        return variable(
            name,
            kind.selectbox(
                f"Type of {name}",
                VARIABLE_TYPES,
                key=self._seeded(f"type-{name}", type_of(known)),
                persist_state="session",
            ),
            text.text_input(
                f"Default of {name}",
                key=self._seeded(f"default-{name}", "" if default is None else field_text(default)),
                placeholder="none: required",
                persist_state="session",
            )
            or "",
            told.text_input(
                f"Description of {name}",
                key=self._seeded(f"description-{name}", known.get("description", "")),
                max_chars=2000,
                persist_state="session",
            )
            or "",
        )

    def _show_parameters(self) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.base.get("parameters", {})
        with st.expander("Parameters", icon=":material/tune:"):
            st.caption("A field that is empty leaves the value to the model or the house.")
            columns = st.columns(3)
            asked: dict[str, Any] = {
                "temperature": self._number(columns[0], "Temperature", "temperature", 0.1),
                "top_p": self._number(columns[1], "Top p", "top_p", 0.05),
                "max_tokens": self._number(columns[2], "Max tokens", "max_tokens", 1),
            }
            rest = {name: value for name, value in known.items() if name not in _FIELDS}
            others = self._json("Other parameters (JSON)", "parameters", rest or None, dict)
        return {**asked, **(others or {})}

    def _number(self, place: Any, label: str, name: str, step: float) -> float | int | None:
        known = self.base.get("parameters", {}).get(name)
        whole = isinstance(step, int)
        seed = None if known is None else int(known) if whole else float(known)
        value: float | int | None = place.number_input(
            label,
            value=None,
            min_value=0 if whole else 0.0,
            step=step,
            key=self._seeded(name, seed),
            persist_state="session",
        )
        return int(value) if value is not None and value == int(value) else value

    def _show_others(self) -> Mapping[str, Any]:
        with st.expander("Tools and response format", icon=":material/build:"):
            return {
                "tools": self._json("Tools (JSON)", "tools", self.base.get("tools"), list),
                "tool_choice": self._json(
                    "Tool choice (JSON)", "tool_choice", self.base.get("tool_choice"), (str, dict)
                ),
                "response_format": self._json(
                    "Response format (JSON)",
                    "response_format",
                    self.base.get("response_format"),
                    dict,
                ),
            }

    def _json(self, label: str, name: str, known: Any, kind: type | tuple[type, ...]) -> Any:
        seed = "" if known is None else json.dumps(known, indent=2, ensure_ascii=False)
        text = st.text_area(label, key=self._seeded(f"json-{name}", seed), persist_state="session")
        return parsed_json(text or "", label, kind)

    def _seeded(self, part: str, value: Any) -> str:
        """Return the key of a field that shows a value at first."""
        key = self.key(part)
        st.session_state.setdefault(key, value)
        return key


def opened(session: Session, name: str) -> Editor:
    """Return the editor of the text that the address names: the one at work, or a new one."""
    start = st.query_params.get("start")
    newest = _newest(session, name)
    editor: Editor | None = st.session_state.get(_STATE)
    if editor is None or (editor.name, editor.start) != (name, start):
        editor = _seeded_editor(session, name, start, newest)
        st.session_state[_STATE] = editor
    editor.newest = newest
    if editor.begun_with:
        st.caption(f"Begun with {escaped(editor.begun_with)}. Nothing is stored until you run it.")
    else:
        st.caption("A new prompt. Nothing is stored until you run or register it.")
    return editor


def _newest(session: Session, name: str) -> int:
    """Return the newest number of a prompt; 0 if it has none, or there is no such prompt."""
    try:
        page = session.client.page(prompts.timeline(name), None, 1)
    except NotFound:
        return 0
    return page.items[0].number or 0 if page.items else 0


def _seeded_editor(session: Session, name: str, start: str | None, newest: int) -> Editor:
    chosen = start or (str(newest) if newest else None)
    version = None
    if chosen is not None:
        version = session.client.send(prompts.version(f"{name}@{chosen}"))
    seeding = st.session_state.get(_SEEDINGS, 0) + 1
    st.session_state[_SEEDINGS] = seeding
    return Editor(
        name=name,
        start=start,
        seeding=seeding,
        base={} if version is None else version.content,
        begun_with="" if version is None else f"{name}@{chosen}",
        description="" if version is None else version.description,
        messages=_first_messages() if version is None else edited_messages(version.content),
    )


def _first_messages() -> list[EditedMessage]:
    return [EditedMessage(number, role) for number, role in enumerate(_FIRST_ROLES, start=1)]


def _role_told(role: str) -> str:
    return "conversation goes here" if role == HISTORY else role
