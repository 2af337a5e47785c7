"""Recorded outputs: matched to the letter and to one example, or counted, or refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.datasets import ExampleView
from app.schemas.generations import ImportedOutput
from workbench.workspace.recorded_outputs import (
    AmbiguousMatch,
    ExampleIndex,
    OutputColumns,
    RecordedOutputs,
)
from workbench.workspace.tables import TableError

IDS = [UUID(int=number) for number in range(1, 6)]


def index_of(match: str, *inputs: dict[str, Any], keys: str = "abcde") -> ExampleIndex:
    index = ExampleIndex(match, tuple(inputs[0]))
    for position, values in enumerate(inputs):
        index.add(
            ExampleView(id=IDS[position], position=position, key=keys[position], input=values)
        )
    return index


QUESTIONS = [{"question": "1+1?"}, {"question": "2+2?"}, {"question": "3+3?"}]


def recorded(folder: Path, *rows: Any, index: ExampleIndex, **columns: str) -> RecordedOutputs:
    path = folder / "outputs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RecordedOutputs(path, OutputColumns(**{"output": "answer", **columns}), index)


def refusal(outputs: RecordedOutputs) -> TableError:
    with pytest.raises(TableError) as refused:
        list(outputs.outputs)
    return refused.value


def test_rows_are_matched_by_an_input_of_that_name_in_any_order(tmp_path: Path) -> None:
    outputs = recorded(
        tmp_path,
        {"question": "3+3?", "answer": "6"},
        {"question": "1+1?", "answer": "2"},
        index=index_of("question", *QUESTIONS),
        match="question",
    )
    assert list(outputs.outputs) == [
        ImportedOutput(example_id=IDS[2], text="6"),
        ImportedOutput(example_id=IDS[0], text="2"),
    ]
    assert outputs.examples_without_output == 1
    assert outputs.summary == "2 of 3 examples have an output"


@pytest.mark.parametrize(
    ("match", "inputs", "value", "found"),
    [
        ("id", QUESTIONS, "b", 1),
        ("prompt", QUESTIONS, "2+2?", 1),
        ("sample.question", QUESTIONS, "2+2?", 1),
        ("b", [{"a": "x", "b": "y"}, {"a": "y", "b": "x"}], "x", 1),
        ("other", [{"a": "x", "b": "y"}], "x", None),
        ("question", QUESTIONS, "2+2? ", None),
        ("question", [{"question": {"text": "?", "n": 1}}], {"n": 1, "text": "?"}, 0),
    ],
    ids=["key", "the only input", "dotted", "named of two", "no name", "to the letter", "object"],
)
def test_a_value_names_the_example_by_key_by_named_input_or_by_the_only_one(
    match: str, inputs: list[dict[str, Any]], value: Any, found: int | None
) -> None:
    index = index_of(match, *inputs)
    assert index.find(value) == (None if found is None else IDS[found])


def test_a_whole_number_finds_the_key_written_with_it() -> None:
    assert index_of("id", *QUESTIONS, keys="123").find(2) == IDS[1]


def test_a_value_that_two_examples_share_is_ambiguous(tmp_path: Path) -> None:
    twice = [{"question": "1+1?"}, {"question": "1+1?"}, {"question": "2+2?"}]
    index = index_of("question", *twice)
    with pytest.raises(AmbiguousMatch):
        index.find("1+1?")
    error = refusal(
        recorded(tmp_path, {"question": "1+1?", "answer": "2"}, index=index, match="question")
    )
    assert (error.row, error.line, error.column) == (1, 1, "question")
    assert "the key or the input 'question'" in error.message


def test_a_key_that_is_another_examples_input_is_ambiguous() -> None:
    with pytest.raises(AmbiguousMatch):
        index_of("id", {"question": "b"}, {"question": "x"}).find("b")


def test_rows_without_an_example_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    strangers = [{"question": f"stranger {number}", "answer": "?"} for number in range(7)]
    outputs = recorded(
        tmp_path,
        {"question": "1+1?", "answer": "2"},
        *strangers,
        {"answer": "no question at all"},
        index=index_of("question", *QUESTIONS),
        match="question",
    )
    assert len(list(outputs.outputs)) == 1
    assert (outputs.rows, outputs.matched, outputs.unmatched) == (9, 1, 8)
    assert outputs.summary == (
        "1 of 3 examples have an output; 8 rows match no example (rows 2, 3, 4, 5, 6, …)"
    )


def test_two_rows_for_one_example_are_refused_with_both(tmp_path: Path) -> None:
    error = refusal(
        recorded(
            tmp_path,
            {"question": "1+1?", "answer": "2"},
            {"question": "2+2?", "answer": "4"},
            {"question": "1+1?", "answer": "3"},
            index=index_of("question", *QUESTIONS),
            match="question",
        )
    )
    assert error.row == 3
    assert "row 1 is for the same example" in error.message


def test_a_missing_output_is_counted_and_is_no_empty_output(tmp_path: Path) -> None:
    outputs = recorded(
        tmp_path,
        {"question": "1+1?", "answer": None},
        {"question": "2+2?"},
        {"question": "3+3?", "answer": ""},
        index=index_of("question", *QUESTIONS),
        match="question",
    )
    assert [output.text for output in outputs.outputs] == [""]
    assert outputs.examples_without_output == 2


def test_outputs_that_are_no_text_become_their_json(tmp_path: Path) -> None:
    answers = [18.0, {"queue": "Zürich", "n": 1}, True]
    rows = [{**q, "answer": a} for q, a in zip(QUESTIONS, answers, strict=True)]
    index = index_of("question", *QUESTIONS)
    outputs = recorded(tmp_path, *rows, index=index, match="question")
    assert [o.text for o in outputs.outputs] == ["18.0", '{"queue": "Zürich", "n": 1}', "true"]


def test_facts_are_read_from_their_usual_columns_and_from_named_ones(tmp_path: Path) -> None:
    row = {
        "question": "1+1?",
        "answer": "2",
        "latency_ms": 12.5,
        "usage": {"in": "7"},
        "output_tokens": 3,
        "cost": "0.00001",
    }
    outputs = recorded(
        tmp_path,
        row,
        index=index_of("question", *QUESTIONS),
        match="question",
        input_tokens="usage.in",
    )
    assert list(outputs.outputs) == [ImportedOutput(IDS[0], "2", 12.5, 7, 3, Decimal("0.00001"))]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("latency_ms", "fast"),
        ("latency_ms", -1),
        ("cost", "NaN"),
        ("cost", True),
        ("input_tokens", 1.5),
        ("output_tokens", [1]),
    ],
)
def test_a_fact_that_is_no_number_is_refused(column: str, value: Any, tmp_path: Path) -> None:
    row = {"question": "1+1?", "answer": "2", column: value}
    index = index_of("question", *QUESTIONS)
    error = refusal(recorded(tmp_path, row, index=index, match="question"))
    assert (error.row, error.column) == (1, column)


@pytest.mark.parametrize("misspelt", ["match", "output", "cost"])
def test_a_named_column_that_no_row_has_is_refused(misspelt: str, tmp_path: Path) -> None:
    columns = {"match": "question", misspelt: "nowhere"}
    index = index_of("question", *QUESTIONS)
    error = refusal(recorded(tmp_path, {"question": "1+1?", "answer": "2"}, index=index, **columns))
    assert error.column == "nowhere"
    assert "no row has such a column" in error.message


def test_an_error_without_an_output_is_a_failed_answer_and_never_left_out(tmp_path: Path) -> None:
    outputs = recorded(
        tmp_path,
        {"question": "1+1?", "answer": None, "error": "no document"},
        {"question": "2+2?", "answer": "4", "error": "slow"},
        {"question": "3+3?", "answer": None, "error": ""},
        index=index_of("question", *QUESTIONS),
        match="question",
    )
    failed, answered = list(outputs.outputs)
    assert (failed.example_id, failed.text, failed.error) == (IDS[0], "", "no document")
    assert (answered.text, answered.error) == ("4", None)
    assert outputs.summary == "1 of 3 examples have an output; 1 failed"


def test_a_file_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    index = index_of("question", *QUESTIONS)
    row = {"question": "What?", "answer": "2"}
    error = refusal(recorded(tmp_path, row, index=index, match="question"))
    assert "no row matches an example" in error.message


@given(
    st.lists(st.text(st.characters(codec="utf-8")), unique=True, min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_every_example_gets_its_own_output_whatever_the_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], random: Any
) -> None:
    texts = [f"{text} ?" for text in texts if "\0" not in text] or ["?"]
    index = index_of("q", *({"q": text} for text in texts))
    rows = [{"q": text, "answer": str(IDS[number])} for number, text in enumerate(texts)]
    random.shuffle(rows)
    outputs = recorded(tmp_path_factory.mktemp("o"), *rows, index=index, match="q")
    assert all(str(output.example_id) == output.text for output in outputs.outputs)
    assert outputs.examples_without_output == 0
