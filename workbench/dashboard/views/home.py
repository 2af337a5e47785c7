"""The page of home."""

from __future__ import annotations

from workbench.dashboard.session import Session

__all__ = ["show"]


def show(session: Session) -> None:
    """Draw the page."""
