"""A gate from stored runs to a stored decision: what it reads, what it records, how it repeats."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bootstrap import Services, open_services
from app.core.errors import ConfigurationError
from app.core.permissions import Actor
from app.schemas.experiments import (
    ExperimentView,
    GuardMetric,
    NewExperiment,
    Plan,
    RequestedVariant,
    SafetyMetric,
)
from app.schemas.gates import GateDecisionView
from app.schemas.generations import ImportedOutput
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from workbench.gates import SignOff
from workbench.runner.gating import decide_experiment
from workbench.runner.generation.execute import ExecutionOptions, execute

ARITHMETIC = ProviderOptions(answer="arithmetic")
PLAN = Plan(margin=0.1)
BOTH = (ASK, ASK_POLITELY)


async def carried_out(services: Services, actor: Actor, **asked: Any) -> ExperimentView:
    """Make an experiment and run it to its end."""
    experiment = await make_experiment(services, actor, **asked)
    await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
    await services.experiments.set_status(actor, experiment, "completed")
    return await services.experiments.by_id(experiment.id)


async def against_imported(
    services: Services, actor: Actor, texts: Callable[[int], str], plan: Plan = PLAN
) -> ExperimentView:
    """Run one prompt against a baseline of outputs that were made elsewhere."""
    first = await make_experiment(services, actor, examples=questions(60))
    dataset = await services.datasets.get("sums@1")
    examples = await services.datasets.examples(dataset.id, limit=60)
    baseline = await services.experiments.import_run(
        actor,
        dataset,
        name="elsewhere",
        source="test",
        outputs=[ImportedOutput(e.id, texts(i)) for i, e in enumerate(examples)],
    )
    (variant,) = first.spec["variants"]
    new = NewExperiment(
        dataset=dataset,
        variants=(
            RequestedVariant(
                prompt=await services.prompts.get("ask@1"),
                model=await services.models.get(variant["model"]),
                binding={"question": "question"},
            ),
        ),
        scorers=tuple(first.spec["scorers"]),
        baseline_run=baseline,
        plan=plan,
    )
    experiment = await services.experiments.create(actor, new, again=True)
    await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
    return experiment


def right(i: int) -> str:
    return str(2 * i + 1)


def checks(decision: GateDecisionView) -> dict[str, str]:
    return {f"{c['kind']} {c['name']}".strip(): c["decision"] for c in decision.evidence["checks"]}


async def test_answers_that_are_alike_pass_and_every_input_is_named_with_its_hash(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await carried_out(
            services, actor, examples=questions(60), prompts=BOTH, plan=PLAN
        )
        (decision,) = await decide_experiment(services, actor, experiment)
        evidence = decision.evidence
        assert (decision.decision, decision.exit_code) == ("passed", 0)
        assert evidence["baseline"]["name"] == experiment.runs[0].name
        hashes = [
            evidence["spec_hash"],
            evidence["plan_hash"],
            evidence["amounts_hash"],
            evidence["dataset"]["content_hash"],
            evidence["baseline"]["variant_hash"],
            evidence["candidate"]["variant_hash"],
            evidence["comparisons"][0]["input_hash"],
            evidence["comparisons"][0]["scorer_hash"],
        ]
        assert all(text.startswith("sha256:") for text in hashes)
        assert set(evidence["libraries"]) == {"python", "numpy", "scipy", "prompt-workbench"}


async def test_deciding_again_on_the_same_answers_gives_the_same_evidence_and_calls_no_model(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await carried_out(
            services, actor, examples=questions(60), prompts=BOTH, plan=PLAN
        )
        calls = server.ledger.summary()["received"]
        first, again = [(await decide_experiment(services, actor, experiment))[0] for _ in range(2)]
        assert first.evidence_hash == again.evidence_hash
        assert first.id != again.id
        assert [d.id for d in await services.gates.list()] == [again.id, first.id]
        assert server.ledger.summary()["received"] == calls


async def test_a_loss_against_a_stored_baseline_is_worse_and_the_import_is_an_exception(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await against_imported(services, actor, right)
        (decision,) = await decide_experiment(services, actor, experiment)
        assert (decision.decision, decision.exit_code) == ("worse", 10)
        assert decision.evidence["baseline"]["name"] == "elsewhere"
        names = {note["name"] for note in decision.evidence["exceptions"]}
        assert {"imported", "unauthenticated"} <= names
        assert not decision.binding


async def test_exceptions_that_the_plan_allows_by_name_let_a_decision_bind(
    open_for: OpenServices, actor: Actor
) -> None:
    plan = Plan(margin=0.1, allow=("imported", "unauthenticated", "floating"))
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await against_imported(services, actor, lambda i: "no number", plan)
        (decision,) = await decide_experiment(services, actor, experiment)
        assert (decision.decision, decision.binding) == ("passed", True)
        assert all(note["allowed"] for note in decision.evidence["exceptions"])


async def test_an_unfinished_run_decides_nothing(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(30), prompts=BOTH, plan=PLAN
        )
        (decision,) = await decide_experiment(services, actor, experiment)
        assert (decision.decision, decision.exit_code) == ("infrastructure", 4)


async def test_many_failed_cells_are_infrastructure_and_not_a_verdict(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=3, rates={"400": 0.2})
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await carried_out(
            services, actor, examples=questions(60), prompts=BOTH, plan=PLAN
        )
        (decision,) = await decide_experiment(services, actor, experiment)
        assert (decision.decision, decision.exit_code) == ("infrastructure", 3)


async def test_guards_and_safety_metrics_are_decided_beside_the_primary_metric(
    open_for: OpenServices, actor: Actor
) -> None:
    plan = Plan(
        scorer="numeric_answer",
        margin=0.1,
        guards=(
            GuardMetric(metric="cost", margin=0.1),
            GuardMetric(metric="contains", margin=0.1),
            GuardMetric(metric="latency_p95", margin=60_000.0),
        ),
        safety=(SafetyMetric(scorer="regex", limit=0.1),),
    )
    scorers = ("numeric_answer", "contains", "regex:pattern=[0-9]")
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await carried_out(
            services, actor, examples=questions(60), prompts=BOTH, scorers=scorers, plan=plan
        )
        (decision,) = await decide_experiment(services, actor, experiment)
        found = checks(decision)
        assert found["guard cost"] == "not_proven"  # nobody knows what the fake model costs
        assert found["guard contains"] == "passed"
        assert found["guard latency_p95"] == "passed"
        assert found["safety regex"] == "passed"
        assert decision.decision == "not_proven"
        assert len(decision.evidence["comparisons"]) == 3


async def test_outputs_that_are_missing_count_as_failures_of_a_safety_metric(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=3, rates={"400": 0.1})
    plan = Plan(
        scorer="numeric_answer", margin=0.1, safety=(SafetyMetric(scorer="regex", limit=0.5),)
    )
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await carried_out(
            services,
            actor,
            examples=questions(60),
            prompts=BOTH,
            scorers=("numeric_answer", "regex:pattern=[0-9]"),
            plan=plan,
        )
        (decision,) = await decide_experiment(services, actor, experiment)
        totals = await services.generations.totals([experiment.runs[1].id])
        failed = totals[experiment.runs[1].id].by_status["failed"]
        (count,) = decision.evidence["safety"]
        assert failed > 0
        assert (count["n"], count["failed"], count["missing"]) == (60, failed, failed)


async def test_a_sign_off_is_part_of_the_evidence(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await carried_out(
            services, actor, examples=questions(30), prompts=BOTH, plan=PLAN
        )
        sign_off = SignOff(str(actor), "It is cheaper.")
        (decision,) = await decide_experiment(services, actor, experiment, sign_off=sign_off)
        assert decision.evidence["sign_off"] == {"by": str(actor), "reason": "It is cheaper."}


async def test_every_candidate_is_decided(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await carried_out(
            services,
            actor,
            examples=questions(30),
            prompts=BOTH,
            models=("openai/fake-model", "openai/other-model"),
            plan=PLAN,
        )
        decisions = await decide_experiment(services, actor, experiment)
        assert len(decisions) == 3
        assert {d.evidence["comparisons"][0]["comparisons"] for d in decisions} == {3}


async def test_one_run_alone_has_nothing_to_be_held_against(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(3), plan=PLAN)
        with pytest.raises(ConfigurationError, match="nothing to compare it with"):
            await decide_experiment(services, actor, experiment)


class _Later:
    """The machine's clock, some days ahead."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("days", "told"), [(29, []), (31, ["stale_baseline"])])
async def test_a_stored_baseline_beyond_thirty_days_is_warned_of(
    open_for: OpenServices, actor: Actor, days: int, told: list[str]
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await against_imported(services, actor, lambda i: "no number")
        async with open_services(services.settings, _Later(days)) as later:
            (decision,) = await decide_experiment(later, actor, experiment)
        codes = [note["code"] for note in decision.evidence["notes"]]
        assert [code for code in codes if code == "stale_baseline"] == told
        assert decision.decision == "passed"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_old_answers_do_not_become_young_by_being_used_again(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        await carried_out(services, actor, examples=questions(30), prompts=(ASK,))
        async with open_services(services.settings, _Later(31)) as later:
            experiment = await make_experiment(
                later, actor, examples=questions(30), prompts=BOTH, plan=PLAN
            )
            await execute(later, actor, experiment, ExecutionOptions(concurrency=8, cache=True))
            (decision,) = await decide_experiment(later, actor, experiment)
        codes = {note["code"] for note in decision.evidence["notes"]}
        assert "stale_baseline" in codes  # its run is of today, its answers are not
        assert "stale_candidate" not in codes  # asked today


async def asked_again(
    services: Services, actor: Actor, plan: Plan, *, examples: int = 60
) -> GateDecisionView:
    """Ask two prompts under a plan with stored answers where there are some, and decide."""
    experiment = await make_experiment(
        services, actor, examples=questions(examples), prompts=BOTH, plan=plan
    )
    await execute(services, actor, experiment, ExecutionOptions(concurrency=8, cache=True))
    (decision,) = await decide_experiment(services, actor, experiment)
    return decision


async def test_a_plan_made_for_answers_that_were_known_decides_nothing(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        first = await asked_again(services, actor, Plan(margin=0.01))
        assert (first.decision, server.ledger.summary()["received"]) == ("not_proven", 120)
        wider = await asked_again(services, actor, Plan(margin=0.3))
        assert (wider.decision, checks(wider)["order"]) == ("blocked", "blocked")
        larger = await asked_again(services, actor, Plan(margin=0.01), examples=70)
        assert checks(larger)["order"] == "blocked"  # an extension by another name
        assert server.ledger.summary()["received"] == 140


async def test_the_same_question_asked_again_uses_its_answers_and_decides_alike(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        first, again = [await asked_again(services, actor, PLAN) for _ in range(2)]
        assert (first.decision, again.decision) == ("passed", "passed")
        assert server.ledger.summary()["received"] == 120


async def test_answers_of_the_baseline_alone_may_be_used_again(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        await carried_out(services, actor, examples=questions(60), prompts=(ASK,))
        decision = await asked_again(services, actor, PLAN)
        assert decision.decision == "passed"
        assert server.ledger.summary()["received"] == 120
