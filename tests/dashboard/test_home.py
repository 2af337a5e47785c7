"""The page Home: what runs, what failed, what was found, what it cost."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, experiments, jobs, limits
from workbench.client.experiments import ExperimentSummary
from workbench.client.jobs import Job
from workbench.client.limits import Limit, Window
from workbench.client.spending import BudgetStanding, ModelSpending, PurposeSpending, Spending
from workbench.dashboard.charts.home import spending_chart
from workbench.dashboard.frames.home import (
    allowances,
    failures,
    known_total,
    share_text,
    spending_frame,
    under_way,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def experiment(number: int = 1, **changes: object) -> ExperimentSummary:
    values: dict[str, object] = {
        "number": number,
        "name": "",
        "dataset": "tickets@1",
        "prompts": ("triage@1",),
        "models": ("simulated/small@1",),
        "simulated": True,
        "runs": 1,
        "status": "open",
        "work": None,
        "wanted": 10,
        "done": 0,
        "failed": 0,
        "cost": None,
        "unpriced": 0,
        "scorer": None,
        "verdicts": (),
        "created_at": NOON,
        "created_by": "user:ana",
        "finished_at": None,
    }
    return ExperimentSummary.model_validate({**values, **changes})


def job(status: str = "failed", number: int | None = None, **detail: object) -> Job:
    return Job(
        id=uuid4(),
        kind="run",
        status=status,
        experiment=number,
        actor="user:ana",
        queued_at=NOON,
        started_at=None,
        ended_at=None,
        stop_asked_at=None,
        asked=None,
        detail=detail,
    )


def purpose(*models: ModelSpending) -> PurposeSpending:
    known = [it.dollars for it in models if it.dollars is not None]
    return PurposeSpending(
        calls=sum(it.calls for it in models),
        dollars=sum(known) if known or not models else None,
        unpriced=sum(it.unpriced for it in models),
        models=models,
    )


def month(**parts: PurposeSpending | None) -> Spending:
    spent: dict[str, PurposeSpending | None] = {
        "experiments": None,
        "judges": None,
        "production": None,
        **parts,
    }
    return Spending(starts_at=NOON, ends_at=NOON, budgets=(), **spent)


PRICED = ModelSpending(model="openai/a@1", calls=10, dollars=1.5, unpriced=0)
UNPRICED = ModelSpending(model="openai/b@1", calls=3, dollars=None, unpriced=3)


def test_a_filled_workspace_shows_verdicts_with_links_and_what_was_spent(filled: Workspace) -> None:
    test = open_page("home", filled.url, filled.key)
    told = texts(test)

    assert "Recent verdicts" in told
    assert "Candidate is better by" in told.replace("\\", "")
    assert {it.label for it in test.metric} == {"In all", "Experiments", "Judges", "Chats"}
    assert "in UTC" in told
    assert "Three steps" not in told


def test_an_empty_workspace_says_what_to_do_first(empty: Workspace) -> None:
    told = texts(open_page("home", empty.url, empty.key))

    assert "Three steps to the first verdict" in told
    assert "workbench datasets import" in told
    assert "Nothing runs." in told


def test_an_api_that_fails_is_told_in_a_sentence(failing: str) -> None:
    test = open_page("home", failing, "wb_any")

    assert "database does not answer" in test.error[0].value
    assert [it.label for it in test.button] == ["Try again"]


def test_whoever_has_no_role_is_told_so_and_asks_nothing_of_the_api(filled: Workspace) -> None:
    test = open_page("home", filled.url, filled.nobody)

    assert "no role yet" in test.info[0].value
    assert not test.metric


def test_a_viewer_sees_no_spend_of_production_and_no_limits(filled: Workspace) -> None:
    test = open_page("home", filled.url, filled.viewer)

    assert {it.label for it in test.metric} == {"In all", "Experiments", "Judges"}


def test_what_waits_and_what_failed_is_there_in_words(empty: Workspace) -> None:
    with Client(empty.url, empty.key) as client:
        question = {
            "dataset": "nothing@1",
            "prompts": ["a@1"],
            "models": ["simulated/small"],
            "scorers": [],
        }
        asked = client.send(experiments.start(question))
        waiting = texts(open_page("home", empty.url, empty.key))
        client.send(jobs.stop(asked.id))
        after = texts(open_page("home", empty.url, empty.key))

    assert "run is queued since" in waiting.replace("\\", "")
    assert "Nothing runs." in after


def test_limits_of_this_month_stand_beside_the_spend(filled: Workspace) -> None:
    with Client(filled.url, filled.key) as client:
        client.send(limits.put("key", "home-test", {"dollars_per_month": "5"}))
        test = open_page("home", filled.url, filled.key)
        client.send(limits.remove("key", "home-test"))

    shown = [str(it.proto.text) for it in test.get("progress")]
    assert any("key home" in text and "of \\$5\\.00 spent" in text for text in shown)


def test_only_what_a_worker_is_at_or_will_be_is_under_way() -> None:
    found = [experiment(1, work="running"), experiment(2), experiment(3, work="queued")]

    assert [it.number for it in under_way(found)] == [1, 3]


def test_failures_tell_why_and_where_newest_first_and_each_experiment_once() -> None:
    error = {"code": "x", "message": "There is no dataset.", "hint": None, "path": "dataset"}
    later = NOON.replace(hour=13)
    jobs_ = [job(error=error), job("lost", 7)]
    found = failures(jobs_, [experiment(7, failed=2), experiment(8, failed=3, finished_at=later)])

    assert found[0].experiment == 8
    assert sorted(it.sentence for it in found) == [
        "3 cells of 10 without an answer.",
        "Its process is gone.",
        "There is no dataset.",
    ]
    assert "See the field dataset." in {it.hint for it in found}


def test_unknown_cost_is_missing_in_the_table_and_no_bar_of_nothing() -> None:
    frame = spending_frame(month(experiments=purpose(PRICED), production=purpose(UNPRICED)))

    assert list(frame["purpose"]) == ["experiments", "chats"]
    assert list(frame["dollars"].isna()) == [False, True]
    drawn = spending_chart(frame, "March 2026").to_dict()
    [rows] = drawn["datasets"].values()
    assert [row["model"] for row in rows] == ["openai/a@1"]
    assert "n = 13 calls" in drawn["title"]


@pytest.mark.parametrize(
    ("spending", "total"),
    [
        (month(), None),
        (month(experiments=purpose()), 0.0),
        (month(experiments=purpose(UNPRICED)), None),
        (month(experiments=purpose(PRICED), judges=purpose(UNPRICED)), 1.5),
    ],
)
def test_the_total_is_what_is_known(spending: Spending, total: float | None) -> None:
    assert known_total(spending) == total


def test_allowances_are_the_fullest_first_and_nothing_to_spend_is_full() -> None:
    window = Window(
        span="month",
        starts_at=NOON,
        requests=1,
        tokens=1,
        reserved_tokens=0,
        spent=4.0,
        reserved=0.5,
    )
    limit = Limit(
        holder_kind="alias",
        holder="bot@production",
        requests_per_minute=None,
        tokens_per_minute=None,
        dollars_per_day=None,
        dollars_per_month=5.0,
        on_reach="warn",
        updated_at=NOON,
        updated_by="user:ana",
        windows=(window,),
    )
    budget = BudgetStanding(experiment=3, name="", amount=0.0, spent=0.0, leased=0.0)
    without = limit.model_copy(update={"dollars_per_month": None})

    found = allowances([budget], [limit, without])

    assert [(it.title, it.share) for it in found] == [
        ("Experiment 3", 1.0),
        ("alias bot@production", 0.9),
    ]
    assert share_text(found[1]) == "$4.00 of $5.00 spent, $0.50 reserved"
