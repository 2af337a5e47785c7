"""People's labels, read exactly or refused with their place."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.ids import new_id
from app.schemas.reviews import LabelledAnswer, NewReview, Reviewable
from workbench.workspace.label_files import read_labels, write_sheet
from workbench.workspace.tables import TableError

IDS = {key: new_id() for key in ("a", "b", "lost")}
CELLS = {
    ("a", 0): Reviewable(IDS["a"], "completed"),
    ("b", 0): Reviewable(IDS["b"], "completed"),
    ("lost", 0): Reviewable(IDS["lost"], "failed"),
    ("twice", 0): Reviewable(new_id(), "completed"),
    ("twice", 1): Reviewable(new_id(), "completed"),
}


def read(folder: Path, text: str, name: str = "labels.csv") -> list[tuple[UUID, str, float]]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    found = read_labels(path, CELLS, run="1/run", reviewer="me").reviews
    return [(review.generation_id, review.reviewer, review.value) for review in found]


def test_words_and_numbers_are_labels(tmp_path: Path) -> None:
    text = "key,label,reviewer\na,pass,ada\na,FALSE,ben\nb,4.5,\n"
    assert read(tmp_path, text) == [
        (IDS["a"], "ada", 1.0),
        (IDS["a"], "ben", 0.0),
        (IDS["b"], "me", 4.5),
    ]


def test_json_lines_hold_labels_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [{"key": "a", "label": True, "comment": "Well put."}, {"key": "b", "value": 3}]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    first, second = read_labels(path, CELLS, run="1/run", reviewer="me").reviews
    assert (first.value, first.label, first.comment) == (1.0, "pass", "Well put.")
    assert (second.value, second.label, second.comment) == (3.0, None, None)


def test_columns_for_the_reader_are_not_read(tmp_path: Path) -> None:
    text = "key,input,output,expected,label\na,What?,So.,So.,pass\n"
    assert read(tmp_path, text) == [(IDS["a"], "me", 1.0)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key,label\na,pass\nc,pass\n", r"row 2 \(line 3\), column 'key'.*no example .*'c'"),
        ("key,label\nlost,pass\n", r"row 1 .*'lost' has no answer to label: it is failed"),
        ("key,label\na,maybe\n", r"row 1 .*column 'label'.*neither a number nor pass or fail"),
        ("key,value\na,nan\n", r"neither a number"),
        ("key,value\na,pass\n", r"column 'value'.*neither a number"),
        ("key,label\na,\n", r"no row has a label"),
        ("key,label,value\na,pass,1\n", r"a label or a value, not both"),
        ("key,label\na,pass\na,fail\n", r"row 2 .*row 1 is me's label of the same answer"),
        ("key,label\n,pass\n", r"every row needs the key"),
        ("key,label\ntwice,pass\n", r"several answers to this example"),
        ("key,label,repetition\ntwice,pass,2\n", r"column 'repetition'.*no such repetition"),
        ("key,label,repetition\na,pass,-1\n", r"no whole number from 0 on"),
        ("key,lable\na,pass\n", r"column 'lable'.*unknown column; labels have key"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TableError, match=told):
        read(tmp_path, text)


def test_a_repetition_is_named_by_its_number(tmp_path: Path) -> None:
    found = read(tmp_path, "key,label,repetition\ntwice,pass,0\ntwice,fail,1\n")
    assert [value for _, _, value in found] == [1.0, 0.0]


def test_a_row_without_a_label_says_nothing_yet(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("key,label,reviewer\na,pass,ada\nb,,\n")
    found = read_labels(path, CELLS, run="1/run", reviewer="me")
    assert (len(found.reviews), found.unlabelled) == (1, 1)


def test_a_sheet_that_was_filled_in_comes_back_and_starts_no_formula(tmp_path: Path) -> None:
    cells = {("=1+1", 0): Reviewable(IDS["a"], "completed")}
    answer = LabelledAnswer(
        run_id=new_id(),
        key="=1+1",
        repetition=0,
        generation_id=IDS["a"],
        output={"role": "assistant", "content": "@SUM(A1)"},
        example={"input": {"question": " =What?"}, "expected_output": {"total": 2}},
        labels={},
    )
    path = tmp_path / "sheet.csv"
    write_sheet(path, [answer])
    text = path.read_text()
    assert text.splitlines()[1] == """'=1+1,0,' =What?,2,'@SUM(A1),,,"""
    path.write_text(text.replace(",,,", ",pass,ada,Well put."))
    (review,) = read_labels(path, cells, run="1/run", reviewer="me").reviews
    assert review == NewReview(IDS["a"], "ada", 1.0, "pass", "Well put.")
    with pytest.raises(FileExistsError):
        write_sheet(path, [answer])


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, value: float
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    found = read(folder, json.dumps({"key": "a", "value": value}), "labels.jsonl")
    assert found == [(IDS["a"], "me", value)]
