"""Names and references as people write them: `triage`, `team/triage`, `triage@3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import StringConstraints

from app.core.errors import Invalid

__all__ = ["Name", "Reference", "check_run_name", "parse_reference"]

# A team of at most 99 characters and a name of at most 100: 200 in all, as the columns hold.
NAME_PATTERN = r"^([a-z0-9][a-z0-9._-]{0,98}/)?[a-z0-9][a-z0-9._-]{0,99}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
_NAME = re.compile(NAME_PATTERN)
_LONGEST_RUN_NAME = 200  # characters; what a table can show


@dataclass(frozen=True)
class Reference:
    """A name with what stands after `@`: a number, the start of a content hash, or nothing."""

    name: str
    number: int | None = None
    hash_prefix: str | None = None

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.name}@{self.number}"
        return self.name if self.hash_prefix is None else f"{self.name}@{self.hash_prefix}"


def check_run_name(name: str) -> None:
    """Raise `Invalid` for a name by which nobody could find a run.

    It is one line of characters that can be seen, at most 200 of them, and neither `latest` nor
    a number alone, which commands take for an experiment.
    """
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise Invalid(
            f"{name[:_LONGEST_RUN_NAME]!r} is no name for a run: write one line of text that can "
            "be seen.",
            path="name",
        )
    if len(name) > _LONGEST_RUN_NAME:
        raise Invalid(f"A run's name has at most {_LONGEST_RUN_NAME} characters.", path="name")
    if name == "latest" or name.isdecimal():
        raise Invalid(
            f"A run cannot be called {name}: commands would take it for an experiment.",
            path="name",
        )


def parse_reference(text: str, *, noun: str) -> Reference:
    """Read `name`, `name@3`, `name@v3` or `name@sha256:ab12`; `noun` is for the error sentence."""
    name, separator, tail = text.partition("@")
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{text!r} is no {noun}: names are up to 100 lower-case letters, digits, '.', '_' "
            f"and '-', as in triage or team/triage, with a version as in triage@3.",
            path=noun,
        )
    if not separator or tail == "latest":
        return Reference(name)
    if match := re.fullmatch(r"v?([1-9][0-9]{0,8})", tail):
        return Reference(name, number=int(match[1]))
    if re.fullmatch(r"(sha256:)?[0-9a-f]{6,64}", tail):
        prefix = tail if tail.startswith("sha256:") else f"sha256:{tail}"
        return Reference(name, hash_prefix=prefix)
    raise Invalid(
        f"{text!r}: after @ stands a version number, as in {name}@3, "
        f"or at least six characters of a content hash.",
        path=noun,
    )
