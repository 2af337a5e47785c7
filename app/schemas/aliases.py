"""Aliases and their deployments at the boundary, and how an alias is written."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from app.core.errors import Invalid
from app.schemas.names import parse_reference

__all__ = [
    "AliasView",
    "DeploymentTargetView",
    "DeploymentView",
    "TargetRole",
    "is_alias",
    "parse_alias",
]

TargetRole = Literal["primary", "canary", "fallback"]

# What stands after @ in a prompt's reference is a number or hexadecimal digits; so that nobody
# has to guess which of the two is meant, a label is neither, nor a word that has a meaning there.
_LABEL = re.compile(r"(?!v?[0-9]+$)(?![0-9a-f]{6,64}$)(?!draft-)[a-z0-9][a-z0-9._-]{0,99}")
_RESERVED = "latest"


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DeploymentTargetView(_View):
    """One variant that a deployment points to. `weight` is its share among those of its role."""

    variant_id: UUID
    variant_hash: str
    prompt: str
    model: str
    role: TargetRole
    weight: float


class DeploymentView(_View):
    """One move of an alias; `number` counts them from 1, `previous` is the one before."""

    id: UUID
    number: int
    reason: str
    previous: int | None
    targets: tuple[DeploymentTargetView, ...]
    created_at: datetime
    created_by: str

    @property
    def primary(self) -> DeploymentTargetView:
        """The variant that the alias stands for."""
        return next(target for target in self.targets if target.role == "primary")


class AliasView(_View):
    """A movable name and what it means now."""

    id: UUID
    name: str
    current: DeploymentView
    created_at: datetime
    created_by: str


def is_alias(text: str) -> bool:
    """Whether a text is written as an alias is; one of this name need not exist."""
    name, separator, label = text.partition("@")
    if not separator or label == _RESERVED or not _LABEL.fullmatch(label):
        return False
    try:
        parse_reference(name, noun="alias")
    except Invalid:
        return False
    return True


def parse_alias(text: str) -> str:
    """Return the alias if the text is written as one, as in `support-bot@production`.

    Raises `Invalid` for anything else: names are as prompts have them, and what stands after @
    is a word and neither a version number nor the beginning of a hash.
    """
    if is_alias(text):
        return text
    raise Invalid(
        f"{text!r} is no alias: write a name and a label in lower case, as in "
        "support-bot@production; the label is no number, no hash and not `latest`.",
        path="alias",
    )
