"""Where nothing differs, the whole path from the record to the verdict seldom sees a difference.

`tests/benchmarks/test_compare.py` runs the same with thousands of experiments.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.bootstrap import Services, open_services
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from tests.null_experiments import false_alarm_share

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(
        workspace=tmp_path,
        database_url=database_url,
        endpoints={"simulated": EndpointSettings(provider="simulated")},
    )
    async with open_services(settings) as opened:
        yield opened


async def test_pass_or_fail_without_a_difference_is_seldom_called_different(
    services: Services, actor: Actor
) -> None:
    share = await false_alarm_share(services, actor, experiments=120, n_examples=30)
    assert share <= 0.05 + 3 * (0.05 * 0.95 / 120) ** 0.5


async def test_repetitions_are_no_examples(services: Services, actor: Actor) -> None:
    share = await false_alarm_share(services, actor, experiments=60, n_examples=24, repetitions=8)
    assert share <= 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5


async def test_taking_repetitions_for_examples_would_be_fooled(
    services: Services, actor: Actor
) -> None:
    share = await false_alarm_share(
        services, actor, experiments=60, n_examples=24, repetitions=8, pooled=True
    )
    assert share > 0.2
