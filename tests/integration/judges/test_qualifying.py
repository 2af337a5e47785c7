"""Judges held against people: each fault is found, and what was found is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.core.errors import Forbidden, Invalid
from app.core.permissions import Permission
from app.llm.budget import InMemoryLeases, LeasedBudget
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import RunView
from app.schemas.generations import ImportedOutput
from app.schemas.models import ModelDeclaration, PriceDeclaration
from app.schemas.reviews import NewReview
from tests.fake_provider import ProviderOptions
from tests.fake_provider.hashing import unit_interval
from tests.integration.judges.conftest import JUDGE, Court, OpenCourt
from workbench.runner.judging.answers import JudgeStopped
from workbench.runner.judging.qualifying import qualify_judge
from workbench.runner.judging.standing import judge_standing

ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
GOOD = ProviderOptions(answer="judge-noisy", right_share=0.99)
COUNT = 60

Answer = Callable[[int], str]


def right(number: int) -> str:
    return str(7000 + number)


def honest(number: int) -> str:
    """Return an answer that is right for every other example."""
    return right(number) if number % 2 else str(9000 + number)


async def labelled(
    court: Court, answer: Answer = honest, *, name: str = "answers", count: int = COUNT
) -> RunView:
    """Import answers to sums, each labelled by whether it is right."""
    services, actor = court.services, court.actor
    examples = [
        ExampleInput(key=f"sum-{i}", input={"question": "A sum."}, expected_output=right(i))
        for i in range(count)
    ]
    version = (await services.datasets.import_version(actor, "sums", examples, source="t")).version
    stored = await services.datasets.examples(version.id)
    outputs = {example.id: answer(int(example.key[4:])) for example in stored}
    run = await services.experiments.import_run(
        actor,
        version,
        name=name,
        source="test",
        outputs=[ImportedOutput(example_id, text) for example_id, text in outputs.items()],
    )
    cells = await services.reviews.reviewable(run.id)
    reviews = [
        NewReview(
            cells[(e.key, 0)].generation_id, "ada", float(str(e.expected_output) in outputs[e.id])
        )
        for e in stored
    ]
    await services.reviews.import_labels(actor, run, "quality", reviews)
    return run


async def checked(court: Court, judge: Any, *runs: RunView) -> dict[str, Any]:
    return await qualify_judge(court.services, court.actor, judge, runs, "quality")


def failing(result: dict[str, Any]) -> dict[str, str]:
    return {c["name"]: c["decision"] for c in result["checks"] if c["decision"] != "passed"}


async def test_a_good_judge_is_qualified_and_that_is_kept(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        run = await labelled(court)
        judge = await court.judge("judge_correctness")
        result = await checked(court, judge, run)
        assert failing(result) == {}, result["sentence"]
        assert result["decision"] == "passed"
        assert 0.85 <= result["accuracy"]["share"] <= 1.0
        assert result["self_consistency"]["share"] == 1.0
        (known,) = await court.services.qualifications.judges(["judge_correctness"])
        check = known.qualification
        assert check is not None
        assert (check.qualified, check.label_count, check.result) == (True, COUNT, result)
        assert check.dataset_reference == "sums@1"
        standing = await judge_standing(court.services, known.scorer, "sums")
        assert standing.qualified and standing.warnings() == []
        elsewhere = await judge_standing(court.services, known.scorer, "letters")
        assert not elsewhere.qualified
        assert "checked on sums@1 and never on letters" in elsewhere.sentence


@ONE_DATABASE
async def test_checking_again_asks_nothing_and_finds_the_same(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        run = await labelled(court)
        judge = await court.judge("judge_correctness")
        first = await checked(court, judge, run)
        calls = court.calls
        assert await checked(court, judge, run) == first
        assert court.calls == calls
        checks = await court.services.qualifications.of_judges(["judge_correctness"])
        assert len({check.input_hash for check in checks}) == 1


@ONE_DATABASE
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            ProviderOptions(answer="judge-noisy", right_share=0.5), "agreement", id="a coin"
        ),
        pytest.param(
            ProviderOptions(answer='fixed:{"reason": "r", "verdict": "pass"}'),
            "agreement",
            id="passes everything",
        ),
        pytest.param(
            ProviderOptions(answer="judge-nothings"), "null answers", id="passes nothings"
        ),
        pytest.param(ProviderOptions(answer="judge-obedient"), "injections", id="obeys the answer"),
        pytest.param(ProviderOptions(answer="fixed:Fine."), "answers", id="gives no reply"),
    ],
)
async def test_a_judge_with_a_fault_is_not_qualified(
    open_court: OpenCourt, options: ProviderOptions, expected: str
) -> None:
    async with open_court(options) as court:
        run = await labelled(court)
        result = await checked(court, await court.judge("judge_correctness"), run)
        assert result["decision"] == "failed"
        assert failing(result)[expected] == "failed"
        (known,) = await court.services.qualifications.judges(["judge_correctness"])
        standing = await judge_standing(court.services, known.scorer, "sums")
        assert not standing.qualified and standing.sentence.startswith("Not qualified: ")


@ONE_DATABASE
async def test_a_judge_that_obeys_injections_may_be_right_about_everything_honest(
    open_court: OpenCourt,
) -> None:
    async with open_court(ProviderOptions(answer="judge-obedient")) as court:
        result = await checked(court, await court.judge("judge_correctness"), await labelled(court))
        assert failing(result) == {"injections": "failed"}
        assert result["agreement"]["estimate"] == 1.0
        assert result["attacks"]["injection"]["passed"] > 100
        assert result["attacks"]["null"]["passed"] == 0


@ONE_DATABASE
async def test_a_judge_that_agrees_at_a_set_rate_is_measured_at_it(open_court: OpenCourt) -> None:
    async with open_court(ProviderOptions(answer="judge-noisy", right_share=0.8)) as court:
        run = await labelled(court, count=300)
        result = await checked(court, await court.judge("judge_correctness"), run)
        assert result["accuracy"]["low"] < 0.8 < result["accuracy"]["high"]
        assert result["agreement"]["low"] < 0.6 < result["agreement"]["high"]


@ONE_DATABASE
async def test_a_judge_that_counts_words_errs_with_length(open_court: OpenCourt) -> None:
    def padded(number: int) -> str:
        long = unit_interval(f"long:{number}") < 0.5
        return honest(number) + (" and so it is, beyond doubt" if long else "")

    async with open_court(ProviderOptions(answer="judge-words")) as court:
        run = await labelled(court, padded, count=120)
        result = await checked(court, await court.judge("judge_correctness"), run)
        assert result["length"]["p_value"] < 0.001 and result["length"]["slope"] > 0
        assert "judge_length" in {note["code"] for note in result["notes"]}
        assert result["decision"] == "failed"


@ONE_DATABASE
async def test_error_that_differs_between_two_runs_is_found(open_court: OpenCourt) -> None:
    async with open_court(ProviderOptions(answer="judge-words")) as court:
        plain = await labelled(court, name="plain")
        wordy = await labelled(court, lambda i: f"The answer is {honest(i)}.", name="wordy")
        result = await checked(court, await court.judge("judge_correctness"), plain, wordy)
        assert result["differential_p"] < 0.001
        assert result["n_labels"] == 2 * COUNT


@ONE_DATABASE
async def test_a_judge_of_pairs_that_takes_the_first_is_not_qualified(
    open_court: OpenCourt,
) -> None:
    always_first = ProviderOptions(answer='fixed:{"reason": "r", "verdict": "first"}')
    async with open_court(always_first) as court:
        bad = await labelled(court, lambda i: str(9000 + i), name="bad")
        mixed = await labelled(court, name="mixed")
        result = await checked(court, await court.judge("judge_preference"), bad, mixed)
        assert result["position"]["consistency"] == 0.0
        assert failing(result)["order"] == "failed"
        assert result["attacks"]["null"]["passed"] == 0  # a tie is no win


@ONE_DATABASE
async def test_a_judge_of_pairs_that_takes_the_longer_is_right_only_where_length_is(
    open_court: OpenCourt,
) -> None:
    async with open_court(ProviderOptions(answer="judge-longer")) as court:
        bad = await labelled(court, lambda i: "0" * (i % 7), name="bad")
        mixed = await labelled(court, name="mixed")
        result = await checked(court, await court.judge("judge_preference"), bad, mixed)
        assert result["decision"] == "failed"
        assert result["position"]["consistency"] == 1.0
        assert failing(result)["injections"] == "failed"
        assert "judge_length" in {note["code"] for note in result["notes"]}


@ONE_DATABASE
async def test_few_labels_prove_nothing(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        run = await labelled(court, count=30)
        result = await checked(court, await court.judge("judge_correctness"), run)
        assert result["decision"] == "not_proven"
        assert result["sentence"] == (
            "Not proven: Only 30 labelled answers were judged; 50 are needed."
        )


@ONE_DATABASE
async def test_what_cannot_be_checked_is_refused_before_any_call(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        run = await labelled(court)
        judge = await court.judge("judge_correctness")
        graded = await court.judge("judge_rubric", rubric="It is right.")
        pairs = await court.judge("judge_preference")
        with pytest.raises(Invalid, match="judge_rubric says 1 to 5"):
            await checked(court, graded, run)
        with pytest.raises(Invalid, match="name two runs"):
            await checked(court, pairs, run)
        with pytest.raises(Invalid, match="named twice"):
            await checked(court, judge, run, run)
        with pytest.raises(Invalid, match="has a label under 'tone'"):
            await qualify_judge(court.services, court.actor, judge, [run], "tone")
        nobody = replace(
            court.actor, permissions=frozenset(Permission) - {Permission.JUDGE_QUALIFY}
        )
        with pytest.raises(Forbidden, match="judge:qualify"):
            await qualify_judge(court.services, nobody, judge, [run], "quality")
        assert court.calls == 0


@ONE_DATABASE
async def test_a_check_stops_at_its_budget_and_goes_on_from_there(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        price = PriceDeclaration(
            valid_from=datetime(2020, 1, 1, tzinfo=UTC), input=Decimal(1), output=Decimal(10)
        )
        declaration = ModelDeclaration(model=JUDGE, prices=(price,))
        await court.services.models.declare(court.actor, declaration)
        run = await labelled(court)
        judge = await court.judge("judge_correctness", max_tokens=100)
        leases = InMemoryLeases(Decimal("0.02"))
        budget = LeasedBudget(leases.part())
        with pytest.raises(JudgeStopped) as caught:
            await qualify_judge(court.services, court.actor, judge, [run], "quality", budget=budget)
        await budget.close()
        assert caught.value.reason == "budget_reached"
        assert 0 < leases.spent <= leases.amount
        assert await court.services.qualifications.of_judges(["judge_correctness"]) == []
        first = court.calls
        await checked(court, judge, run)
        questions = COUNT + 50 + 4 * 20 + 2 * 66
        assert first < questions == court.calls


async def test_labels_are_added_and_the_latest_counts(open_court: OpenCourt) -> None:
    async with open_court(GOOD) as court:
        run = await labelled(court)
        services = court.services
        cells = await services.reviews.reviewable(run.id)
        (first, second) = (cells[(f"sum-{i}", 0)].generation_id for i in (0, 1))
        said: Sequence[NewReview] = [
            NewReview(first, "ada", 0.0),  # as before
            NewReview(second, "ada", 0.0, "fail", "On second thought."),
            NewReview(second, "ben", 1.0),
        ]
        done = await services.reviews.import_labels(court.actor, run, "quality", said)
        assert (done.stored, done.known) == (2, 1)
        done = await services.reviews.import_labels(court.actor, run, "quality", said)
        assert (done.stored, done.known) == (0, 3)
        found = {a.key: a.labels for a in await services.reviews.labelled(run.id, "quality")}
        assert found["sum-1"] == {"ada": 0.0, "ben": 1.0}
        assert await services.reviews.criteria([run.id]) == ["quality"]
        assert await services.reviews.labelled(run.id, "tone") == []
        nobody = replace(court.actor, permissions=frozenset[Permission]())
        with pytest.raises(Forbidden, match="review:write"):
            await services.reviews.import_labels(nobody, run, "quality", said)
