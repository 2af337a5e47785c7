"""A promptfoo configuration as prompts, a dataset with checks, and an experiment.

promptfoo asserts test by test, an experiment here has scorers for all examples: the assertions
of a test become the checks of its example, which the scorer `checks` applies. What a model judges
becomes a judge of the experiment where all tests ask the same. Nunjucks is read as far as
`{{ name }}` goes. Nothing is run, fetched or opened; a file that is only pointed to is taken if
the user names it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON, content_hash
from app.schemas.prompts import Variable
from workbench.interchange.evaluations import (
    ForeignFile,
    ImportedEvaluation,
    keyed,
    slug,
)
from workbench.interchange.foreign_json import parse_foreign_json
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.jinja import read_jinja
from workbench.interchange.losses import FieldPath, Source, path_text
from workbench.interchange.pieces import Piece, Use
from workbench.interchange.promptfoo_assertions import names_a_file
from workbench.interchange.promptfoo_models import Providers, model_of, read_providers
from workbench.interchange.promptfoo_tests import (
    RESERVED_METADATA,
    TEST_REASONS,
    Judged,
    TestCase,
    read_tests,
)
from workbench.interchange.prompts import Draft, DraftMessage, ImportedPrompt, assemble, prompt_name
from workbench.interchange.writing import mapping_source
from workbench.scorers.checks import CHECKS_FIELD

__all__ = ["read_promptfoo"]

_PREFIX: Final = "prompt_prefix"
_SUFFIX: Final = "prompt_suffix"
_OTHER_PROGRAM: Final = "a setting of the other program"
_REASONS: Final = MappingProxyType(
    {
        **TEST_REASONS,
        "description": "this must be a text",
        "tags": "experiments have no tags",
        "scenarios": "write them as tests: each of its configurations with each of its tests",
        "derivedMetrics": "a metric of metrics: see the scorer weighted",
        "nunjucksFilters": "filters are code, and nothing of a file is run here",
        "evaluateOptions": "how many calls run at once and how long stands in workbench.yaml",
        "commandLineOptions": _OTHER_PROGRAM,
        "outputPath": "results are written by workbench export results",
        "writeLatestResults": _OTHER_PROGRAM,
        "sharing": "results are not sent anywhere",
        "extensions": "hooks are code, and nothing of a file is run here",
        "env": "the environment is not read and not written",
        "tracing": _OTHER_PROGRAM,
        "redteam": "generated attacks are not part of an evaluation here",
    }
)


def read_promptfoo(
    config: ForeignFile,
    *,
    name: str = "",
    tests: Sequence[ForeignFile] = (),
    prompts: Sequence[ForeignFile] = (),
    judge_model: str | None = None,
) -> ImportedEvaluation:
    """Read a configuration with the test and prompt files that belong to it.

    `judge_model` judges where the file does not say who is to. Raises `Invalid` for what is no
    such file, has no prompt or no test, or becomes too many examples.
    """
    parsed = parse_foreign_yaml(config.text, source=config.name)
    document = mapping_source(parsed, _REASONS, config.name)
    if not {"prompts", "tests", "providers", "targets"} & set(document.keys()):
        raise Invalid(f"{config.name} has no prompts, providers or tests: is it of promptfoo?")
    document.take("$schema")
    description = document.text("description")
    providers = read_providers(document)
    cases, sources = read_tests(document, tests, providers.tools)
    if not cases:
        raise Invalid(
            f"There is no test in {config.name}.",
            hint="Name its test files, as in --tests tests.csv; nothing is opened on its own.",
        )
    own_name = name or slug(description, 40) or slug(config.stem) or "evaluation"
    written = _prompts(document, own_name, prompts, cases, providers)
    scorers, expected = _judges(cases, judge_model)
    repetitions = _repetitions(document)
    notes = list(_notes(cases))
    examples = list(keyed(list(_rows(document, cases, written, expected))))
    reports = [(config.name, document.finish())]
    reports += [(told, source.finish()) for told, source in sources]
    return ImportedEvaluation(
        name=own_name,
        description=description,
        examples=examples,
        prompts=written,
        models=providers.distinct_models,
        parameters=providers.sets[0] if len(providers.sets) == 1 else list(providers.sets),
        repetitions=repetitions,
        scorers=[*(["checks"] if any(case.checks for case in cases) else []), *scorers],
        notes=notes,
        reports=reports,
    )


def _repetitions(document: Source) -> int:
    repeat = document.at("evaluateOptions", "repeat")
    if isinstance(repeat, int) and not isinstance(repeat, bool) and 1 <= repeat <= 1000:
        document.take("evaluateOptions", "repeat")
        return repeat
    return 1


def _notes(cases: Sequence[TestCase]) -> Iterator[str]:
    less = sum(case.left_out > 0 for case in cases)
    if less:
        noun = "example is" if less == 1 else "examples are"
        yield (
            f"{less:,} {noun} asked less than there, since assertions were left out: "
            "answers may pass here that fail there."
        )
    bare = sum(not case.checks and not case.judged for case in cases)
    if bare:
        noun = "example has" if bare == 1 else "examples have"
        yield (
            f"{bare:,} {noun} no check: answers to it are unscored here, where promptfoo calls "
            "every answer to a test without assertions right."
        )


# Prompts


def _prompts(
    document: Source,
    name: str,
    files: Sequence[ForeignFile],
    cases: Sequence[TestCase],
    providers: Providers,
) -> list[ImportedPrompt]:
    drafts = list(_drafts(document, files))
    if not drafts:
        raise Invalid(
            "There is no prompt in it.",
            hint="Name its prompt files, as in --prompt prompt.txt; nothing is opened on its own.",
        )
    _affixes(document, drafts, cases)
    used = {name for draft in drafts for name in _used(draft)}
    kinds = {key: Variable(type="any") for key in used if _is_untyped(key, cases)}
    for key in sorted(kinds):
        if any(isinstance(case.variables.get(key), (list, dict)) for case in cases):
            document.note(f"vars.{key}", "", "its values are put into a text as JSON here")
    found: list[ImportedPrompt] = []
    for draft in drafts:
        draft.name = _own_name(document, draft, name, alone=len(drafts) == 1)
        draft.tools = list(providers.tools) if isinstance(providers.tools, list) else []
        draft.tool_choice = providers.tool_choice
        if isinstance(providers.response_format, dict):
            draft.response_format = providers.response_format
        own = set(_used(draft))
        draft.declared = {key: (kind, ("tests",)) for key, kind in kinds.items() if key in own}
        prompt = assemble(document, draft)
        if not own:
            document.note(
                f"prompt {draft.name}",
                "",
                "it uses no variable, so that every request is the same: no experiment runs it",
            )
        if prompt.name in {other.name for other in found}:
            raise Invalid(f"Two prompts are called {prompt.name}; give them labels of their own.")
        found.append(prompt)
    return found


def _is_untyped(name: str, cases: Sequence[TestCase]) -> bool:
    return any(not isinstance(case.variables.get(name, ""), str) for case in cases)


def _used(draft: Draft) -> list[str]:
    return [
        piece.name
        for message in draft.messages
        for piece in message.pieces
        if isinstance(piece, Use)
    ]


def _own_name(document: Source, draft: Draft, name: str, *, alone: bool) -> str:
    """Return a prompt's name: its label's, the evaluation's, or that of its first words."""
    if draft.name:
        return prompt_name(document, draft.name, ("prompts", "label"), name)
    if alone:
        return name
    text = "".join(getattr(piece, "text", "") for m in draft.messages for piece in m.pieces)
    digits = content_hash(text).removeprefix("sha256:")[:6]
    return f"{slug(text, 30) or name}-{digits}"


def _drafts(document: Source, files: Sequence[ForeignFile]) -> Iterator[Draft]:
    """Yield every prompt; it is called as its label or its file, if it has one."""
    waiting = {file.base: file for file in files}
    told = document.at("prompts")
    places: list[FieldPath] = [("prompts",)]
    if isinstance(told, (list, tuple)):
        places = [("prompts", index) for index in range(len(told))]
    elif isinstance(told, Mapping):  # {file: label}
        places = [("prompts", key) for key in document.keys("prompts")]
    elif told is None:
        places = []
    for path in places:
        value, label = _prompt_text(document, path)
        if value is None:
            document.lose(path, "this is no prompt: a text, or a mapping with id, raw and label")
        elif _is_pointer(value):
            file = waiting.pop(value.removeprefix("file://").rpartition("/")[2], None)
            if file is None:
                why = "files are never opened on their own: name it with --prompt"
                document.lose(path, why)
            else:
                document.take(*path)
                yield from _file_drafts(document, file, label)
        else:
            yield _draft(document, value, path_text(path), label)
    for file in waiting.values():
        yield from _file_drafts(document, file, "")


def _prompt_text(document: Source, path: FieldPath) -> tuple[str | None, str]:
    """Take a prompt's text and label."""
    value = document.at(*path)
    if isinstance(value, str):
        if len(path) == 2 and isinstance(path[1], str):  # {file: label}
            return path[1] if _is_pointer(path[1]) else f"file://{path[1]}", value
        document.take(*path)
        return value, ""
    label = document.at(*path, "label")
    text = None
    for key in ("raw", "id"):
        if text is None and isinstance(document.at(*path, key), str):
            text = document.text(*path, key)
    if isinstance(text, str):
        document.take(*path, "label")
        document.take(*path, "id")
    return text, label if isinstance(label, str) else ""


def _is_pointer(text: str) -> bool:
    """Whether promptfoo would look for a file, or ask another service, by this text."""
    one_line = "\n" not in text.strip() and " " not in text.strip()
    ends = text.lower().rpartition(".")[2]
    known = {"txt", "md", "j2", "json", "jsonl", "yaml", "yml", "csv", "js", "mjs", "ts", "py"}
    return (
        names_a_file(text)
        or (one_line and text.startswith(("langfuse://", "portkey://", "helicone://", "exec:")))
        or (one_line and "{{" not in text and ends.partition(":")[0] in known)
    )


def _file_drafts(document: Source, file: ForeignFile, label: str) -> Iterator[Draft]:
    texts = [file.text]
    if file.suffix == ".txt":
        texts = [text.strip() for text in f"\n{file.text}\n".split("\n---\n") if text.strip()]
    elif file.suffix not in (".md", ".j2", ".json", ".yaml", ".yml"):
        raise Invalid(f"{file.name}: prompts are read from .txt, .md, .j2, .json and .yaml files.")
    for text in texts:
        told = label if len(texts) == 1 else ""
        chat = file.suffix in (".yaml", ".yml", ".json")
        stem = slug(file.stem) if len(texts) == 1 else ""
        yield _draft(document, text.strip("\n"), file.name, told or stem, chat=chat)


def _draft(document: Source, text: str, place: str, label: str, *, chat: bool = False) -> Draft:
    draft = Draft(label, written_otherwise=frozenset())
    messages = _chat(text, place, sure=chat)
    if messages is None:
        draft.messages = [DraftMessage("user", read_jinja(text), place)]
        return draft
    source = Source(messages)
    for index in range(len(messages)):
        spot = f"{place}[{index}]"
        role = source.text(index, "role") or "user"
        content = source.at(index, "content")
        if isinstance(content, str):
            pieces: list[Piece] = read_jinja(source.text(index, "content"))
        else:
            why = "parts that are no text (images, files, calls) have no place in a prompt here"
            source.lose((index, "content"), why, changes_meaning=True)
            pieces = []
        draft.messages.append(DraftMessage(role, pieces, spot))
    for loss in source.finish():
        document.note(
            f"{place}{loss.path}",
            loss.was,
            loss.why,
            loss.severity,
            changes_meaning=loss.changes_meaning,
        )
    return draft


def _chat(text: str, place: str, *, sure: bool) -> Sequence[JSON] | None:
    """Return the messages that a text in JSON or YAML lists; None if it is a plain text."""
    start = text.lstrip()
    if start.startswith(("[", "{")):
        try:
            value = parse_foreign_json(text, source=place)
        except Invalid:
            if sure:
                raise
            return None
    elif sure or start.startswith("- role:"):
        value = parse_foreign_yaml(text, source=place).value
    else:
        return None
    if isinstance(value, list) and value and all(_is_message(item) for item in value):
        return value
    if sure:
        raise Invalid(f"{place} holds no list of messages with roles.")
    return None


def _is_message(item: JSON) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("role"), str)


def _affixes(document: Source, drafts: Sequence[Draft], cases: Sequence[TestCase]) -> None:
    """Put what tests add before or behind a prompt into variables of their own."""
    for name, texts in (
        (_PREFIX, [case.prefix for case in cases]),
        (_SUFFIX, [case.suffix for case in cases]),
    ):
        if not any(texts):
            continue
        for case, text in zip(cases, texts, strict=True):
            case.variables[name] = text
        for draft in drafts:
            if len(draft.messages) > 1:
                document.note(
                    draft.messages[0].place,
                    name.removeprefix("prompt_"),
                    "it cannot be put before or behind a chat",
                    "dropped",
                    changes_meaning=True,
                )
                continue
            message = draft.messages[0]
            parts = [*message.pieces]
            message.pieces = [Use(name), *parts] if name == _PREFIX else [*parts, Use(name)]


# Examples


def _rows(
    document: Source,
    cases: Sequence[TestCase],
    prompts: Sequence[ImportedPrompt],
    expected: Mapping[int, str],
) -> Iterator[tuple[str, dict[str, JSON]]]:
    """Yield description and row of each test; a value that no prompt uses is metadata."""
    used = {name for prompt in prompts for name in prompt.content.variables}
    for index, case in enumerate(cases):
        values = {name: case.variables.get(name, "") for name in sorted(used)}
        values = {name: "" if value is None else value for name, value in values.items()}
        metadata = {**_unused(document, case, used), **case.metadata}
        if case.description:
            metadata["description"] = case.description
        if case.checks:
            metadata[CHECKS_FIELD] = case.example_checks
        row: dict[str, JSON] = {"input": values or {"message": ""}}
        if index in expected:
            row["expected_output"] = expected[index]
        if metadata:
            row["metadata"] = metadata
        yield case.description, row


def _unused(document: Source, case: TestCase, used: Collection[str]) -> dict[str, JSON]:
    """Return the values that no prompt uses, without those whose names metadata has a use for."""
    found: dict[str, JSON] = {}
    for name, value in case.variables.items():
        if name in used:
            continue
        if name in RESERVED_METADATA:
            why = f"no prompt uses it, and {name} is used by the import itself"
        elif case.metadata.get(name, value) != value:
            why = "no prompt uses it, and the test's metadata has this name too"
        else:
            found[name] = value
            continue
        document.note(f"vars.{name}", "", why, "dropped")
    return found


# Judges


def _judges(
    cases: Sequence[TestCase], judge_model: str | None
) -> tuple[list[dict[str, JSON]], dict[int, str]]:
    """Return the judges that all tests ask alike, and the expected outputs that they need."""
    asked: dict[tuple[str, str], list[tuple[int, Judged]]] = {}
    for index, case in enumerate(cases):
        for one in case.judged:
            by_test = one.kind in ("factuality", "model-graded-factuality")
            asked.setdefault((one.kind, "" if by_test else one.value), []).append((index, one))
    scorers: list[dict[str, JSON]] = []
    expected: dict[int, str] = {}
    for (kind, value), items in asked.items():
        scorer = _judge(kind, value, items, len(cases), judge_model)
        if isinstance(scorer, str):
            for index, one in items:
                one.place.lose(scorer)
                cases[index].left_out += 1
            continue
        scorers.append(scorer)
        for index, one in items:
            if scorer["name"] == "judge_correctness":
                expected[index] = one.value
            for key in ("type", "value", "provider"):
                one.place.take(key)
            one.place.lose(f"it became the scorer {scorer['name']}", "type", changed=True)
            if one.threshold is not None:
                one.place.lose("a judge's pass is its own verdict here", "threshold")
    return scorers, expected


def _judge(
    kind: str,
    value: str,
    items: Sequence[tuple[int, Judged]],
    count: int,
    judge_model: str | None,
) -> dict[str, JSON] | str:
    """Return the judge of assertions that ask the same, or why there is none."""
    if len({index for index, _ in items}) < len(items):
        return "a test asks it twice: an experiment has one judge for all examples"
    models = {model_of(one.provider) or judge_model for _, one in items}
    model = next(iter(models))
    if len(models) > 1 or model is None:
        return "who judges is not known: name a model with --judge-model"
    if kind in ("factuality", "model-graded-factuality"):
        return {"name": "judge_correctness", "model": model}
    if len(items) < count:
        return "a judge asks the same of every example here, and not all tests ask this"
    if kind == "context-faithfulness":
        return {"name": "judge_faithfulness", "model": model, "context": ["context"]}
    if kind == "answer-relevance":
        value = "The answer is about what was asked, and about nothing else."
    if not value:
        return "it has no value"
    return {"name": "judge_rubric", "model": model, "rubric": value, "scale": "pass_fail"}
