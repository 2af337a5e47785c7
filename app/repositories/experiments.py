"""Statements on `experiment` and `run`."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, insert, select, text, update

from app.database import AsyncSession
from app.models import (
    Dataset,
    DatasetVersion,
    DatasetVersionExample,
    Example,
    Experiment,
    Job,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Run,
    Variant,
)
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.experiment_overviews import ExperimentFilter
from app.schemas.experiments import ExperimentView, Plan, RunView, SequentialOutcome

__all__ = ["ExperimentRepository"]

_SEQUENTIAL = "sequential"  # the name in a job's detail of where a sequential plan ended
_LARGEST_NUMBER = 2**31 - 1
_NUMBER_LOCK = 7_311_002  # names the advisory lock under which experiments get their numbers


class ExperimentRepository:
    """Experiments with their runs; reads return schemas."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def next_number(self) -> int:
        """Return the next experiment number; it is ours until the transaction ends."""
        if self._session.get_bind().dialect.name == "postgresql":
            await self._session.execute(text(f"SELECT pg_advisory_xact_lock({_NUMBER_LOCK})"))
        last = (await self._session.execute(select(func.max(Experiment.number)))).scalar_one()
        return (last or 0) + 1

    async def add(self, values: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """Insert an experiment and its runs."""
        await self._session.execute(insert(Experiment), [dict(values)])
        await self.add_runs(runs)

    async def add_runs(self, runs: Sequence[Mapping[str, Any]]) -> None:
        await self._session.execute(insert(Run), [dict(run) for run in runs])

    async def set_status(
        self, experiment_id: UUID, status: str, finished_at: datetime | None
    ) -> None:
        await self._session.execute(
            update(Experiment)
            .where(Experiment.id == experiment_id)
            .values(status=status, finished_at=finished_at)
        )

    async def status(self, experiment_id: UUID) -> str | None:
        statement = select(Experiment.status).where(Experiment.id == experiment_id)
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def unfinished_with_hash(self, spec_hash: str) -> int | None:
        """Return the number of the newest unfinished experiment with this specification."""
        statement = (
            select(Experiment.number)
            .where(Experiment.spec_hash == spec_hash, Experiment.status == "open")
            .order_by(Experiment.number.desc())
            .limit(1)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def by_number(self, number: int) -> ExperimentView | None:
        return await self._one(_experiments().where(Experiment.number == number))

    async def by_id(self, experiment_id: UUID) -> ExperimentView | None:
        return await self._one(_experiments().where(Experiment.id == experiment_id))

    async def question_count(self, dataset_version_id: UUID) -> int:
        """Return how many different specifications were run over a dataset version."""
        statement = select(func.count(func.distinct(Experiment.spec_hash))).where(
            Experiment.dataset_version_id == dataset_version_id
        )
        return (await self._session.execute(statement)).scalar_one()

    async def latest(self, *, unfinished: bool = False) -> ExperimentView | None:
        statement = _experiments().order_by(Experiment.number.desc()).limit(1)
        if unfinished:
            statement = statement.where(Experiment.status == "open")
        return await self._one(statement)

    async def list(self, *, limit: int) -> Sequence[ExperimentView]:
        """Return the newest experiments, newest first."""
        rows = (
            await self._session.execute(
                _experiments().order_by(Experiment.number.desc()).limit(limit)
            )
        ).all()
        return await self._views(rows)

    async def page(
        self,
        prefixes: Sequence[str] | None,
        *,
        wanted: ExperimentFilter,
        before: int | None,
        limit: int,
    ) -> tuple[Sequence[ExperimentView], int]:
        """Return experiments over datasets below the prefixes, newest first, and how many there
        are; `before` is the number that the page before ended with."""
        chosen = _experiments().where(below(Dataset.name, prefixes), *_conditions(wanted))
        statement = chosen.order_by(Experiment.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Experiment.number < before)
        rows = (await self._session.execute(statement)).all()
        total = await count_up_to(self._session, chosen.with_only_columns(Experiment.id))
        return await self._views(rows), total

    async def runs_page(
        self,
        prefixes: Sequence[str] | None,
        *,
        experiment: int | None,
        name: str,
        before: UUID | None,
        limit: int,
    ) -> tuple[Sequence[RunView], int]:
        """Return runs over datasets below the prefixes, newest first, and how many there are;
        `name` is what their names begin with."""
        wanted = _runs().where(
            below(Dataset.name, prefixes), Run.name.startswith(name, autoescape=True)
        )
        if experiment is not None:
            wanted = wanted.where(Experiment.number == experiment)
        statement = wanted.order_by(Run.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(Run.id < before)
        rows = await self._session.execute(statement)
        total = await count_up_to(self._session, wanted.with_only_columns(Run.id))
        return [_run(row) for row in rows], total

    async def runs_named(
        self, text_: str, *, prefixes: Sequence[str] | None = None
    ) -> Sequence[RunView]:
        """Return the run of exactly this name, else up to twenty whose names begin so; only those
        whose dataset is below a prefix."""
        seen = _runs().where(below(Dataset.name, prefixes))
        exact = [_run(r) for r in await self._session.execute(seen.where(Run.name == text_))]
        if exact:
            return exact
        statement = seen.where(Run.name.startswith(text_, autoescape=True)).limit(20)
        return [_run(row) for row in await self._session.execute(statement)]

    async def run_by_id(self, run_id: UUID) -> RunView | None:
        row = (await self._session.execute(_runs().where(Run.id == run_id))).one_or_none()
        return None if row is None else _run(row)

    async def runs(self, *, prefixes: Sequence[str] | None = None, limit: int) -> Sequence[RunView]:
        """Return the newest runs, newest first; only those whose dataset is below a prefix."""
        seen = _runs().where(below(Dataset.name, prefixes))
        statement = seen.order_by(Run.created_at.desc(), Run.position.desc()).limit(limit)
        return [_run(row) for row in await self._session.execute(statement)]

    async def _one(self, statement: Select[*tuple[Any, ...]]) -> ExperimentView | None:
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else (await self._views([row]))[0]

    async def _views(self, rows: Sequence[Any]) -> Sequence[ExperimentView]:
        runs = await self._runs_of([row[0].id for row in rows])
        ended = await self._sequential_ends(
            [row[0].id for row in rows if row[0].plan.get("mode") == "sequential"]
        )
        return [_view(row, runs.get(row[0].id, []), ended.get(row[0].id)) for row in rows]

    async def _sequential_ends(
        self, experiment_ids: Sequence[UUID]
    ) -> Mapping[UUID, SequentialOutcome]:
        """Return where sequential plans ended; the look that ended one is a job of its own."""
        if not experiment_ids:
            return {}
        statement = select(Job.experiment_id, Job.detail).where(
            Job.experiment_id.in_(experiment_ids), Job.kind == "compare"
        )
        return {
            row.experiment_id: SequentialOutcome.model_validate(row.detail[_SEQUENTIAL])
            for row in await self._session.execute(statement)
            if _SEQUENTIAL in row.detail
        }

    async def has_clusters(self, dataset_version_id: UUID) -> bool:
        """Whether two examples of a version share a cluster."""
        shared = (
            select(Example.cluster)
            .join(DatasetVersionExample, DatasetVersionExample.example_id == Example.id)
            .where(
                DatasetVersionExample.dataset_version_id == dataset_version_id,
                Example.cluster.is_not(None),
            )
            .group_by(Example.cluster)
            .having(func.count() > 1)
            .limit(1)
        )
        return (await self._session.execute(shared)).first() is not None

    async def count_shared(self, version: tuple[UUID, int], other: tuple[UUID, int]) -> int:
        """Count the examples that two dataset versions share; of each the first ones only."""
        theirs = select(DatasetVersionExample.example_id).where(
            DatasetVersionExample.dataset_version_id == other[0],
            DatasetVersionExample.position < other[1],
        )
        statement = (
            select(func.count())
            .select_from(DatasetVersionExample)
            .where(
                DatasetVersionExample.dataset_version_id == version[0],
                DatasetVersionExample.position < version[1],
                DatasetVersionExample.example_id.in_(theirs),
            )
        )
        return (await self._session.execute(statement)).scalar_one()

    async def _runs_of(self, experiment_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[RunView]]:
        statement = (
            _runs()
            .where(Run.experiment_id.in_(experiment_ids))
            .order_by(Run.experiment_id, Run.position)
        )
        grouped: defaultdict[UUID, deque[RunView]] = defaultdict(deque)
        for row in await self._session.execute(statement):
            run = _run(row)
            if run.experiment_id is not None:
                grouped[run.experiment_id].append(run)
        return grouped


def _experiments() -> Select[*tuple[Any, ...]]:
    return (
        select(Experiment, DatasetVersion.number, DatasetVersion.example_count, Dataset.name)
        .join(DatasetVersion, DatasetVersion.id == Experiment.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
    )


def _conditions(wanted: ExperimentFilter) -> list[ColumnElement[bool]]:
    """Return what a filter asks for, of an experiment joined with its dataset."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.search:
        in_name = Experiment.name.icontains(wanted.search, autoescape=True)
        number = int(wanted.search) if wanted.search.isdecimal() else 0
        is_number = 0 < number <= _LARGEST_NUMBER
        conditions.append(in_name | (Experiment.number == number) if is_number else in_name)
    if wanted.status is not None:
        conditions.append(Experiment.status == wanted.status)
    if wanted.dataset is not None:
        conditions.append(Dataset.name == wanted.dataset)
    if wanted.by:
        conditions.append(Experiment.created_by.icontains(wanted.by, autoescape=True))
    return conditions


def _runs() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Run,
            Experiment.number,
            DatasetVersion.number,
            Dataset.name,
            Prompt.name,
            PromptVersion.number,
            PromptVersion.content_hash,
            LanguageModel.provider,
            LanguageModel.name,
            ModelVersion.number,
        )
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .outerjoin(Experiment, Experiment.id == Run.experiment_id)
        .outerjoin(Variant, Variant.id == Run.variant_id)
        .outerjoin(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
        .outerjoin(Prompt, Prompt.id == PromptVersion.prompt_id)
        .outerjoin(ModelVersion, ModelVersion.id == Variant.model_version_id)
        .outerjoin(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )


def _run(row: Any) -> RunView:
    run: Run = row[0]
    prompt = None
    if row[4] is not None:
        version = row[5] if row[5] is not None else f"draft-{row[6].removeprefix('sha256:')[:8]}"
        prompt = f"{row[4]}@{version}"
    return RunView(
        id=run.id,
        name=run.name,
        origin=run.origin,
        experiment_id=run.experiment_id,
        experiment_number=row[1],
        position=run.position,
        dataset_version_id=run.dataset_version_id,
        dataset=f"{row[3]}@{row[2]}",
        variant_id=run.variant_id,
        prompt=prompt,
        model=None if row[8] is None else f"{row[7]}/{row[8]}@{row[9]}",
        provider=row[7],
        source=run.source,
        created_at=run.created_at,
        created_by=run.created_by,
    )


def _view(
    row: Any, runs: Sequence[RunView], sequential: SequentialOutcome | None
) -> ExperimentView:
    experiment: Experiment = row[0]
    plan = Plan.model_validate(experiment.plan)
    count = row[2]
    if experiment.example_limit is not None:
        count = min(count, experiment.example_limit)
    if plan.mode == "sequential" and plan.n is not None:
        count = min(count, plan.n)
    if sequential is not None:
        count = sequential.n_used
    return ExperimentView(
        id=experiment.id,
        number=experiment.number,
        name=experiment.name,
        dataset_version_id=experiment.dataset_version_id,
        dataset=f"{row[3]}@{row[1]}",
        spec=experiment.spec,
        plan=plan,
        repetitions=experiment.repetitions,
        example_count=count,
        example_limit=experiment.example_limit,
        extends_id=experiment.extends_id,
        sequential=sequential,
        status=experiment.status,
        runs=tuple(runs),
        created_at=experiment.created_at,
        created_by=experiment.created_by,
        finished_at=experiment.finished_at,
    )
