"""What to do first in a workspace without an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import streamlit as st

from workbench.client import datasets, models, prompts
from workbench.dashboard.elements import link
from workbench.dashboard.session import Session

__all__ = ["show_first_steps"]


@dataclass(frozen=True, slots=True)
class _Step:
    """One step: what it is for, where it is done, and how at a command line."""

    title: str
    why: str
    page: str
    label: str
    command: str
    needs: str


_STEPS: Final = (
    _Step(
        "Say which models you use",
        "A model version has a price and bounds, so that every call is counted and none exceeds "
        "them. A simulated one needs no key and costs nothing.",
        "models",
        "Models",
        "workbench models add simulated/small",
        "model:write",
    ),
    _Step(
        "Bring prompts and a dataset",
        "At least two versions of a prompt, and examples with the output that you expect.",
        "datasets",
        "Datasets",
        "workbench datasets import tickets.csv",
        "dataset:write",
    ),
    _Step(
        "Run the first experiment",
        "Every version answers every example; the page Compare says which is better, by how much, "
        "and how sure that is.",
        "experiments",
        "New experiment",
        "workbench run experiments/tickets.yaml",
        "experiment:run",
    ),
)


def show_first_steps(session: Session) -> None:
    """Draw three steps to a first verdict, with those marked that are done."""
    st.subheader("Three steps to the first verdict", anchor=False)
    st.markdown("To see it all at once on sample data: `workbench demo`.")
    done = (_has_models(session), _has_questions(session), False)
    for column, number, step, is_done in zip(st.columns(3), (1, 2, 3), _STEPS, done, strict=True):
        with column, st.container(border=True, height="stretch"):
            mark = ":material/check_circle: " if is_done else ""
            st.markdown(f"**{mark}{number}. {step.title}**")
            st.caption(step.why)
            if not session.may(step.needs):
                st.caption(f"It takes the permission `{step.needs}`; an admin can grant it.")
            _links(session, step)
            st.code(step.command, language=None, wrap_lines=True)


def _links(session: Session, step: _Step) -> None:
    if step.page == "experiments" and session.may("experiment:run"):
        link(session, "experiments", step.label, icon=":material/science:", new="1")
    elif step.page == "datasets":
        link(session, "prompts", "Prompts", icon=":material/edit_note:")
        link(session, "datasets", step.label, icon=":material/dataset:")
    elif step.page == "models":
        link(session, "models", step.label, icon=":material/memory:")


def _has_models(session: Session) -> bool:
    if not session.may("model:read"):
        return False
    return bool(session.client.page(models.listing(), limit=1).items)


def _has_questions(session: Session) -> bool:
    if not (session.may("dataset:read") and session.may("prompt:read")):
        return False
    written = (it for it in session.client.page(prompts.listing()).items if it.origin != "builtin")
    has_dataset = bool(session.client.page(datasets.listing(), limit=1).items)
    return has_dataset and any(written)
