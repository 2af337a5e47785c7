"""Experiments and their runs.

What is left to do is never stored: it is derived from the outcomes. An experiment is
`open` until every cell has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound
from app.core.hashing import JSON, content_hash
from app.core.ids import cell_id, new_id
from app.core.permissions import Actor, Permission, require
from app.database import Database, IntegrityError
from app.llm.types import Usage, UsageSource
from app.repositories.budgets import BudgetRepository
from app.repositories.experiments import ExperimentRepository
from app.repositories.generations import GenerationRepository
from app.repositories.jobs import JobRepository
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiment_overviews import ExperimentFilter
from app.schemas.experiments import (
    ExperimentStanding,
    ExperimentView,
    NewExperiment,
    RequestedVariant,
    RunStanding,
    RunView,
    SequentialOutcome,
)
from app.schemas.generations import ImportedOutput, Outcome, Provenance
from app.schemas.names import check_run_name
from app.schemas.pages import Page, decode_cursor, decode_id, page_of
from app.services import audit
from app.services.variants import VariantService

__all__ = ["ExperimentService", "UnfinishedExperiment"]

_IMPORT_BATCH = 1000


class UnfinishedExperiment(Conflict):
    """The same specification is there already and not finished."""

    code = "unfinished_experiment"

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(
            f"Experiment {number} asks the same and is not finished.",
            hint=f"Go on with `workbench resume {number}`, or start anew with --new.",
        )


class ExperimentService:
    """Use cases of experiments and runs."""

    def __init__(self, database: Database, clock: Clock, variants: VariantService) -> None:
        self._database = database
        self._clock = clock
        self._variants = variants

    async def create(
        self,
        actor: Actor,
        new: NewExperiment,
        *,
        again: bool = False,
        job_id: UUID | None = None,
    ) -> ExperimentView:
        """Store variants, experiment and runs in one transaction.

        `job_id` is the job that asked for it: the same transaction makes it the experiment's, so
        that a job delivered twice makes one experiment.

        Raises `UnfinishedExperiment` if the same specification is open, unless `again`;
        `Invalid` for a sequential plan that has nothing to compare or no independent examples.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        if new.baseline_run is None and new.baseline >= len(new.variants):
            raise Invalid("The baseline must be one of the variants.", path="baseline")
        if new.plan.mode == "sequential":
            await self._check_sequential(new)
        spec = _spec(new)
        spec_hash = content_hash(spec)
        now = self._clock.now()
        async with self._database.write_session() as session:
            experiments = ExperimentRepository(session)
            number = await experiments.next_number()
            unfinished = await experiments.unfinished_with_hash(spec_hash)
            if unfinished is not None and not again:
                raise UnfinishedExperiment(unfinished)
            experiment_id = new_id()
            names = _run_names(number, new.variants)
            runs: list[dict[str, Any]] = []
            for position, (variant, name) in enumerate(zip(new.variants, names, strict=True)):
                ensured = await self._variants.ensure_in(
                    session, actor, variant.prompt, variant.model, variant.parameters
                )
                runs.append(
                    {
                        "id": new_id(),
                        "name": name,
                        "experiment_id": experiment_id,
                        "position": position,
                        "dataset_version_id": new.dataset.id,
                        "variant_id": ensured.id,
                        "origin": "executed",
                        "source": "",
                        "created_at": now,
                        "created_by": str(actor),
                    }
                )
            await experiments.add(
                {
                    "id": experiment_id,
                    "number": number,
                    "name": new.name,
                    "dataset_version_id": new.dataset.id,
                    "spec": spec,
                    "spec_hash": spec_hash,
                    "plan": new.plan.model_dump(mode="json"),
                    "repetitions": new.repetitions,
                    "example_limit": new.example_limit,
                    "extends_id": new.extends,
                    "status": "open",
                    "created_at": now,
                    "created_by": str(actor),
                    "finished_at": None,
                },
                runs,
            )
            if job_id is not None:
                await JobRepository(session).change(job_id, experiment_id=experiment_id)
            await audit.record(
                session,
                self._clock,
                actor,
                "experiment.created",
                "experiment",
                str(experiment_id),
                str(number),
                {"spec_hash": spec_hash, "runs": names},
            )
            await session.commit()
        return await self.by_id(experiment_id)

    async def _check_sequential(self, new: NewExperiment) -> None:
        if not new.scorers or (len(new.variants) < 2 and new.baseline_run is None):
            raise Invalid(
                "A sequential plan stops at a verdict: it needs a scorer, and a baseline with a "
                "candidate.",
                path="plan.mode",
                hint="Add a scorer and a second variant, or take the fixed plan.",
            )
        async with self._database.read_session() as session:
            clustered = await ExperimentRepository(session).has_clusters(new.dataset.id)
        if clustered:
            raise Invalid(
                f"A sequential plan needs independent examples, and those of "
                f"{new.dataset.reference} come in clusters.",
                path="plan.mode",
                hint="Take the fixed plan, which accounts for clusters.",
            )

    async def record_sequential_end(
        self, actor: Actor, experiment: ExperimentView, outcome: SequentialOutcome
    ) -> None:
        """Store where a sequential plan ended: from now on nothing beyond it is wanted.

        The look that ended it is a job of its own. Raises `Conflict` if one is stored already.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        now, detail = self._clock.now(), outcome.model_dump(mode="json")
        async with self._database.write_session() as session:
            experiments = ExperimentRepository(session)
            stored = await experiments.by_id(experiment.id)
            if stored is None or stored.sequential is not None:
                raise Conflict(f"Experiment {experiment.number} has ended already.")
            await JobRepository(session).add(
                {
                    "id": new_id(),
                    "kind": "compare",
                    "experiment_id": experiment.id,
                    "status": "done",
                    "actor": str(actor),
                    "concurrency": 1,
                    "started_at": now,
                    "ended_at": now,
                    "detail": {"sequential": detail},
                }
            )
            await audit.record(
                session,
                self._clock,
                actor,
                "experiment.ended_sequentially",
                "experiment",
                str(experiment.id),
                str(experiment.number),
                {"decided": outcome.decided, "n_used": outcome.n_used, "n_max": outcome.n_max},
            )
            await session.commit()

    async def count_shared_examples(
        self, experiment: ExperimentView, dataset: DatasetVersionView, count: int
    ) -> int:
        """Return how many of the first `count` examples of a version an experiment asked too."""
        async with self._database.read_session() as session:
            return await ExperimentRepository(session).count_shared(
                (dataset.id, count), (experiment.dataset_version_id, experiment.example_count)
            )

    async def import_run(
        self,
        actor: Actor,
        dataset: DatasetVersionView,
        *,
        name: str,
        source: str,
        outputs: Iterable[ImportedOutput],
    ) -> RunView:
        """Make a run of outputs that were made elsewhere, all in one transaction.

        `Conflict` if the name is taken, `Invalid` if it is no name for a run. Examples without
        an output stay without outcome.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        check_run_name(name)
        run_id, now = new_id(), self._clock.now()
        async with self._database.write_session() as session:
            experiments, generations = (
                ExperimentRepository(session),
                GenerationRepository(session),
            )
            try:
                await experiments.add_runs(
                    [_imported_run(run_id, dataset, name, source, actor, now)]
                )
            except IntegrityError:
                raise Conflict(
                    f"A run named {name!r} is there already.", hint="Choose another --name."
                ) from None
            count = 0
            for batch in _batches(_imported_outcomes(run_id, outputs, now)):
                await generations.add_outcomes(batch, (), now)
                count += len(batch)
            await audit.record(
                session,
                self._clock,
                actor,
                "run.imported",
                "run",
                str(run_id),
                name,
                {"dataset": dataset.reference, "outputs": count},
            )
            await session.commit()
        return await self.run(name)

    async def add_outputs(
        self, actor: Actor, run: RunView, outputs: Iterable[ImportedOutput]
    ) -> None:
        """Add outputs to an imported run; an answer that is there stays, a failed one gives way.

        `Invalid` for a run that was executed here.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        if run.origin != "imported":
            raise Invalid(f"{run.name} was executed here: nothing can be added to it.")
        now = self._clock.now()
        async with self._database.write_session() as session:
            generations = GenerationRepository(session)
            for batch in _batches(_imported_outcomes(run.id, outputs, now)):
                await generations.add_outcomes(batch, (), now)
            await session.commit()

    async def by_id(self, experiment_id: UUID) -> ExperimentView:
        """Return one experiment; `NotFound` if there is none."""
        async with self._database.read_session() as session:
            found = await ExperimentRepository(session).by_id(experiment_id)
        if found is None:
            raise NotFound("There is no such experiment.")
        return found

    async def get(self, reference: str, *, unfinished: bool = False) -> ExperimentView:
        """Return the experiment of a number or `latest`; with `unfinished` only open ones count."""
        async with self._database.read_session() as session:
            experiments = ExperimentRepository(session)
            if reference == "latest":
                found = await experiments.latest(unfinished=unfinished)
            elif reference.isdecimal():
                found = await experiments.by_number(int(reference))
            else:
                raise Invalid(
                    f"{reference!r} is no experiment: use its number, or latest.",
                    path="experiment",
                )
        if found is not None:
            return found
        if reference == "latest":
            wanted = "unfinished experiment" if unfinished else "experiment"
            raise NotFound(f"There is no {wanted}.", hint="Start one with `workbench run`.")
        raise NotFound(
            f"There is no experiment {reference}.", hint="See `workbench experiments list`."
        )

    async def question_count(self, dataset_version_id: UUID) -> int:
        """Return how many different questions were put to a dataset version: the same
        specification run again is the same question."""
        async with self._database.read_session() as session:
            return await ExperimentRepository(session).question_count(dataset_version_id)

    async def list(self, *, limit: int = 50) -> Sequence[ExperimentView]:
        """Return the newest experiments, newest first."""
        async with self._database.read_session() as session:
            return await ExperimentRepository(session).list(limit=limit)

    async def runs(self, *, limit: int = 50) -> Sequence[RunView]:
        """Return the newest runs, newest first."""
        async with self._database.read_session() as session:
            return await ExperimentRepository(session).runs(limit=limit)

    async def run(self, reference: str, *, reader: Actor | None = None) -> RunView:
        """Return the run of a name, of a unique beginning of one, or `latest`.

        `latest` is the newest run; `NotFound` says which names are close. With a `reader` there are
        only the runs that they may read.
        """
        prefixes = None if reader is None else reader.prefixes(Permission.EXPERIMENT_READ)
        async with self._database.read_session() as session:
            experiments = ExperimentRepository(session)
            if reference == "latest":
                found = await experiments.runs(prefixes=prefixes, limit=1)
            else:
                found = await experiments.runs_named(reference, prefixes=prefixes)
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(sorted(run.name for run in found))
            raise NotFound(f"{reference!r} is the beginning of several runs: {names}.")
        if reference == "latest":
            raise NotFound("There is no run yet.", hint="Start one with `workbench run`.")
        raise NotFound(f"There is no run {reference!r}.", hint="See `workbench runs list`.")

    async def page(
        self, actor: Actor, *, status: str | None = None, cursor: str | None, limit: int
    ) -> Page[ExperimentView]:
        """Return the experiments that the actor may read, newest first."""
        before = None if cursor is None else cast("int", decode_cursor(cursor, int)[0])
        async with self._database.read_session() as session:
            found, total = await ExperimentRepository(session).page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                wanted=ExperimentFilter(status=status),
                before=before,
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda found: (found.number,))

    async def standing(self, actor: Actor, number: int) -> ExperimentStanding:
        """Return one experiment with what is stored of each run; `NotFound` for one that the
        actor may not read."""
        async with self._database.read_session() as session:
            found = await ExperimentRepository(session).by_number(number)
            if found is None or not actor.may(Permission.EXPERIMENT_READ, _dataset(found.dataset)):
                raise NotFound(f"There is no experiment {number}.")
            totals = await GenerationRepository(session).totals([run.id for run in found.runs])
            budget = await BudgetRepository(session).of_experiment(found.id)
        return ExperimentStanding(
            experiment=found,
            wanted=found.wanted,
            runs=tuple(RunStanding(run=run, totals=totals[run.id]) for run in found.runs),
            budget=budget,
        )

    async def cancel(self, actor: Actor, number: int) -> ExperimentView:
        """Stop an experiment for good: who works on it finishes the calls in flight and ends.

        `Conflict` if it is not open.
        """
        found = (await self.standing(actor, number)).experiment
        require(actor, Permission.EXPERIMENT_RUN, _dataset(found.dataset))
        if found.status != "open":
            raise Conflict(f"Experiment {number} is {found.status} already.")
        await self.set_status(actor, found, "cancelled")
        return await self.by_id(found.id)

    async def runs_page(
        self,
        actor: Actor,
        *,
        experiment: int | None = None,
        name: str = "",
        cursor: str | None,
        limit: int,
    ) -> Page[RunView]:
        """Return the runs that the actor may read, newest first; `name` is how names begin."""
        async with self._database.read_session() as session:
            found, total = await ExperimentRepository(session).runs_page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                experiment=experiment,
                name=name,
                before=None if cursor is None else decode_id(cursor),
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda run: (str(run.id),))

    async def run_standing(self, actor: Actor, run_id: UUID) -> RunStanding:
        """Return one run with what is stored of it; `NotFound` for one that the actor may not
        read."""
        found = await self.run_by_id(run_id)
        require(actor, Permission.EXPERIMENT_READ, _dataset(found.dataset))
        async with self._database.read_session() as session:
            totals = await GenerationRepository(session).totals([run_id])
        return RunStanding(run=found, totals=totals[run_id])

    async def run_by_id(self, run_id: UUID) -> RunView:
        """Return one run; `NotFound` if there is none."""
        async with self._database.read_session() as session:
            found = await ExperimentRepository(session).run_by_id(run_id)
        if found is None:
            raise NotFound(f"There is no run {run_id}.")
        return found

    async def status(self, experiment_id: UUID) -> str:
        """Return only the status: a cheap look for a process at work."""
        async with self._database.read_session() as session:
            return await ExperimentRepository(session).status(experiment_id) or "cancelled"

    async def set_status(self, actor: Actor, experiment: ExperimentView, status: str) -> None:
        """Mark an experiment open, completed or cancelled, with its audit event."""
        require(actor, Permission.EXPERIMENT_RUN)
        now = self._clock.now()
        async with self._database.write_session() as session:
            await ExperimentRepository(session).set_status(
                experiment.id, status, None if status == "open" else now
            )
            await audit.record(
                session,
                self._clock,
                actor,
                f"experiment.{'reopened' if status == 'open' else status}",
                "experiment",
                str(experiment.id),
                str(experiment.number),
            )
            await session.commit()


def _dataset(reference: str) -> str:
    """Return the name in a reference to a dataset version."""
    return reference.partition("@")[0]


def _spec(new: NewExperiment) -> dict[str, JSON]:
    """Return the whole question, with everything it names resolved: this is what is hashed.

    What was not asked for is absent, so that a new kind of question leaves the hashes of all
    others as they are.
    """
    spec: dict[str, JSON] = {
        "dataset": new.dataset.reference,
        "dataset_hash": new.dataset.content_hash,
        "variants": [
            {
                "prompt": variant.prompt.reference,
                "prompt_hash": variant.prompt.content_hash,
                "model": variant.model.reference,
                "parameters": dict(variant.parameters),
                "binding": dict(variant.binding),
            }
            for variant in new.variants
        ],
        "repetitions": new.repetitions,
        "limit": new.example_limit,
        "scorers": [dict(scorer) for scorer in new.scorers],
        "baseline": new.baseline,
        "plan": {
            "scorer": new.plan.scorer,
            "margin": new.plan.margin,
            **new.plan.model_dump(mode="json", exclude_defaults=True),
        },
    }
    if new.baseline_run is not None:
        spec["baseline_run"] = {"id": str(new.baseline_run.id), "name": new.baseline_run.name}
    if new.baseline_alias is not None:
        spec["baseline_alias"] = new.baseline_alias
    if new.extends is not None:
        spec["extends"] = str(new.extends)
    return spec


def _run_names(number: int, variants: Sequence[RequestedVariant]) -> list[str]:
    """Return `12/triage@3+openai/x`, with the parameters where that alone is not unique."""
    short = [f"{v.prompt.reference}+{v.model.provider}/{v.model.name}" for v in variants]
    if any(count > 1 for count in Counter(short).values()):
        short = [f"{v.prompt.reference}+{v.model.reference}" for v in variants]
    counts = Counter(short)
    names = []
    for variant, name in zip(variants, short, strict=True):
        suffix = ""
        if counts[name] > 1 and variant.parameters:
            suffix = "+" + ",".join(f"{k}={v}" for k, v in sorted(variant.parameters.items()))
        names.append(f"{number}/{name}{suffix}"[:300])
    if len(set(names)) < len(names):
        first, second = _same(names)
        raise Invalid(
            f"Variants {first} and {second} are the same: "
            f"{short[first - 1]} with the same parameters.",
            path="variants",
            hint="Name each prompt, model and set of parameters once.",
        )
    return names


def _same(names: Sequence[str]) -> tuple[int, int]:
    """Return the places, counted from 1, of the first two equal names; there must be two."""
    for place, name in enumerate(names, start=1):
        if (first := names.index(name) + 1) < place:
            return first, place
    raise ValueError("all names differ")


def _imported_run(
    run_id: UUID, dataset: DatasetVersionView, name: str, source: str, actor: Actor, now: datetime
) -> dict[str, Any]:
    return {
        "id": run_id,
        "name": name,
        "experiment_id": None,
        "position": None,
        "dataset_version_id": dataset.id,
        "variant_id": None,
        "origin": "imported",
        "source": source,
        "created_at": now,
        "created_by": str(actor),
    }


def _imported_outcomes(
    run_id: UUID, outputs: Iterable[ImportedOutput], now: datetime
) -> Iterator[Outcome]:
    provenance = Provenance(run_id)
    for output in outputs:
        tokens = output.input_tokens is not None and output.output_tokens is not None
        failed = output.error is not None
        yield Outcome(
            id=cell_id(run_id, output.example_id, output.repetition),
            provenance=provenance,
            example_id=output.example_id,
            repetition=output.repetition,
            status="failed" if failed else "completed",
            usage=Usage(
                output.input_tokens,
                output.output_tokens,
                source=UsageSource.PROVIDER if tokens else UsageSource.UNREPORTED,
            ),
            started_at=now,
            finished_at=now,
            latency_ms=output.latency_ms,
            attempt_count=0,
            output=None if failed else {"role": "assistant", "content": output.text},
            error={"message": output.error} if failed else None,
            error_code="application_error" if failed else None,
            cost=output.cost,
        )


def _batches(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    while batch := list(islice(outcomes, _IMPORT_BATCH)):
        yield batch
