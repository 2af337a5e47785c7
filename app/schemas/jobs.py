"""Jobs at the boundary: what can be asked of a worker, and how far it is."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.schemas.datasets import Storable
from app.schemas.examples import example
from app.schemas.experiments import ExperimentSpec

__all__ = [
    "UNFINISHED",
    "CompareRequest",
    "ExtendRequest",
    "GateRequest",
    "JobKind",
    "JobProgress",
    "JobRequest",
    "JobStatus",
    "JobView",
    "QualifyRequest",
    "ResumeRequest",
    "RunRequest",
    "ScoreRequest",
]

JobKind = Literal["run", "score", "compare", "gate", "qualify"]
JobStatus = Literal["queued", "running", "done", "stopped", "failed", "lost"]

UNFINISHED: Final[tuple[JobStatus, ...]] = ("queued", "running")
"""What a worker still has to do; every other status is an end."""

_FILE_ENDINGS = (".yaml", ".yml")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Work(_Strict):
    """How to work, none of which changes what is asked."""

    concurrency: int | None = Field(
        default=None, ge=1, le=1000, description="calls at once; null adapts to the provider"
    )
    cache: bool = Field(default=False, description="take a stored answer to an equal request")


class RunRequest(ExperimentSpec, _Work):
    """A new experiment, as in an experiment file. Prompts are registered versions: a server reads
    no files for its callers."""

    model_config = example(
        dataset="support-triage@1",
        prompts=["support-triage@1", "support-triage@2"],
        models=["openai/gpt-4.1-mini"],
        scorers=["exact_match"],
        baseline="support-triage@1",
        plan={"margin": 0.03},
        budget=5,
    )

    prompts: list[str] = Field(min_length=1, max_length=100)
    models: list[str] = Field(min_length=1, max_length=100)
    scorers: Annotated[list[str | dict[str, Any]], Storable] = Field(
        default_factory=list, max_length=100
    )
    gate: bool = Field(default=False, description="decide the plan's gate at the end")
    again: bool = Field(
        default=False, description="also if the same question is open and not finished"
    )

    @field_validator("prompts")
    @classmethod
    def _no_files(cls, prompts: list[str]) -> list[str]:
        if any(prompt.endswith(_FILE_ENDINGS) for prompt in prompts):
            raise ValueError("name registered versions such as triage@2, and no files")
        return prompts


class ResumeRequest(_Work):
    """Go on with an experiment that was stopped, cut off or has failed cells."""

    model_config = example(retry=["timeout", "server_error"], budget=5)

    retry: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="classes of errors whose cells are tried again, such as timeout; `*` is all",
        examples=[["timeout", "server_error"]],
    )
    budget: Decimal | None = Field(default=None, gt=0, le=10**9, description="US dollars in all")
    gate: bool = Field(default=False, description="decide the plan's gate at the end")


class ExtendRequest(_Work):
    """Carry a completed experiment on over a newer version of its dataset."""

    model_config = example(extends=12, dataset="support-triage@2")

    extends: int = Field(ge=1, le=2**31 - 1, description="the experiment's number")
    dataset: str | None = Field(
        default=None,
        max_length=200,
        description="the version, as in `triage@4`; null is the newest",
        examples=["support-triage@2"],
    )
    budget: Decimal | None = Field(default=None, gt=0, le=10**9, description="US dollars")


class ScoreRequest(_Strict):
    """Score the stored outputs of a run; what was scored before stays as it is."""

    model_config = example(
        run_id="01990000-0000-7000-8000-000000000001",
        scorers=["exact_match", "json_field:path=total"],
    )

    run_id: UUID
    scorers: Annotated[list[str | dict[str, Any]], Storable] = Field(
        min_length=1, max_length=100, examples=[["exact_match", "json_field:path=total"]]
    )


class CompareRequest(_Strict):
    """Compare runs, paired on the example's key. One comparison of each candidate is stored."""

    model_config = example(
        baseline_run_id="01990000-0000-7000-8000-000000000001",
        candidate_run_ids=["01990000-0000-7000-8000-000000000002"],
        scorer="exact_match",
        margin=0.03,
    )

    baseline_run_id: UUID
    candidate_run_ids: list[UUID] = Field(min_length=1, max_length=100)
    scorer: Annotated[str | dict[str, Any], Storable] = Field(examples=["exact_match"])
    margin: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="the acceptable loss: 0.03 is 3 points"
    )
    slices: list[str] | None = Field(
        default=None,
        max_length=20,
        description="metadata columns to slice by; null takes those that suit, [] none",
    )


class GateRequest(_Strict):
    """Decide the gate that an experiment declares, for each of its candidates."""

    model_config = example(accept_loss="half the price, and nobody reads the tone")

    accept_loss: str | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="the reason why a loss is accepted; it is stored with who accepts it",
    )


class QualifyRequest(_Strict):
    """Check a judge against people's labels of runs; for a judge of pairs of two runs."""

    model_config = example(
        judge="judge_correctness:model=openai/gpt-4.1-mini",
        run_ids=["01990000-0000-7000-8000-000000000001"],
        criterion="quality",
    )

    judge: str = Field(
        max_length=1000,
        examples=["judge_correctness:model=openai/gpt-4.1-mini", "3f9ac210"],
        description="as scorers are written, or at least six digits of a stored judge's hash",
    )
    run_ids: list[UUID] = Field(min_length=1, max_length=100)
    criterion: str = Field(min_length=1, max_length=100, examples=["quality"])
    budget: Decimal | None = Field(default=None, gt=0, le=10**9, description="US dollars")


JobRequest = (
    RunRequest
    | ResumeRequest
    | ExtendRequest
    | ScoreRequest
    | CompareRequest
    | GateRequest
    | QualifyRequest
)
"""What can be asked of a worker."""


class JobView(_Strict):
    """One piece of work: asked of a worker, or done by a process that nobody had to ask.

    `asked` is the request as it came, None for a process at the command line. `detail` says what
    was done, and in `error` why it failed.
    """

    id: UUID
    kind: JobKind
    status: JobStatus
    experiment: int | None = Field(description="its number, once it is stored")
    experiment_id: UUID | None
    actor: str
    concurrency: int
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    stop_asked_at: datetime | None
    asked: dict[str, Any] | None
    detail: dict[str, Any]

    @property
    def ended(self) -> bool:
        return self.status not in UNFINISHED


class JobProgress(_Strict):
    """How far a job is: its experiment's cells as they are stored, whoever stored them.

    `wanted` and `by_status` are None and empty for a job without an experiment.
    """

    job: JobView
    wanted: int | None
    by_status: dict[str, int] = Field(description="cells by how they ended")
    cost: float | None = Field(description="US dollars, where known")
