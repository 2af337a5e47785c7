"""Comparisons through the whole path: stored scores in, a stored verdict out."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from app.bootstrap import Services, open_services
from app.core.errors import Invalid
from app.core.hashing import canonical_json
from app.core.ids import cell_id, new_id
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from app.models import Review
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import ExperimentView, Plan
from tests.integration.runner.conftest import ASK, ASK_POLITELY, make_experiment
from tests.scored_runs import Cell, ScoredRuns, examples
from workbench.runner.comparison.comparing import Comparison, Slicing, compare_pairs, compare_runs
from workbench.runner.pipeline import compare_all
from workbench.scorers import parse_scorer
from workbench.statistics.paired_binary import tango_interval

Scores = Mapping[str, Cell | Sequence[Cell]]


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(
        workspace=tmp_path,
        database_url=database_url,
        endpoints={"simulated": EndpointSettings(provider="simulated")},
    )
    async with open_services(settings) as opened:
        yield opened


def passing(keys: Sequence[str], passed: int) -> dict[str, Cell]:
    """The first ones pass, the others fail."""
    return {key: Cell(float(i < passed)) for i, key in enumerate(keys)}


async def compared(
    services: Services,
    actor: Actor,
    rows: Sequence[ExampleInput],
    before: Scores,
    after: Scores,
    **options: Any,
) -> Comparison:
    """Store two runs with these scores and compare them."""
    runs = await ScoredRuns.over(services, actor, rows)
    first, second = await runs.add("before", before), await runs.add("after", after)
    return await compare_runs(services, actor, first, second, runs.scorer, **options)


def codes(result: Mapping[str, Any]) -> set[str]:
    return {warning["code"] for warning in result["warnings"]}


async def test_the_interval_is_that_of_the_scores_and_the_row_is_stored(
    services: Services, actor: Actor
) -> None:
    rows = examples(60)
    keys = [str(row.key) for row in rows]
    found = await compared(services, actor, rows, passing(keys, 30), passing(keys, 42))
    expected = tango_interval(12, 0, 60)
    difference = found.result["difference"]
    assert (difference["low"], difference["high"]) == (expected.low, expected.high)
    assert found.result["verdict"] == "superior"
    [stored] = await services.comparisons.of_runs([found.candidate.id])
    assert stored.result == found.result


async def test_the_same_comparison_again_is_the_same_bytes(
    services: Services, actor: Actor
) -> None:
    rng = random.Random(4)
    rows = examples(120, ("kind", "tone"))
    runs = await ScoredRuns.over(services, actor, rows)

    def cells() -> dict[str, list[Cell]]:
        return {
            key: [
                Cell(
                    float(rng.random() < 0.6),
                    repetition=repetition,
                    cost=Decimal("0.01") * rng.randrange(1, 9),
                    latency_ms=rng.uniform(10, 900),
                )
                for repetition in range(3)
            ]
            for key in runs.ids
        }

    first, second = await runs.add("before", cells()), await runs.add("after", cells())
    twice = [
        (await compare_runs(services, actor, first, second, runs.scorer)).result for _ in range(2)
    ]
    assert canonical_json(twice[0]) == canonical_json(twice[1])
    assert twice[0]["cost"] and twice[0]["latency"] and twice[0]["slices"]
    stored = await services.comparisons.of_runs([second.id])
    assert len({row.input_hash for row in stored}) == 1


async def test_several_candidates_share_the_level_and_their_p_values_are_adjusted(
    services: Services, actor: Actor
) -> None:
    rows = examples(100)
    runs = await ScoredRuns.over(services, actor, rows)
    baseline = await runs.add("before", passing(list(runs.ids), 50))
    others = [
        await runs.add(f"after-{n}", passing(list(runs.ids), 50 + 5 * n)) for n in range(1, 4)
    ]
    found = await compare_pairs(
        services, actor, [(baseline, other) for other in others], runs.scorer
    )
    results = [comparison.result for comparison in found]
    assert {round(r["difference"]["level"], 6) for r in results} == {round(1 - 0.05 / 3, 6)}
    assert all(r["p_holm"] >= r["p_value"] for r in results)
    assert results[0]["overall"]["name"] == "cochran_q"
    assert results[0]["overall"]["n_runs"] == 4
    assert "multiplicity" not in codes(results[0])


async def test_versions_of_a_dataset_meet_by_key_and_only_where_the_content_is_equal(
    services: Services, actor: Actor
) -> None:
    old = examples(40)
    new = [
        *(row.model_copy(update={"expected_output": "other"}) for row in old[:3]),
        *old[5:],
        ExampleInput(key="new", input={"question": "?"}, expected_output="1"),
    ]
    first = await ScoredRuns.over(services, actor, old)
    second = await ScoredRuns.over(services, actor, new)
    before = await first.add("before", {key: Cell(1.0) for key in first.ids})
    after = await second.add("after", {key: Cell(1.0) for key in second.ids})
    result = (await compare_runs(services, actor, before, after, first.scorer)).result
    assert result["coverage"] == {
        "baseline_examples": 40,
        "candidate_examples": 39,
        "common": 35,
        "only_baseline": 2,
        "only_candidate": 1,
        "changed": 3,
        "baseline_dataset": "sums@1",
        "candidate_dataset": "sums@2",
    }
    assert result["n_pairs"] == 35
    assert {"drift"} <= codes(result)
    assert [m["field"] for m in result["comparability"] if m["blocking"]] == ["dataset"]
    assert "missing" not in codes(result)


async def test_runs_over_different_datasets_are_refused_with_what_to_do(
    services: Services, actor: Actor
) -> None:
    first = await ScoredRuns.over(services, actor, examples(5))
    second = await ScoredRuns.over(services, actor, examples(5), name="others")
    before, after = await first.add("before", {}), await second.add("after", {})
    with pytest.raises(Invalid, match="different datasets") as refused:
        await compare_runs(services, actor, before, after, first.scorer)
    assert "workbench run --dataset sums@1" in str(refused.value.hint)


async def test_errors_on_hard_examples_cannot_raise_a_pass_rate(
    services: Services, actor: Actor
) -> None:
    """A fifth of the candidate's calls fail, all of them where the answer would be wrong."""
    rows = examples(200)
    keys = [str(row.key) for row in rows]
    before = passing(keys, 120)
    after = {
        key: Cell(None, "failed") if i >= 160 else Cell(float(i < 120))
        for i, key in enumerate(keys)
    }
    result = (await compared(services, actor, rows, before, after)).result
    assert result["candidate"]["mean"] == pytest.approx(0.75)
    assert result["difference"]["estimate"] == 0.0
    assert result["verdict"] not in ("superior", "non_inferior")
    assert result["candidate"]["statuses"] == {"scored": 160, "failed": 40}
    assert any(w["code"] == "missing" and w["blocking"] for w in result["warnings"])
    failed = next(m for m in result["comparability"] if m["field"] == "failed")
    assert (failed["baseline"], failed["candidate"]) == (0, 0.2)


async def test_every_way_to_end_without_a_score_has_a_denominator_of_its_own(
    services: Services, actor: Actor
) -> None:
    rows = examples(30)
    keys = [str(row.key) for row in rows]
    ended = {
        keys[0]: Cell(None, "failed"),
        keys[1]: Cell(None, "refused"),
        keys[2]: Cell(None, "cancelled"),
        keys[3]: Cell(None, "completed"),
    }
    after = {**passing(keys, 20), **ended}
    result = (await compared(services, actor, rows, passing(keys, 20), after)).result
    assert result["candidate"]["statuses"] == {
        "scored": 26,
        "unscored": 1,
        "failed": 1,
        "refused": 1,
        "cancelled": 1,
    }
    assert (result["candidate"]["n_cells"], result["candidate"]["n_scored"]) == (30, 26)


async def test_more_repetitions_of_the_same_answers_do_not_shrink_the_interval(
    services: Services, actor: Actor
) -> None:
    rng = np.random.default_rng(9)
    runs = await ScoredRuns.over(services, actor, examples(50))
    passed = {key: rng.random(2) < 0.6 for key in runs.ids}
    widths = []
    for times in (1, 2, 4):
        pair = [
            await runs.add(
                f"{side}-{times}",
                {
                    key: [Cell(float(passed[key][i]), repetition=r) for r in range(times)]
                    for key in runs.ids
                },
            )
            for i, side in enumerate(("before", "after"))
        ]
        found = await compare_runs(services, actor, pair[0], pair[1], runs.scorer)
        difference = found.result["difference"]
        widths.append(difference["high"] - difference["low"])
    assert widths[0] == widths[1] == widths[2]
    # The control: taking every repetition for an example of its own does shrink it.
    wins = sum(int(b > a) for a, b in passed.values())
    losses = sum(int(a > b) for a, b in passed.values())
    pooled = tango_interval(4 * wins, 4 * losses, 4 * len(passed))
    assert pooled.high - pooled.low < 0.6 * widths[0]


async def test_slices_are_exploratory_and_small_or_numerous_ones_are_named(
    services: Services, actor: Actor
) -> None:
    rows = [
        row.model_copy(
            update={
                "metadata": {
                    "kind": "rare" if i < 10 else "common" if i % 2 else "other",
                    "source": f"s{i}",
                    "flag": i % 2 == 0,
                    "nested": {"a": 1},
                }
            }
        )
        for i, row in enumerate(examples(100))
    ]
    keys = [str(row.key) for row in rows]
    result = (await compared(services, actor, rows, passing(keys, 40), passing(keys, 60))).result
    assert [(s["column"], s["value"]) for s in result["slices"]] == [
        ("flag", "false"),
        ("flag", "true"),
        ("kind", "common"),
        ("kind", "other"),
    ]
    assert all(s["q_value"] >= s["p_value"] for s in result["slices"])
    assert result["slices_left_out"] == [
        {"column": "source", "value": None, "reason": "100 values"},
        {"column": "kind", "value": "rare", "reason": "10 pairs"},
    ]


async def test_slices_can_be_named_or_left_out(services: Services, actor: Actor) -> None:
    rows = examples(100, ("kind", "tone"))
    runs = await ScoredRuns.over(services, actor, rows)
    keys = list(runs.ids)
    pair = await runs.add("before", passing(keys, 40)), await runs.add("after", passing(keys, 60))

    async def sliced(slicing: Slicing) -> set[str]:
        found = await compare_runs(services, actor, *pair, runs.scorer, slicing=slicing)
        return {row["column"] for row in found.result["slices"]}

    assert await sliced(Slicing()) == {"kind", "tone"}
    assert await sliced(Slicing(columns=("tone",))) == {"tone"}
    assert await sliced(Slicing(wanted=False)) == set()
    with pytest.raises(Invalid, match="no metadata column 'nope'"):
        await sliced(Slicing(columns=("nope",)))


async def test_a_column_of_many_small_groups_suggests_a_cluster_and_a_category_does_not(
    services: Services, actor: Actor
) -> None:
    rows = [
        row.model_copy(update={"metadata": {**row.metadata, "document": f"d{i // 4}"}})
        for i, row in enumerate(examples(60, ("kind",)))
    ]
    keys = [str(row.key) for row in rows]
    result = (await compared(services, actor, rows, passing(keys, 30), passing(keys, 30))).result
    [told] = [w["text"] for w in result["warnings"] if w["code"] == "cluster_suspected"]
    assert "document" in told
    assert "kind" not in told


async def test_declared_clusters_are_the_units(services: Services, actor: Actor) -> None:
    rows = examples(60, ("document",), cluster_size=4)
    keys = [str(row.key) for row in rows]
    result = (await compared(services, actor, rows, passing(keys, 30), passing(keys, 40))).result
    assert result["n_clusters"] == 15
    assert {"few_clusters"} <= codes(result)
    assert "cluster_suspected" not in codes(result)


async def test_further_scorers_are_secondary_with_q_values(
    services: Services, actor: Actor
) -> None:
    runs = await ScoredRuns.over(services, actor, examples(40))
    keys = list(runs.ids)
    pair = await runs.add("before", passing(keys, 20)), await runs.add("after", passing(keys, 20))
    other = await services.scores.ensure_scorer(actor, parse_scorer("similarity").identity())
    for run, value in zip(pair, (0.3, 0.7), strict=True):
        await runs.score(run, [(id_, Cell(value)) for id_ in runs.ids.values()], other)
    result = (await compare_runs(services, actor, *pair, runs.scorer)).result
    [row] = result["secondary"]
    assert row["scorer"] == "similarity"
    assert row["n_pairs"] == 40
    assert row["estimate"] == pytest.approx(0.4)
    assert row["q_value"] == row["p_value"]


async def test_repetitions_tell_how_reliably_an_example_is_solved(
    services: Services, actor: Actor
) -> None:
    rows = examples(30)
    keys = [str(row.key) for row in rows]

    def cells(pattern: Sequence[Sequence[float]]) -> dict[str, list[Cell]]:
        return {
            key: [Cell(v, repetition=r) for r, v in enumerate(pattern[i % len(pattern)])]
            for i, key in enumerate(keys)
        }

    before = cells([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    after = cells([[1.0, 1.0]])
    result = (await compared(services, actor, rows, before, after)).result
    assert result["reliability"] == {
        "k": 2,
        "baseline": {
            "n_examples": 30,
            "pass_at_k": pytest.approx(2 / 3),
            "pass_hat_k": pytest.approx(1 / 3),
            "flipped": 10,
        },
        "candidate": {"n_examples": 30, "pass_at_k": 1.0, "pass_hat_k": 1.0, "flipped": 0},
    }


async def test_labels_of_people_correct_a_judge_and_an_unchecked_judge_blocks(
    services: Services, actor: Actor
) -> None:
    rubric = {"name": "judge_rubric", "model": "simulated/small", "rubric": "Is it right?"}
    await services.models.resolve(actor, "simulated/small", add_missing=True)
    runs = await ScoredRuns.over(services, actor, examples(80), scorer=rubric)
    pair = [
        await runs.add(name, {key: Cell(value) for key in runs.ids})
        for name, value in (("before", 3.0), ("after", 4.0))
    ]
    async with services.database.write_session() as session:
        for run in pair:
            for number, example_id in enumerate(list(runs.ids.values())[:60]):
                for value in (1.0, 2.0):  # a second thought is a second row
                    session.add(_review(cell_id(run.id, example_id, 0), value, number))
        await session.commit()
    result = (await compare_runs(services, actor, pair[0], pair[1], runs.scorer)).result
    assert result["difference"]["estimate"] == 1.0
    assert result["ppi"]["estimate"] == pytest.approx(0.0)
    assert result["ppi"]["n_labels"] == 60
    assert result["judge"]["qualified"] is False
    assert {"judge_unvalidated"} <= codes(result)
    # People saw no difference where the judge saw one on every example.
    [weak] = [w["text"] for w in result["warnings"] if w["code"] == "judge_weak"]
    assert "errs differently on the two variants" in weak


async def test_a_judge_that_errs_alike_on_both_sides_is_not_held_to_err_differently(
    services: Services, actor: Actor
) -> None:
    rubric = {"name": "judge_rubric", "model": "simulated/small", "rubric": "Is it right?"}
    await services.models.resolve(actor, "simulated/small", add_missing=True)
    runs = await ScoredRuns.over(services, actor, examples(30), scorer=rubric)
    pair = []
    async with services.database.write_session() as session:
        for name, judged in (("before", 3.0), ("after", 4.0)):
            run = await runs.add(name, {key: Cell(judged) for key in runs.ids})
            for number, example_id in enumerate(runs.ids.values()):
                session.add(_review(cell_id(run.id, example_id, 0), judged - 1.0, number))
            pair.append(run)
        await session.commit()
    result = (await compare_runs(services, actor, pair[0], pair[1], runs.scorer)).result
    assert "judge_weak" not in codes(result)


def _review(generation_id: UUID, value: float, number: int) -> Review:
    made_at = datetime(2026, 1, int(value), tzinfo=UTC)
    return Review(
        id=new_id(),
        generation_id=generation_id,
        criterion="judge_rubric",
        reviewer=f"reviewer-{number % 3}",
        value=value,
        source="entered",
        created_at=made_at,
        created_by="local:test",
    )


# Plans


async def planned(
    services: Services, actor: Actor, plan: Plan, *, count: int = 100, **options: Any
) -> ExperimentView:
    """An experiment of two prompts over some examples, without any outcome yet."""
    return await make_experiment(
        services,
        actor,
        examples=examples(count),
        prompts=(ASK, ASK_POLITELY),
        models=("simulated/small",),
        scorers=("exact_match",),
        plan=plan,
        **options,
    )


async def filled(
    services: Services, actor: Actor, experiment: ExperimentView, *sides: Mapping[str, Cell]
) -> list[Comparison]:
    """Store outcomes of the experiment's runs, as imported ones are stored, and compare."""
    runs = await ScoredRuns.over(services, actor, examples(experiment.example_count))
    for run, cells in zip(experiment.runs, sides, strict=True):
        await runs.fill(run, cells)
    return await compare_all(services, actor, experiment)


async def test_a_fixed_plan_that_is_read_early_is_peeking(services: Services, actor: Actor) -> None:
    experiment = await planned(services, actor, Plan(n=100))
    keys = [f"e-{i:05d}" for i in range(40)]
    [found] = await filled(services, actor, experiment, passing(keys, 10), passing(keys, 30))
    told = {w["code"]: w for w in found.result["warnings"]}
    assert told["peeking"]["blocking"]
    assert "40 of 100 planned examples" in told["peeking"]["text"]


async def test_a_sequential_plan_has_bounds_that_hold_at_every_look(
    services: Services, actor: Actor
) -> None:
    experiment = await planned(services, actor, Plan(mode="sequential", margin=0.1))
    keys = [f"e-{i:05d}" for i in range(60)]
    [found] = await filled(services, actor, experiment, passing(keys, 25), passing(keys, 33))
    result = found.result
    fixed = tango_interval(8, 0, 60)
    assert result["method"] == "confidence_sequence"
    assert result["difference"]["high"] - result["difference"]["low"] > fixed.high - fixed.low
    assert result["sequential"]["n_used"] == 60
    assert result["sequential"]["n_max"] == 100
    assert result["p_method"] == "e_process"
    assert result["slices"] == []
    assert "peeking" not in codes(result)


async def test_wins_and_losses_decide_a_sequential_plan_before_the_interval_does(
    services: Services, actor: Actor
) -> None:
    experiment = await planned(services, actor, Plan(mode="sequential"))
    keys = [f"e-{i:05d}" for i in range(60)]
    [found] = await filled(services, actor, experiment, passing(keys, 25), passing(keys, 34))
    result = found.result
    assert result["p_method"] == "e_process"
    assert result["difference"]["low"] <= 0.0
    assert result["verdict"] == "superior"
    assert result["sequential"]["decided"]


async def test_runs_that_were_asked_for_different_numbers_of_examples_are_told(
    services: Services, actor: Actor
) -> None:
    keys = [f"e-{i:05d}" for i in range(40)]
    runs = await ScoredRuns.over(services, actor, examples(40))
    pair = []
    for limit in (40, 25):
        experiment = await planned(services, actor, Plan(), count=40, limit=limit)
        run = experiment.runs[0]
        await runs.fill(run, passing(keys[:limit], 12))
        pair.append(run)
    result = (await compare_runs(services, actor, pair[0], pair[1], runs.scorer)).result
    told = {m["field"]: m for m in result["comparability"]}
    assert (told["example_limit"]["baseline"], told["example_limit"]["candidate"]) == (40, 25)
    assert not told["example_limit"]["blocking"]
    assert result["coverage"]["common"] == result["n_pairs"] == 25
    assert result["coverage"]["only_baseline"] == 15
    assert "missing" not in codes(result)


async def test_a_limit_that_leaves_nothing_out_is_no_difference(
    services: Services, actor: Actor
) -> None:
    runs = await ScoredRuns.over(services, actor, examples(25))
    pair = []
    for limit in (None, 25):
        experiment = await planned(services, actor, Plan(), count=25, limit=limit)
        await runs.fill(experiment.runs[0], passing(list(runs.ids), 12))
        pair.append(experiment.runs[0])
    result = (await compare_runs(services, actor, pair[0], pair[1], runs.scorer)).result
    assert "example_limit" not in {m["field"] for m in result["comparability"]}


async def test_a_graded_metric_under_a_sequential_plan_has_no_wins_and_losses_to_decide(
    services: Services, actor: Actor
) -> None:
    """Also if every score that was seen is 0 or 1."""
    rows = examples(60)
    runs = await ScoredRuns.over(services, actor, rows, scorer="similarity")
    pair = [await runs.add(f"run-{n}", passing(list(runs.ids), n)) for n in (25, 34)]
    found = await compare_runs(
        services, actor, pair[0], pair[1], runs.scorer, plan=Plan(mode="sequential", n=100)
    )
    assert found.result["p_method"] is None
    assert found.result["sequential"]["method"] == "confidence_sequence"
    assert found.result["verdict"] == "inconclusive"


async def test_comparing_parts_of_an_experiment_alone_is_told(
    services: Services, actor: Actor
) -> None:
    experiment = await make_experiment(
        services,
        actor,
        examples=examples(30),
        prompts=(ASK, ASK_POLITELY),
        models=("simulated/small", "simulated/large"),
        scorers=("exact_match",),
    )
    runs = await ScoredRuns.over(services, actor, examples(30))
    for run in experiment.runs:
        await runs.fill(run, passing(list(runs.ids), 10))
    first, second = experiment.runs[:2]
    alone = await compare_runs(services, actor, first, second, runs.scorer)
    assert "multiplicity" in codes(alone.result)
    together = await compare_all(services, actor, experiment)
    assert all("multiplicity" not in codes(comparison.result) for comparison in together)


async def test_one_change_on_two_models_has_an_average_and_a_flag_where_signs_differ(
    services: Services, actor: Actor
) -> None:
    experiment = await make_experiment(
        services,
        actor,
        examples=examples(40),
        prompts=(ASK, ASK_POLITELY),
        models=("simulated/small", "simulated/large"),
        scorers=("exact_match",),
    )
    runs = await ScoredRuns.over(services, actor, examples(40))
    keys = list(runs.ids)
    for run, passed in zip(experiment.runs, (10, 30, 30, 20), strict=True):
        await runs.fill(run, passing(keys, passed))
    found = await compare_all(services, actor, experiment)
    models = [c.result["across_models"] for c in found if c.result["across_models"]]
    assert [row["model"] for row in models[0]["by_model"]] == [
        "simulated/small@1",
        "simulated/large@1",
    ]
    assert models[0]["average"]["difference"]["estimate"] == pytest.approx((0.5 - 0.25) / 2)
    assert models[0]["sign_differs"]
    flagged = [c for c in found if "models_disagree" in codes(c.result)]
    assert len(flagged) == 2


async def test_a_set_that_has_chosen_many_prompts_is_told(services: Services, actor: Actor) -> None:
    for repetitions in range(1, 6):
        experiment = await planned(services, actor, Plan(), count=25, repetitions=repetitions)
    keys = [f"e-{i:05d}" for i in range(25)]
    [found] = await filled(services, actor, experiment, passing(keys, 9), passing(keys, 9))
    assert "reused_set" in codes(found.result)


async def test_sampling_that_differs_beside_the_prompt_is_named(
    services: Services, actor: Actor
) -> None:
    cold = ASK_POLITELY.model_copy(update={"parameters": {"temperature": 1, "max_tokens": 16}})
    experiment = await make_experiment(
        services,
        actor,
        examples=examples(20),
        prompts=(ASK, cold),
        models=("simulated/small",),
        scorers=("exact_match",),
    )
    keys = [f"e-{i:05d}" for i in range(20)]
    [found] = await filled(services, actor, experiment, passing(keys, 9), passing(keys, 9))
    [mismatch] = found.result["comparability"]
    assert mismatch["field"] == "parameters"
    assert not mismatch["blocking"]
    assert "temperature (0 and 1)" in mismatch["text"]
