"""Experiments as tables, figures and sentences; the form of a new one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from workbench.client.experiments import (
    ExperimentEstimate,
    ExperimentResults,
    ExperimentStanding,
    ExperimentSummary,
)
from workbench.client.jobs import Job
from workbench.dashboard.charts.experiments import cells_chart
from workbench.dashboard.frames.experiment_questions import (
    SCORERS,
    Draft,
    draft_of,
    field_of,
    missing,
    priced_part,
    question,
    verdict_remark,
)
from workbench.dashboard.frames.experiments import (
    Looked,
    cell_frame,
    cells_by_status,
    cost_of,
    duration,
    error_classes,
    estimate_remarks,
    job_error,
    list_frame,
    rate,
    run_frame,
    seconds_left,
    standing_word,
    warnings_of,
)
from workbench.scorers import parse_scorer

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_IDS = [UUID(int=1), UUID(int=2)]
NOTHING = ExperimentResults(verdicts=(), means=())


def run(index: int, **totals: Any) -> dict[str, Any]:
    return {
        "run": {
            "id": RUN_IDS[index],
            "name": f"7/ask@{index + 1}+openai/x",
            "origin": "executed",
            "experiment_number": 7,
            "dataset": "sums@1",
            "variant_id": None,
            "prompt": f"ask@{index + 1}",
            "model": "openai/x@1",
            "provider": "openai",
            "created_at": NOW,
            "created_by": "user:ada",
        },
        "totals": totals,
    }


def standing(*runs: dict[str, Any], wanted: int = 20) -> ExperimentStanding:
    return ExperimentStanding.model_validate(
        {
            "experiment": {
                "id": UUID(int=9),
                "number": 7,
                "name": "",
                "dataset": "sums@1",
                "spec": {},
                "plan": {
                    "scorer": None,
                    "margin": None,
                    "goal": "non_inferiority",
                    "mode": "fixed",
                    "n": None,
                },
                "repetitions": 1,
                "example_count": 10,
                "example_limit": None,
                "extends_id": None,
                "status": "open",
                "runs": [it["run"] for it in runs],
                "created_at": NOW,
                "created_by": "user:ada",
                "finished_at": None,
            },
            "wanted": wanted,
            "runs": runs,
            "budget": None,
        }
    )


HALF = standing(
    run(0, by_status={"completed": 6, "failed": 2}, by_error={"timeout": 2}, cost=0.5),
    run(1, by_status={"completed": 2, "failed": 1}, by_error={"odd": 1}, unpriced=3),
)


def test_cells_are_counted_by_status_and_what_is_left_is_open() -> None:
    assert cells_by_status(HALF) == {"completed": 8, "failed": 3, "open": 9}
    rows = cell_frame(HALF)
    assert rows.groupby("run")["cells"].sum().tolist() == [10, 10]


def test_the_rate_is_over_the_last_seconds_only() -> None:
    looks = [Looked(0, 0), Looked(100, 1000), Looked(104, 1008), Looked(110, 1020)]
    assert rate(looks) == pytest.approx(2.0)
    assert rate(looks[:1]) is None
    assert rate([]) is None


def test_the_time_left_is_unknown_while_nothing_moves() -> None:
    assert seconds_left(100, 2.0) == 50
    assert seconds_left(100, 0.0) is None
    assert seconds_left(100, None) is None
    assert seconds_left(0, None) == 0


def test_errors_are_told_by_class_with_what_to_do() -> None:
    first, second = error_classes(HALF)
    assert (first.code, first.count) == ("timeout", 2)
    assert "Resume and retry" in first.advice
    assert "Generations" in second.advice


def test_costs_that_are_not_known_are_no_zero() -> None:
    assert cost_of(HALF.runs) == 0.5
    assert cost_of(HALF.runs[1:]) is None


def test_durations_are_told_in_the_units_that_matter() -> None:
    told = [duration(it) for it in (0.44, 59.6, 125, 7_300, 200_000)]
    assert told == ["0.4 s", "60 s", "2 min 5 s", "2 h 1 min", "2 d 7 h"]


def test_a_status_says_what_is_being_done() -> None:
    assert standing_word("open", "running") == "running"
    assert standing_word("open", "queued") == "waiting"
    assert standing_word("open", None) == "stopped"
    assert standing_word("completed", "running") == "completed"


def test_warnings_name_what_is_missing_from_the_figures() -> None:
    told = warnings_of(HALF, NOTHING)
    assert any("3 outcomes have no cost" in it and "openai/x@1" in it for it in told)
    assert any("3 cells failed" in it for it in told)
    assert not any("imulated" in it for it in told)


def test_a_run_has_a_column_for_each_scorer_and_gaps_where_nothing_was_scored() -> None:
    mean = {
        "run_id": RUN_IDS[0],
        "scorer": "exact_match",
        "version": 1,
        "mean": 0.25,
        "scored": 4,
        "unscored": 0,
        "failed": 0,
    }
    results = ExperimentResults.model_validate({"verdicts": [], "means": [mean]})
    frame = run_frame(HALF, results)
    assert frame["mean exact_match"].tolist()[0] == 0.25
    assert frame["mean exact_match"].isna().tolist() == [False, True]
    assert frame["failed"].tolist() == [2, 1]
    assert "used again" not in frame
    assert "without a price" in frame


def test_the_list_is_taken_away_with_its_verdicts_in_words() -> None:
    found = ExperimentSummary.model_validate(
        {
            "number": 7,
            "name": "x",
            "dataset": "sums@1",
            "prompts": ["a@1"],
            "models": ["m"],
            "simulated": False,
            "runs": 2,
            "status": "completed",
            "work": None,
            "wanted": 2,
            "done": 2,
            "failed": 0,
            "cost": None,
            "unpriced": 2,
            "scorer": "exact_match",
            "verdicts": [
                {
                    "comparison_id": UUID(int=3),
                    "candidate_run_id": RUN_IDS[1],
                    "candidate": "7/ask@2+openai/x",
                    "verdict": "inferior",
                }
            ],
            "created_at": NOW,
            "created_by": "user:ada",
            "finished_at": NOW,
        }
    )
    [row] = list_frame([found]).to_dict("records")
    assert row["verdicts"] == "ask@2+openai/x: ▼ inferior"
    assert row["cost in US dollars"] is None


def test_why_a_job_failed_is_told_with_its_field() -> None:
    failed = {"error": {"code": "invalid", "message": "No.", "hint": "Do so.", "path": "map"}}
    fields = dict.fromkeys(
        ("experiment", "queued_at", "started_at", "ended_at", "stop_asked_at", "asked")
    )
    job = Job.model_validate(
        {**fields, "id": UUID(int=1), "kind": "run", "status": "failed", "actor": "a"}
        | {"detail": failed}
    )
    assert job_error(job) == ("No. Do so.", "map")
    assert job_error(job.model_copy(update={"detail": {}})) is None


def test_an_estimate_says_what_is_not_in_it() -> None:
    none = {"low": 0, "high": 0}
    found = ExperimentEstimate.model_validate(
        {
            "examples": 900,
            "rendered": 300,
            "repetitions": 1,
            "calls": 900,
            "reused": 0,
            "input_tokens": none,
            "output_tokens": none,
            "cost": None,
            "seconds": None,
            "unknown": ["x has no price"],
            "judges_left_out": ["judge_rubric"],
            "variants": [],
        }
    )
    told = " ".join(estimate_remarks(found))
    assert "300 evenly spaced of 900 examples" in told
    assert "The cost is unknown: x has no price." in told
    assert "judge_rubric asks its model" in told


def test_the_bars_carry_their_number_and_their_unit() -> None:
    plot = cells_chart(cell_frame(HALF), 20).to_dict()
    assert "n = 20 cells" in plot["title"]
    assert plot["encoding"]["x"]["title"] == "cells"


# The form


@pytest.mark.parametrize("scorer", SCORERS)
def test_every_scorer_that_the_form_offers_can_be_used(scorer: str) -> None:
    assert parse_scorer(scorer)


def test_a_form_says_what_it_needs() -> None:
    assert [it.field for it in missing(Draft())] == ["dataset", "prompts", "models"]
    assert not missing(Draft(dataset="a@1", prompts=["p@1"], models=["m"]))


def test_a_form_becomes_a_question_and_a_question_a_form() -> None:
    draft = Draft(
        name="n",
        dataset="a@1",
        prompts=["p@1", "p@2"],
        models=["m"],
        scorers=["exact_match"],
        baseline="p@1",
        margin=0.03,
        sequential=True,
        planned=50,
        repetitions=2,
        limit=9,
        budget=5.0,
        parameters={"temperature": 0.5},
        other='{"seed": 7}',
        mapping="text=body",
        cache=True,
    )
    body, errors = question(draft)
    assert not errors
    assert body["plan"] == {
        "goal": "non_inferiority",
        "margin": 0.03,
        "mode": "sequential",
        "n": 50,
    }
    assert body["parameters"] == {"seed": 7, "temperature": 0.5}
    assert body["map"] == {"text": "body"}
    assert draft_of(body) == draft


@pytest.mark.parametrize(
    ("prompts", "models", "baseline", "is_said"),
    [
        (["p@1"], ["m"], None, True),
        (["p@1"], ["m"], "p@1", True),
        (["p@1"], ["m"], "bot@production", False),
        (["p@1", "p@2"], ["m"], None, False),
        (["p@1"], ["m", "n"], None, False),
    ],
)
def test_a_variant_with_nothing_beside_it_is_told_to_have_no_verdict(
    prompts: list[str], models: list[str], baseline: str | None, is_said: bool
) -> None:
    draft = Draft(prompts=prompts, models=models, baseline=baseline)
    assert ("no verdict" in verdict_remark(draft)) == is_said


def test_what_cannot_be_read_is_told_at_its_field() -> None:
    _, errors = question(Draft(other="seed=7", mapping="text"))
    assert [it.field for it in errors] == ["parameters", "map"]


def test_an_error_finds_its_field() -> None:
    assert field_of("plan.margin") == "margin"
    assert field_of("body.budget") == "budget"
    assert field_of("parameters.temperature") == "parameters"
    assert field_of("somewhere") is None
    assert field_of(None) is None


def test_an_estimate_is_asked_anew_only_if_it_could_change() -> None:
    body, _ = question(Draft(dataset="a@1", prompts=["p@1"], models=["m"]))
    assert priced_part({**body, "name": "other", "budget": 3}) == priced_part(body)
    assert priced_part({**body, "repetitions": 3}) != priced_part(body)
