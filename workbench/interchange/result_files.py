"""Results to files: JSONL, CSV, Parquet, JUnit, and the JSON that promptfoo's viewer reads.

Rows are written as they come, so that memory does not grow with the number of cells; JUnit
needs counts before the rows and therefore puts them aside in a temporary file.

Texts in CSV are cells that no spreadsheet takes for formulas, see `workbench.cell_text`.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Final
from xml.sax.saxutils import escape, quoteattr

from app.core.errors import ConfigurationError
from app.core.hashing import JSON, ordered_json
from app.schemas.scores import ScoreView
from workbench.cell_text import safe_cell
from workbench.interchange.promptfoo_results import write_promptfoo_results
from workbench.interchange.result_rows import ResultRow, Rows, Title, json_bytes
from workbench.xml_text import xml_text

__all__ = ["RESULT_FORMATS", "ResultFormat"]

_HALF: Final = re.compile("[\ud800-\udfff]")  # of a character: UTF-8 cannot hold it alone
_BATCH: Final = 1000  # rows of one Parquet row group


@dataclass(frozen=True)
class ResultFormat:
    """One way to write results. `write` is given the rows and an open binary file and returns
    how many cells it wrote."""

    title: str
    suffix: str
    write: Callable[[Title, Rows, IO[bytes]], Awaitable[int]]


# JSONL


async def _jsonl(title: Title, rows: Rows, file: IO[bytes]) -> int:
    count = 0
    async for row in rows:
        file.write(json_bytes(_plain(row)) + b"\n")
        count += 1
    return count


def _plain(row: ResultRow) -> dict[str, JSON]:
    """Return a row as one JSON object; `scores` by scorer."""
    return {
        "run": row.run,
        "prompt": row.prompt,
        "model": row.model,
        "dataset": row.dataset,
        "generation_id": row.generation_id,
        "key": row.key,
        "repetition": row.repetition,
        "status": row.status,
        "error_code": row.error_code,
        "error": row.error,
        "finish_reason": row.finish_reason,
        "input": row.input,
        "expected": row.expected,
        "output": row.output,
        "scores": {name: _score(score) for name, score in row.scores.items()},
        "cost": row.cost,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "latency_ms": row.latency_ms,
        "reused": row.reused,
        "started_at": row.started_at,
    }


def _score(score: ScoreView) -> dict[str, JSON]:
    return {
        "status": score.status,
        "value": score.value,
        "passed": score.passed,
        "label": score.label,
        "reason": score.reason,
        "explanation": score.explanation,
    }


# CSV and Parquet: one column a fact, two columns a scorer


_FACTS_BEFORE: Final = (
    *("run", "prompt", "model", "dataset", "key", "repetition", "status", "error_code"),
    *("input", "expected", "output"),
)
_FACTS_AFTER: Final = (
    *("cost", "input_tokens", "output_tokens", "latency_ms", "reused", "finish_reason", "error"),
    *("started_at", "generation_id"),
)


def _columns(title: Title) -> list[str]:
    values = [_value_column(name) for name in title.scorers]
    scores = [part for name in values for part in (name, f"{name} status")]
    return [*_FACTS_BEFORE, *scores, *_FACTS_AFTER]


def _value_column(scorer: str) -> str:
    """Return the column of a scorer's values; `cost` and `finish_reason` are facts already."""
    return f"{scorer} score" if scorer in (*_FACTS_BEFORE, *_FACTS_AFTER) else scorer


Flat = dict[str, str | float | int | bool | None]


def _flat(title: Title, row: ResultRow) -> Flat:
    scores: dict[str, str | float | None] = {}
    for name in title.scorers:
        score = row.scores.get(name)
        column = _value_column(name)
        scores[column] = None if score is None else score.value
        scores[f"{column} status"] = "missing" if score is None else score.status
    facts: Flat = {
        "run": row.run,
        "prompt": row.prompt,
        "model": row.model,
        "dataset": row.dataset,
        "key": row.key,
        "repetition": row.repetition,
        "status": row.status,
        "error_code": row.error_code,
        "input": _text(row.input),
        "expected": _text(row.expected),
        "output": row.output,
        **scores,
        "cost": row.cost,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "latency_ms": row.latency_ms,
        "reused": row.reused,
        "finish_reason": row.finish_reason,
        "error": row.error,
        "started_at": row.started_at,
        "generation_id": row.generation_id,
    }
    return {k: _HALF.sub("�", v) if isinstance(v, str) else v for k, v in facts.items()}


def _text(value: JSON) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ordered_json(value)


async def _csv(title: Title, rows: Rows, file: IO[bytes]) -> int:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([safe_cell(name) for name in _columns(title)])
    count = 0
    async for row in rows:
        writer.writerow([safe_cell(value) for value in _flat(title, row).values()])
        count += 1
    text.detach()
    return count


async def _parquet(title: Title, rows: Rows, file: IO[bytes]) -> int:
    try:
        # An extra: imported where it is used, so that everything else works without it.
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs the package pyarrow: install prompt-workbench[parquet]."
        ) from error
    kinds = {
        **dict.fromkeys(("repetition", "input_tokens", "output_tokens"), pyarrow.int64()),
        **dict.fromkeys(map(_value_column, title.scorers), pyarrow.float64()),
        **dict.fromkeys(("cost", "latency_ms"), pyarrow.float64()),
        "reused": pyarrow.bool_(),
    }
    names = _columns(title)
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in names])
    count, batch = 0, []
    with parquet.ParquetWriter(file, schema) as writer:
        async for row in rows:
            batch.append(_flat(title, row))
            count += 1
            if len(batch) == _BATCH:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
                batch = []
        if batch:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
    return count


# JUnit


async def _junit(title: Title, rows: Rows, file: IO[bytes]) -> int:
    """One suite, one test case a cell.

    A cell fails if a scorer with a verdict refused it, is an error if no model answered or a
    scorer broke, and is skipped if nothing judged it: missing is neither passed nor failed.
    """
    count = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    with tempfile.TemporaryFile() as aside:
        async for row in rows:
            kind, body = _verdict(row)
            count["tests"] += 1
            if kind is not None:
                count[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
            seconds = "" if row.latency_ms is None else f' time="{row.latency_ms / 1000:.3f}"'
            again = f" (repetition {row.repetition + 1})" if row.repetition else ""
            name = f"{row.key}{again}"
            aside.write(
                f"  <testcase classname={_attribute(row.run)} name={_attribute(name)}{seconds}>"
                f"{body}</testcase>\n".encode()
            )
        counts = " ".join(f'{name}="{value}"' for name, value in count.items())
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<testsuites {counts}>\n"
            f"<testsuite name={_attribute(title.name)} {counts}"
            f" timestamp={_attribute(title.created_at)}>\n".encode()
        )
        aside.seek(0)
        shutil.copyfileobj(aside, file)
        file.write(b"</testsuite>\n</testsuites>\n")
    return count["tests"]


def _verdict(row: ResultRow) -> tuple[str | None, str]:
    """Return the kind of a test case that did not pass, with its element."""
    if row.status != "completed":
        return _element("error", row.error_code or row.status, row.error or row.status)
    broken = [name for name, score in row.scores.items() if score.status == "failed"]
    if broken:
        return _element("error", "scorer_failed", f"failed: {', '.join(broken)}")
    if row.passed is False:
        told = [
            f"{name}: {score.explanation or 'failed'}"
            for name, score in row.scores.items()
            if score.passed is False
        ]
        return _element("failure", "scored", "\n".join([*told, f"output: {row.output or ''}"]))
    if row.passed is None and not any(s.status == "scored" for s in row.scores.values()):
        return _element("skipped", "unscored", "no scorer judged this output")
    return None, ""


def _element(kind: str, code: str, text: str) -> tuple[str, str]:
    first = text.splitlines()[0] if text else code
    message = _attribute(f"{code}: {first}"[:300])
    return kind, f"<{kind} message={message}>{escape(xml_text(text))}</{kind}>"


def _attribute(text: str) -> str:
    return quoteattr(xml_text(text))


RESULT_FORMATS: Final[Mapping[str, ResultFormat]] = MappingProxyType(
    {
        "jsonl": ResultFormat("JSON Lines, one object a cell", ".jsonl", _jsonl),
        "csv": ResultFormat("CSV, safe for spreadsheets", ".csv", _csv),
        "parquet": ResultFormat("Parquet (extra parquet)", ".parquet", _parquet),
        "junit": ResultFormat("JUnit XML, one test case a cell", ".xml", _junit),
        "promptfoo": ResultFormat("promptfoo's results JSON", ".json", write_promptfoo_results),
    }
)
"""Every way to write results, by name."""
