"""What came of an evaluation, as a person or a program looks at it."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from app.core.errors import ConfigurationError, WorkbenchError
from workbench.number_text import count_text
from workbench.opening import open_record, run_apart
from workbench.reports.files import check_report_path, write_text
from workbench.reports.markdown import comparison_markdown
from workbench.reports.markdown_text import escaped
from workbench.reports.visible import visible
from workbench.reports.write import ReportForm, write_reports
from workbench.results import examples_frame

if TYPE_CHECKING:
    import pandas

__all__ = ["Evaluation", "RunStopped", "Status"]

Status = Literal["completed", "stopped"]
"""Whether everything wanted has an outcome, or cells are open."""

_FORMS: Final[Mapping[str, ReportForm]] = {
    ".html": ReportForm.HTML,
    ".md": ReportForm.MARKDOWN,
    ".json": ReportForm.JSON,
}


class RunStopped(WorkbenchError):
    """An error that every further call would meet too, such as a wrong key."""

    code = "run_stopped"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What came of it. `stopped` means that cells are open still; then nothing was compared.

    `counts` has for each run its cells by status, `comparisons` the stored results, `notes` what
    was done by itself, such as a draft that was stored. `experiment` is the experiment's number,
    None for applications.
    """

    status: Status
    experiment: int | None
    counts: Mapping[str, Mapping[str, int]]
    comparisons: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    workspace: Path

    @property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs, by which every command finds them."""
        return tuple(self.counts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdicts, each with what it is about."""
        return tuple(
            f"{str(c['verdict']).replace('_', ' ')}: {c['candidate_run']} against "
            f"{c['baseline_run']}. {c['sentence']}"
            for c in self.comparisons
        )

    def to_frame(self, *, texts: bool = False) -> pandas.DataFrame:
        """Return one row a cell, with the columns of `results.examples`."""
        return run_apart(self._frame(texts=texts))

    async def _frame(self, *, texts: bool) -> pandas.DataFrame:
        async with open_record(self.workspace) as services:
            found = [await services.experiments.run(name) for name in self.runs]
            return await examples_frame(services, found, texts=texts)

    def report(self, path: str | Path) -> Path:
        """Write a report whose form the path's ending says (.html, .md, .json); return the path.

        Applications have no experiment: of them there is Markdown and JSON. Raises
        `ConfigurationError` for another ending or a path that cannot be written.
        """
        target = Path(path)
        form = _FORMS.get(target.suffix)
        if form is None or (self.experiment is None and form is ReportForm.HTML):
            known = ".md or .json" if self.experiment is None else ".html, .md or .json"
            raise ConfigurationError(
                f"{target}: the name must end with {known}.",
                hint="An application has a page where it is asked at an address, as a model: see "
                "docs/howto/own-app.md."
                if form is ReportForm.HTML
                else None,
            )
        check_report_path(target)
        if self.experiment is None:
            write_text(target, self._comparisons_as(form))
        else:
            run_apart(self._write_report(self.experiment, form, target))
        return target

    def _comparisons_as(self, form: ReportForm) -> str:
        if form is ReportForm.JSON:
            return json.dumps(list(self.comparisons), indent=2) + "\n"
        runs = "\n".join(
            f"- {escaped(name)}: {escaped(_counted(counts))}"
            for name, counts in self.counts.items()
        )
        told = [f"## {self._head()}", runs, *(comparison_markdown(c) for c in self.comparisons)]
        return "\n\n".join(told) + "\n"

    async def _write_report(self, number: int, form: ReportForm, path: Path) -> None:
        async with open_record(self.workspace) as services:
            experiment = await services.experiments.get(str(number))
            await write_reports(services, experiment, {form: path})

    def __str__(self) -> str:
        head = self._head()
        return "\n".join([head, *self.sentences, *(f"({note})" for note in self.notes)])

    def _repr_html_(self) -> str:
        """Show itself in a notebook; every text is escaped."""
        sentences = "".join(f"<li>{_escaped(text)}</li>" for text in self.sentences)
        rows = "".join(
            f"<tr><td>{_escaped(name)}</td><td>{_escaped(_counted(counts))}</td></tr>"
            for name, counts in self.counts.items()
        )
        return (
            f"<p><strong>{_escaped(self._head())}</strong></p><ul>{sentences}</ul>"
            f"<table><thead><tr><th>run</th><th>cells</th></tr></thead><tbody>{rows}</tbody></table>"
        )

    def _head(self) -> str:
        what = "Applications" if self.experiment is None else f"Experiment {self.experiment}"
        return f"{what}: {self.status}, {count_text(len(self.runs), 'run')}"


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in counts.items()) or "none yet"
