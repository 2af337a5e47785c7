"""`run --estimate`, `--budget` and `--yes`, `resume --budget` as they are typed."""

from __future__ import annotations

import os
import pty
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.command_line import CommandLine, arithmetic_workspace
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from workbench.cli.main import app

ASK = (
    "run", "--dataset", "sums@1", "--prompt", "ask@1", "--model", "openai/fake-model",
    "--scorer", "numeric_answer", "--concurrency", "20", "--progress", "plain",
)  # fmt: skip
EXAMPLES = 250


@pytest.fixture
def server() -> Iterator[FakeProviderProcess]:
    with FakeProviderProcess(ProviderOptions(answer="arithmetic", latency_ms=5)) as started:
        yield started


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two workspaces to copy: the model without a price, and at $10 per million tokens."""
    plain, priced = (tmp_path_factory.mktemp(name) for name in ("plain", "priced"))
    arithmetic_workspace(plain, EXAMPLES, {})
    shutil.copytree(plain, priced, dirs_exist_ok=True)
    line = CommandLine(priced)
    line.run("models", "add", "openai/fake-model")
    line.run("models", "price", "openai/fake-model", "--input", "10", "--output", "10")
    return plain, priced


def at_work(template: Path, folder: Path, server: FakeProviderProcess) -> CommandLine:
    shutil.copytree(template, folder, dirs_exist_ok=True)
    environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.base_url}
    return CommandLine(folder, environment)


@pytest.fixture
def unpriced(
    templates: tuple[Path, Path], tmp_path: Path, server: FakeProviderProcess
) -> CommandLine:
    return at_work(templates[0], tmp_path, server)


@pytest.fixture
def line(templates: tuple[Path, Path], tmp_path: Path, server: FakeProviderProcess) -> CommandLine:
    return at_work(templates[1], tmp_path, server)


def test_an_estimate_spends_nothing_and_stores_no_experiment(
    line: CommandLine, server: FakeProviderProcess
) -> None:
    told = line.run(*ASK, "--estimate")
    assert re.search(r"ask@1 on openai/fake-model@1 +250 .* to \$\d", told)
    found = line.json(*ASK, "--estimate")
    assert found["calls"] == EXAMPLES
    assert 0 < found["cost"]["low"] < found["cost"]["high"] < 5
    assert "No experiment yet" in line.run("experiments", "list")
    assert server.summary()["received"] == 0


def test_an_unknown_cost_of_many_calls_is_not_spent_without_a_word(
    unpriced: CommandLine, server: FakeProviderProcess
) -> None:
    unpriced.run(*ASK, code=2)
    assert "What 250 calls will cost is unknown: openai/fake-model@1 has no price" in (
        unpriced.last_error
    )
    assert "--yes" in unpriced.last_error
    assert "No experiment yet" in unpriced.run("experiments", "list")
    unpriced.run(*ASK, "--limit", "200")  # few enough
    assert server.summary()["received"] == 200
    unpriced.run(*ASK, "--yes")
    assert server.summary()["received"] == 450


def test_an_estimate_above_five_dollars_is_not_spent_without_a_word(
    line: CommandLine, server: FakeProviderProcess
) -> None:
    line.run("models", "price", "openai/fake-model", "--input", "2000", "--output", "2000")
    line.run(*ASK, code=2)
    assert re.search(r"This may cost \$[\d.]+ to \$[\d.]+, and there is nobody", line.last_error)
    assert server.summary()["received"] == 0


def on_a_terminal(line: CommandLine, typed: str, *arguments: str) -> tuple[int, str]:
    """Run a command whose standard input and error are a terminal; answer its question."""
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        with os.fdopen(end, "r+b", buffering=0) as tty:
            started = line.start(*arguments, stdin=tty, stderr=tty)
        shown = b""
        while b"[y/N]" not in shown:
            shown += screen.read(1)
        screen.write(f"{typed}\n".encode())
        # What is read after the last writer has gone is an error on Linux, and nothing elsewhere.
        with suppress(OSError):
            while more := screen.read(4096):
                shown += more
        started.communicate(timeout=60)
    return started.returncode, " ".join(shown.decode().split())


@pytest.mark.parametrize(("typed", "code", "calls"), [("n", 4, 0), ("", 4, 0), ("y", 0, 20)])
def test_on_a_terminal_a_person_is_asked_and_no_is_the_default(
    line: CommandLine, server: FakeProviderProcess, typed: str, code: int, calls: int
) -> None:
    line.run("models", "price", "openai/fake-model", "--input", "9000", "--output", "9000")
    returned, shown = on_a_terminal(line, typed, *ASK, "--limit", "20")
    assert "ask@1 on openai/fake-model@1" in shown  # the estimate comes first
    assert re.search(r"This may cost \$[\d.]+ to \$[\d.]+\. Go on\? \[y/N\]", shown)
    assert returned == code
    assert server.summary()["received"] == calls


def test_a_budget_over_a_model_without_a_price_is_refused_before_the_first_call(
    unpriced: CommandLine, server: FakeProviderProcess
) -> None:
    unpriced.run(*ASK, "--budget", "5", code=2)
    assert "openai/fake-model@1 has no price" in unpriced.last_error
    assert "workbench models price openai/fake-model" in unpriced.last_error
    assert "No experiment yet" in unpriced.run("experiments", "list")
    assert server.summary()["received"] == 0


def test_a_budget_stops_the_run_and_a_larger_one_finishes_it(
    line: CommandLine, server: FakeProviderProcess
) -> None:
    stopped = line.json(*ASK, "--budget", "0.01", code=4)
    assert 0 < stopped["budget"]["spent"] <= stopped["budget"]["amount"] == 0.01
    done = sum(stopped["runs"][0]["counts"].values())
    reached = re.search(
        r"Budget of \$0.01 reached: \$\S+ spent, (\d+) of 250 cells done. "
        r"Go on with: workbench resume 1 --budget (\S+)",
        line.last_error,
    )
    assert reached is not None
    assert int(reached[1]) == done == server.summary()["received"] < EXAMPLES
    assert " of $0.0100" in line.last_error  # the progress

    line.run("resume", "1", "--budget", "0.001", code=2)
    assert "has spent $0.0" in line.last_error
    assert "budget $0.01: $0.00" in line.run("experiments", "show", "1")

    finished = line.json("resume", "1", "--budget", reached[2], "--processes", "2")
    assert finished["runs"][0]["counts"] == {"completed": EXAMPLES}
    assert server.summary()["received"] == EXAMPLES


def test_an_experiment_file_may_carry_its_budget(
    line: CommandLine, server: FakeProviderProcess
) -> None:
    (line.folder / "ask.yaml").write_text(
        "dataset: sums@1\nprompts: [ask@1]\nmodels: [openai/fake-model]\nbudget: 0.005\n"
    )
    stopped = line.json("run", "ask.yaml", code=4)
    assert stopped["budget"]["amount"] == 0.005
    other = line.json("run", "ask.yaml", "--new", "--budget", "0.5")
    assert other["budget"]["amount"] == 0.5


def test_the_lease_of_a_killed_process_counts_and_the_run_goes_on(
    templates: tuple[Path, Path], tmp_path: Path
) -> None:
    slow = ProviderOptions(answer="arithmetic", latency_ms=200)
    with FakeProviderProcess(slow) as server:
        line = at_work(templates[1], tmp_path, server)
        process = line.start(*ASK, "--budget", "1")
        assert process.stderr is not None
        while not re.match(r"progress [1-9]", process.stderr.readline()):
            assert process.poll() is None
        process.kill()
        process.communicate()
        budget = line.json("experiments", "show", "1")["budget"]
        assert budget["leased"] > 0
        finished = line.json("resume", "1", "--concurrency", "50")
        assert "counts as spent" in line.last_error
        assert finished["budget"]["leased"] == 0
        assert finished["budget"]["spent"] >= budget["leased"]
        assert finished["runs"][0]["counts"] == {"completed": EXAMPLES}


def test_scores_beyond_the_look_that_ended_a_sequential_plan_are_not_told(
    line: CommandLine, server: FakeProviderProcess
) -> None:
    (line.folder / "ask.yaml").write_text(
        "dataset: sums@1\nprompts: [ask@1, ask@2]\nmodels: [openai/fake-model]\n"
        "scorers: [numeric_answer]\nplan: {margin: 0.3, mode: sequential}\n"
    )
    told = line.run("run", "ask.yaml", "--concurrency", "20", "--progress", "plain")
    assert "Stopped after 50 of 250 examples" in told
    assert server.summary()["received"] > 100  # calls under way went on
    assert re.search(r"score +\d\S+ % \(\d+ of 50;", told)  # what the verdict rests on
    assert "numeric_answer: " not in told


def test_power_plans_by_a_pilot_and_by_an_experiment_file(line: CommandLine) -> None:
    pilot = (*ASK, "--prompt", "ask@2", "--limit", "60", "--repetitions", "2")
    line.run(*pilot)
    told = line.run(
        "power", "--pilot", "1/ask@1+openai/fake-model", "1/ask@2+openai/fake-model",
        "--margin", "0.03",
    )  # fmt: skip
    assert "To show a loss of less than 3 points" in told
    assert re.search(r"\d examples with 1 answer each: sums@1 has 250, ", told)
    assert "Cost of all variants, from the pilot." in told

    (line.folder / "ask.yaml").write_text(
        "dataset: sums@1\nprompts: [ask@1, ask@2]\nmodels: [openai/fake-model]\n"
        "scorers: [numeric_answer]\nplan: {margin: 0.05}\n"
    )
    planned = line.json("power", "ask.yaml", "--discordant", "0.2", "--unstable", "0.1")
    assert planned["available"] == EXAMPLES
    assert planned["enough"] == {"1": False, "2": False, "4": False}
    assert planned["examples_needed"]["1"] > planned["examples_needed"]["4"] > EXAMPLES
    assert all(cost["low"] > 0 for row in planned["rows"] for cost in row["cost"])
    assert planned["sequential"] is None


def test_power_plans_for_every_candidate_and_for_the_looks_of_a_sequential_plan(
    line: CommandLine,
) -> None:
    line.run("models", "add", "openai/other-model")
    spec = (
        "dataset: sums@1\nprompts: [ask@1, ask@2]\nmodels: [openai/fake-model{more}]\n"
        "scorers: [numeric_answer]\nplan: {{margin: 0.1{mode}}}\n"
    )
    needed = {}
    for name, more in (("one", ""), ("three", ", openai/other-model")):
        (line.folder / "ask.yaml").write_text(spec.format(more=more, mode=""))
        found = line.json("power", "ask.yaml", "--discordant", "0.1")
        needed[name] = found["examples_needed"]["1"], found["question"]["alpha"]
    assert needed["one"][0] < needed["three"][0]
    assert needed["three"][1] == pytest.approx(0.05 / 3)

    (line.folder / "ask.yaml").write_text(spec.format(more="", mode=", mode: sequential, n: 200"))
    told = " ".join(line.run("power", "ask.yaml", "--discordant", "0.1").split())
    assert re.search(r"narrow enough after about \d+ of at most 200 examples", told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--discordant", "0.1"], "--margin 0.03 is 3 points"),
        (["--margin", "0.03"], "name a pilot"),
        (["--margin", "0.03", "--pilot", "no", "run"], "There is no run 'no'"),
        (["--margin", "0.03", "--discordant", "0.1", "--repetitions", "0"], "numbers from 1"),
        (
            ["--margin", "0.03", "--discordant", "0.1", "--agreement", "0.9"],
            "either --discordant or --agreement",
        ),
        (["--superiority", "--discordant", "0.1"], "by how much you expect"),
    ],
)
def test_power_says_what_it_lacks(
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    result = CliRunner().invoke(app, ["power", *arguments])
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
