"""Puts into a wheel what an installed workbench needs besides code: the migrations and the
sample workspace travel inside the two packages. An editable install uses them in place."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["InsideThePackages"]

_TARGETS = {
    "migrations": "app/database/_migrations",
    "prompts": "workbench/workspace/_sample/prompts",
    "datasets": "workbench/workspace/_sample/datasets",
    "experiments": "workbench/workspace/_sample/experiments",
    "scorers": "workbench/workspace/_sample/scorers",
}


class InsideThePackages(BuildHookInterface):  # type: ignore[type-arg] # the build tool's own type
    """The hook that hatchling finds in this file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders to a standard wheel; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update(_TARGETS)
