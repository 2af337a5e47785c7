"""What a version is made of: how long its inputs are, which repeat, how its answers are spread."""

from __future__ import annotations

import json
from typing import Final

import streamlit as st

from workbench.client import datasets
from workbench.client.datasets import DatasetVersion, Profile
from workbench.dashboard.charts.datasets import label_chart, length_chart
from workbench.dashboard.elements import chart, link
from workbench.dashboard.frames.datasets import label_frame, length_frame, text_of, tokens_of
from workbench.dashboard.session import Session
from workbench.dashboard.text import shortened

__all__ = ["show"]

_GROUPS_SHOWN: Final = 20
_KEYS_SHOWN: Final = 5
_LABEL: Final = 60  # characters


def show(session: Session, version: DatasetVersion) -> None:
    """Draw the profile of a version."""
    with st.spinner("Counting: the first time takes a few seconds for a large dataset"):
        profile = session.client.send(datasets.profile(version.reference))
    if not profile.complete:
        st.caption(f"Of the first {profile.examples:,} of {version.example_count:,} examples.")
    _show_lengths(session, version, profile)
    _show_repeated(session, version, profile)
    _show_labels(session, version, profile)


def _show_lengths(session: Session, version: DatasetVersion, profile: Profile) -> None:
    st.subheader("Lengths", anchor=False)
    longest = profile.longest[0].characters if profile.longest else 0
    st.caption(
        f"Half of the inputs have at most {profile.median_characters:,} characters, "
        f"{tokens_of(profile.median_characters, profile)}; the longest has {longest:,}, "
        f"{tokens_of(longest, profile)}. Tokens are estimated at "
        f"{profile.characters_per_token} characters each: English takes about that, other "
        "languages and code take more tokens."
    )
    frame = length_frame(profile.lengths)
    chart(
        length_chart(frame),
        frame,
        "lengths",
        alt_text="How many inputs have which length in characters",
    )
    with st.expander("The longest inputs"):
        for one in profile.longest:
            _link(session, version, one.key, f"{one.characters:,} characters: {one.key}")


def _show_repeated(session: Session, version: DatasetVersion, profile: Profile) -> None:
    st.subheader("Repeated inputs", anchor=False)
    if not profile.repeated_groups:
        st.caption("No two examples have exactly the same input.")
        return
    st.caption(
        f"{profile.repeated_examples:,} examples have an input that another one has, too; such "
        f"inputs: {profile.repeated_groups:,}. They weigh more in every average and are not "
        "independent: give them a cluster, or keep one of each."
    )
    for group in profile.repeated[:_GROUPS_SHOWN]:
        with st.container(border=True, gap="xsmall"):
            if group.expected_differ:
                st.warning(
                    f"{group.examples:,} examples, with different expected outputs: at most one of "
                    "them is right.",
                    icon=":material/rule:",
                )
            else:
                st.caption(f"{group.examples:,} examples")
            for key in group.keys[:_KEYS_SHOWN]:
                _link(session, version, key, key)
            if group.examples > _KEYS_SHOWN:
                st.caption(f"and {group.examples - _KEYS_SHOWN:,} more")
    if profile.repeated_groups > _GROUPS_SHOWN:
        st.caption(f"The {_GROUPS_SHOWN} most repeated are shown.")


def _show_labels(session: Session, version: DatasetVersion, profile: Profile) -> None:
    st.subheader("Expected outputs", anchor=False)
    if profile.labels is None:
        answered = profile.examples - profile.without_expected
        st.caption(
            f"{answered:,} examples have one, {profile.without_expected:,} have none; there are "
            "too many different ones to be labels."
        )
        return
    if not profile.labels:
        st.caption("No example has an expected output, so that only some scorers can be used.")
        return
    frame = label_frame(profile)
    chart(
        label_chart(frame),
        frame,
        "expected-outputs",
        alt_text="How many examples have which expected output",
    )
    with st.expander("Examples by expected output"):
        for label in profile.labels:
            text = text_of(label.label)
            link(
                session,
                "datasets",
                f"{shortened(text, _LABEL)} ({label.examples:,})",
                name=version.name,
                version=str(version.number),
                expected=text if isinstance(label.label, str) else _compact(label.label),
            )


def _compact(value: object) -> str:
    """Return a value as the API compares it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _link(session: Session, version: DatasetVersion, key: str, label: str) -> None:
    link(
        session,
        "datasets",
        label,
        icon=":material/short_text:",
        name=version.name,
        version=str(version.number),
        key=key,
    )
