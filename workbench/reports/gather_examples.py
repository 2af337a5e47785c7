"""Gather the texts of those examples that a report shows, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from app.bootstrap import Services
from app.core.hashing import JSON
from app.schemas.datasets import DatasetVersionView, ExampleView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.generations import GenerationView
from app.schemas.scores import ScoreView
from workbench.message_text import message_text
from workbench.reports.experiment import Answer, Example, Excerpt, excerpt

__all__ = [
    "MAX_EXAMPLES",
    "MAX_TEXT",
    "examples_side_by_side",
    "examples_that_changed",
]

MAX_EXAMPLES = 50
"""Examples shown in one report, over all its comparisons."""

MAX_TEXT = 6_000
"""Characters shown of one text."""

_MAX_ANSWERS = 500  # shown where nothing was compared: with many runs, fewer examples
_REPETITIONS = 5  # answers looked at to find one that shows how an example changed

_Told = tuple[GenerationView, tuple[ScoreView, ...]]


async def examples_that_changed(
    services: Services,
    dataset: DatasetVersionView,
    result: Mapping[str, Any],
    runs: tuple[RunView, RunView],
    *,
    limit: int,
) -> tuple[Example, ...]:
    """Return up to `limit` of the flips of a stored comparison: the worst losses first, then
    the best gains, each at least half of the places if it has as many."""
    flips = result["flips"]
    losses = [flip for flip in flips if flip["change"] < 0]
    gains = [flip for flip in flips if flip["change"] > 0]
    room = max(limit - len(gains), limit - limit // 2)
    chosen = losses[:room] + gains[: limit - min(room, len(losses))]
    return tuple([await _changed(services, dataset, result, runs, flip) for flip in chosen])


async def _changed(
    services: Services,
    dataset: DatasetVersionView,
    result: Mapping[str, Any],
    runs: tuple[RunView, RunView],
    flip: Mapping[str, Any],
) -> Example:
    """Show one changed example; of several repetitions a pair that shows the change."""
    example = await services.datasets.example_by_key(dataset, flip["key"])
    before, after = [await _told(services, run, example.key, _REPETITIONS) for run in runs]
    scorer = result["scorer"]["name"], result["scorer"]["version"]
    rise = flip["candidate"] - flip["baseline"]
    pairs = sorted(
        product(before, after),
        key=lambda pair: (
            not _shows(pair, scorer, rise),
            pair[0][0].repetition != pair[1][0].repetition,
            pair[0][0].repetition,
        ),
    )
    return Example(
        key=example.key,
        input=_input(example),
        expected=_expected(example),
        answers=(
            _answer(pairs[0][0], runs[0], several=len(before) > 1),
            _answer(pairs[0][1], runs[1], several=len(after) > 1),
        ),
        scores=(flip["baseline"], flip["candidate"]),
        change=flip["change"],
    )


def _shows(pair: tuple[_Told, _Told], scorer: tuple[str, int], rise: float) -> bool:
    before, after = (_value(scores, scorer) for _, scores in pair)
    return before is not None and after is not None and (after - before) * rise > 0


def _value(scores: Sequence[ScoreView], scorer: tuple[str, int]) -> float | None:
    return next((s.value for s in scores if (s.scorer, s.version) == scorer), None)


async def examples_side_by_side(
    services: Services, dataset: DatasetVersionView, experiment: ExperimentView
) -> tuple[Example, ...]:
    """Return the first examples with the first answer of every run."""
    limit = min(
        MAX_EXAMPLES, max(1, _MAX_ANSWERS // len(experiment.runs)), experiment.example_count
    )
    examples = await services.datasets.examples(dataset.id, limit=limit)
    gathered = []
    for example in examples:
        answers = []
        for run in experiment.runs:
            told = await _told(services, run, example.key, 1)
            several = experiment.repetitions > 1
            answers.append(_answer(told[0], run, several=several) if told else None)
        gathered.append(
            Example(example.key, _input(example), _expected(example), answers=tuple(answers))
        )
    return tuple(gathered)


async def _told(services: Services, run: RunView, key: str, limit: int) -> list[_Told]:
    stories = await services.generations.stories(run.id, key=key, limit=limit)
    scores = await services.scores.of_generations([story.id for story in stories])
    return [(story, tuple(scores[story.id])) for story in stories]


def _answer(told: _Told, run: RunView, *, several: bool) -> Answer:
    story, scores = told
    message = story.output
    return Answer(
        run=run.name,
        status=story.status,
        text=None if message is None else excerpt(message_text(message), MAX_TEXT),
        error=_error(story),
        scores=scores,
        repetition=story.repetition + 1 if several else None,
    )


def _error(story: GenerationView) -> str | None:
    if story.error_code is None:
        return None
    message = (story.error or {}).get("message")
    return f"{story.error_code}: {message}" if message else story.error_code


def _input(example: ExampleView) -> Excerpt | None:
    """Return the input as text, by name if there are several; None if it was erased."""
    if not example.input and not example.messages:
        return None
    turns = [f"[{turn['role']}] {turn.get('content') or ''}" for turn in example.messages or ()]
    values = example.input
    if len(values) == 1:
        fields = [_text(value) for value in values.values()]
    else:
        fields = [f"{name}: {_text(value)}" for name, value in values.items()]
    return excerpt("\n".join([*turns, *fields]), MAX_TEXT)


def _expected(example: ExampleView) -> Excerpt | None:
    if example.expected_output is None:
        return None
    return excerpt(_text(example.expected_output), MAX_TEXT)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
