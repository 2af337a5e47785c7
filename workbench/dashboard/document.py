"""The HTML in which Streamlit's scripts draw, made ours (pure).

Its title and icon are ours, so that no icon is fetched from elsewhere. It names the server's
address, which Streamlit's scripts otherwise find by asking at every level of a page's path.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

__all__ = ["ICON", "TITLE", "document"]

TITLE: Final = "Prompt Workbench"

_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="3" fill="#0072B2"/>'
    '<path d="M3 4.5h10M3 8h6.5M3 11.5h8" stroke="#fff" stroke-width="1.6"/></svg>'
)
ICON: Final = f"data:image/svg+xml,{quote(_SVG)}"
"""The icon in a browser's tab."""

_THEIR_TITLE: Final = "<title>Streamlit</title>"
_THEIR_ICON: Final = 'href="./favicon.png"'
_THEIR_SCRIPT: Final = '<script type="module"'
_ADDRESS: Final = """<script>
      const here = window.location.origin + "/"
      window.__streamlit = { BACKEND_BASE_URL: here, MAIN_PAGE_BASE_URL: here }
    </script>
    """


def document(theirs: str) -> str:
    """Return Streamlit's page with our title, icon and address.

    Raises `ValueError` if it is not the page that this was written for.
    """
    for old, new in (
        (_THEIR_TITLE, f"<title>{TITLE}</title>"),
        (_THEIR_ICON, f'href="{ICON}"'),
        (_THEIR_SCRIPT, f"{_ADDRESS}{_THEIR_SCRIPT}"),
    ):
        if theirs.count(old) != 1:
            raise ValueError(f"Streamlit's page has changed: it does not hold {old!r} once.")
        theirs = theirs.replace(old, new)
    return theirs
