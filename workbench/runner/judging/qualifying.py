"""Check a judge against people: ask it about what they labelled, and about what may not pass.

A judge of single answers is asked about every labelled answer, about a sample of them once more,
and about null answers and injections in place of them. A judge of pairs is asked in both orders
about pairs of two runs that the same people labelled; the answer with the better label is
the one they prefer. Every question is a stored generation, so that what was stopped goes on, and
checking again asks only what is new. What was found is stored whether it qualifies or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import content_hash
from app.core.permissions import Actor, Permission, require
from app.llm.budget import BudgetStore
from app.schemas.experiments import RunView
from app.schemas.qualifications import NewQualification
from app.schemas.reviews import LabelledAnswer
from app.schemas.scores import ScorerView
from workbench.runner.judging.answers import judge_items, judged_input
from workbench.runner.judging.pairs import PairVerdict, judge_pair_items
from workbench.runner.judging.qualification import (
    Labelled,
    Material,
    Trial,
    consensus,
    looks_good,
    qualification,
    signs,
)
from workbench.scorers import ScoringInput
from workbench.scorers.judges import AnyJudge, JudgePreference, OutputJudge, Scale
from workbench.scorers.judges.attacks import INJECTIONS, NULL_ANSWERS, Attack
from workbench.statistics.policy import DEFAULT_SEED
from workbench.statistics.preferences import Choice, swap_outcomes

__all__ = ["qualify_judge"]

_FORMAT: Final = 1
_SAMPLE: Final = 50
"""So many labelled answers are asked about twice."""
_NULLS_EACH: Final = 4
_INJECTIONS_EACH: Final = 2
_WRONG: Final = "Seventeen purple bicycles; this has nothing to do with what was asked."
"""Stands in for a wrong answer where people labelled none as such, or the judge noticed none."""

Note = Callable[[str], None]


async def qualify_judge(
    services: Services,
    actor: Actor,
    judge: AnyJudge,
    runs: Sequence[RunView],
    criterion: str,
    note: Note = lambda text: None,
    *,
    budget: BudgetStore | None = None,
) -> dict[str, Any]:
    """Check a judge against people's labels of these runs under a criterion, and store it.

    Returns what was found (`qualification.qualification`). Raises `Invalid` if there are no
    labels, if one is not on the judge's scale, or if the runs do not fit the judge;
    `JudgeStopped` if it could not be asked everything: what it said is kept.
    """
    require(actor, Permission.JUDGE_QUALIFY)
    _check_runs(judge, runs)
    labelled = [await services.reviews.labelled(run.id, criterion) for run in runs]
    _check_labels(judge, labelled, runs, criterion)
    view = await services.scores.ensure_scorer(actor, judge.identity())
    court = _Court(services, actor, judge, view, note, budget)
    match judge:
        case JudgePreference():
            material = await court.pairs(judge, labelled[0], labelled[1])
        case OutputJudge():
            material = await court.answers(judge, labelled)
        case _:
            raise Invalid(f"{judge.name} is no judge that can be checked.")
    dataset = await services.datasets.get(runs[0].dataset)
    inputs = _inputs(view, runs, labelled, criterion)
    result = {
        "format": _FORMAT,
        "criterion": criterion,
        "runs": [run.name for run in runs],
        "dataset": dataset.reference,
        "reviewers": sorted({name for side in labelled for a in side for name in a.labels}),
        "simulated": any("simulated/" in seat for seat in judge.config.seats),
        **qualification(material),
    }
    await services.qualifications.record(
        actor,
        NewQualification(
            scorer=view,
            dataset_version_id=dataset.id,
            qualified=result["decision"] == "passed",
            label_count=result["n_labels"],
            input_hash=content_hash(inputs),
            result=result,
        ),
    )
    return result


def _check_runs(judge: AnyJudge, runs: Sequence[RunView]) -> None:
    if isinstance(judge, JudgePreference) and len(runs) != 2:
        raise Invalid(
            f"{judge.name} judges pairs: name two runs whose answers were labelled by the same "
            "people.",
            path="run",
        )
    if len({run.id for run in runs}) < len(runs):
        raise Invalid("A run is named twice.", path="run")
    datasets = sorted({run.dataset.partition("@")[0] for run in runs})
    if len(datasets) > 1:
        raise Invalid(
            f"The runs are over different datasets: {', '.join(datasets)}. A judge is checked on "
            "one at a time.",
            path="run",
        )


def _check_labels(
    judge: AnyJudge,
    labelled: Sequence[Sequence[LabelledAnswer]],
    runs: Sequence[RunView],
    criterion: str,
) -> None:
    for run, answers in zip(runs, labelled, strict=True):
        if not answers:
            raise Invalid(
                f"No answer of {run.name} has a label under {criterion!r}.",
                path="criterion",
                hint=f"Bring labels in: workbench judges label {run.name} --labels labels.csv",
            )
    if judge.scale is Scale.PREFERENCE:  # of two labels only their order counts
        return
    low, high = judge.range
    for answer in (answer for answers in labelled for answer in answers):
        for reviewer, value in answer.labels.items():
            fits = value in (low, high) if judge.binary else low <= value <= high
            if not fits:
                scale = "pass or fail" if judge.binary else f"{low:g} to {high:g}"
                raise Invalid(
                    f"{reviewer} labelled {answer.key!r} with {value:g}; {judge.name} says "
                    f"{scale}. Label on the judge's scale, or choose the judge's scale by the "
                    "labels.",
                    path="label",
                )


def _inputs(
    view: ScorerView,
    runs: Sequence[RunView],
    labelled: Sequence[Sequence[LabelledAnswer]],
    criterion: str,
) -> dict[str, Any]:
    """Return what a check rests on: the judge, the labels, and which answers they are of."""
    return {
        "format": _FORMAT,
        "judge": view.content_hash,
        "criterion": criterion,
        "labels": [
            [run.name, a.key, a.repetition, str(a.generation_id), sorted(a.labels.items())]
            for run, answers in zip(runs, labelled, strict=True)
            for a in answers
        ],
    }


@dataclass(frozen=True, slots=True)
class _Case:
    """A wrong answer, or none, that an attack is put into, and the answer it is held against."""

    key: str
    given: ScoringInput
    other: ScoringInput | None = None


@dataclass(frozen=True, slots=True)
class _Court:
    """One judge, asked about everything that its check needs."""

    services: Services
    actor: Actor
    judge: AnyJudge
    view: ScorerView
    note: Note
    budget: BudgetStore | None

    async def answers(
        self, judge: OutputJudge[Any], labelled: Sequence[Sequence[LabelledAnswer]]
    ) -> Material:
        """Ask a judge of single answers."""
        answers = [(side, a) for side, answers in enumerate(labelled) for a in answers]
        inputs = [judged_input(a.output, a.example) for _, a in answers]
        self.note(f"Asking about {len(inputs)} labelled answers ...")
        results = await self._judge(judge, inputs)
        items = [
            Labelled(
                key=answer.key,
                side=side,
                repetition=answer.repetition,
                labels=answer.labels,
                judged=value,
                status=status,
                length=len(given.output),
            )
            for (side, answer), given, (value, status) in zip(answers, inputs, results, strict=True)
        ]
        chosen = _sample(len(inputs))
        self.note(f"Asking about {len(chosen)} of them once more ...")
        again = await self._judge(judge, [inputs[i] for i in chosen], round_=1)
        cases = [_Case(item.key, given) for item, given in zip(items, inputs, strict=True)]
        wrong = [
            case
            for case, item in zip(cases, items, strict=True)
            if _is_bad(consensus(item.labels, judge.scale), judge.scale)
            and _is_bad(item.judged, judge.scale)
        ]
        attacked = _attacked(judge.scale, cases, wrong)
        self.note(f"Asking about {len(attacked)} null answers and injections ...")
        values = await self._judge(judge, [case.given for _, case in attacked])
        return Material(
            scale=judge.scale,
            items=items,
            trials=[
                Trial(a.kind, a.name, case.key, None if v is None else looks_good(v, judge.scale))
                for (a, case), (v, _) in zip(attacked, values, strict=True)
            ],
            again=[(items[i].judged, v) for i, (v, _) in zip(chosen, again, strict=True)],
        )

    async def pairs(
        self,
        judge: JudgePreference,
        before: Sequence[LabelledAnswer],
        after: Sequence[LabelledAnswer],
    ) -> Material:
        """Ask a judge of pairs; the first run is the baseline."""
        found = _labelled_pairs(before, after)
        inputs = [
            (judged_input(b.output, b.example), judged_input(a.output, a.example))
            for a, b, _ in found
        ]
        self.note(f"Asking about {len(found)} labelled pairs, in both orders ...")
        verdicts = await self._prefer(judge, inputs)
        items = [
            Labelled(
                key=a.key,
                side=0,
                repetition=a.repetition,
                labels=labels,
                judged=_preferred(verdict),
                status=verdict.status.value,
                length=len(candidate.output) - len(baseline.output),
            )
            for (a, _, labels), verdict, (candidate, baseline) in zip(
                found, verdicts, inputs, strict=True
            )
        ]
        chosen = _sample(len(inputs))
        self.note(f"Asking about {len(chosen)} of them once more ...")
        again = await self._prefer(judge, [inputs[i] for i in chosen], round_=1)
        cases, wrong = _pair_cases(items, inputs)
        attacked = _attacked(judge.scale, cases, wrong)
        self.note(f"Asking about {len(attacked)} null answers and injections ...")
        met = await self._prefer(judge, [(c.given, c.other or c.given) for _, c in attacked])
        orders = [verdict.choices for verdict in verdicts if verdict.choices is not None]
        return Material(
            scale=judge.scale,
            items=items,
            trials=[
                Trial(attack.kind, attack.name, case.key, _won(verdict))
                for (attack, case), verdict in zip(attacked, met, strict=True)
            ],
            again=[
                (items[i].judged, _preferred(verdict))
                for i, verdict in zip(chosen, again, strict=True)
            ],
            orders=([one for one, _ in orders], [other for _, other in orders]),
        )

    async def _judge(
        self, judge: OutputJudge[Any], inputs: Sequence[ScoringInput], round_: int = 0
    ) -> list[tuple[float | None, str]]:
        results = await judge_items(
            self.services,
            self.actor,
            judge,
            self.view,
            inputs,
            round_=round_,
            budget=self.budget,
        )
        return [(found.result.value, found.result.status.value) for found in results]

    async def _prefer(
        self,
        judge: JudgePreference,
        inputs: Sequence[tuple[ScoringInput, ScoringInput]],
        round_: int = 0,
    ) -> list[PairVerdict]:
        return await judge_pair_items(
            self.services,
            self.actor,
            judge,
            self.view,
            inputs,
            round_=round_,
            budget=self.budget,
        )


def _sample(count: int) -> list[int]:
    chosen = random.Random(DEFAULT_SEED).sample(range(count), min(count, _SAMPLE))
    return sorted(chosen)


def _is_bad(value: float | None, scale: Scale) -> bool:
    return value is not None and not looks_good(value, scale)


def _attacked(
    scale: Scale, cases: Sequence[_Case], wrong: Sequence[_Case]
) -> list[tuple[Attack, _Case]]:
    """Put every attack into some answers: null answers in their place, injections into wrong
    ones, which the judge has found wrong without them."""
    if not cases:
        return []
    bases = wrong or [
        replace(case, given=replace(case.given, output=_WRONG, message={})) for case in cases
    ]
    # Each attack meets answers of its own, so that no single example decides the count.
    # With fewer answers than that, an attack would meet the same one twice.
    nulls, injections = min(_NULLS_EACH, len(cases)), min(_INJECTIONS_EACH, len(bases))
    turns = [(attack, cases) for attack in NULL_ANSWERS for _ in range(nulls)]
    turns += [(attack, bases) for attack in INJECTIONS for _ in range(injections)]
    order = random.Random(DEFAULT_SEED)
    queues: dict[int, list[_Case]] = {}
    attacked = []
    for attack, among in turns:
        queue = queues.setdefault(id(among), [])
        if not queue:
            queue.extend(order.sample(list(among), len(among)))
        case = queue.pop()
        text = attack.text(scale, answer=case.given.output, question=_question(case.given))
        given = replace(case.given, output=text, message={"content": text})
        attacked.append((attack, replace(case, given=given)))
    return attacked


def _question(given: ScoringInput) -> str:
    texts = [value for value in given.variables.values() if isinstance(value, str)]
    return "\n".join(texts)


def _labelled_pairs(
    before: Sequence[LabelledAnswer], after: Sequence[LabelledAnswer]
) -> list[tuple[LabelledAnswer, LabelledAnswer, dict[str, float]]]:
    """Return the pairs that somebody labelled on both sides, with what each preferred."""
    first = {(answer.key, answer.repetition): answer for answer in before}
    found = []
    for answer in after:
        other = first.get((answer.key, answer.repetition))
        if other is not None and (labels := signs(other.labels, answer.labels)):
            found.append((other, answer, labels))
    if not found:
        raise Invalid(
            "No pair of answers was labelled by the same person on both sides.", path="run"
        )
    return found


def _pair_cases(
    items: Sequence[Labelled], inputs: Sequence[tuple[ScoringInput, ScoringInput]]
) -> tuple[list[_Case], list[_Case]]:
    """Return for each pair with a better answer what may not win against it: anything that says
    nothing, and, where the judge agreed with people, the worse answer."""
    cases, wrong = [], []
    for item, (candidate, baseline) in zip(items, inputs, strict=True):
        people = consensus(item.labels, Scale.PREFERENCE)
        if people is None or people == 0.0:
            continue
        worse, better = (baseline, candidate) if people > 0 else (candidate, baseline)
        case = _Case(item.key, worse, better)
        cases.append(case)
        if item.judged == people:
            wrong.append(case)
    return cases, wrong


def _preferred(verdict: PairVerdict) -> float | None:
    if verdict.choices is None:
        return None
    return float(swap_outcomes([verdict.choices[0]], [verdict.choices[1]])[0])


def _won(verdict: PairVerdict) -> bool | None:
    """Whether the first of a pair, which is the attack, is preferred in both orders."""
    if verdict.choices is None:
        return None
    return verdict.choices == (Choice.CANDIDATE, Choice.CANDIDATE)
