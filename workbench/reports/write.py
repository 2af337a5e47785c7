"""Write reports of an experiment to files: gathered once, in any of the forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from app.bootstrap import Services
from app.core.hashing import content_hash
from app.schemas.experiments import ExperimentView
from workbench.reports.experiment import ExperimentReport
from workbench.reports.facts import experiment_facts
from workbench.reports.files import check_report_path, write_text
from workbench.reports.gather import gather_report
from workbench.reports.html import experiment_page
from workbench.reports.markdown import experiment_markdown

__all__ = ["ReportForm", "render", "write_page", "write_reports"]


class ReportForm(StrEnum):
    """A page to look at, a text for a pull request, facts for a program."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


def render(report: ExperimentReport, form: ReportForm) -> str:
    """Return a gathered report in one form; the same report gives the same text."""
    return _RENDERERS[form](report)


def _json(report: ExperimentReport) -> str:
    # ASCII: a model may have written half of a character, which no file in UTF-8 can hold.
    return json.dumps(experiment_facts(report), indent=2, allow_nan=False) + "\n"


def _markdown(report: ExperimentReport) -> str:
    return experiment_markdown(report, content_hash(report.experiment.spec))


_RENDERERS: Final[Mapping[ReportForm, Callable[[ExperimentReport], str]]] = {
    ReportForm.HTML: experiment_page,
    ReportForm.MARKDOWN: _markdown,
    ReportForm.JSON: _json,
}


async def write_page(services: Services, experiment: ExperimentView, path: Path) -> Path:
    """Write the HTML page of an experiment, as `write_reports` does, and return its path."""
    await write_reports(services, experiment, {ReportForm.HTML: path})
    return path


async def write_reports(
    services: Services, experiment: ExperimentView, paths: Mapping[ReportForm, Path]
) -> None:
    """Write the report in each form to its file, each file whole or not at all.

    Files that are there are replaced. Raises `ConfigurationError` if a path cannot be written.
    """
    for path in paths.values():
        check_report_path(path)
    report = await gather_report(services, experiment)
    for form, path in paths.items():
        write_text(path, render(report, form))
