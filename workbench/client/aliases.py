"""Aliases: names in production, and what each of them means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.client.calls import Call, quoted

__all__ = ["deploy"]


def deploy(alias: str, request: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Move `bot@production`: `{"kind": "move", "variant": ..., "reason": ...}` and others."""
    return Call("POST", f"/api/aliases/{quoted(alias)}/deployments", dict, body=request)
