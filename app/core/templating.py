r"""Prompt templates: `{{ name }}` and nothing else.

A template is not a language: no attributes, indexes, filters, loops or format specs, so
that user text can never run anything. A literal brace pair is written `\{{`. A value is
put in once and never looked at again, so a substituted `{{ other }}` stays text. A
missing variable is an error, never an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.core.errors import Invalid

__all__ = ["Template", "TemplateSyntaxError", "compile_template"]

NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_TOKEN = re.compile(r"(?P<escape>\\\{\{)|(?P<open>\{\{)")
_PLACEHOLDER = re.compile(r"\{\{[ \t]*(" + NAME + r")[ \t]*\}\}")


class TemplateSyntaxError(Invalid):
    """The text is no template; `line` counts from 1 within it."""

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Template:
    """A compiled text: literals with a variable's name between each two of them.

    `len(literals) == len(names) + 1`; rendering joins `literals[0], value(names[0]), ...`.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names that rendering needs."""
        return frozenset(self.names)

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with every placeholder replaced; `Invalid` if a value is missing."""
        if not self.names:
            return self.literals[0]
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            try:
                parts.append(values[name])
            except KeyError:
                raise Invalid(
                    f"The prompt needs the variable {name!r} and no value was given for it.",
                    path=f"variables.{name}",
                ) from None
            parts.append(literal)
        return "".join(parts)


def compile_template(text: str) -> Template:
    """Compile a text, or raise `TemplateSyntaxError` naming the line."""
    literals: list[str] = []
    names: list[str] = []
    literal: list[str] = []
    position = 0
    while match := _TOKEN.search(text, position):
        literal.append(text[position : match.start()])
        if match["escape"]:
            literal.append("{{")
            position = match.end()
            continue
        placeholder = _PLACEHOLDER.match(text, match.start())
        if placeholder is None:
            line = text.count("\n", 0, match.start()) + 1
            found = text[match.start() : match.start() + 30].splitlines()[0]
            raise TemplateSyntaxError(
                f"{found!r} is no placeholder: write {{{{ name }}}} with a plain name, "
                "or \\{{ for a literal brace pair.",
                line=line,
            )
        literals.append("".join(literal))
        literal = []
        names.append(placeholder[1])
        position = placeholder.end()
    literal.append(text[position:])
    literals.append("".join(literal))
    return Template(tuple(literals), tuple(names))
