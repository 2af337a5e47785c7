"""A gate whose scores a model gave: what is said of that model."""

from __future__ import annotations

from typing import Any

import pytest

from app.schemas.experiments import Plan
from tests.fake_provider import ProviderOptions
from tests.integration.judges.conftest import JUDGE, OpenCourt
from tests.integration.runner.conftest import ASK, ASK_POLITELY
from workbench.runner.gating import decide_experiment

RIGHT = ProviderOptions(answer="judge-noisy", right_share=1.0)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_judge_without_a_snapshot_is_an_exception_like_a_model_without_one(
    open_court: OpenCourt,
) -> None:
    async with open_court(RIGHT) as court:
        judge = await court.judge("judge_correctness")
        identity = judge.identity()
        spec: Any = {"name": judge.name, **identity["config"]}
        experiment = await court.experiment(
            20, prompts=(ASK, ASK_POLITELY), scorers=(spec,), plan=Plan(margin=0.3)
        )
        (decision,) = await decide_experiment(court.services, court.actor, experiment)
        told = {note["name"]: note["text"] for note in decision.evidence["exceptions"]}
        assert JUDGE in told["floating"]
        assert not decision.binding
