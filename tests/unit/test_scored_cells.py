"""What the record says of cells, as statistics take it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.schemas.scores import ScoredCell
from workbench.scored_cells import clusters, observations
from workbench.scorers import parse_scorer

CELL = ScoredCell(
    key="a",
    repetition=0,
    status="scored",
    value=1.0,
    cluster=None,
    cost=None,
    latency_ms=None,
    reopened=False,
    answered=True,
)


def test_a_missing_score_is_not_zero() -> None:
    cells = [CELL, replace(CELL, key="b", status="missing", value=None)]
    found = observations(cells, parse_scorer("exact_match"))
    assert found.values[0] == 1.0
    assert np.isnan(found.values[1])
    assert list(found.statuses) == ["scored", "missing"]


def test_a_status_that_statistics_do_not_know_is_a_failure() -> None:
    """An abandoned generation has its own name in the record."""
    cells = [replace(CELL, status="abandoned", value=None)]
    assert list(observations(cells, parse_scorer("exact_match")).statuses) == ["failed"]


def test_the_scorer_says_what_scores_can_be() -> None:
    rule = parse_scorer("exact_match")
    found = observations([CELL], rule)
    assert (found.binary, found.lower, found.upper) == (rule.binary, *rule.range)


def test_clusters_are_there_if_any_cell_has_one() -> None:
    assert clusters([CELL]) is None
    assert clusters([CELL, replace(CELL, cluster="c")]) == [None, "c"]
