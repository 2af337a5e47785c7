"""`xml_valid`: is the output well-formed XML?

The parser is expat, which reads as it goes and builds no tree. A document type declaration is
refused at its first character, so that no entity is ever declared, expanded or fetched.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from pydantic.dataclasses import dataclass

from workbench.scorers._expected import Texts
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["XMLValid", "XMLValidConfig"]

_MAX_CHARACTERS: Final = 1_000_000
_MAX_DEPTH: Final = 200
_FENCED: Final = re.compile(r"```(?:xml)?[ \t]*\n(?P<body>.*?)```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class XMLValidConfig(ScorerConfig):
    """Options of `xml_valid`."""

    elements: Texts = ()
    """Elements that must occur, as paths from the root: `analysis.label`."""
    allow_fence: bool = True
    """Accept XML that stands in the output's only ``` block; off, the whole output must be
    XML."""
    anywhere: bool = False
    """Accept XML with other text around it: from the first `<` to the last `>`."""


class XMLValid(Scorer[XMLValidConfig]):
    """Whether the output is well-formed XML that has the wanted elements.

    Example: `xml_valid:elements=answer.label`
    """

    name = "xml_valid"
    version = 1
    config_type = XMLValidConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Parse; an output beyond a million characters is `failed`."""
        if len(given.output) > _MAX_CHARACTERS:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT,
                f"The output has {len(given.output):,} characters, more than {_MAX_CHARACTERS:,}.",
            )
        try:
            missing = _Elements(self.config.elements).missing_in(self._document(given.output))
        except expat.ExpatError as error:
            return ScoreResult.verdict(False, f"not XML: {error}")
        except (_Refused, UnicodeEncodeError) as error:
            return ScoreResult.verdict(False, f"not XML: {_why(error)}")
        if missing:
            return ScoreResult.verdict(False, f"XML, without the element {quoted(missing[0])}")
        return ScoreResult.verdict(True, "well-formed XML")

    def _document(self, output: str) -> str:
        text = output.strip()
        if self.config.allow_fence and text.count("```") == 2:
            fenced = _FENCED.search(text)
            text = text if fenced is None else fenced["body"].strip()
        if self.config.anywhere:
            start, end = text.find("<"), text.rfind(">")
            text = text[start : end + 1] if 0 <= start < end else text
        return text


class _Refused(Exception):
    """The document has what is not taken; the message says what."""


class _Elements:
    """Looks for elements in one document while it is parsed."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        self._missing = dict.fromkeys(wanted)
        self._longest = max(map(len, wanted), default=0)
        self._open: list[str] = []
        self._length = 0

    def missing_in(self, document: str) -> list[str]:
        """Return the wanted elements that do not occur; raises `ExpatError` or `_Refused`."""
        parser = expat.ParserCreate(encoding="utf-8")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.Parse(document.encode(), True)
        return list(self._missing)

    def _doctype(self, *_: object) -> None:
        raise _Refused("a document type declaration is not taken")

    def _start(self, name: str, _: object) -> None:
        if len(self._open) == _MAX_DEPTH:
            raise _Refused(f"elements are nested deeper than {_MAX_DEPTH}")
        self._open.append(name)
        self._length += len(name) + 1
        # Paths are only written out where one could be wanted: long names are hostile.
        if self._length <= self._longest + 1:
            self._missing.pop(".".join(self._open), None)

    def _end(self, name: str) -> None:
        self._open.pop()
        self._length -= len(name) + 1


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, _Refused) else "a lone surrogate is not text"
