"""Recorded answers of four systems on real questions, against their published marks.

The data stand beside the repository (`../shared`) and are not part of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.conftest import SHARED

GSM8K = SHARED / "data" / "gsm8k"
MARKS = {
    "6b_finetuning": 286,
    "6b_verification": 515,
    "175b_finetuning": 458,
    "175b_verification": 742,
}

pytestmark = pytest.mark.skipif(
    not GSM8K.is_dir(), reason="the recorded GSM8K answers are not beside this clone (../shared)"
)


@pytest.fixture
def line(tmp_path: Path, database_url: str) -> CommandLine:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    url = database_url.replace("+aiosqlite", "").replace("+asyncpg", "")
    command = CommandLine(tmp_path, {"WORKBENCH_DATABASE_URL": url})
    command.run(
        "datasets", "import", str(GSM8K / "test.jsonl"), "--name", "gsm8k",
        "--input", "question", "--expected", "answer",
    )  # fmt: skip
    for system in MARKS:
        command.run(
            "runs", "import", str(GSM8K / "example_model_solutions.jsonl"),
            "--dataset", "gsm8k@1", "--match", "question",
            "--output", f"{system}.solution", "--name", system,
        )  # fmt: skip
        command.run("score", system, "--scorer", "numeric_answer")
    return command


def test_numeric_answer_gives_the_published_marks_and_the_paired_counts(line: CommandLine) -> None:
    counted = {
        system: line.json("runs", "show", system)["scores"]["numeric_answer"]["n_correct"]
        for system in MARKS
    }
    compared = line.json(
        "compare", "6b_finetuning", "6b_verification", "--scorer", "numeric_answer"
    )
    assert counted == MARKS
    assert compared["n_pairs"] == 1319
    assert (compared["candidate_only"], compared["baseline_only"]) == (293, 64)
    assert compared["verdict"] == "superior"
    assert compared["baseline"]["n_correct"] == 286
    assert {warning["code"] for warning in compared["warnings"]} == {"imported"}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.nightly
def test_every_single_mark_agrees_with_the_published_one(line: CommandLine) -> None:
    with (GSM8K / "example_model_solutions.jsonl").open() as file:
        published = {row["question"]: row for row in map(json.loads, file)}
    agreeing = 0
    for system in MARKS:
        stories = []
        while page := line.json(
            "show", system, "--limit", "1000", *(["--after", stories[-1]["key"]] if stories else [])
        ):
            stories += page
        for story in stories:
            marked = published[story["input"]["question"]][system]["is_correct"]
            agreeing += (story["scores"][0]["value"] == 1.0) == marked
    assert agreeing == 4 * 1319
