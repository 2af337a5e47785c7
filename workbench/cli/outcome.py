"""Print what came of an experiment, and decide its gate: the end of `run`, `resume`, `demo`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rich.markup import escape

from app.bootstrap import Services
from app.schemas.experiments import RunView
from app.schemas.judgements import JudgingTotals
from workbench.cli.context import Format, Workspace, err, out, print_json
from workbench.cli.counts import counts_text, judging_json, judging_text, sequential_text
from workbench.cli.execution import exit_code
from workbench.cli.gate_options import GateOutput
from workbench.cli.spending import budget_json, budget_line
from workbench.reports.scores import score_text
from workbench.reports.text import comparison_text, experiment_text
from workbench.runner.carrying_out import CarriedOut, Ending

__all__ = ["print_outcome", "print_outcome_and_gate"]


async def print_outcome_and_gate(
    workspace: Workspace, done: CarriedOut, format_: Format, gate: GateOutput | None
) -> int:
    """Print what came of an experiment, decide its gate if asked for; return the exit code.

    A run that is not finished keeps its own exit code: there is nothing to decide on yet.
    """
    if gate is None or done.ending is not Ending.COMPLETED:
        await print_outcome(workspace, done, format_)
        if gate is not None:
            err().print("No gate decision: the experiment is not finished.")
        return exit_code(done)
    # Imported here: computing needs libraries that would delay the first request.
    from workbench.cli.gate import decide, gate_exit_code, print_decisions, write_decisions

    decisions = await decide(workspace, done.experiment, None)
    code = gate_exit_code(decisions, gate.fail_on)
    if format_ == "json":
        gates = [decision.model_dump(mode="json") for decision in decisions]
        print_json({**await _json(workspace.services, done), "exit_code": code, "gates": gates})
    else:
        await print_outcome(workspace, done, format_)
        out().print()
        print_decisions(decisions, gate.fail_on, format_)
    write_decisions(decisions, gate)
    return code


async def print_outcome(workspace: Workspace, done: CarriedOut, format_: Format) -> None:
    """Print what came of an experiment."""
    if format_ == "json":
        print_json(await _json(workspace.services, done))
        return
    console = out()
    judging = await _judging(workspace.services, done)
    for run_, totals in zip(done.experiment.runs, done.totals, strict=True):
        told = counts_text(totals)
        mark = " [yellow](simulated)[/]" if run_.simulated else ""
        cost = "" if totals.cost is None else f", ${totals.cost:.4f}"
        console.print(f"  {escape(run_.name)}{mark}: {told or 'nothing yet'}{cost}")
        # Answers beyond the look that ended a sequential plan are no evidence: the comparison
        # below has the scores without them.
        if done.ending is Ending.COMPLETED and done.open_cells >= 0:
            for line in await _score_lines(workspace.services, run_):
                console.print(f"    {escape(line)}")
        if (asked := judging_text(judging[run_.id])) is not None:
            console.print(f"    {asked}")
    if (ended := sequential_text(done.experiment, done.totals)) is not None:
        console.print(f"  {escape(ended)}")
    if done.budget is not None:
        console.print(f"  {budget_line(done.budget)}")
    results = done.comparisons
    if results:
        console.print()
        console.print(
            comparison_text(results[0]) if len(results) == 1 else experiment_text(results),
            soft_wrap=False,
        )
    if done.experiment.status == "completed":
        number = done.experiment.number
        what = "Examples that changed" if results else "Outputs side by side"
        console.print(f"\n{what}: workbench report {number} --html report-{number}.html")


async def _score_lines(services: Services, run_: RunView) -> list[str]:
    """`exact_match: 286 of 1,319 correct (21.7 %)` for each scorer that scored the run."""
    scores = services.scores
    return [
        f"{view.name}: {score_text(await scores.summary(run_.id, view.id))}"
        for view in await scores.scorers_of(run_.id)
    ]


async def _judging(services: Services, done: CarriedOut) -> dict[UUID, JudgingTotals]:
    """Return what judging each run has cost so far."""
    return await services.judgements.totals([run_.id for run_ in done.experiment.runs])


async def _json(services: Services, done: CarriedOut) -> dict[str, Any]:
    judging = await _judging(services, done)
    return {
        "experiment": done.experiment.number,
        "experiment_id": str(done.experiment.id),
        "status": done.experiment.status,
        "exit_code": int(exit_code(done)),
        "runs": [
            {
                "name": run_.name,
                "id": str(run_.id),
                "prompt": run_.prompt,
                "model": run_.model,
                "simulated": run_.simulated,
                "counts": totals.by_status,
                "errors": totals.by_error,
                "input_tokens": totals.input_tokens,
                "output_tokens": totals.output_tokens,
                "cost": None if totals.cost is None else float(totals.cost),
                "unpriced": totals.unpriced,
                "reused": totals.reused,
                "judging": judging_json(judging[run_.id]),
            }
            for run_, totals in zip(done.experiment.runs, done.totals, strict=True)
        ],
        "wanted": done.experiment.wanted,
        "budget": budget_json(done.budget),
        "sequential": done.experiment.sequential
        and done.experiment.sequential.model_dump(mode="json"),
        "comparisons": list(done.comparisons),
    }
