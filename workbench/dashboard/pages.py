"""The pages of the dashboard, in the order of the navigation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from workbench.dashboard.session import Session
from workbench.dashboard.views import (
    administration,
    compare,
    datasets,
    experiments,
    generations,
    home,
    models,
    production,
    prompts,
)

__all__ = ["PAGES", "PageSpec"]


@dataclass(frozen=True, slots=True)
class PageSpec:
    """One page: `path` is its address, `needs` the permissions of which one is enough to see it."""

    path: str
    title: str
    icon: str
    section: str
    show: Callable[[Session], None]
    needs: tuple[str, ...] = ()


PAGES: Final = (
    PageSpec("home", "Home", ":material/home:", "", home.show),
    PageSpec(
        "experiments",
        "Experiments",
        ":material/science:",
        "Evaluate",
        experiments.show,
        ("experiment:read",),
    ),
    PageSpec(
        "compare",
        "Compare",
        ":material/compare_arrows:",
        "Evaluate",
        compare.show,
        ("experiment:read",),
    ),
    PageSpec(
        "prompts", "Prompts", ":material/edit_note:", "Library", prompts.show, ("prompt:read",)
    ),
    PageSpec("models", "Models", ":material/memory:", "Library", models.show, ("model:read",)),
    PageSpec(
        "datasets", "Datasets", ":material/dataset:", "Library", datasets.show, ("dataset:read",)
    ),
    PageSpec(
        "generations",
        "Generations",
        ":material/fact_check:",
        "Observe",
        generations.show,
        ("experiment:read", "chat:read"),
    ),
    PageSpec(
        "production",
        "Production",
        ":material/monitoring:",
        "Observe",
        production.show,
        ("chat:read",),
    ),
    PageSpec(
        "administration",
        "Administration",
        ":material/admin_panel_settings:",
        "Govern",
        administration.show,
    ),
)
