"""The corpus: what each file becomes, which losses are named, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from app.core.errors import Invalid
from app.core.hashing import JSON
from tests.unit.interchange.corpus import FORMATS, cases, expectations, files, outcome, read
from workbench.interchange.formats import PROMPT_FORMATS
from workbench.interchange.losses import FieldPath, path_text
from workbench.interchange.prompts import Exportable, ImportedPrompt
from workbench.scorers import parse_rule
from workbench.workspace.prompt_files import PromptFile, parse_prompt, write_prompt

CASES = list(cases())
IDS = [f"{name}-{path.name}" for name, path in CASES]

# Mappings whose keys are free: names of variables, columns of test data, words of JSON Schema.
FREE = {
    "github-models": ("testData", "jsonSchema"),
    "dotprompt": ("input", "output", "toolDefs"),
    "prompty": ("inputs", "sample", "response_format", "tools"),
    "prompty-v2": ("inputs", "outputs", "parameters"),
}


@pytest.mark.parametrize("format_name", FORMATS)
def test_each_format_has_at_least_thirty_files(format_name: str) -> None:
    assert len(files(format_name)) >= 30


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_file_has_its_expectation_and_none_is_left_over(format_name: str) -> None:
    assert set(expectations(format_name)) == {path.name for path in files(format_name)}


@pytest.mark.parametrize(("format_name", "path"), CASES, ids=IDS)
def test_a_file_becomes_what_is_expected_with_every_loss(format_name: str, path: Path) -> None:
    assert outcome(format_name, path) == expectations(format_name)[path.name]


def exportable(prompt: ImportedPrompt) -> Exportable:
    return Exportable(prompt.name, prompt.content, prompt.description)


@pytest.mark.parametrize(("format_name", "path"), CASES, ids=IDS)
def test_an_imported_prompt_is_a_valid_prompt_file(format_name: str, path: Path) -> None:
    (prompt,) = read(format_name, path).prompts
    file = PromptFile(Path("draft.yaml"), prompt.name, None, prompt.content, prompt.description)
    assert parse_prompt(write_prompt(file), file.path) == file


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize(("format_name", "path"), CASES, ids=IDS)
def test_what_is_exported_without_a_loss_comes_back_the_same(
    format_name: str, path: Path, target: str
) -> None:
    """Every file of the corpus, by way of ours, into every format and back."""
    (prompt,) = read(format_name, path).prompts
    known = PROMPT_FORMATS[target]
    assert known.write is not None
    written = known.write(exportable(prompt))
    (back,) = known.read(written.text, source="export", file_stem="export").prompts
    assert written.report or back.content.hash == prompt.content.hash
    assert (back.name, back.description) == (prompt.name, prompt.description)


@pytest.mark.parametrize(("format_name", "path"), CASES, ids=IDS)
def test_a_second_round_through_a_format_loses_nothing_more(format_name: str, path: Path) -> None:
    (prompt,) = read(format_name, path).prompts
    known = PROMPT_FORMATS[format_name]
    assert known.write is not None
    once = known.write(exportable(prompt))
    (back,) = known.read(once.text, source="export", file_stem="export").prompts
    twice = known.write(exportable(back))
    assert set(twice.report.of_meaning) <= set(once.report.of_meaning)
    assert known.read(twice.text, source="export", file_stem="e").prompts[0].content == back.content


def front_matter(format_name: str, text: str) -> tuple[JSON, str]:
    """Return the YAML of a file as a value, and what stands behind it."""
    if format_name == "github-models":
        return yaml.safe_load(text), ""
    if not text.startswith("---\n") or "\n---\n" not in text[3:]:
        return None, text
    front, _, body = text[4:].partition("---\n")
    return yaml.safe_load(front) or {}, body


def mappings(value: JSON, path: FieldPath = ()) -> Iterator[tuple[FieldPath, dict[str, JSON]]]:
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from mappings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mappings(item, (*path, index))


@pytest.mark.parametrize(("format_name", "path"), CASES, ids=IDS)
def test_a_field_that_nobody_knows_is_named_wherever_it_stands(
    format_name: str, path: Path
) -> None:
    """A new key in any mapping of the document shows up in the report."""
    value, body = front_matter(format_name, path.read_text(encoding="utf-8"))
    if not isinstance(value, dict) or expectations(format_name)[path.name].get("refused"):  # type: ignore[union-attr]
        return
    places = [
        (place, mapping)
        for place, mapping in mappings(value)
        if not {str(part) for part in place} & set(FREE[format_name])
    ]
    assert places
    for place, mapping in places:
        mapping["zzUnknown"] = "a value of its own"
        text = yaml.safe_dump(value, allow_unicode=True, sort_keys=False)
        whole = text if format_name == "github-models" else f"---\n{text}---\n{body}"
        del mapping["zzUnknown"]
        named = _losses(format_name, whole)
        field = path_text((*place, "zzUnknown"))
        assert field in named or any(
            field.startswith((f"{name}.", f"{name}[")) for name in named
        ), f"{field} is lost in silence"


def _losses(format_name: str, text: str) -> Mapping[str, str]:
    try:
        imported = PROMPT_FORMATS[format_name].read(text, source="x", file_stem="x")
    except Invalid as error:
        raise AssertionError(error.message) from error
    return {loss.path: loss.why for loss in imported.report}


def test_every_scorer_that_an_evaluator_becomes_can_be_built() -> None:
    scorers = [
        scorer
        for format_name, path in CASES
        if not expectations(format_name)[path.name].get("refused")  # type: ignore[union-attr]
        for prompt in read(format_name, path).prompts
        for scorer in prompt.scorers
    ]
    assert {parse_rule(scorer).name for scorer in scorers} >= {"starts_with", "ends_with"}
