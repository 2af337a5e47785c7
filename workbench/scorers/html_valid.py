"""`html_valid`: is the output HTML whose elements are closed, and closed in order?

Browsers take any text for HTML, so this asks for less than a validator and for more than a
browser: there is an HTML element, every end tag closes the element that is open, and what must
be closed is closed. Tags whose end may be left out (`<p>`, `<li>`, `<td>`, ...) and those without
content (`<br>`, `<img>`, ...) are known. Attributes are not looked at. Nothing is built or loaded;
reading is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic.dataclasses import dataclass

from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["HTMLValid", "HTMLValidConfig"]

_MAX_CHARACTERS: Final = 1_000_000
_FENCED: Final = re.compile(r"```(?:html)?[ \t]*\n(?P<body>.*?)```", re.DOTALL | re.IGNORECASE)
# Possessive, and no piece crosses another `<`: every character is read once.
_TAG: Final = re.compile(
    r"<!--|<(?P<end>/)?(?P<name>[a-zA-Z][a-zA-Z0-9-]*+)(?P<rest>(?![a-zA-Z0-9-])[^<>]*+)>"
)
_RAW: Final = frozenset({"script", "style", "textarea", "title"})
# fmt: off
_VOID: Final = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
    "track", "wbr",
})
_END_MAY_BE_LEFT_OUT: Final = frozenset({
    "html", "head", "body", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot",
    "option", "optgroup", "colgroup", "rp", "rt",
})
_OTHERS: Final = frozenset({
    "a", "abbr", "address", "article", "aside", "audio", "b", "bdi", "bdo", "blockquote",
    "button", "canvas", "caption", "cite", "code", "data", "datalist", "del", "details", "dfn",
    "dialog", "div", "dl", "em", "fieldset", "figcaption", "figure", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "i", "iframe", "ins", "kbd", "label",
    "legend", "main", "map", "mark", "menu", "meter", "nav", "noscript", "object", "ol",
    "output", "picture", "pre", "progress", "q", "ruby", "s", "samp", "search", "section",
    "select", "slot", "small", "span", "strong", "sub", "summary", "sup", "svg", "table",
    "template", "time", "u", "ul", "var", "video",
})
# fmt: on
_KNOWN: Final = _RAW | _VOID | _END_MAY_BE_LEFT_OUT | _OTHERS


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HTMLValidConfig(ScorerConfig):
    """Options of `html_valid`."""

    allow_fence: bool = True
    """Accept HTML that stands in the output's only ``` block; off, the whole output must be
    HTML."""
    anywhere: bool = False
    """Accept text before the first and behind the last tag."""


class HTMLValid(Scorer[HTMLValidConfig]):
    """Whether the output is HTML whose elements are closed in order.

    Example: `html_valid:anywhere=true`
    """

    name = "html_valid"
    version = 1
    config_type = HTMLValidConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Read the tags; an output beyond a million characters is `failed`."""
        if len(given.output) > _MAX_CHARACTERS:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT,
                f"The output has {len(given.output):,} characters, more than {_MAX_CHARACTERS:,}.",
            )
        text = given.output.strip()
        if self.config.allow_fence and text.count("```") == 2:
            fenced = _FENCED.search(text)
            text = text if fenced is None else fenced["body"].strip()
        if not self.config.anywhere and not (text.startswith("<") and text.endswith(">")):
            return ScoreResult.verdict(False, "does not begin and end with a tag")
        fault = _fault(text)
        return ScoreResult.verdict(fault is None, fault or "HTML")


def _fault(text: str) -> str | None:
    """Return the first thing that is wrong, None if nothing is."""
    open_elements: list[str] = []
    found = False
    for name, ends in _tags(text):
        if name not in _KNOWN and "-" not in name and "svg" not in open_elements[:50]:
            return f"there is no element {quoted(name)}"
        found = True
        if not ends:
            if name not in _VOID:
                open_elements.append(name)
            continue
        while open_elements and open_elements[-1] != name and _may_stay_open(open_elements[-1]):
            open_elements.pop()
        if not open_elements or open_elements[-1] != name:
            return f"</{name}> closes nothing that is open"
        open_elements.pop()
    left = [name for name in open_elements if not _may_stay_open(name)]
    if left:
        return f"<{left[-1]}> is not closed"
    return None if found else "no HTML element in it"


def _may_stay_open(name: str) -> bool:
    return name in _END_MAY_BE_LEFT_OUT


def _tags(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each tag's name in lower case and whether it is an end tag; comments and the
    content of elements without markup inside (`script`) are passed over."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few capitals become two letters, which moves positions
        lowered = text
    position = 0
    while match := _TAG.search(text, position):
        position = match.end()
        name = match["name"]
        if name is None:
            position = _behind(lowered, "-->", position)
            continue
        name = name.lower()
        ends = match["end"] is not None
        if match["rest"].endswith("/") and name not in _KNOWN:
            continue  # closes itself, as in <path/>
        yield name, ends
        if name in _RAW and not ends:
            close = lowered.find(f"</{name}", position)
            position = len(text) if close < 0 else close


def _behind(text: str, mark: str, start: int) -> int:
    found = text.find(mark, start)
    return len(text) if found < 0 else found + len(mark)
