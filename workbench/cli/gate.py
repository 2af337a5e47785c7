"""`workbench gate`: the plan that was declared, applied to what was measured.

Exit codes: 0 if no candidate's decision fails the job (`--fail-on`), else that of the gravest
decision that does: infrastructure (3 failed cells, 4 unfinished), incomparable (12), worse (10),
blocked (13), not proven (11).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import typer
from rich.markup import escape

from app.core.errors import ConfigurationError, Conflict
from app.llm.budget import BudgetReached
from app.schemas.experiments import ExperimentView
from app.schemas.gates import GateDecisionView
from workbench.cli.context import ExitCode, Workspace, command, err, open_workspace, out, print_json
from workbench.cli.gate_options import (
    DEFAULT_FAIL_ON,
    AcceptLossOption,
    FailOnOption,
    GateOutput,
    JunitOption,
    MarkdownOption,
    gate_output,
)
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.gate_words import decision_word, short_evidence
from workbench.gates import GRAVEST_FIRST, SignOff
from workbench.reports.files import write_text
from workbench.reports.gate_markdown import gate_markdown
from workbench.reports.gate_text import gate_text
from workbench.reports.junit import junit_xml
from workbench.runner.gating import decide_experiment
from workbench.runner.judging.answers import JudgeStopped
from workbench.workspace.plan_check import check_gate

__all__ = ["app", "decide", "gate_exit_code", "print_decisions", "write_decisions"]

app = typer.Typer(
    help="Decide the gate that an experiment declares; list and show decisions.",
    add_completion=False,
)

GateFormat = Literal["text", "json", "markdown"]


@app.command()
@command
async def gate(
    experiment: Annotated[str, typer.Argument(help="Its number, or latest.")] = "latest",
    fail_on: FailOnOption = DEFAULT_FAIL_ON,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    accept_loss: AcceptLossOption = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List stored decisions, newest first; decide nothing.")
    ] = False,
    show: Annotated[
        str | None,
        typer.Option(help="Show the stored decision of this evidence; decide nothing."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="With --list: how many.")] = 20,
    format_: Annotated[
        GateFormat, typer.Option("--format", help="text, json or markdown.")
    ] = "text",
) -> int:
    """Decide the gate that an experiment declares, for each of its candidates.

    What a candidate has to show was declared in the experiment's plan before the run. Each
    decision is stored with the hash of everything it rests on.

    Examples:

      workbench gate

      workbench gate 12 --fail-on strict --markdown gate.md --junit gate.xml

      workbench gate --show 3f9a20c1
    """
    output = gate_output(fail_on, markdown, junit)
    if (list_ or show is not None) and (accept_loss is not None or fail_on != DEFAULT_FAIL_ON):
        raise ConfigurationError(
            "--list and --show decide nothing: leave --accept-loss and --fail-on out."
        )
    if list_ and (show is not None or markdown is not None or junit is not None):
        raise ConfigurationError("--list only lists: leave --show, --markdown and --junit out.")
    async with open_workspace() as workspace:
        if list_:
            await _list(workspace, experiment, limit, format_)
            return ExitCode.DONE
        if show is not None:
            decisions = [await workspace.services.gates.get(show)]
        else:
            found = await workspace.services.experiments.get(experiment)
            decisions = await decide(workspace, found, accept_loss)
        print_decisions(decisions, output.fail_on, format_)
        write_decisions(decisions, output)
        return ExitCode.DONE if show is not None else gate_exit_code(decisions, output.fail_on)


async def decide(
    workspace: Workspace, experiment: ExperimentView, accept_loss: str | None
) -> list[GateDecisionView]:
    """Decide for every candidate of an experiment and store the decisions.

    Exits as stopped if the experiment's budget does not reach for its judges.
    """
    if experiment.status == "cancelled":
        raise Conflict(f"Experiment {experiment.number} was cancelled: there is no gate for it.")
    if accept_loss is not None and not accept_loss.strip():
        raise ConfigurationError("--accept-loss wants the reason why the loss is accepted.")
    check_gate(experiment.plan, experiment.spec["scorers"], examples=experiment.example_count)
    sign_off = SignOff(str(workspace.actor), accept_loss.strip()) if accept_loss else None
    try:
        return await decide_experiment(
            workspace.services, workspace.actor, experiment, sign_off=sign_off
        )
    except JudgeStopped as stopped:
        if stopped.reason != BudgetReached.code:
            raise
        err().print(f"No gate decision: {escape(stopped.message)}")
        raise typer.Exit(ExitCode.STOPPED) from None


def gate_exit_code(decisions: Sequence[GateDecisionView], fail_on: Collection[str]) -> int:
    """Return the exit code of the gravest decision that fails the job; 0 if none does."""
    for word in GRAVEST_FIRST:
        codes = [d.exit_code for d in decisions if d.decision == word and word in fail_on]
        if codes:
            return max(codes)
    return ExitCode.DONE


def write_decisions(decisions: Sequence[GateDecisionView], output: GateOutput) -> None:
    """Write the files that were asked for."""
    if output.markdown is not None:
        write_text(output.markdown, gate_markdown(decisions))
    if output.junit is not None:
        write_text(output.junit, junit_xml(decisions, output.fail_on))


def print_decisions(
    decisions: Sequence[GateDecisionView], fail_on: Collection[str], format_: GateFormat
) -> None:
    """Print every decision, and why the exit code is 0 although a candidate did not pass."""
    if format_ == "json":
        print_json([decision.model_dump(mode="json") for decision in decisions])
    elif format_ == "markdown":
        print(gate_markdown(decisions), end="")
    else:
        for index, decision in enumerate(decisions):
            if index:
                out().print()
            out().print(gate_text(decision), soft_wrap=False)
        _tell_tolerated(decisions, fail_on)


def _tell_tolerated(decisions: Sequence[GateDecisionView], fail_on: Collection[str]) -> None:
    words = sorted({d.decision for d in decisions} - {"passed", *fail_on})
    if words:
        told = " or ".join(decision_word(word) for word in words)
        err().print(f"This does not fail the job: --fail-on does not name {told}.", style="dim")


async def _list(workspace: Workspace, experiment: str, limit: int, format_: GateFormat) -> None:
    services = workspace.services
    chosen = None if experiment == "latest" else await services.experiments.get(experiment)
    decisions = await services.gates.list(
        experiment_id=None if chosen is None else chosen.id, limit=limit
    )
    if format_ == "json":
        print_json([decision.model_dump(mode="json") for decision in decisions])
        return
    if format_ == "markdown":
        print(gate_markdown(decisions), end="")
        return
    if not decisions:
        out().print("No gate decision yet. Make one: workbench gate EXPERIMENT")
        return
    table = plain_table("evidence", "candidate", "decision", "standing", "decided", "by")
    for decision in decisions:
        table.add_row(
            short_evidence(decision.evidence_hash),
            escape(decision.evidence["candidate"]["name"]),
            decision_word(decision.decision),
            "binding" if decision.binding else "advisory",
            decision.created_at.strftime("%Y-%m-%d %H:%M UTC"),
            escape(decision.created_by),
        )
    print_with_whole_names(out(), table, columns=2)
