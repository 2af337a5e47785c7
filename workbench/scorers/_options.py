"""Options of scorers as people write them: reading, checking, describing.

In the text form `option=value,option=value`

- a comma followed by `word=` begins the next option; any other comma belongs to the value, so
  that `pattern=^\\d{1,3}$` needs no quoting;
- a value in double quotes is read as a JSON string, for texts in which `,word=` occurs;
- a value that is no text is written as in JSON (`true`, `0.5`, `{"type": "object"}`), and a
  list may be separated by commas alone (`paths=queue,priority`);
- an option that is itself a scorer is its text (`scorer=contains:text=sorry`), in double quotes
  if it has several options, or its mapping as JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias, get_args, get_origin

from pydantic import JsonValue, ValidationError
from pydantic.fields import FieldInfo

from app.core.hashing import JSON
from app.core.suggestions import nearest_name
from workbench.scorers._text import quoted, shortened
from workbench.scorers.interface import ScorerConfig, ScorerConfigError

__all__ = [
    "OptionDescription",
    "OptionKind",
    "ScorerSpec",
    "build_config",
    "check_option",
    "described_options",
    "listed",
    "nearest",
    "option_kinds",
    "options_from_text",
]

OptionKind: TypeAlias = Literal[
    "text",
    "number",
    "whole number",
    "true or false",
    "list of texts",
    "list of numbers",
    "JSON",
    "scorer",
    "list of scorers",
]
"""What a value of the option is, in the words of error messages and documentation."""

ScorerSpec: TypeAlias = str | dict[str, JsonValue]
"""A scorer as a person names it, where it is the option of another one."""

_OPTION: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*=")
_NEXT_OPTION: Final = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=)")
_JSON_OPENINGS: Final = ('"', "{", "[")
# Kinds whose values stand as they are, unless they begin like the JSON that could be meant.
_TEXTUAL: Final[Mapping[OptionKind, tuple[str, ...]]] = {"text": ('"',), "scorer": ('"', "{")}
_KINDS: Final[Mapping[object, OptionKind]] = {
    str: "text",
    Literal: "text",
    float: "number",
    int: "whole number",
    bool: "true or false",
    ScorerSpec: "scorer",
    dict: "JSON",
    list: "JSON",
}
_LISTS: Final[Mapping[OptionKind, OptionKind]] = {
    "text": "list of texts",
    "number": "list of numbers",
    "scorer": "list of scorers",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionDescription:
    """One option of a scorer, as documentation lists it."""

    name: str
    kind: OptionKind
    default: JSON
    """The value when the option is left out; None means that there is none."""
    description: str


def described_options(config_type: type[ScorerConfig]) -> tuple[OptionDescription, ...]:
    """Describe the options from the docstrings below the fields, in the order declared."""
    return tuple(
        OptionDescription(
            name=name,
            kind=_kind(info.annotation),
            default=list(info.default) if isinstance(info.default, tuple) else info.default,
            description=_description(config_type, name),
        )
        for name, info in config_type.__pydantic_fields__.items()
    )


def _description(config_type: type[ScorerConfig], name: str) -> str:
    """Return the text below a field; pydantic knows it only in the class that declares it."""
    for owner in config_type.__mro__:
        fields: Mapping[str, FieldInfo] = vars(owner).get("__pydantic_fields__", {})
        if name in fields and fields[name].description:
            return " ".join(str(fields[name].description).split())
    return ""


def options_from_text(scorer: str, kinds: Mapping[str, OptionKind], text: str) -> dict[str, JSON]:
    """Read `option=value,option=value`; raises `ScorerConfigError` with a sentence."""
    options: dict[str, JSON] = {}
    rest = text
    while rest.strip():
        match = _OPTION.match(rest)
        if match is None:
            raise ScorerConfigError(
                f"{scorer}: {quoted(rest)} is not of the form option=value. "
                f"Options: {listed(kinds)}."
            )
        option = match[1]
        check_option(scorer, option, kinds)
        if option in options:
            raise ScorerConfigError(f"{scorer}: option {option} is given twice.", path=option)
        raw, rest = _split_value(rest[match.end() :])
        options[option] = _typed(raw, kinds[option])
    return options


def build_config(
    scorer: str, config_type: type[ScorerConfig], options: Mapping[str, JSON]
) -> ScorerConfig:
    """Check the options and return them; raises `ScorerConfigError` with a sentence."""
    kinds = option_kinds(config_type)
    for option in options:
        check_option(scorer, option, kinds)
    try:
        return config_type(**options)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = str(fault["loc"][0])
        raise ScorerConfigError(
            f"{scorer}: option {option} ({kinds[option]}) cannot be "
            f"{shortened(repr(options[option]), 60)}: {fault['msg']}.",
            path=option,
        ) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that refuses `word`, with the nearest known one, if any."""
    near = nearest_name(word, known)
    return "." if near is None else f"; did you mean {near!r}?"


def listed(names: Iterable[str]) -> str:
    """Return the names for a sentence."""
    return ", ".join(names) or "none"


def check_option(scorer: str, option: str, known: Iterable[str]) -> None:
    """Raise `ScorerConfigError` for an option that the scorer does not have."""
    if option not in known:
        raise ScorerConfigError(
            f"{scorer} has no option {option!r}{nearest(option, known)} Options: {listed(known)}.",
            path=option,
        )


def _split_value(text: str) -> tuple[str, str]:
    """Return the first value as written, and what follows the comma behind it."""
    if text.startswith(_JSON_OPENINGS):
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            end = 0  # not JSON after all, such as the pattern [0-9]+
        if end and (end == len(text) or _NEXT_OPTION.match(text, end)):
            return text[:end], text[end + 1 :]
    following = _NEXT_OPTION.search(text)
    if following is None:
        return text, ""
    return text[: following.start()], text[following.end() :]


def _typed(raw: str, kind: OptionKind) -> JSON:
    """Read a written value as its kind; what cannot be read stays text, to be refused with the
    value named."""
    if kind.startswith("list") and not raw.startswith("["):
        items = [item.strip() for item in raw.split(",")]
        return [_typed(item, "number") for item in items] if kind == "list of numbers" else items
    if kind in _TEXTUAL and not raw.startswith(_TEXTUAL[kind]):
        return raw
    try:
        value: JSON = json.loads(raw)
    except ValueError:
        return raw
    return value


def option_kinds(config_type: type[ScorerConfig]) -> dict[str, OptionKind]:
    """Return what a value of each option is."""
    fields = config_type.__pydantic_fields__
    return {name: _kind(info.annotation) for name, info in fields.items()}


def _kind(annotation: object) -> OptionKind:
    """Return the kind of `str`, `str | None`, `tuple[str, ...]`, `dict[...] | bool | None`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is tuple:
        return _LISTS[_kind(arguments[0])]
    known = _KINDS.get(annotation) or _KINDS.get(origin)
    return _kind(arguments[0]) if known is None else known  # of a union, the first says it
