"""What differs between two runs beside what is compared. Pure.

Two runs are held against each other to see what one change does. Whatever else differs could
have done it, so it is named: a difference that makes the comparison mean something else blocks
a gate, any other is a label. Runs over different datasets share no example, and are refused.

What is compared is the first of prompt, model and parameters that differs: the prompt if there
are two prompts, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.variants import VariantView
from workbench.runner.comparison.cells import SideCells
from workbench.statistics.policy import DEFAULT_POLICY, Policy

__all__ = ["Mismatch", "Side", "check_comparable", "mismatches"]


@dataclass(frozen=True, slots=True)
class Side:
    """What the record knows of one run beside its scores.

    `experiment` and `variant` are None for outputs that were made elsewhere. `reported` holds
    what the provider called the model: (name, fingerprint, number of answers).
    """

    run: RunView
    dataset: DatasetVersionView
    experiment: ExperimentView | None = None
    variant: VariantView | None = None
    reported: Sequence[tuple[str | None, str | None, int]] = ()

    @property
    def example_count(self) -> int:
        """Examples in use: the version's, or the limit."""
        if self.experiment is None:
            return self.dataset.example_count
        return self.experiment.example_count

    @property
    def asked_count(self) -> int:
        """Examples that the run was asked for, however many a sequential plan then used."""
        limit, there = self.example_limit, self.dataset.example_count
        return there if limit is None else min(limit, there)

    @property
    def example_limit(self) -> int | None:
        return None if self.experiment is None else self.experiment.example_limit

    @property
    def repetitions(self) -> int | None:
        return None if self.experiment is None else self.experiment.repetitions


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not the same on both sides, and what it means for the comparison."""

    field: str
    baseline: JSON
    candidate: JSON
    blocking: bool
    text: str


def check_comparable(baseline: RunView, candidate: RunView) -> None:
    """Raise `Invalid` for two runs that have nothing to be compared on."""
    if baseline.id == candidate.id:
        raise Invalid("A run cannot be compared with itself: name two runs.")
    first, second = (run.dataset.partition("@")[0] for run in (baseline, candidate))
    if first != second:
        raise Invalid(
            f"{baseline.name} ran on {baseline.dataset} and {candidate.name} on "
            f"{candidate.dataset}: runs over different datasets share no example.",
            hint=f"Run one of the two on the other's data: workbench run --dataset "
            f"{baseline.dataset} ...",
        )


def mismatches(
    sides: tuple[Side, Side], cells: tuple[SideCells, SideCells], policy: Policy = DEFAULT_POLICY
) -> list[Mismatch]:
    """Return what differs, what blocks first."""
    found = [
        *_dataset(sides),
        *_origin(sides),
        *_variant(sides),
        *_extent(sides),
        *_shares(cells, policy),
    ]
    return sorted(found, key=lambda mismatch: not mismatch.blocking)


def _dataset(sides: tuple[Side, Side]) -> Iterator[Mismatch]:
    first, second = (side.run.dataset for side in sides)
    if first != second:
        yield Mismatch(
            "dataset",
            first,
            second,
            True,
            f"The runs are over {first} and {second}: only examples that say the same in both "
            "are compared.",
        )


def _origin(sides: tuple[Side, Side]) -> Iterator[Mismatch]:
    first, second = (side.run for side in sides)
    if first.simulated != second.simulated:
        yield Mismatch(
            "simulated",
            first.simulated,
            second.simulated,
            True,
            "A simulated model answered on one side and a real one on the other.",
        )
    if first.origin != second.origin:
        yield Mismatch(
            "origin",
            first.origin,
            second.origin,
            False,
            "One side was run here, the other was made elsewhere and imported: nobody knows under "
            "which conditions.",
        )


def _variant(sides: tuple[Side, Side]) -> Iterator[Mismatch]:
    before, after = (side.variant for side in sides)
    if before is None or after is None:
        return
    if before.content_hash == after.content_hash:
        yield Mismatch(
            "variant",
            before.short_hash,
            after.short_hash,
            False,
            "Both runs are of the same variant: the difference shows how much answers vary.",
        )
        return
    compared = "prompt" if before.prompt != after.prompt else "model"
    if compared == "prompt" and before.model != after.model:
        yield Mismatch(
            "model",
            before.model,
            after.model,
            False,
            "The model differs as well as the prompt: the difference may be the model's.",
        )
    changed = _changed(before.asked, after.asked)
    if changed and (compared == "prompt" or before.model != after.model):
        told = ", ".join(f"{n} ({_value(b)} and {_value(c)})" for n, (b, c) in changed.items())
        yield Mismatch(
            "parameters",
            {name: values[0] for name, values in changed.items()},
            {name: values[1] for name, values in changed.items()},
            False,
            f"Parameters differ as well as the {compared}: {told}. The difference may be theirs.",
        )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[JSON, JSON]]:
    names = sorted({*before, *after})
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _value(value: JSON) -> str:
    return "unset" if value is None else str(value)


def _extent(sides: tuple[Side, Side]) -> Iterator[Mismatch]:
    """What was asked of each run: how many examples, how often."""
    first, second = sides
    counts = first.asked_count, second.asked_count
    if counts[0] != counts[1] and first.run.dataset == second.run.dataset:
        yield Mismatch(
            "example_limit",
            first.example_limit,
            second.example_limit,
            False,
            f"One run was asked for {counts[0]:,} examples and the other for {counts[1]:,}: those "
            "of both are compared.",
        )
    asked = first.repetitions, second.repetitions
    if None not in asked and asked[0] != asked[1]:
        yield Mismatch(
            "repetitions",
            asked[0],
            asked[1],
            False,
            f"Examples were answered {asked[0]} and {asked[1]} times: each side is averaged over "
            "its own.",
        )


def _shares(cells: tuple[SideCells, SideCells], policy: Policy) -> Iterator[Mismatch]:
    """Shares of reused and of failed outputs that are more than 5 points apart."""
    for field, text in (
        ("reused", "of the answers were given to earlier runs and used again"),
        ("failed", "of the cells failed"),
    ):
        first, second = (_share(side, field) for side in cells)
        if abs(first - second) > policy.max_error_share:
            yield Mismatch(
                field,
                round(first, 4),
                round(second, 4),
                False,
                f"{100 * first:.1f} % {text} on the baseline's side, {100 * second:.1f} % on the "
                "candidate's.",
            )


def _share(side: SideCells, field: str) -> float:
    count = side.n_reused if field == "reused" else side.statuses.get("failed", 0)
    return count / side.n_cells if side.n_cells else 0.0
