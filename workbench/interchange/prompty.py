"""Which form a Microsoft Prompty file (`.prompty`) has, the first or the second.

The forms differ in their front matter: the first has `model.configuration` and
`model.parameters`, the second `model.options`, typed inputs with `kind`, and `outputs`. A file
that shows neither is read as the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from app.core.hashing import JSON
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.prompty_body import split_front_matter

__all__ = ["prompty_version"]

_ONLY_V2 = frozenset({"displayName", "metadata", "instructions", "tools"})
_MODEL_V2 = frozenset({"id", "provider", "apiType", "options", "connection"})


def prompty_version(text: str, source: str) -> Literal[1, 2]:
    """Return which form a file has. Raises `Invalid` for a file without front matter."""
    value = parse_foreign_yaml(split_front_matter(text, source).yaml, source=source).value
    if not isinstance(value, Mapping):
        return 1
    model = value.get("model")
    template = value.get("template")
    second = (
        bool(_ONLY_V2 & set(value))
        or isinstance(model, str)
        or (isinstance(model, Mapping) and bool(_MODEL_V2 & set(model)))
        or (isinstance(template, Mapping) and "format" in template)
        or isinstance(value.get("inputs"), list)
        or _has_kinds(value.get("inputs"))
        or _has_kinds(value.get("outputs"))
    )
    return 2 if second else 1


def _has_kinds(value: JSON) -> bool:
    """Whether a mapping's entries are typed as the second form has it, or mere examples."""
    if not isinstance(value, Mapping):
        return False
    return any(not isinstance(item, Mapping) or "kind" in item for item in value.values())
