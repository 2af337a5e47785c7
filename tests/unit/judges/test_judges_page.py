"""The page on judges says what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.prompts import BUILTIN_NAMES
from workbench.scorers import OptionDescription, ReasonCode, describe_judges
from workbench.scorers.judges import JUDGES, Scale

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "explanation" / "judges.md").read_text(
    encoding="utf-8"
)
OPTIONS = [(judge.name, option) for judge in describe_judges() for option in judge.options]


def table_row(option: OptionDescription) -> str:
    default = "none" if option.default in (None, [], "") else f"`{json.dumps(option.default)}`"
    return f"| `{option.name}` | {option.kind} | {default} | {option.description} |"


@pytest.mark.parametrize(("judge", "option"), OPTIONS)
def test_every_option_is_on_the_page_as_it_is(judge: str, option: OptionDescription) -> None:
    section = TEXT.partition("\n## Options\n")[2].partition("\n## ")[0]
    common, *_ = section.partition("\n`judge_rubric` has besides:")
    own = section.partition(f"\n`{judge}` has besides:\n")[2].partition(" has besides:")[0]
    assert table_row(option) in common + own


def test_every_judge_variable_scale_and_reason_is_on_the_page() -> None:
    variables = {name for judge in JUDGES for name in judge.variables}
    scales = {scale.value for scale in Scale} - {Scale.PREFERENCE}
    reasons = {reason.value for reason in ReasonCode if reason.value.startswith("judge_")}
    names = {judge.name for judge in JUDGES}
    for word in variables | reasons | names:
        assert f"`{word}`" in TEXT, word
    for scale in scales:
        assert scale in TEXT, scale


def test_prompts_named_on_the_page_exist() -> None:
    assert set(re.findall(r"workbench prompts show (\w+)", TEXT)) <= BUILTIN_NAMES
