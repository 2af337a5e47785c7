"""`workbench score` as it is typed."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import arithmetic_workspace
from tests.fake_provider import FakeProviderProcess, ProviderOptions

MODEL = "openai/fake-model"


def test_a_judge_that_is_asked_later_spends_from_the_budget_of_the_experiment(
    tmp_path: Path,
) -> None:
    with FakeProviderProcess(ProviderOptions(answer="arithmetic")) as server:
        environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.base_url}
        line = arithmetic_workspace(tmp_path, 4, environment)
        line.run("models", "add", MODEL)
        line.run("models", "price", MODEL, "--input", "10", "--output", "10")
        line.run(
            *("run", "--dataset", "sums@1", "--prompt", "ask@1", "--model", MODEL),
            *("--budget", "0.02"),
        )
        calls = server.summary()["received"]

        line.run("score", "latest", "--scorer", f"judge_correctness:model={MODEL}", code=2)

        assert "budget" in line.last_error
        assert server.summary()["received"] == calls == 4
