"""What a comparison is looked at with: the experiment's other candidates, by the same scorer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workbench.client import comparisons, runs
from workbench.client.comparisons import Comparison
from workbench.dashboard.frames.compare import newest_of_family
from workbench.dashboard.session import Session

__all__ = ["Family", "family_of"]

_MOST: Final = 100  # comparisons looked through for the other candidates


@dataclass(frozen=True, slots=True)
class Family:
    """The comparison on the page, and the newest of each pair of runs of its experiment under its
    scorer, itself among them. `experiment` is None for runs that were made elsewhere: then those
    with its baseline. `newer` is a later comparison of the same pair, if there is one."""

    shown: Comparison
    members: Sequence[Comparison]
    experiment: int | None
    newer: Comparison | None


def family_of(session: Session, shown: Comparison) -> Family:
    """Return a comparison with its family, newest first as the API lists them."""
    experiment = session.client.send(runs.standing(shown.candidate_run_id)).run.experiment_number
    same = None if experiment is not None else shown.baseline_run_id
    wanted = comparisons.listing(experiment=experiment, run_id=same, scorer_id=shown.scorer_id)
    found = session.client.page(wanted, limit=_MOST).items
    pair = (shown.baseline_run_id, shown.candidate_run_id)
    newest = next(
        (one for one in found if (one.baseline_run_id, one.candidate_run_id) == pair), shown
    )
    is_newer = newest.id != shown.id and newest.created_at >= shown.created_at
    return Family(shown, newest_of_family(found, shown), experiment, newest if is_newer else None)
