"""One prompt: its versions in time, where each of them serves, and what it says."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from workbench.client import Conflict, NotFound, Page, prompts
from workbench.client.prompts import PromptVersion, PromptVersionFacts
from workbench.dashboard.elements import empty_state, link, plain, shown_time
from workbench.dashboard.frames.prompts import (
    Stint,
    moment_of,
    reference_of,
    stint_sentence,
    stints,
    variable_frame,
)
from workbench.dashboard.session import Session
from workbench.dashboard.text import escaped
from workbench.dashboard.views import prompts_changes, prompts_playground
from workbench.dashboard.views.prompts_moves import settle

__all__ = ["show"]

_VERSIONS, _CHANGES, _PLAYGROUND = "Versions", "Changes", "Playground"
_PAGE: Final = 20  # versions
_MOST_MOVES: Final = 200
_HASH_SHOWN: Final = 12  # hexadecimal digits


def show(session: Session, name: str) -> None:
    """Draw one prompt."""
    settle()
    link(session, "prompts", "All prompts", icon=":material/arrow_back:")
    st.header(escaped(name), anchor=False)
    views = [_VERSIONS, _CHANGES]
    if session.may("prompt:write"):
        views.append(_PLAYGROUND)
    view = st.segmented_control(
        "View",
        views,
        default=None if "view" in st.session_state else _VERSIONS,
        required=True,
        key="view",
        bind="query-params",
        label_visibility="collapsed",
    )
    if view == _PLAYGROUND:
        prompts_playground.show(session, name)
    elif view == _CHANGES:
        prompts_changes.show(session, name)
    else:
        _show_versions(session, name)


def _show_versions(session: Session, name: str) -> None:
    before = st.query_params.get("older")
    page = session.client.page(prompts.timeline(name), before, _PAGE)
    drafts = session.client.page(prompts.timeline(name, drafts=True), None, _PAGE)
    chosen = st.query_params.get("version") or _newest(name, page.items, drafts.items)
    if chosen is None:
        empty_state("This prompt has no version yet.", "Write its first one in the playground.")
        return
    served = _served(session, name)
    content, history = st.columns([3, 2], gap="large")
    with content:
        _show_version(session, name, chosen, served)
    with history:
        _show_timeline(session, name, page, chosen, served)
        _show_drafts(session, name, drafts, chosen)


def _newest(
    name: str, versions: Sequence[PromptVersionFacts], drafts: Sequence[PromptVersionFacts]
) -> str | None:
    newest = next(iter([*versions, *drafts]), None)
    return None if newest is None else reference_of(name, newest).partition("@")[2]


def _served(session: Session, name: str) -> Mapping[str, Sequence[Stint]]:
    """Return for how long each version was served; nothing for whoever may see no alias."""
    if not session.may("alias:read"):
        return {}
    page = session.client.page(prompts.deployments(name), None, _MOST_MOVES)
    found: defaultdict[str, list[Stint]] = defaultdict(list)
    for stint in stints(page.items):
        found[stint.version].append(stint)
    return found


def _show_timeline(
    session: Session,
    name: str,
    page: Page[PromptVersionFacts],
    chosen: str,
    served: Mapping[str, Sequence[Stint]],
) -> None:
    st.subheader("Timeline", anchor=False)
    if not page.items:
        st.caption("No version has a number yet.")
    for version in page.items:
        with st.container(border=True, gap="xsmall"):
            _show_entry(session, name, version, chosen)
            for stint in served.get(reference_of(name, version), ()):
                _show_stint(stint)
    if st.query_params.get("older"):
        link(session, "prompts", "Newest versions", icon=":material/first_page:", name=name)
    if page.next_cursor:
        link(
            session,
            "prompts",
            "Older versions",
            icon=":material/chevron_right:",
            name=name,
            older=page.next_cursor,
        )


def _show_entry(session: Session, name: str, version: PromptVersionFacts, chosen: str) -> None:
    reference = reference_of(name, version).partition("@")[2]
    told = f"Version {version.number}" if version.number else f"Draft {reference[6:]}"
    if reference == chosen:
        st.markdown(f"**{told}** · shown")
    else:
        link(session, "prompts", told, name=name, version=reference)
    if version.message:
        st.markdown(escaped(version.message))
    st.caption(
        f"{escaped(version.author)} · {escaped(shown_time(moment_of(version)))} · "
        f"{escaped(_origin(version.origin))} · {_short(version.content_hash)}"
    )


def _show_stint(stint: Stint) -> None:
    color = "green" if stint.until is None else "gray"
    icon = ":material/radio_button_checked:" if stint.until is None else ":material/history:"
    st.markdown(f":{color}[{icon} {escaped(stint_sentence(stint, shown_time))}]")


def _show_drafts(session: Session, name: str, page: Page[PromptVersionFacts], chosen: str) -> None:
    if not page.items:
        return
    st.subheader("Drafts", anchor=False)
    st.caption("Texts without a number: what was run or tried before it was published.")
    for draft in page.items:
        with st.container(border=True, gap="xsmall"):
            _show_entry(session, name, draft, chosen)
    if page.next_cursor:
        st.caption(f"The newest {_PAGE} drafts.")


def _show_version(
    session: Session, name: str, chosen: str, served: Mapping[str, Sequence[Stint]]
) -> None:
    reference = f"{name}@{chosen}"
    version = session.client.send(prompts.version(reference))
    told = f"Version {version.number}" if version.number else "Draft"
    st.subheader(told, anchor=False)
    if version.description:
        st.markdown(escaped(version.description))
    for stint in served.get(reference, ()):
        _show_stint(stint)
    _show_ways_on(session, name, chosen)
    if version.number is None and session.may("prompt:write"):
        _offer_publishing(session, name, reference)
    _show_content(version)


def _show_ways_on(session: Session, name: str, chosen: str) -> None:
    with st.container(horizontal=True):
        if session.may("prompt:write"):
            link(
                session,
                "prompts",
                "Edit in the playground",
                icon=":material/edit:",
                name=name,
                view=_PLAYGROUND,
                start=chosen,
            )
        if session.may("experiment:run"):
            link(
                session,
                "experiments",
                "Compare it",
                icon=":material/science:",
                new="1",
                prompt=f"{name}@{chosen}",
            )


def _offer_publishing(session: Session, name: str, reference: str) -> None:
    with st.form("publish", border=True):
        message = st.text_input(
            "What this version changes", max_chars=2000, key=f"publish-{reference}"
        )
        if not st.form_submit_button("Publish this draft", icon=":material/publish:"):
            return
    if not (message or "").strip():
        st.warning("Say what this version changes: whoever reads the timeline will ask.")
        return
    try:
        version = session.client.send(prompts.publish(reference, (message or "").strip()))
    except (Conflict, NotFound) as error:
        st.error(escaped(error.detail))
        return
    prompts_changes.go_to_changes(name, version)


def _show_content(version: PromptVersion) -> None:
    """Show what a version says, as text."""
    content: Mapping[str, Any] = version.content
    for message in content["messages"]:
        if "placeholder" in message:
            st.caption("Here stands the conversation.")
        else:
            plain(message["content"], label=message["role"])
    if content.get("variables"):
        st.caption("variables")
        st.dataframe(variable_frame(content["variables"]), hide_index=True)
    for part in ("parameters", "tools", "tool_choice", "response_format"):
        if content.get(part):
            plain(_pretty(content[part]), label=part.replace("_", " "), language="json")
    st.caption(f"Content hash {escaped(version.content_hash)}")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _short(content_hash: str) -> str:
    return content_hash.removeprefix("sha256:")[:_HASH_SHOWN]


def _origin(origin: str) -> str:
    """Return where a text came from, in words."""
    return {"file": "from a file", "api": "over the API", "builtin": "built in"}.get(origin, origin)
