"""The flags of a gate, shared by the commands that decide one. Loads nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from app.core.errors import ConfigurationError
from workbench.reports.files import check_report_path

__all__ = [
    "DEFAULT_FAIL_ON",
    "AcceptLossOption",
    "FailOnOption",
    "GateOption",
    "GateOutput",
    "JunitOption",
    "MarkdownOption",
    "gate_output",
    "output_of_gate",
    "parse_fail_on",
]

DEFAULT_FAIL_ON: Final = "inferior,incomparable,infrastructure"
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "worse": frozenset({"worse"}),
    "inferior": frozenset({"worse"}),
    "not_proven": frozenset({"not_proven"}),
    "incomparable": frozenset({"incomparable"}),
    "blocked": frozenset({"blocked"}),
    "infrastructure": frozenset({"infrastructure"}),
    "strict": frozenset({"worse", "not_proven", "incomparable", "blocked", "infrastructure"}),
}

GateOption = Annotated[
    bool, typer.Option("--gate", help="Decide the gate that the plan declares; see workbench gate.")
]
FailOnOption = Annotated[
    str,
    typer.Option(
        help="Decisions that fail the job: inferior, not_proven, incomparable, blocked, "
        "infrastructure; strict is all of them."
    ),
]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", help="Also write the decisions as Markdown here.")
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", help="Also write the decisions as JUnit XML here.")
]
AcceptLossOption = Annotated[
    str | None,
    typer.Option(help="Accept a loss that lies within the margin; say why, it is recorded."),
]


@dataclass(frozen=True)
class GateOutput:
    """What fails the job, and which files are written besides what is printed."""

    fail_on: frozenset[str]
    markdown: Path | None = None
    junit: Path | None = None


def output_of_gate(
    asked: bool, fail_on: str, markdown: Path | None, junit: Path | None
) -> GateOutput | None:
    """Return what a command that may also decide a gate was asked for; None without --gate.

    Raises `ConfigurationError` for flags that would be left unread.
    """
    if asked:
        return gate_output(fail_on, markdown, junit)
    unread = {"--markdown": markdown, "--junit": junit}
    for flag, value in unread.items():
        if value is not None:
            raise ConfigurationError(f"{flag} writes a gate decision: say --gate too.")
    if fail_on != DEFAULT_FAIL_ON:
        raise ConfigurationError("--fail-on is about a gate decision: say --gate too.")
    return None


def gate_output(fail_on: str, markdown: Path | None, junit: Path | None) -> GateOutput:
    """Check what was asked for before anything is done.

    Raises `ConfigurationError` for a word that is no decision and a file that cannot be written.
    """
    for path in (markdown, junit):
        if path is not None:
            check_report_path(path)
    if markdown is not None and junit is not None and markdown.absolute() == junit.absolute():
        raise ConfigurationError("--markdown and --junit name the same file.")
    return GateOutput(parse_fail_on(fail_on), markdown, junit)


def parse_fail_on(text: str) -> frozenset[str]:
    """Return the decisions that a comma list names; `inferior` is another word for worse."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ConfigurationError(
            "--fail-on names no decision.", hint=f"The default is {DEFAULT_FAIL_ON}."
        )
    if unknown := [word for word in words if word not in _WORDS]:
        raise ConfigurationError(
            f"--fail-on {unknown[0]}: known are {', '.join(_WORDS)}.",
            hint=f"The default is {DEFAULT_FAIL_ON}.",
        )
    return frozenset[str]().union(*(_WORDS[word] for word in words))
