"""Measure an application that is a Python callable: its outputs become an imported run.

Each example's input is given to the callable, an ordinary or an asynchronous one, at most so
many at a time; ordinary ones run in threads. An exception is a failed cell with the exception's
sentence, never a missing row. Outputs are stored in batches as they come, so that an interrupted
measurement keeps what it has and can be carried on.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.schemas.datasets import DatasetVersionView, ExampleView, check_json
from app.schemas.experiments import RunView
from app.schemas.generations import ImportedOutput

__all__ = ["AppAnswer", "Application", "run_application"]

_BATCH: Final = 50
_LONGEST_ERROR: Final = 2000


@dataclass(frozen=True, slots=True)
class AppAnswer:
    """What an application returns if it knows more than its output; None is not known.

    `cost` is in US dollars and counts all that the application paid for this answer. Raises
    `ValueError` for a number below 0.
    """

    output: JSON
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal | float | None = None

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "cost"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: it must be a number from 0 on")


Application = Callable[[dict[str, Any]], "JSON | AppAnswer | Awaitable[JSON | AppAnswer]"]
"""Takes an example's input (an object of its variables) and returns an output: a text, any other
JSON value, or an `AppAnswer`."""


async def run_application(
    services: Services,
    actor: Actor,
    run: RunView,
    app: Application,
    dataset: DatasetVersionView,
    *,
    repetitions: int = 1,
    limit: int | None = None,
    concurrency: int = 8,
) -> None:
    """Give every open cell of an imported run to the application and store what it returns.

    Open are cells without an answer: those that failed before are tried again. If the task is
    cancelled, what has ended by then is stored.
    """
    facts = await services.scores.cells(run.id, None)
    answered = {(cell.key, cell.repetition) for cell in facts if cell.answered}
    cells = _open_cells(services, dataset, answered, repetitions, limit)
    turn = asyncio.Lock()  # a generator serves one at a time
    outputs: list[ImportedOutput] = []

    async def work() -> None:
        while True:
            async with turn:
                cell = await anext(cells, None)
            if cell is None:
                return
            outputs.append(await _ask(app, *cell, threads))
            if len(outputs) >= _BATCH:
                await _store(services, actor, run, outputs)

    threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="application")
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    except ExceptionGroup as several:  # of the record alone: an application's own are caught
        raise several.exceptions[0] from None
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        await cells.aclose()
        await _store(services, actor, run, outputs)


async def _open_cells(
    services: Services,
    dataset: DatasetVersionView,
    answered: Collection[tuple[str, int]],
    repetitions: int,
    limit: int | None,
) -> AsyncGenerator[tuple[ExampleView, int], None]:
    position, left = -1, dataset.example_count if limit is None else limit
    while left and (page := await services.datasets.examples(dataset.id, after_position=position)):
        for example in page[:left]:
            for repetition in range(repetitions):
                if (example.key, repetition) not in answered:
                    yield example, repetition
        position, left = page[-1].position, max(0, left - len(page))


async def _store(
    services: Services, actor: Actor, run: RunView, outputs: list[ImportedOutput]
) -> None:
    """Store what has come so far and take it off the list; if that fails it stays there."""
    batch = outputs.copy()
    outputs.clear()
    try:
        await services.experiments.add_outputs(actor, run, batch)
    except BaseException:
        outputs.extend(batch)
        raise


async def _ask(
    app: Application, example: ExampleView, repetition: int, threads: ThreadPoolExecutor
) -> ImportedOutput:
    started = time.perf_counter()
    error, answer = None, AppAnswer("")
    try:
        answer = await _call(app, _input(example), threads)
        text = _text(answer.output)
    except (Exception, SystemExit) as caught:  # whatever it raises is its failure, not ours
        error, text = _sentence(caught), ""
    return ImportedOutput(
        example_id=example.id,
        text=text,
        latency_ms=1000 * (time.perf_counter() - started),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost=None if answer.cost is None else Decimal(str(answer.cost)),
        repetition=repetition,
        error=error,
    )


def _input(example: ExampleView) -> dict[str, Any]:
    """Return the variables of an example, with a chat's earlier turns as `messages`."""
    if not example.messages:
        return dict(example.input)
    return {"messages": list(example.messages), **example.input}


async def _call(app: Application, given: dict[str, Any], threads: ThreadPoolExecutor) -> AppAnswer:
    if inspect.iscoroutinefunction(app):
        value = await app(given)
    else:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        value = await loop.run_in_executor(threads, context.run, app, given)
        if inspect.isawaitable(value):  # an object whose call is asynchronous
            value = await value
    return value if isinstance(value, AppAnswer) else AppAnswer(value)


def _text(output: JSON) -> str:
    """Return an output as text; `Invalid` for what JSON cannot hold."""
    if output is None:
        raise Invalid("The application returned None and no output.")
    check_json(output, "output")
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _sentence(error: BaseException) -> str:
    """Return what went wrong, without a stack trace."""
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return told.encode(errors="replace").decode().replace("\0", "")[:_LONGEST_ERROR]
