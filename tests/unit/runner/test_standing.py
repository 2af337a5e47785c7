"""How a judge stands: what its newest check found, or why that does not hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.core.hashing import content_hash
from app.core.ids import new_id
from app.schemas.qualifications import QualificationView
from app.schemas.scores import ScorerView
from workbench.runner.comparison.people import judge_notes
from workbench.runner.judging.standing import JudgeStanding, standing_of

NOW = datetime(2026, 3, 14, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "rubric": "It is right.",
    "models": ["openai/judge@1"],
    "prompt": "judge_rubric@1",
    "pinned": {"prompt_hash": "sha256:a", "variants": ["sha256:b"]},
}


def judge(**changes: Any) -> ScorerView:
    config = {**CONFIG, **changes}
    return ScorerView(
        id=new_id(),
        name="judge_rubric",
        version=1,
        config=config,
        content_hash=content_hash(config),
        created_at=NOW,
    )


def check(scorer: ScorerView, *, qualified: bool = True, **more: Any) -> QualificationView:
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "scorer": scorer,
        "dataset": "sums",
        "version": 2,
        "qualified": qualified,
        "label_count": 80,
        "input_hash": "sha256:0",
        "result": {"sentence": "It was held.", "criterion": "quality", "agreement": {"low": 0.6}},
        "created_at": NOW,
        "created_by": "local:test",
    }
    return QualificationView(**{**values, **more})


def codes(standing: JudgeStanding) -> list[str]:
    return [note["code"] for note in judge_notes(standing)]


def test_a_judge_that_was_never_checked_blocks_and_says_what_to_do() -> None:
    scorer = judge()
    standing = standing_of(scorer, "sums", [])
    digits = scorer.content_hash[7:15]
    assert not standing.qualified
    assert standing.sentence == (
        "This judge was never checked against people. "
        f"Check it: workbench judges qualify {digits} --run RUN"
    )
    assert [(w.code, w.blocking) for w in standing.warnings()] == [("judge_unvalidated", True)]
    assert standing.facts()["qualified"] is False


def test_the_newest_check_counts() -> None:
    scorer = judge()
    good, bad = check(scorer), check(scorer, qualified=False)
    assert standing_of(scorer, "sums", [good, bad]).qualified
    standing = standing_of(scorer, "sums", [bad, good])
    assert not standing.qualified
    assert standing.sentence == "It was held. (Checked on 2026-03-14 (sums@2, 80 labels).)"
    assert standing_of(scorer, "sums", [good]).criterion == "quality"


def test_a_check_holds_for_its_dataset_alone() -> None:
    scorer = judge()
    standing = standing_of(scorer, "letters", [check(scorer)])
    assert not standing.qualified and "never on letters" in standing.sentence
    assert standing_of(scorer, None, [check(scorer)]).qualified


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rubric": "It is exactly right."}, "The rubric changed"),
        ({"models": ["openai/judge@2"]}, "The model changed"),
        ({"pinned": {"prompt_hash": "sha256:x", "variants": []}}, "The prompt changed"),
        ({"scale": "pass_fail", "pinned": {"prompt_hash": "sha256:x"}}, "The scale changed"),
        ({"temperature": 0.7}, "The parameters changed"),
        ({"samples": 3, "rubric": "So."}, "The rubric and number of samples changed"),
    ],
)
def test_what_changed_since_the_check_is_named(changes: dict[str, Any], told: str) -> None:
    standing = standing_of(judge(**changes), "sums", [check(judge())])
    assert not standing.qualified
    assert standing.sentence.startswith(
        f"{told} since the judge was qualified on 2026-03-14 (sums@2, 80 labels); that check "
        "does not hold for it."
    )


def test_the_check_of_the_judge_most_alike_is_named() -> None:
    checks = [check(judge(rubric="So.", models=["openai/x@1"])), check(judge(rubric="So."))]
    assert standing_of(judge(), "sums", checks).changed == ("rubric",)


def test_a_check_that_failed_is_none_that_another_judge_could_fall_behind() -> None:
    standing = standing_of(judge(rubric="So."), "sums", [check(judge(), qualified=False)])
    assert standing.changed == () and "never checked" in standing.sentence


def test_a_check_brings_the_warnings_that_its_figures_ask_for() -> None:
    scorer = judge()
    result = {
        "sentence": "It was held.",
        "agreement": {"low": 0.1},
        "position": {"consistency": 0.4, "p_value": 0.001},
        "notes": [{"code": "judge_length", "text": "Long is good."}],
    }
    standing = standing_of(scorer, "sums", [check(scorer, label_count=12, result=result)])
    assert codes(standing) == ["judge_unvalidated", "judge_weak", "judge_order", "judge_length"]
    assert judge_notes(standing, told=["judge_order"])[-2]["code"] == "judge_weak"
    assert codes(standing_of(scorer, "sums", [check(scorer)])) == []
