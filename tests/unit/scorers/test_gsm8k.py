"""Published marks on real texts: the data lies beside the repository and is never copied in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.scorers import ScoreStatus, ScoringInput, parse_rule, run_scorer

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "gsm8k"


def lines(name: str) -> list[dict[str, Any]]:
    if not DATA.is_dir():
        pytest.skip(f"the GSM8K texts are not at {DATA}")
    with (DATA / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.mark.parametrize(
    ("system", "correct"),
    [
        ("6b_finetuning", 286),
        ("6b_verification", 515),
        ("175b_finetuning", 458),
        ("175b_verification", 742),
    ],
)
def test_numeric_answer_gives_the_published_mark_to_every_recorded_solution(
    system: str, correct: int
) -> None:
    scorer = parse_rule("numeric_answer")
    answers = {line["question"]: line["answer"] for line in lines("test.jsonl")}
    solutions = lines("example_model_solutions.jsonl")

    results = [
        run_scorer(
            scorer,
            ScoringInput(output=line[system]["solution"], expected=answers[line["question"]]),
        )
        for line in solutions
    ]

    assert {result.status for result in results} == {ScoreStatus.SCORED}
    assert [result.passed for result in results] == [
        line[system]["is_correct"] for line in solutions
    ]
    assert sum(result.passed is True for result in results) == correct
