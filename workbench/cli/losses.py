"""How every import and export prints what it could not carry over."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from workbench.interchange.losses import Loss, LossReport

__all__ = ["print_losses"]

_INDENT = 12  # characters before the place and the reason
_STYLES = {"dropped": "yellow", "changed": "cyan"}


def print_losses(console: Console, report: LossReport, title: str) -> None:
    """Print a sentence, then each loss: what became of it, where it stood, what it was, why."""
    if not report:
        console.print(Text(f"{title}: nothing was lost."))
        return
    noun = "loss" if len(report) == 1 else "losses"
    console.print(Text(f"{title}: {len(report)} {noun}."))
    for loss in sorted(report, key=lambda loss: not loss.changes_meaning):  # else as they stand
        console.print(_first_line(loss))
        console.print(Text(f"{' ' * _INDENT}{loss.why}", style="dim"))


def _first_line(loss: Loss) -> Text:
    word, style = (
        ("meaning!", "bold red")
        if loss.changes_meaning
        else (loss.severity, _STYLES[loss.severity])
    )
    line = Text.assemble("  ", (word.ljust(_INDENT - 2), style), loss.path)
    return line.append(f" = {loss.was}") if loss.was else line
