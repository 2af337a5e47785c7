"""`workbench scorers`: which scorers there are, what each takes, whether a function of the
workspace can serve. Needs no database."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from app.core.errors import ConfigurationError
from workbench.cli.context import ExitCode, FormatOption, command, err, out, print_json
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.reports.visible import visible
from workbench.runner.team_scoring import open_team_scorer
from workbench.scorers import (
    OptionDescription,
    ScorerConfigError,
    ScorerDescription,
    ScoreStatus,
    ScoringInput,
    describe_judges,
    describe_scorers,
)
from workbench.scorers.team import TEAM_PREFIX, TeamFunction, TeamScorer
from workbench.team_scorers import FOLDER, team_function, team_names, workspace_scorer
from workbench.workspace.marker import find_workspace

__all__ = ["app"]

app = typer.Typer(
    help="Scorers and their options: list, show, check.", no_args_is_help=True, add_completion=False
)

_KINDS: Final = "A rule needs no model, a judge asks one, a team's scorer is a function of yours."


@dataclass(frozen=True)
class _Scorer:
    """One scorer as both commands print it."""

    name: str
    kind: str
    version: int
    range: tuple[float, float]
    summary: str
    options: tuple[OptionDescription, ...]
    example: str


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List the rules, the judges and, inside a workspace, the team's own scorers."""
    scorers = _all_scorers()
    if format_ == "json":
        print_json([_json(scorer) for scorer in scorers])
        return
    table = plain_table("scorer", "kind", "range", "what it says")
    for scorer in scorers:
        low, high = scorer.range
        table.add_row(
            escape(scorer.name), scorer.kind, f"{low:g} to {high:g}", escape(scorer.summary)
        )
    print_with_whole_names(out(), table, columns=3)
    err().print(f"{_KINDS} Options: workbench scorers show NAME", style="dim")


@app.command()
@command
async def show(
    name: Annotated[str, typer.Argument(help="As in length or team.politeness.")],
    format_: FormatOption = "text",
) -> None:
    """Show one scorer: what it says, its options with types and defaults, an example."""
    scorer = _find(name)
    if format_ == "json":
        print_json(_json(scorer))
        return
    _print_whole(scorer)


@app.command()
@command
async def check(
    scorer: Annotated[
        str,
        typer.Argument(help="A file, as in scorers/politeness.py, or a name with its options."),
    ],
    output: Annotated[str | None, typer.Option(help="Score this text, to try it.")] = None,
    expected: Annotated[str | None, typer.Option(help="The expected value to go with it.")] = None,
) -> ExitCode:
    """Check a function of the workspace: read it, load it, and try it on a text.

    It runs as it would to score a run: in a process of its own, with the same limits. Nothing
    is stored.

    Examples:

      workbench scorers check scorers/politeness.py

      workbench scorers check team.politeness:words=kindly --output "Kindly wait."
    """
    root = find_workspace(Path.cwd())
    found = workspace_scorer(root, _team_spec(root, scorer))
    if not isinstance(found, TeamScorer):
        raise ConfigurationError(
            f"{found.name} is no function of this workspace.",
            hint=f"What it takes: workbench scorers show {found.name}",
        )
    async with open_team_scorer(root, found) as process:
        result = None
        if output is not None:
            result = await process.score(ScoringInput(output=output, expected=expected))
    kind = "right or wrong" if found.binary else "0 to 1"
    out().print(f"{found.name} v{found.version} can be used; it says {kind}.")
    if result is None:
        return ExitCode.DONE
    value = "" if result.value is None else f" {result.value:g}"
    out().print(escape(visible(f"{result.status.value}{value}: {result.explanation}")))
    return ExitCode.CELLS_FAILED if result.status is ScoreStatus.FAILED else ExitCode.DONE


def _team_spec(root: Path, text: str) -> str:
    """Return a scorer as it is named; a file of the folder by the name of its function."""
    if not text.endswith(".py"):
        return text
    path = Path(text)
    if path.resolve().parent != (root / FOLDER).resolve():
        raise ConfigurationError(
            f"{text} is not in the folder {FOLDER} of this workspace: only functions there are "
            "scorers."
        )
    return f"{TEAM_PREFIX}{path.stem}"


def _print_whole(scorer: _Scorer) -> None:
    console = out()
    low, high = scorer.range
    console.print(
        f"[bold]{escape(scorer.name)}[/] v{scorer.version}  {scorer.kind}, {low:g} to {high:g}"
    )
    if scorer.summary:
        console.print(escape(scorer.summary))
    console.print()
    if scorer.options:
        table = plain_table("option", "value", "default", "meaning")
        for option in scorer.options:
            table.add_row(
                option.name, option.kind, escape(_default(option)), escape(option.description)
            )
        print_with_whole_names(console, table, columns=3)
    else:
        console.print("It has no options.")
    console.print(f"\n[dim]--scorer {escape(shlex.quote(scorer.example))}[/]")


def _default(option: OptionDescription) -> str:
    return "none" if option.default in (None, [], "") else json.dumps(option.default)


def _find(name: str) -> _Scorer:
    if name.startswith(TEAM_PREFIX):
        return _team(team_function(find_workspace(Path.cwd()), name))
    scorers = _all_scorers()
    for scorer in scorers:
        if scorer.name == name:
            return scorer
    raise ConfigurationError(
        f"There is no scorer {name!r}.", hint="All of them: workbench scorers list"
    )


def _all_scorers() -> list[_Scorer]:
    rules = [_described(rule, "rule") for rule in describe_scorers()]
    judges = [_described(judge, "judge") for judge in describe_judges()]
    return [*rules, *judges, *_team_scorers()]


def _team_scorers() -> list[_Scorer]:
    """Return the workspace's own scorers; a file that cannot serve is named on standard error."""
    try:
        root = find_workspace(Path.cwd())
    except ConfigurationError:
        return []
    found = []
    for name in team_names(root):
        try:
            found.append(_team(team_function(root, name)))
        except ScorerConfigError as error:
            err().print(f"[yellow]Left out:[/] {escape(error.message)}")
    return found


def _described(scorer: ScorerDescription, kind: str) -> _Scorer:
    return _Scorer(
        scorer.name,
        kind,
        scorer.version,
        scorer.range,
        scorer.summary,
        scorer.options,
        scorer.example,
    )


def _team(function: TeamFunction) -> _Scorer:
    return _Scorer(
        function.name,
        "team",
        function.version,
        (0.0, 1.0),
        function.summary,
        function.options,
        ":".join((function.name, *_first_option(function))),
    )


def _first_option(function: TeamFunction) -> list[str]:
    needed = [f"{name}=..." for name in sorted(function.required)]
    return [",".join(needed)] if needed else []


def _json(scorer: _Scorer) -> dict[str, Any]:
    return asdict(scorer)
