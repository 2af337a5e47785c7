"""Pages of the dashboard under test, without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streamlit.testing.v1 import AppTest

__all__ = ["open_page", "texts"]

_SCRIPT = Path(__file__).with_name("page_script.py")


def open_page(
    path: str, api: str, key: str, query: Mapping[str, str | list[str]] | None = None
) -> AppTest:
    """Return a page after its first run, as the person of the key sees it."""
    test = AppTest.from_file(str(_SCRIPT), default_timeout=30)
    for name, value in {"page": path, "api": api, "key": key}.items():
        test.session_state[f"test_{name}"] = value
    for name, value in (query or {}).items():
        test.query_params[name] = value
    test.run()
    assert not test.exception, test.exception
    return test


def texts(test: AppTest) -> str:
    """Return all that a page says, for assertions on sentences."""
    kinds = (
        "title",
        "header",
        "subheader",
        "markdown",
        "caption",
        "text",
        "code",
        "info",
        "warning",
        "error",
        "success",
        "metric",
    )
    found = [element for kind in kinds for element in getattr(test, kind)]
    return "\n".join(
        f"{getattr(element, 'label', '') or ''} {element.value}".strip() for element in found
    )
