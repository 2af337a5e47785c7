"""The reference page says what the code says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from workbench.scorers import (
    OptionDescription,
    ReasonCode,
    ScorerDescription,
    ScoreStatus,
    describe_scorers,
    parse_scorer,
)
from workbench.scorers.team import INPUTS, read_function

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "scorers.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^    (--scorer .+)$", TEXT, re.MULTILINE)
SPECS = sorted({shlex.split(example)[1] for example in EXAMPLES if "team." not in example})


def table_row(option: OptionDescription) -> str:
    default = "none" if option.default in (None, [], "") else f"`{json.dumps(option.default)}`"
    return f"| `{option.name}` | {option.kind} | {default} | {option.description} |"


def section(name: str) -> str:
    return TEXT.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("scorer", describe_scorers(), ids=lambda scorer: scorer.name)
def test_every_scorer_has_a_section_with_exactly_its_options(scorer: ScorerDescription) -> None:
    table = [line for line in section(scorer.name).splitlines() if line.startswith("| `")]

    assert [row for row in table if row in map(table_row, scorer.options)] == [
        table_row(option) for option in scorer.options
    ]


def test_there_is_no_section_for_a_scorer_that_does_not_exist() -> None:
    assert re.findall(r"^## `(\w+)`$", TEXT, re.MULTILINE) == [
        scorer.name for scorer in describe_scorers()
    ]


@pytest.mark.parametrize("spec", SPECS)
def test_every_example_on_the_page_is_a_scorer(spec: str) -> None:
    parse_scorer(spec)


@pytest.mark.parametrize("scorer", describe_scorers(), ids=lambda scorer: scorer.name)
def test_the_example_of_every_scorer_names_it(scorer: ScorerDescription) -> None:
    assert parse_scorer(scorer.example).name == scorer.name


def test_the_page_sorts_every_scorer_under_a_question() -> None:
    overview = TEXT.partition("| what is asked |")[2].partition("\n## ")[0]

    assert sorted(re.findall(r"`(\w+)`", overview)) == [s.name for s in describe_scorers()]


def test_the_function_on_the_page_is_a_scorer() -> None:
    text = TEXT.partition("## A scorer of your own")[2].partition("```python\n")[2]

    function = read_function("politeness", text.partition("```")[0])

    assert (function.binary, function.version) == (True, 1)
    for name in INPUTS:
        assert f"`{name}`" in TEXT


def test_every_status_and_reason_is_explained() -> None:
    for code in (*ScoreStatus, *ReasonCode):
        assert f"\n| `{code}` |" in TEXT


def test_the_python_example_runs() -> None:
    example = TEXT.partition("## From Python")[2].partition("```python\n")[2].partition("```")[0]

    exec(compile(example, PAGE, "exec"), {})
