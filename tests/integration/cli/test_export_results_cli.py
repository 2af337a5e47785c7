"""`workbench export results`: every cell to a file, and nothing half written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CommandLine, arithmetic_workspace


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A workspace in which one experiment with two runs over ten examples is done."""
    line = arithmetic_workspace(tmp_path_factory.mktemp("export"), 10, {})
    line.run(
        *("run", "--dataset", "sums@1", "--prompt", "ask@1", "--prompt", "ask@2"),
        *("--model", "simulated/large", "--scorer", "numeric_answer"),
    )
    return line


def test_an_experiment_is_printed_as_json_lines(ran: CommandLine) -> None:
    rows = [json.loads(line) for line in ran.run("export", "results").splitlines()]

    assert len(rows) == 20
    assert {row["prompt"] for row in rows} == {"ask@1", "ask@2"}
    assert all(row["scores"]["numeric_answer"]["status"] == "scored" for row in rows)


def test_one_run_is_written_in_the_format_of_the_file_name(
    ran: CommandLine, tmp_path: Path
) -> None:
    told = ran.run("export", "results", "1/ask@1", "--output", str(tmp_path / "run.csv"))

    assert "10 cells as csv" in told
    assert len((tmp_path / "run.csv").read_text().splitlines()) == 11


def test_a_file_that_is_there_is_left_as_it_is(ran: CommandLine, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")

    ran.run("export", "results", "--output", str(kept), code=2)

    assert "is there already" in ran.last_error
    assert kept.read_text() == "mine"


def test_an_unknown_format_is_refused_with_the_known_ones(ran: CommandLine, tmp_path: Path) -> None:
    ran.run("export", "results", "--as", "xls", code=2)
    assert "jsonl, csv, parquet, junit, promptfoo" in ran.last_error

    ran.run("export", "results", "--output", str(tmp_path / "results.xls"), code=2)
    assert "say which format" in ran.last_error
    assert not (tmp_path / "results.xls").exists()


def test_an_experiment_that_does_not_exist_leaves_no_file(ran: CommandLine, tmp_path: Path) -> None:
    ran.run("export", "results", "99", "--output", str(tmp_path / "r.csv"), code=2)

    assert not (tmp_path / "r.csv").exists()
