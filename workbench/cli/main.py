"""The command line's entry. Command groups are imported only when one of them is used, so
that `workbench --help` answers at once."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["COMMANDS", "main"]

# name -> (module, what `--help` says of it; a test holds this against the module itself)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("workbench.cli.init", "Make this folder a workspace."),
    "demo": ("workbench.cli.demo", "See the main job done on sample data with simulated models."),
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
    "score": ("workbench.cli.score", "Score the stored outputs of a run; no model is called."),
    "compare": (
        "workbench.cli.compare",
        "Compare two runs under a scorer: difference, interval, verdict.",
    ),
    "report": (
        "workbench.cli.report",
        "Write an experiment as one HTML page that needs nothing else.",
    ),
    "models": (
        "workbench.cli.models",
        "The model catalog: sync, list, show, add, set, probe, price, retire.",
    ),
    "variants": ("workbench.cli.variants", "Variants: list, show."),
    "prompts": ("workbench.cli.prompts", "Prompt versions: sync, list, show, diff, publish."),
    "datasets": ("workbench.cli.datasets", "Dataset versions: import, list, show, diff."),
    "serve": ("workbench.cli.serve", "Serve the HTTP API on this machine."),
    "db": ("workbench.cli.db", "The database: upgrade, downgrade, status, backup, restore."),
}


class _Lazy(TyperCommand):
    """A command known by name and help text; the module behind it loads on use."""

    def __init__(self, name: str, module: str, help_text: str) -> None:
        super().__init__(name, help=help_text, short_help=help_text)
        self._module = module

    def load(self) -> Any:
        return typer.main.get_command(importlib.import_module(self._module).app)

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
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


def main() -> None:
    """Run the command line."""
    app(prog_name="workbench")
