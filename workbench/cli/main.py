"""The command line's entry. Command groups are imported only when one of them is used, so
that `workbench --help` answers at once.

Our package `app` has a common name. Before a group loads, `main` makes sure that the `app`
which Python finds is the one beside this package, and refuses in one sentence if not.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "main"]

_DISTRIBUTION = "prompt-workbench"
_ALONE = "in an environment of its own (`pipx install prompt-workbench`)"

# name -> (module, what `--help` says of it; a test holds this against the module itself)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("workbench.cli.init", "Make this folder a workspace."),
    "demo": ("workbench.cli.demo", "See the main job done on sample data with simulated models."),
    "check": (
        "workbench.cli.check",
        "Check prompt, dataset and experiment files; nothing is called or stored.",
    ),
    "run": (
        "workbench.cli.run",
        "Run an experiment: prompt versions x model versions on a dataset.",
    ),
    "resume": (
        "workbench.cli.resume",
        "Finish an experiment that was stopped, cut off or has failed cells.",
    ),
    "experiments": ("workbench.cli.experiments", "Experiments: list, show, cancel."),
    "runs": ("workbench.cli.runs", "Runs: list, show, import outputs made elsewhere."),
    "show": (
        "workbench.cli.show",
        "Show generations of a run: request, answer, scores, errors, attempts.",
    ),
    "scorers": ("workbench.cli.scorers", "Scorers and their options: list, show, check."),
    "judges": ("workbench.cli.judges", "Judges: sheet, label, qualify, list, show."),
    "score": ("workbench.cli.score", "Score the stored outputs of a run."),
    "compare": (
        "workbench.cli.compare",
        "Compare runs under a scorer: difference, interval, verdict.",
    ),
    "power": (
        "workbench.cli.power",
        "Say how many examples and answers a margin needs, and what they cost.",
    ),
    "cache": ("workbench.cli.cache", "Reuse of stored answers: explain, stats."),
    "gate": (
        "workbench.cli.gate",
        "Decide the gate that an experiment declares; list and show decisions.",
    ),
    "report": (
        "workbench.cli.report",
        "Write an experiment as HTML, Markdown or JSON, each one file that needs nothing else.",
    ),
    "models": (
        "workbench.cli.models",
        "The model catalog: sync, list, show, add, set, probe, price, retire.",
    ),
    "variants": ("workbench.cli.variants", "Variants: list, show, make."),
    "aliases": (
        "workbench.cli.aliases",
        "Aliases: list, show, set, settings, history, at, rollback, disable.",
    ),
    "chats": ("workbench.cli.chats", "Answers in production: list, count, show, export."),
    "limits": ("workbench.cli.limits", "Limits: list, show, set, remove."),
    "prompts": ("workbench.cli.prompts", "Prompt versions: sync, list, show, diff, publish."),
    "datasets": ("workbench.cli.datasets", "Dataset versions: import, list, show, diff."),
    "import": ("workbench.cli.import_", "Prompts, models and evaluations from other tools' files."),
    "export": (
        "workbench.cli.export",
        "Prompts in other tools' formats; results as JSONL, CSV, Parquet, JUnit.",
    ),
    "users": (
        "workbench.cli.users",
        "Users: bootstrap, list, create, show, grant, revoke, deactivate, reactivate.",
    ),
    "keys": ("workbench.cli.keys", "API keys: list, create, show, revoke, rotate."),
    "serve": (
        "workbench.cli.serve",
        "Serve the dashboard and the HTTP API on this machine, with a worker for jobs.",
    ),
    "dashboard": (
        "workbench.cli.dashboard",
        "Serve the dashboard alone, for people who sign in, over an API that runs elsewhere.",
    ),
    "worker": (
        "workbench.cli.worker",
        "Do the jobs that were asked for over HTTP: run, score, compare.",
    ),
    "db": ("workbench.cli.db", "The database: upgrade, downgrade, status, backup, restore."),
}


class _Lazy(TyperCommand):
    """A command known by name and help text; the module behind it loads on use."""

    def __init__(self, name: str, module: str, help_text: str) -> None:
        super().__init__(name, help=help_text, short_help=help_text)
        self._module = module

    def load(self) -> Any:
        try:
            module = importlib.import_module(self._module)
        except ImportError:
            _refuse_overwritten_app()
            raise
        return typer.main.get_command(module.app)

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        if any(str(argument).startswith("--processes") for argument in args):
            # Imported here: next to no command needs it. It gets ready while this one loads.
            from workbench.runner.generation.preload import prepare_processes

            prepare_processes()
        return self.load().make_context(info_name, args, parent, **extra)


class _LazyGroup(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return _Lazy(cmd_name, *COMMANDS[cmd_name])


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Compare prompt versions and model versions on your data, and serve the winner.",
)


@app.callback()
def _root() -> None:
    """Compare prompt versions and model versions on your data, and serve the winner."""


def _refuse_hidden_app() -> None:
    """Exit if Python would import another `app` than the one beside this package."""
    ours = (Path(__file__).parents[2] / "app").resolve()
    spec = importlib.util.find_spec("app")
    if spec is None or spec.origin is None:  # none at all, or a folder without __init__.py
        _refuse(f"The workbench's own package app is missing; install the workbench anew, {_ALONE}")
    found = Path(spec.origin)
    theirs = found.parent if found.name == "__init__.py" else found
    if theirs.resolve() != ours:
        _refuse(
            f"Another package called app, {theirs}, hides the workbench's own; take its folder "
            f"off PYTHONPATH and run the command `workbench` {_ALONE}"
        )


def _refuse_overwritten_app() -> None:
    """Exit if another distribution was installed over our `app`, file by file.

    Asked only after a failed import: it reads what every installed distribution contains.
    """
    from importlib.metadata import packages_distributions  # slow, and next to never needed

    others = sorted(set(packages_distributions().get("app", ())) - {_DISTRIBUTION})
    if others:
        _refuse(
            f"Another package called app, part of {', '.join(others)}, was installed over the "
            f"workbench's own; install the workbench {_ALONE}"
        )


def _refuse(sentence: str) -> NoReturn:
    # Neither the shared console nor ExitCode can be had: their module imports `app`.
    print(f"Error: {sentence}.", file=sys.stderr)
    raise SystemExit(2)


def main() -> None:
    """Run the command line; exit with 2 if another package called `app` is in its way."""
    _refuse_hidden_app()
    app(prog_name="workbench")
