"""Write reports of an experiment to files: gathered once, in any of the forms."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.hashing import content_hash
from app.schemas.experiments import ExperimentView
from workbench.reports.experiment import ExperimentReport
from workbench.reports.facts import experiment_facts
from workbench.reports.gather import gather_report
from workbench.reports.html import experiment_page
from workbench.reports.markdown import experiment_markdown

__all__ = ["ReportForm", "check_report_path", "render", "write_page", "write_reports", "write_text"]


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


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; `ConfigurationError` if it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with _told_in_a_sentence(path):
        try:
            beside.write_text(text, encoding="utf-8", newline="\n")
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


def check_report_path(path: Path) -> None:
    """Refuse a path, before any work, that no report could be written to."""
    if "\0" in str(path):
        raise ConfigurationError(f"{str(path)!r}: no file name can hold the character NUL.")
    with _told_in_a_sentence(path):
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    if is_folder:
        raise ConfigurationError(
            f"{path} is a folder: name a file.", hint=f"As in {path / 'report.html'}"
        )
    if not has_folder:
        raise ConfigurationError(
            f"The folder {path.parent} does not exist.", hint="Make it, or name another."
        )


@contextmanager
def _told_in_a_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
