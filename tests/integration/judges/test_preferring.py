"""Runs compared by a judge of pairs, through the whole path: both orders, swap rule, warnings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.schemas.prompts import PromptContent
from tests.fake_provider import FaultScript, ProviderOptions
from tests.integration.judges.conftest import Court, OpenCourt
from tests.integration.runner.conftest import ASK, ASK_POLITELY
from workbench.runner.comparison.comparing import compare_pairs, compare_runs
from workbench.runner.judging.pairs import judge_pair_items
from workbench.scorers import ScoringInput
from workbench.statistics.preferences import Choice

ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def always(verdict: str) -> ProviderOptions:
    return ProviderOptions(answer=f"fixed:{json.dumps({'reason': 'r', 'verdict': verdict})}")


async def compared(court: Court, count: int, **options: Any) -> tuple[Any, dict[str, Any]]:
    experiment = await court.experiment(count, prompts=(ASK, ASK_POLITELY))
    judge = await court.judge("judge_preference", **options)
    view = await court.services.scores.ensure_scorer(court.actor, judge.identity())
    first, second = experiment.runs
    comparison = await compare_runs(court.services, court.actor, first, second, view)
    return experiment, comparison.result


def codes(result: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in result["warnings"]}


async def test_a_judge_that_always_takes_the_first_gives_nothing_but_ties(
    open_court: OpenCourt,
) -> None:
    async with open_court(always("first")) as court:
        experiment, result = await compared(court, 30)
        preference = result["preference"]
        assert (preference["wins"], preference["losses"], preference["ties"]) == (0, 0, 30)
        assert preference["consistency"] == 0.0
        assert preference["first_share"] == 1.0
        assert result["difference"]["estimate"] == 0.0
        assert "judge_order" in codes(result)
        assert court.calls == 60

        # The other way round the same questions have been answered already.
        judge = await court.judge("judge_preference")
        view = await court.services.scores.ensure_scorer(court.actor, judge.identity())
        second, first = experiment.runs
        mirrored = await compare_runs(court.services, court.actor, first, second, view)
        assert mirrored.result["preference"]["ties"] == 30
        assert court.calls == 60


async def test_a_judge_of_length_is_found_out(open_court: OpenCourt) -> None:
    shape = {**ASK.model_dump(), "parameters": {"temperature": 0, "max_tokens": 4}}
    short = PromptContent.model_validate(shape)
    async with open_court(ProviderOptions(answer="judge-longer"), answer="echo") as court:
        # Four tokens cut the question off as soon as it has a number of three digits.
        experiment = await court.experiment(120, prompts=(short, ASK))
        preferring = await court.judge("judge_preference")
        view = await court.services.scores.ensure_scorer(court.actor, preferring.identity())
        first, second = experiment.runs
        found = (await compare_runs(court.services, court.actor, first, second, view)).result
        preference = found["preference"]
        assert (preference["wins"], preference["losses"], preference["ties"]) == (21, 0, 99)
        assert preference["consistency"] == 1.0
        assert preference["length_slope"] > 0
        assert preference["length_controlled_win_rate"] < preference["win_rate"]
        assert "judge_length" in codes(found)
        assert found["difference"]["estimate"] == pytest.approx(21 / 120)
        assert (found["candidate"]["n_correct"], found["baseline"]["n_correct"]) == (21, 0)

        mirrored = (await compare_runs(court.services, court.actor, second, first, view)).result
        assert (mirrored["preference"]["wins"], mirrored["preference"]["losses"]) == (0, 21)
        assert mirrored["difference"]["estimate"] == -found["difference"]["estimate"]


@ONE_DATABASE
async def test_judgements_say_where_the_candidate_stood_and_whether_it_won(
    open_court: OpenCourt,
) -> None:
    async with open_court(always("second")) as court:
        experiment, _ = await compared(court, 1)
        candidate = experiment.runs[1]
        story = (await court.services.generations.stories(candidate.id, limit=1))[0]
        judgements = (await court.services.judgements.of_generations([story.id]))[story.id]
        assert [(j.position, j.label, j.value) for j in judgements] == [
            ("first", "second", 0.0),
            ("second", "second", 1.0),
        ]
        totals = await court.services.judgements.totals([run.id for run in experiment.runs])
        assert [totals[run.id].questions for run in experiment.runs] == [0, 2]


@ONE_DATABASE
async def test_pairs_without_a_reply_have_no_verdict_and_are_no_ties(
    open_court: OpenCourt,
) -> None:
    async with open_court(ProviderOptions(answer="fixed:the first one")) as court:
        _, result = await compared(court, 5)
        assert result["preference"] is None
        assert result["n_pairs"] == 0
        assert result["candidate"]["statuses"] == {"unscored": 5}


@ONE_DATABASE
async def test_a_pair_that_the_provider_left_for_now_is_asked_about_again(
    open_court: OpenCourt,
) -> None:
    script = FaultScript(seed=5, rates={"500": 0.9})
    told: list[str] = []
    options = replace(always("tie"), script=script)
    async with open_court(options) as court:
        experiment = await court.experiment(6, prompts=(ASK, ASK_POLITELY))
        judge = await court.judge("judge_preference")
        view = await court.services.scores.ensure_scorer(court.actor, judge.identity())
        pairs = [(experiment.runs[0], experiment.runs[1])]

        async def compare() -> dict[str, Any]:
            (found,) = await compare_pairs(
                court.services, court.actor, pairs, view, note=told.append
            )
            return found.result

        before = (await compare())["candidate"]["statuses"]
        assert before["failed"] > 0
        assert told[0].startswith(f"{before['failed']} pairs could not be judged by")

        court.judge_server.set_script(FaultScript())
        assert (await compare())["candidate"]["statuses"] == {"scored": 6}
        assert len(told) == 1


@ONE_DATABASE
async def test_a_judge_of_the_compared_family_is_named(open_court: OpenCourt) -> None:
    async with open_court(always("tie")) as court:
        _, result = await compared(court, 5)
        # Judge and model are both called fake.
        assert "judge_self" in codes(result)


@ONE_DATABASE
async def test_errors_of_the_judge_are_failed_pairs(open_court: OpenCourt) -> None:
    script = FaultScript(seed=3, rates={"empty-choices": 1})
    async with open_court(ProviderOptions(script=script)) as court:
        _, result = await compared(court, 3)
        assert result["baseline"]["statuses"] == {"failed": 3}


@ONE_DATABASE
async def test_pairs_of_any_texts_are_judged_in_both_orders(open_court: OpenCourt) -> None:
    async with open_court(ProviderOptions(answer="judge-longer")) as court:
        judge = await court.judge("judge_preference")
        view = await court.services.scores.ensure_scorer(court.actor, judge.identity())
        long, short = ScoringInput(output="a long answer"), ScoringInput(output="short")
        items = [(long, short), (short, long), (short, short)]
        verdicts = await judge_pair_items(court.services, court.actor, judge, view, items)
        assert [verdict.choices for verdict in verdicts] == [
            (Choice.CANDIDATE, Choice.CANDIDATE),
            (Choice.BASELINE, Choice.BASELINE),
            (Choice.TIE, Choice.TIE),
        ]
