"""A workspace in which every text that people or models can write is a hostile one.

Answers stand in two imported runs that are scored and compared; prompts, dataset cells, the name of
an experiment, reasons, reviews and names without a fixed form hold the same payloads.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from tests.browser.served import Served, serve
from tests.command_line import CommandLine
from tests.dashboard.hostile import HUGE, PAYLOADS
from workbench.client import (
    Client,
    aliases,
    comparisons,
    experiments,
    generations,
    jobs,
    limits,
    prompts,
    reviews,
    users,
    variants,
)

__all__ = ["HostileWorld", "hostile_world"]

_ALIAS: Final = "hostile@production"
_SHORT: Final = {name: text for name, text in PAYLOADS.items() if text is not HUGE}
_ALL: Final = "\n\n".join(_SHORT.values())
_CELLS: Final = {"all": _ALL, "huge": HUGE[:900_000], **_SHORT}
"""Texts of examples and answers; a row of a file may be as large as a megabyte."""


@dataclass(frozen=True)
class HostileWorld:
    """The served workspace, and the pages of it that show payloads, by a name for each."""

    served: Served
    pages: dict[str, str]


@contextmanager
def hostile_world(folder: Path) -> Iterator[HostileWorld]:
    """Serve a hostile workspace until the end of the block."""
    key = _make(folder)
    with serve(folder, key) as served, Client(served.url, served.key) as client:
        yield HostileWorld(served, _pages(client, _fill(client)))


def _make(folder: Path) -> str:
    """Make the workspace with its dataset and the two runs; return an admin's key."""
    folder.mkdir(parents=True)
    (folder / "workbench.yaml").write_text("workspace_version: 1\n")
    line = CommandLine(folder)
    key: str = line.json("users", "bootstrap", "--name", "ada")["secret"]
    line.run("users", "grant", "ada", "auditor")
    line.run("models", "add", "simulated/small")
    cells = [
        {
            "key": f"{number:02d} {name}",
            "input": {"text": text},
            "expected_output": text[:500],
            "metadata": {"kind": _SHORT["image"] if number % 2 else _SHORT["script"]},
        }
        for number, (name, text) in enumerate(_CELLS.items())
    ]
    _write(folder / "cells.jsonl", cells)
    line.run("datasets", "import", "cells.jsonl", "--name", "hostile")
    for run, ending in ((_SHORT["image"], ""), (_SHORT["image error"], " changed")):
        outputs = [{"id": it["key"], "text": f"{it['input']['text']}{ending}"} for it in cells]  # type: ignore[index] # an object of strings
        _write(folder / "outputs.jsonl", outputs)
        line.run(
            *("runs", "import", "outputs.jsonl", "--dataset", "hostile@1", "--match", "id"),
            *("--output", "text", "--name", run),
        )
        line.run("score", run, "--scorer", "exact_match")
    line.run("compare", _SHORT["image"], _SHORT["image error"])
    return key


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _fill(client: Client) -> str:
    """Write payloads through the API; return the id of a chat that holds them all."""
    for number, text in enumerate((_ALL, _ALL[::-1]), start=1):
        said = text.replace("{{", r"\{{") + " {{ text }}"
        content = {
            "messages": [{"role": "user", "content": said}],
            "variables": {"text": {"type": "string"}},
        }
        client.send(
            prompts.add("hostile", content, message=_SHORT[("image", "script")[number - 1]])
        )
    variant = client.send(variants.make("hostile@1", "simulated/small", {}))
    move = {"kind": "move", "variant": str(variant.id), "reason": _SHORT["image by reference"]}
    client.send(aliases.deploy(_ALIAS, {**move, "allow_simulated": True}))
    answer = client.chat(
        _ALIAS,
        [{"role": "user", "content": _ALL}],
        variables={"text": _ALL},
        user=_SHORT["image"],
    )
    chat = str(answer.generation_id)
    client.send(reviews.mark(chat, "flagged", _SHORT["style attribute"]))
    client.send(users.admit("mallory", f"<img/src=x/onerror={'window.__ran=1'}>"))
    client.send(limits.put("key", _SHORT["image"], {"requests_per_minute": 5}))
    question = {
        "name": _SHORT["image"],
        "description": _ALL,
        "dataset": "hostile@1",
        "prompts": ["hostile@1", "hostile@2"],
        "models": ["simulated/small"],
        "scorers": ["exact_match"],
        "limit": 3,
    }
    _await_number(client, client.send(experiments.start(question)).id)
    return chat


def _await_number(client: Client, job_id: UUID) -> None:
    """Wait until a worker has stored the experiment of a job."""
    while (job := client.send(jobs.progress(job_id)).job).experiment is None:
        assert not job.ended, job.detail
        time.sleep(0.2)


def _pages(client: Client, chat: str) -> dict[str, str]:
    [comparison] = client.page(comparisons.listing()).items
    run = {"run_id": str(comparison.baseline_run_id)}
    found = client.send(generations.page(run, limit=len(_CELLS))).items
    by_key = {it.key: str(it.id) for it in found}
    return {
        "home": "/home",
        "experiments": "/experiments",
        "comparisons": "/compare",
        "comparison": f"/compare?id={comparison.id}",
        "prompts": "/prompts",
        "prompt": "/prompts?name=hostile",
        "datasets": "/datasets",
        "dataset": "/datasets?name=hostile",
        "generations": "/generations",
        "chat": f"/generations?id={chat}",
        "answer of all": f"/generations?id={by_key['00 all']}",
        "huge answer": f"/generations?id={by_key['01 huge']}",
        "production": "/production",
        "users": "/administration?tab=Users&user=mallory",
        "limits": "/administration?tab=Limits",
    }
