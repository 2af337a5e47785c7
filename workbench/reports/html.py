"""One experiment as one self-contained HTML page.

Model outputs, prompts, data and names are hostile until shown otherwise. Three things hold,
each by itself enough to keep them text: the template escapes every value, no value reaches
any attribute but a label for screen readers, and a Content-Security-Policy forbids scripts,
images, frames, connections and every style but the page's own, by its hash. The page has no
link except to its own sections. Characters that would change the look of a text without
being seen (controls, direction overrides, lone surrogates) are shown as their code points.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.core.hashing import content_hash
from workbench.comparison_words import EXPLORATORY
from workbench.reports.charts import flip_bars, forest_plot, tradeoff_plot
from workbench.reports.decisions import gate_texts
from workbench.reports.examples import (
    answers_text,
    changed_examples,
    changes_text,
    more_changes,
    plain_examples,
)
from workbench.reports.experiment import ExperimentReport
from workbench.reports.figures import flip_rows, slices, tradeoff
from workbench.reports.plan_words import plan_facts
from workbench.reports.provenance import (
    model_facts,
    parameter_facts,
    prompt_changes,
    record_facts,
)
from workbench.reports.sections import (
    banners,
    forests,
    header_facts,
    method_facts,
    no_verdict,
    run_rows,
    timestamp,
    verdicts,
    warnings,
)
from workbench.reports.visible import visible

__all__ = ["experiment_page"]


def experiment_page(report: ExperimentReport) -> str:
    """Return the page; the same report gives the same bytes."""
    environment = _environment()
    source, _, _ = PackageLoader("workbench.reports").get_source(environment, "experiment.css")
    return environment.get_template("experiment.html").render(
        report=report,
        experiment=report.experiment,
        styles=Markup(source),  # noqa: S704 - our own file
        policy=_policy(source),
        header=header_facts(report),
        banners=banners(report),
        verdicts=verdicts(report),
        no_verdict=None if report.comparisons else no_verdict(report),
        forests=forests(report),
        forest_plot=forest_plot,
        flip_rows=flip_rows(report),
        flip_bars=flip_bars,
        plan=plan_facts(report.experiment.plan, report.experiment.spec),
        gates=gate_texts(report),
        slices=slices(report),
        exploratory=EXPLORATORY,
        tradeoff=tradeoff(report),
        tradeoff_plot=tradeoff_plot,
        runs=run_rows(report),
        warnings=warnings(report),
        method_facts=method_facts,
        changes_text=changes_text,
        changed_examples=changed_examples,
        more_changes=more_changes,
        answers_text=answers_text,
        plain_examples=plain_examples(report),
        prompt_changes=prompt_changes(report),
        model_facts=model_facts,
        parameter_facts=parameter_facts,
        record=record_facts(report, content_hash(report.experiment.spec)),
        timestamp=timestamp,
    )


@cache  # compiling the templates takes a tenth of a second, and nothing ever changes them
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("workbench.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """What every expression of a template passes through before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def _policy(styles: str) -> str:
    digest = base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
