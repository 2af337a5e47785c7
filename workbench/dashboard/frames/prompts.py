"""Prompts as a page shows them: what served when, what a version says, what changed (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import pandas as pd

from workbench.client.models import Model
from workbench.client.prompts import PromptDeployment, PromptVersionFacts
from workbench.dashboard.text import escaped, visible
from workbench.text_diff import Kind, Piece, line_hunks, marked_lines

__all__ = [
    "Stint",
    "content_lines",
    "diff_blocks",
    "model_references",
    "moment_of",
    "reference_of",
    "stint_sentence",
    "stints",
    "variable_frame",
]

_HASH_SHOWN: Final = 8  # hexadecimal digits of a draft's reference
_SPACE: Final = "\u00a0"
_SIGNS: Final = {Kind.SAME: "·", Kind.REMOVED: "−", Kind.ADDED: "+"}
_PARTS: Final = ("variables", "parameters", "tools", "tool_choice", "response_format")


@dataclass(frozen=True, slots=True)
class Stint:
    """A time for which an alias served one version in one role; `until` None: it does now."""

    alias: str
    version: str
    role: str
    is_disabled: bool
    since: datetime
    until: datetime | None


def reference_of(name: str, version: PromptVersionFacts) -> str:
    """Return `triage@3`, or `triage@draft-1a2b3c4d` for a draft."""
    if version.number is not None:
        return f"{name}@{version.number}"
    return f"{name}@draft-{version.content_hash.removeprefix('sha256:')[:_HASH_SHOWN]}"


def moment_of(version: PromptVersionFacts) -> datetime:
    """Return when a version got its number, or a draft was stored."""
    return version.published_at or version.created_at


def stints(deployments: Sequence[PromptDeployment]) -> tuple[Stint, ...]:
    """Return for how long each version was served, newest first.

    Moves that follow each other and leave a version where it was, as a change of settings does, are
    one stint.
    """
    last: dict[tuple[str, str, str, bool], int] = {}
    found: list[Stint] = []
    for move in sorted(deployments, key=lambda it: it.created_at):
        for version, role in dict.fromkeys((it.prompt, it.role) for it in move.targets):
            key = (move.alias, version, role, move.is_disabled)
            place = last.get(key)
            if place is not None and found[place].until == move.created_at:
                found[place] = replace(found[place], until=move.ended_at)
            else:
                last[key] = len(found)
                found.append(Stint(*key, since=move.created_at, until=move.ended_at))
    return tuple(sorted(found, key=lambda it: it.since, reverse=True))


def stint_sentence(stint: Stint, shown: Callable[[datetime], str]) -> str:
    """Return the stint in words, as untrusted text: `bot@production since …`."""
    role = "" if stint.role == "primary" else f" ({stint.role})"
    silent = ", while the alias answered with a fixed text" if stint.is_disabled else ""
    if stint.until is None:
        return f"{stint.alias}{role} since {shown(stint.since)}{silent}"
    return f"was {stint.alias}{role} from {shown(stint.since)} to {shown(stint.until)}{silent}"


def model_references(models: Sequence[Model]) -> list[str]:
    """Return the model versions that can be called, by name and the newest of each first."""
    alive = [model for model in models if model.status != "retired"]
    alive.sort(key=lambda it: (it.provider, it.name, -it.number))
    return [f"{model.provider}/{model.name}@{model.number}" for model in alive]


def variable_frame(variables: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the variables of a prompt as a table."""
    return pd.DataFrame(
        [
            {
                "variable": name,
                "type": variable.get("type", "string"),
                "default": "required"
                if variable.get("required", True)
                else visible(json.dumps(variable.get("default"), ensure_ascii=False)),
                "description": visible(variable.get("description", "")),
            }
            for name, variable in variables.items()
        ]
    )


def content_lines(content: Mapping[str, Any]) -> list[str]:
    """Return what a version says as lines, for people to compare."""
    lines: list[str] = []
    for message in content.get("messages", ()):
        if "placeholder" in message:
            lines.append(f"[{message['placeholder']}]")
        else:
            lines += [f"[{message['role']}]", *message["content"].split("\n")]
    for part in _PARTS:
        if content.get(part):
            lines += [f"[{part}]", *_part_lines(content[part])]
    return lines


def _part_lines(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield f"{key}: {json.dumps(_said(value), ensure_ascii=False)}"
    elif isinstance(part, list):
        for item in part:
            yield json.dumps(item, ensure_ascii=False)
    else:
        yield str(part)


def _said(value: object) -> object:
    """Return a variable's declaration without what it does not say; any other value as it is."""
    if isinstance(value, Mapping) and "required" in value:
        silent = {"required": True, "default": None, "description": ""}
        return {name: it for name, it in value.items() if silent.get(name, ...) != it}
    return value


def diff_blocks(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the changes as Markdown, one block for each place; empty if nothing differs.

    Lines that went begin with − and their words are struck through, new ones begin with +; the
    texts themselves are escaped.
    """
    blocks = []
    for hunk in line_hunks(before, after):
        lines = [_line(pieces) for pieces in marked_lines(hunk)]
        blocks.append("  \n".join(lines))
    return blocks


def _line(pieces: Sequence[Piece]) -> str:
    kinds = {piece.kind for piece in pieces if piece.kind is not Kind.SAME}
    sign = "±" if len(kinds) == 2 else _SIGNS[next(iter(kinds), Kind.SAME)]
    return f"{sign}{_SPACE}" + "".join(_marked(piece) for piece in pieces)


def _marked(piece: Piece) -> str:
    """Return a piece as Markdown; spaces at its ends stand outside of the marks."""
    inner = piece.text.strip()
    if not inner:
        spaces = _SPACE * len(piece.text)
        return spaces if piece.kind is Kind.SAME else _coloured(piece.kind, f"{spaces}␣")
    before = _SPACE * (len(piece.text) - len(piece.text.lstrip()))
    behind = " " * (len(piece.text) - len(piece.text.rstrip()))
    return f"{before}{_coloured(piece.kind, escaped(inner))}{behind}"


def _coloured(kind: Kind, text: str) -> str:
    if kind is Kind.SAME:
        return text
    return (
        f":orange-background[~~{text}~~]" if kind is Kind.REMOVED else f":blue-background[{text}]"
    )
