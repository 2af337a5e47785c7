"""The playground: write a prompt, try it on one example, register it as a version.

What is written is kept in the session until another text is opened, so that looking at another
view loses nothing. The text that is tried is stored as a draft; a version is made by registering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from workbench.client import APIError, Conflict, Invalid, models, playground, prompts
from workbench.client.playground import PlaygroundPreview
from workbench.dashboard.elements import plain
from workbench.dashboard.frames.playground import FieldError
from workbench.dashboard.frames.prompts import model_references
from workbench.dashboard.session import Session
from workbench.dashboard.text import dollars, escaped
from workbench.dashboard.views import prompts_changes
from workbench.dashboard.views.prompts_answer import Answered, show_answer, show_refusal
from workbench.dashboard.views.prompts_editor import Editor, opened
from workbench.dashboard.views.prompts_example import show_example

__all__ = ["show"]

_ANSWER: Final = "answer"
_WISH: Final = "wanted-number"
_MOST_MODELS: Final = 500


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is in the fields, ready to be sent."""

    content: Mapping[str, Any]
    variables: Mapping[str, Any]
    history: tuple[Mapping[str, str], ...]


def show(session: Session, name: str) -> None:
    """Draw the editor, the example, and what came of trying it."""
    editor = opened(session, name)
    left, right = st.columns([3, 2], gap="large")
    with left:
        content = _written(editor)
    if content is None:
        return
    with right:
        trial = _tried(session, editor, content)
        if trial is not None:
            _show_trial(session, editor, trial)
    _show_registering(session, editor, content)


def _written(editor: Editor) -> Mapping[str, Any] | None:
    try:
        return editor.show()
    except FieldError as error:
        st.warning(escaped(str(error)), icon=":material/edit_off:")
        return None


def _tried(session: Session, editor: Editor, content: Mapping[str, Any]) -> _Trial | None:
    try:
        example = show_example(session, editor, content)
    except FieldError as error:
        st.warning(escaped(str(error)), icon=":material/edit_off:")
        return None
    return _Trial(content, example.variables, example.history)


def _show_trial(session: Session, editor: Editor, trial: _Trial) -> None:
    """Offer to try the prompt, say before what it may cost, and show the answer after."""
    model = _chosen_model(session)
    preview = _show_preview(session, editor, trial, model)
    if not session.may("model:direct"):
        st.caption("Your roles do not allow calling a model; you can write and register.")
        return
    ready = preview is not None and model is not None
    wanted = st.button("Run", type="primary", icon=":material/play_arrow:", disabled=not ready)
    if wanted and preview is not None and model is not None:
        _run(session, editor, trial, model, preview)
    show_answer(session, st.session_state.get(editor.key(_ANSWER)), preview)


def _chosen_model(session: Session) -> str | None:
    if not session.may("model:read"):
        return None
    page = session.client.page(models.listing(), None, _MOST_MODELS)
    references = model_references(page.items)
    if not references:
        st.info("There is no model yet: declare one with `workbench models add`.")
        return None
    return st.selectbox("Model", references, key="playground-model")


def _show_preview(
    session: Session, editor: Editor, trial: _Trial, model: str | None
) -> PlaygroundPreview | None:
    """Show what the model would get, and what that may cost; None if it cannot be sent so."""
    try:
        preview = session.client.send(
            playground.preview(
                editor.name,
                content=trial.content,
                variables=trial.variables,
                history=trial.history,
                model=model,
            )
        )
    except (Invalid, Conflict) as error:
        st.info(escaped(error.detail), icon=":material/info:")
        return None
    with st.expander("What the model gets", icon=":material/visibility:"):
        for message in preview.messages:
            plain(message.content, label=message.role)
        for left_out, reason in (preview.left_out or {}).items():
            st.caption(f"Not sent: {escaped(left_out)}, because {escaped(reason)}.")
    if model is not None:
        st.caption(_bound(preview))
    return preview


def _bound(preview: PlaygroundPreview) -> str:
    tokens = f"about {preview.estimated_input_tokens or 0:,} tokens in"
    if preview.most_output_tokens is not None:
        tokens += f", at most {preview.most_output_tokens:,} out"
    if preview.most_cost is None:
        return f"What it costs at most is unknown: {tokens}."
    return f"It costs at most {escaped(dollars(preview.most_cost))}: {tokens}."


def _run(
    session: Session, editor: Editor, trial: _Trial, model: str, preview: PlaygroundPreview
) -> None:
    call = playground.run(
        editor.name,
        model,
        content=trial.content,
        variables=trial.variables,
        history=trial.history,
        description=editor.description,
    )
    st.session_state.pop(editor.key(_ANSWER), None)
    try:
        with st.spinner("The model answers …", show_time=True):
            answer = session.client.send(call)
    except APIError as error:
        show_refusal(error)
        return
    st.session_state[editor.key(_ANSWER)] = Answered(answer, preview.content_hash)


def _show_registering(session: Session, editor: Editor, content: Mapping[str, Any]) -> None:
    """Offer to make a version of what is written; a number is taken only if it is still free."""
    number = editor.newest + 1
    st.subheader("Register", anchor=False)
    message = st.text_input(
        "What this version changes",
        max_chars=2000,
        key=f"playground-message-{editor.seeding}",
        placeholder="Asks for one queue only.",
    )
    st.button(
        f"Register version {number}",
        icon=":material/bookmark_add:",
        key=editor.key("register"),
        on_click=_wish,
        args=(editor, number),
    )
    wanted = st.session_state.pop(editor.key(_WISH), None)
    if wanted is None:
        return
    if not (message or "").strip():
        st.warning("Say what this version changes: whoever reads the timeline will ask.")
        return
    _register(session, editor, content, wanted, (message or "").strip())


def _wish(editor: Editor, number: int) -> None:
    """Note which number somebody saw when they registered: another may be the next by now."""
    st.session_state[editor.key(_WISH)] = number


def _register(
    session: Session, editor: Editor, content: Mapping[str, Any], number: int, message: str
) -> None:
    call = prompts.add(
        editor.name,
        content,
        number=number,
        message=message,
        description=editor.description,
    )
    try:
        version = session.client.send(call)
    except Conflict as error:
        _tell_conflict(session, editor, content, number, error)
        return
    except Invalid as error:
        st.error(escaped(error.detail), icon=":material/error:")
        return
    editor.close()
    prompts_changes.go_to_changes(editor.name, version)


def _tell_conflict(
    session: Session, editor: Editor, content: Mapping[str, Any], number: int, error: Conflict
) -> None:
    """Say who was first, and how their text differs from what is written here."""
    st.error(escaped(error.detail), icon=":material/merge:")
    if error.code != "number_taken":
        return
    theirs = session.client.send(prompts.version(f"{editor.name}@{number}"))
    st.caption(f"From version {number} to what you wrote:")
    prompts_changes.show_changes(theirs.content, content)
