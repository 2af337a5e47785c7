"""Results as files: nothing is lost, nothing is executed by whoever opens them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from app.schemas.scores import ScoreView
from workbench.cell_text import safe_cell
from workbench.interchange.result_files import RESULT_FORMATS
from workbench.interchange.result_rows import ResultRow, Title
from workbench.xml_text import xml_text

TITLE = Title("experiment 7", "2026-01-02T03:04:05+00:00", ["exact_match", "similarity"])


def score(
    name: str, value: float | None = 1.0, *, passed: bool | None = None, explanation: str = ""
) -> ScoreView:
    return ScoreView(
        scorer_id=UUID(int=1),
        scorer=name,
        version=1,
        status="unscored" if value is None else "scored",
        value=value,
        passed=passed,
        label=None,
        reason="no_expected" if value is None else None,
        explanation=explanation,
    )


def row(
    key: str = "a",
    *,
    status: str = "completed",
    output: str | None = "billing",
    scores: Sequence[ScoreView] = (),
    error: str | None = None,
    run: str = "7/triage@1+openai/x",
) -> ResultRow:
    return ResultRow(
        run=run,
        prompt="triage@1",
        model="openai/x@1",
        provider="openai",
        dataset="tickets@1",
        generation_id="0190",
        key=key,
        repetition=0,
        status=status,
        error_code=None if status == "completed" else "timeout",
        error=error,
        finish_reason="stop",
        input={"ticket": "my card"},
        expected="billing",
        request=None,
        output=output,
        scores={s.scorer: s for s in scores},
        cost=None,
        input_tokens=12,
        output_tokens=3,
        latency_ms=150.0,
        reused=False,
        started_at="2026-01-02T03:04:05+00:00",
    )


PASSED = row("passed", scores=[score("exact_match", passed=True), score("similarity", 0.9)])
REFUSED_BY_SCORER = row(
    "wrong", scores=[score("exact_match", 0.0, passed=False, explanation="expected 'a'")]
)
FAILED = row("failed", status="failed", output=None, error="no answer in time")
UNSCORED = row("unscored", scores=[score("exact_match", None)])
ALL = [PASSED, REFUSED_BY_SCORER, FAILED, UNSCORED]


async def written(format_name: str, rows: Sequence[ResultRow], title: Title = TITLE) -> bytes:
    async def stream() -> AsyncIterator[ResultRow]:
        for one in rows:
            yield one

    file = io.BytesIO()
    assert await RESULT_FORMATS[format_name].write(title, stream(), file) == len(rows)
    return file.getvalue()


async def test_jsonl_has_one_object_a_cell_and_keeps_what_is_missing_missing() -> None:
    lines = [json.loads(line) for line in (await written("jsonl", ALL)).splitlines()]

    assert [line["key"] for line in lines] == ["passed", "wrong", "failed", "unscored"]
    assert lines[0]["cost"] is None
    assert lines[2]["output"] is None
    assert lines[3]["scores"]["exact_match"]["value"] is None
    assert lines[3]["scores"]["exact_match"]["reason"] == "no_expected"


async def test_csv_has_a_value_and_a_status_for_each_scorer() -> None:
    rows = list(csv.DictReader(io.StringIO((await written("csv", ALL)).decode())))

    assert rows[0]["similarity"] == "0.9"
    assert rows[3]["exact_match"] == ""
    assert rows[3]["exact_match status"] == "unscored"
    assert rows[2]["exact_match status"] == "missing"
    assert rows[0]["input"] == '{"ticket":"my card"}'


@pytest.mark.parametrize("scorer", ["cost", "finish_reason"])
async def test_a_scorer_with_the_name_of_a_fact_has_a_column_of_its_own(scorer: str) -> None:
    title = Title(TITLE.name, TITLE.created_at, [scorer])
    rows = [replace(row(scores=[score(scorer, 0.0, passed=False)]), cost=0.25)]

    [read] = csv.DictReader(
        io.StringIO((await written("csv", rows, title)).decode()), strict=True, restkey="beyond"
    )
    table = parquet.read_table(io.BytesIO(await written("parquet", rows, title))).to_pylist()

    assert "beyond" not in read and None not in read.values()
    assert (read["cost"], read["finish_reason"]) == ("0.25", "stop")
    assert (read[f"{scorer} score"], read[f"{scorer} score status"]) == ("0.0", "scored")
    assert (table[0]["cost"], table[0][f"{scorer} score"]) == (0.25, 0.0)


@pytest.mark.parametrize(
    "text", ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1"]
)
async def test_no_text_of_a_model_is_a_formula_in_csv(text: str) -> None:
    hostile = row(text, output=text, error=text, scores=[score("exact_match", -1.0)])

    (read,) = csv.DictReader(io.StringIO((await written("csv", [hostile])).decode(), newline=""))

    assert read["output"] == f"'{text}"
    assert read["key"] == f"'{text}"
    assert read["exact_match"] == "-1.0"


@given(st.text())
def test_a_safe_cell_begins_with_no_sign_of_a_formula_and_keeps_the_text(text: str) -> None:
    cell = str(safe_cell(text))

    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell in (text, f"'{text}")


async def test_parquet_has_typed_columns() -> None:
    table = parquet.read_table(io.BytesIO(await written("parquet", ALL)))

    assert table.num_rows == 4
    assert str(table.schema.field("exact_match").type) == "double"
    assert str(table.schema.field("input_tokens").type) == "int64"
    assert table.column("exact_match").to_pylist() == [1.0, 0.0, None, None]
    assert table.column("output").to_pylist()[2] is None


async def test_parquet_of_no_row_still_has_its_columns() -> None:
    table = parquet.read_table(io.BytesIO(await written("parquet", [])))

    assert table.num_rows == 0
    assert "exact_match status" in table.schema.names


async def test_junit_keeps_failures_errors_and_skipped_apart() -> None:
    suite = ElementTree.fromstring(await written("junit", ALL))[0]

    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {
        "passed": [],
        "wrong": ["failure"],
        "failed": ["error"],
        "unscored": ["skipped"],
    }


HOSTILE = st.text(alphabet=st.characters(exclude_categories=()), max_size=40).map(
    lambda text: text.encode("utf-8", "replace").decode()
)


@given(HOSTILE)
def test_any_text_is_well_formed_xml(text: str) -> None:
    assert ElementTree.fromstring(f"<a>{escape(xml_text(text))}</a>").tag == "a"


async def test_hostile_texts_stay_inside_their_test_case() -> None:
    text = '"]]></failure></testcase><testcase name="forged"/>\x00\x1b[31m'
    hostile = row(
        text,
        output=text,
        run=text,
        scores=[score("exact_match", 0.0, passed=False, explanation=text)],
    )

    suite = ElementTree.fromstring(await written("junit", [hostile], Title(text, text, [])))[0]

    assert len(suite) == 1
    assert suite[0].get("name", "").startswith('"]]></failure>')


async def test_promptfoo_counts_what_nothing_judged_as_an_error_and_never_as_passed() -> None:
    results = json.loads(await written("promptfoo", ALL))["results"]

    assert results["version"] == 3
    assert results["stats"]["successes"] == 1
    assert results["stats"]["failures"] == 1
    assert results["stats"]["errors"] == 2
    assert [r["failureReason"] for r in results["results"]] == [0, 1, 2, 2]
    assert results["results"][0]["namedScores"] == {"exact_match": 1.0, "similarity": 0.9}


async def test_promptfoo_counts_an_output_at_which_a_scorer_failed_as_an_error() -> None:
    failed = score("similarity", None).model_copy(update={"status": "failed"})
    rows = [row(scores=[score("exact_match", passed=True), failed])]

    told = json.loads(await written("promptfoo", rows))["results"]

    assert told["stats"]["successes"] == 0
    assert told["results"][0]["error"] == "failed: similarity"


@pytest.mark.parametrize("format_name", list(RESULT_FORMATS))
async def test_half_a_character_in_an_output_stops_no_export(format_name: str) -> None:
    hostile = row(
        "a", output="half \ud83d", error="\udc00", scores=[score("x", explanation="\ud800")]
    )

    data = await written(format_name, [hostile, PASSED])

    if format_name != "parquet":
        assert "billing" in data.decode() or format_name == "junit"
    if format_name == "jsonl":
        assert json.loads(data.splitlines()[0])["output"] == "half \ud83d"


async def test_promptfoo_gives_equal_examples_of_two_runs_one_test() -> None:
    both = [row("a"), row("b"), row("a", run="7/other"), row("b", run="7/other")]

    results = json.loads(await written("promptfoo", both))["results"]

    assert [(r["promptIdx"], r["testIdx"]) for r in results["results"]] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert [prompt["id"] for prompt in results["prompts"]] == ["7/triage@1+openai/x", "7/other"]


async def test_promptfoo_is_told_a_component_for_each_score_that_has_a_value() -> None:
    scores = [score("exact_match", 0.0, passed=False), score("similarity", None)]

    (told,) = json.loads(await written("promptfoo", [row(scores=scores)]))["results"]["results"]

    components = told["gradingResult"]["componentResults"]
    assert [(c["assertion"]["metric"], c["pass"]) for c in components] == [("exact_match", False)]
