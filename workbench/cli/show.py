"""`workbench show`: the stories of single generations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from app.core.errors import NotFound
from app.schemas.experiments import RunView
from app.schemas.generations import AttemptView, GenerationView
from app.schemas.judgements import JudgementView
from app.schemas.scores import ScoreView
from workbench.cli.context import FormatOption, Workspace, command, open_workspace, out, print_json
from workbench.reports.visible import visible

__all__ = ["app", "print_story"]

app = typer.Typer(
    help="Show generations of a run: request, answer, scores, errors, attempts.",
    add_completion=False,
)

_LAST_REPETITION = 1_000_000
_FAILED = ("failed", "incomplete", "abandoned", "cancelled")


@app.command()
@command
async def show(
    run: Annotated[str, typer.Argument(help="Its name, a unique beginning of it, or latest.")],
    failed: Annotated[bool, typer.Option("--failed", help="Only cells without an answer.")] = False,
    key: Annotated[str | None, typer.Option(help="Only this example.")] = None,
    after: Annotated[str | None, typer.Option(help="Only keys after this one: the next page.")] = (
        None
    ),
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 5,
    format_: FormatOption = "text",
) -> None:
    """Show generations: rendered request, answer, expected output, scores, error, attempts."""
    async with open_workspace() as workspace:
        services = workspace.services
        found = await services.experiments.run(run)
        stories = await services.generations.stories(
            found.id,
            key=key,
            statuses=_FAILED if failed else (),
            after=None if after is None else (after, _LAST_REPETITION),
            limit=limit,
        )
        if key is not None and not stories:
            await _check_key(workspace, found, key)
        ids = [story.id for story in stories]
        scores = await services.scores.of_generations(ids)
        attempts = await services.generations.attempts(ids)
        judgements = await services.judgements.of_generations(ids)
        told = [(s, scores[s.id], attempts[s.id], judgements[s.id]) for s in stories]
        if format_ == "json":
            print_json([_json(*parts) for parts in told])
            return
        if not told:
            out().print("No failed cell." if failed else "No such generation yet.")
            return
        console = out()
        for story, its_scores, its_attempts, its_judgements in told:
            print_story(
                console,
                story,
                _heading(story),
                its_scores,
                its_attempts,
                its_judgements,
                simulated=found.simulated,
            )


async def _check_key(workspace: Workspace, run: RunView, key: str) -> None:
    """Raise `NotFound` for a key that the run's dataset does not have."""
    datasets = workspace.services.datasets
    version = await datasets.get(run.dataset)
    try:
        await datasets.example_by_key(version, key)
    except NotFound as error:
        raise NotFound(f"No example with key {key!r} in {run.name}.", hint=error.hint) from None


def _json(
    story: GenerationView,
    scores: Sequence[ScoreView],
    attempts: Sequence[AttemptView],
    judgements: Sequence[JudgementView],
) -> dict[str, Any]:
    shape = story.model_dump(mode="json")
    shape["scores"] = [score.model_dump(mode="json") for score in scores]
    shape["attempts"] = [attempt.model_dump(mode="json") for attempt in attempts]
    shape["judgements"] = [judgement.model_dump(mode="json") for judgement in judgements]
    return shape


def _heading(story: GenerationView) -> str:
    repetition = f" · repetition {story.repetition + 1}" if story.repetition else ""
    status = f"{story.status}, reused" if story.reused_from_id else story.status
    return f"{story.key}{repetition} · {status}"


def print_story(
    console: Console,
    story: GenerationView,
    heading: str,
    scores: Sequence[ScoreView],
    attempts: Sequence[AttemptView],
    judgements: Sequence[JudgementView],
    *,
    simulated: bool,
) -> None:
    """Print one generation: what was sent, what came, what was said of it."""
    console.print(Rule(Text(visible(heading)), align="left"))
    for message in (story.request or {}).get("messages", ()):
        _part(console, message["role"], message.get("content"))
    if story.output is not None:
        label = "answer (simulated)" if simulated else "answer"
        _part(console, label, story.output.get("content") or story.output)
    _part(console, "expected", story.expected_output)
    for score in scores:
        value = "" if score.value is None else f" {score.value:g}"
        _part(console, score.scorer, f"{score.status}{value}: {score.explanation or ''}")
    for judgement in judgements:
        _part(console, f"{judgement.scorer} asked {judgement.model}", _judgement(judgement))
    if story.error_code:
        told = (story.error or {}).get("message", "")
        _part(console, "error", f"{story.error_code}: {told}")
        if body := (story.error or {}).get("body"):
            _part(console, "reply", body)
    _part(console, "facts", _facts(story))
    if story.reused_from_id:
        _part(
            console,
            "reused",
            f"the answer of generation {story.reused_from_id}; no call was made, so time and cost "
            "are those of then",
        )
    if len(attempts) > 1 or story.error_code:
        for number, attempt in enumerate(attempts, start=1):
            wait = (
                ""
                if attempt.retry_after_s is None
                else f", told to wait {attempt.retry_after_s:g} s"
            )
            _part(
                console,
                f"attempt {number}",
                f"{attempt.started_at:%H:%M:%S} {attempt.outcome} after {attempt.latency_ms:.0f} ms"
                f"{wait}",
            )
    console.print()


def _judgement(judgement: JudgementView) -> str:
    """Return one line on a question to a judge: which one it was, its reply, its cost."""
    which = f"repeat {judgement.repeat + 1}" if judgement.repeat else ""
    if judgement.position is not None:
        which = ", ".join(filter(None, (f"shown {judgement.position}", which)))
    reply = (judgement.reply or {}).get("content") or judgement.reason or "no reply"
    cost = "cost unknown" if judgement.cost is None else f"${judgement.cost:.6f}"
    return f"{which and f'({which}) '}{reply} [{judgement.prompt}, {cost}]"


def _part(console: Console, label: str, value: object) -> None:
    if value is None:
        return
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A terminal would obey the escape sequences that a model may write.
    console.print(Text.assemble((f"{visible(label)}: ", "bold cyan"), visible(text)))


def _facts(story: GenerationView) -> str:
    cost = "cost unknown" if story.cost is None else f"${story.cost:.6f}"
    tokens = "tokens unreported"
    if story.input_tokens is not None:
        tokens = f"{story.input_tokens} tokens in, {story.output_tokens} out ({story.usage_source})"
    latency = "" if story.latency_ms is None else f", {story.latency_ms:.0f} ms"
    applied = json.dumps(story.applied_parameters or {})
    left_out = (
        f", left out {json.dumps(story.left_out_parameters)}" if story.left_out_parameters else ""
    )
    who = f"{story.prompt or 'unknown prompt'} on {story.model or 'unknown model'}"
    return f"{who}; {tokens}, {cost}{latency}; sent {applied}{left_out}"
