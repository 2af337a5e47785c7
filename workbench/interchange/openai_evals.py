"""Samples of OpenAI Evals (JSONL), and the registry entries (YAML) that say how they are judged.

A sample is `{"input": messages or text, "ideal": text or list of texts}`. Its turns become an
example's conversation, which `passthrough@1` sends as it is. What the basic classes do was read
in `evals/elsuite/basic/`: `Match` asks whether the answer begins with an ideal, `Includes`
whether it contains one, `FuzzyMatch` the same in either direction with punctuation and articles
left out, `JsonMatch` whether both are the same JSON. Classes that ask a model, and code, are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.evaluations import (
    ForeignFile,
    ImportedEvaluation,
    check_count,
    keyed,
    slug,
)
from workbench.interchange.foreign_json import parse_foreign_json
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.losses import LossReport, Source
from workbench.interchange.writing import mapping_source

__all__ = ["CLASSES", "read_openai_evals"]

_PASSTHROUGH: Final = "passthrough@1"
_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})
_NOTHING: Final[Mapping[str, JSON]] = MappingProxyType({})


@dataclass(frozen=True)
class _Class:
    """What a class of evals does: its scorer, its parameters, and how the scorer differs."""

    scorer: Mapping[str, JSON]
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    differs: str = ""
    sends: frozenset[str] = frozenset()
    """Arguments that are parameters of the request."""


CLASSES: Final[Mapping[str, _Class]] = MappingProxyType(
    {
        "Match": _Class({"name": "starts_with", "strip": False}, {"temperature": 0}),
        "Includes": _Class({"name": "contains_any"}),
        "FuzzyMatch": _Class(
            {"name": "contains_any", "ignore_case": True},
            {"temperature": 0, "max_tokens": 100},
            "punctuation and articles count here, and an answer that is a part of the ideal is "
            "wrong",
            frozenset({"max_tokens"}),
        ),
        "JsonMatch": _Class(
            {"name": "exact_match", "any_expected": True, "json": True},
            {"temperature": 0, "max_tokens": 512},
            sends=frozenset({"max_tokens"}),
        ),
        "JsonValidator": _Class({"name": "json_valid", "allow_fence": False}, {"temperature": 0}),
    }
)
"""The classes that have a scorer here, by the last part of their name."""

_JUDGED: Final = "ModelBasedClassify"
_REASONS: Final = MappingProxyType({"metadata": "there is no such field here"})


@dataclass
class _Task:
    """How samples are judged, as the registry or the user says."""

    name: str
    class_name: str
    description: str = ""
    ignore_case: bool = False
    parameters: dict[str, JSON] = field(default_factory=dict)
    specification: str = ""


def read_openai_evals(
    file: ForeignFile,
    *,
    name: str = "",
    eval_class: str | None = None,
    samples: Sequence[ForeignFile] = (),
    judge_model: str | None = None,
) -> ImportedEvaluation:
    """Read samples, or a registry entry together with its samples.

    Raises `Invalid` for what is neither, and if it is not known how the samples are judged.
    """
    reports: list[tuple[str, LossReport]] = []
    if file.suffix in (".yaml", ".yml"):
        registry = mapping_source(
            parse_foreign_yaml(file.text, source=file.name), _REASONS, file.name
        )
        task, samples_file = _registry_task(registry, file.name, samples)
    elif samples:
        raise Invalid(
            f"{file.name} is read as the samples themselves, and --tests names others.",
            hint="Leave --tests out, or import the registry's YAML with --tests samples.jsonl.",
        )
    else:
        registry = None
        task, samples_file = _Task(slug(file.stem) or "evals", eval_class or ""), file
    if eval_class is not None:
        task.class_name = eval_class
    source = Source(_lines(samples_file), {"metadata": "it became metadata"})
    rows = list(_rows(source, needs_ideal=task.class_name != "JsonValidator"))
    check_count(len(rows))
    scorers, parameters = _scorers(registry or source, task, judge_model)
    if registry is not None:
        reports.append((file.name, registry.finish()))
    reports.append((samples_file.name, source.finish()))
    return ImportedEvaluation(
        name=name or task.name,
        description=task.description,
        examples=list(keyed(rows)),
        registered=[_PASSTHROUGH],
        parameters=parameters,
        scorers=scorers,
        reports=reports,
    )


# Registry


def _registry_task(
    registry: Source, name: str, samples: Sequence[ForeignFile]
) -> tuple[_Task, ForeignFile]:
    """Return the one entry whose samples were named, or the only one."""
    groups = registry.keys()
    entries = [key for key in groups if isinstance(registry.at(key, "class"), str)]
    if not entries:
        raise Invalid(f"{name} has no entry with a class: is it a registry file of evals?")
    if len(samples) != 1:
        raise Invalid(
            f"{name} names its samples and does not hold them.",
            hint="Name them, as in --tests samples.jsonl; nothing is opened on its own.",
        )
    fits = [key for key in entries if _samples_name(registry, key) == samples[0].base]
    chosen = fits or entries
    if len(chosen) > 1:
        raise Invalid(
            f"Which of {', '.join(chosen)} is not certain; copy the one entry into a file."
        )
    key = chosen[0]
    class_name = str(registry.take(key, "class")).rpartition(":")[2].rpartition(".")[2]
    registry.take(key, "args", "samples_jsonl")
    task = _Task(slug(key.partition(".")[0]) or "evals", class_name)
    known = CLASSES.get(class_name)
    for argument in registry.keys(key, "args"):
        value = registry.at(key, "args", argument)
        if argument == "ignore_case" and isinstance(value, bool):
            task.ignore_case = bool(registry.take(key, "args", argument))
        elif known is not None and argument in known.sends and isinstance(value, int):
            task.parameters[argument] = registry.take(key, "args", argument)
        elif argument == "max_tokens" and known is not None:
            registry.lose((key, "args", argument), f"{class_name} does not send it either")
        elif argument in ("num_few_shot", "few_shot_jsonl") and value:
            why = "its examples stand before each question there: write them into the samples"
            registry.lose((key, "args", argument), why, changes_meaning=True)
        elif argument == "modelgraded_spec" and isinstance(value, str):
            task.specification = str(registry.take(key, "args", argument))
    for group in groups:
        if registry.at(group, "id") == key:
            registry.take(group, "id")
            task.description = registry.text(group, "description")
        elif group != key:
            registry.lose((group,), "another entry: import it by itself")
    return task, samples[0]


def _samples_name(registry: Source, key: str) -> str:
    return str(registry.at(key, "args", "samples_jsonl")).rpartition("/")[2]


def _scorers(
    document: Source, task: _Task, judge_model: str | None
) -> tuple[list[Mapping[str, JSON]], dict[str, JSON]]:
    """Return the scorers and parameters of a class, with what differs named."""
    known = CLASSES.get(task.class_name)
    if known is not None:
        scorer = dict(known.scorer)
        if task.ignore_case and task.class_name == "Includes":
            scorer["ignore_case"] = True
        if known.differs:
            document.note("class", task.class_name, known.differs)
        return [scorer], {**known.parameters, **task.parameters}
    if task.class_name == _JUDGED and task.specification == "fact" and judge_model:
        document.note("class", task.class_name, "it became the scorer judge_correctness")
        return [{"name": "judge_correctness", "model": judge_model}], {}
    if task.class_name == _JUDGED and task.specification == "fact":
        raise Invalid(
            "A model judges these samples, and it is not known which.",
            hint="Name one, as in --judge-model openai/gpt-4.1-mini.",
        )
    if not task.class_name:
        raise Invalid(
            "Samples alone do not say how they are judged.",
            hint=f"Add --eval-class, one of {', '.join(CLASSES)}, or import the registry's YAML "
            "with --tests samples.jsonl.",
        )
    raise Invalid(
        f"There is no scorer here for the class {task.class_name}; known are {', '.join(CLASSES)}.",
        hint="Import the samples with an --eval-class that is near, and change the experiment.",
    )


# Samples


def _lines(file: ForeignFile) -> dict[str, JSON]:
    """Return the samples by their lines, as people count them."""
    found: dict[str, JSON] = {}
    for number, line in enumerate(file.text.split("\n"), start=1):
        if line.strip():
            check_count(len(found) + 1)
            found[f"line {number}"] = parse_foreign_json(line, source=f"{file.name} ({number})")
    if not found:
        raise Invalid(f"{file.name} holds no sample.")
    return found


def _rows(source: Source, *, needs_ideal: bool) -> Iterator[tuple[str, dict[str, JSON]]]:
    lines = source.keys()
    for line in lines:
        turns = _turns(source, line)
        if not turns:
            continue
        row: dict[str, JSON] = {"input": {"message": turns[-1]["content"]}}
        if turns[:-1]:
            row["messages"] = list(turns[:-1])
        ideal = _ideal(source, line)
        if ideal:
            row["expected_output"] = ideal
        elif needs_ideal:
            source.note(line, "", "it has no ideal, so that nothing can judge its answers")
        metadata = source.at(line, "metadata")
        if isinstance(metadata, Mapping) and metadata:
            row["metadata"] = source.take(line, "metadata")
        yield "", row


def _ideal(source: Source, line: str) -> list[JSON]:
    """Take the ideal answers as a list, so that a text that looks like one stays a text."""
    ideal = source.at(line, "ideal")
    items = ideal if isinstance(ideal, (list, tuple)) else [ideal]
    texts: list[JSON] = [item for item in items if isinstance(item, str) and item]
    if len(texts) == len(items):
        source.take(line, "ideal")
        return texts
    if ideal is not None:
        source.lose((line, "ideal"), "an ideal is a text, or a list of texts, and not empty")
    return []


def _turns(source: Source, line: str) -> list[dict[str, JSON]]:
    """Take the turns of a sample; the last one is said by the user here."""
    value = source.at(line, "input")
    if isinstance(value, str) and value:
        source.take(line, "input")
        source.note(
            f"{line}.input",
            value,
            "a text without a role became a message of the user; chat models get it from the "
            "system there",
            changes_meaning=True,
        )
        return [{"role": "user", "content": value}]
    turns: list[dict[str, JSON]] = []
    for index in range(source.length(line, "input")):
        at = (line, "input", index)
        role, content = source.at(*at, "role"), source.at(*at, "content")
        if role not in _ROLES or not isinstance(content, str):
            source.lose(at, "a turn has a role and a text", changes_meaning=True)
            continue
        source.take(*at, "role")
        source.take(*at, "content")
        if source.at(*at, "name") is not None:
            why = "turns have no names here, as those of examples among system messages"
            source.lose((*at, "name"), why, changes_meaning=True)
        turns.append({"role": role, "content": content})
    if turns and turns[-1]["role"] != "user":
        source.note(
            f"{line}.input",
            str(turns[-1]["role"]),
            "the last turn is the user's here",
            changes_meaning=True,
        )
    if not turns:
        source.lose((line,), "a sample needs an input")
    return turns
