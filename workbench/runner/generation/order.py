"""In which order the examples of an experiment are asked, and which of them are its evidence.

A fixed plan asks them as the dataset version has them. A sequential one asks them in a seeded
random order and uses the first ones of it: where it ended is stored. Outcomes beyond were under
way when it was decided; which of them came in depends on how fast they were, so they are kept
and never compared.
"""

from __future__ import annotations

from app.bootstrap import Services
from app.schemas.experiments import ExperimentView
from workbench.runner.generation.remaining import seeded_order

__all__ = ["example_order", "keys_in_use"]


async def example_order(services: Services, experiment: ExperimentView) -> list[int] | None:
    """Return the positions that a sequential plan asks, first to last; None: as they stand."""
    if experiment.plan.mode != "sequential":
        return None
    version = await services.datasets.get(experiment.dataset)
    drawn_from = min(version.example_count, experiment.example_limit or version.example_count)
    return seeded_order(drawn_from, experiment.plan.seed)[: experiment.example_count]


async def keys_in_use(services: Services, experiment: ExperimentView) -> frozenset[str] | None:
    """Return the keys of the examples that a comparison may use; None: all that have outcomes."""
    order = None
    if experiment.sequential is not None:
        order = await example_order(services, experiment)
    if order is None:
        return None
    members = await services.datasets.members_at(experiment.dataset_version_id, order)
    return frozenset(member.key for member in members)
