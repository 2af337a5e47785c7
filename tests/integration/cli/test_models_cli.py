"""`workbench models` and `workbench variants` as they are typed, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import open_services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from app.schemas.prompts import PromptContent
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from workbench.cli.main import app
from workbench.workspace.models_file import read_models_file

MODELS_FILE = """\
models:
  - model: openai/gpt-4.1
    parameters:
      temperature: {maximum: 1}
  - model: openai/our-llama
    provider_model: meta-llama/Llama-3.1-8B-Instruct
    endpoint: vllm
    prices:
      - {from: 2026-01-01, input: 0.10, output: 0.20}
"""

Command = Callable[..., str]


@pytest.fixture
def workspace(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace folder over this test's database, entered."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OLLAMA_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "120")
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "workbench.yaml").write_text(
        "workspace_version: 1\n"
        "endpoints:\n"
        "  vllm: {provider: openai, base_url: 'http://127.0.0.1:9/v1'}\n"
    )
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def models(workspace: Path) -> Command:
    return _command("models")


@pytest.fixture
def variants(workspace: Path) -> Command:
    return _command("variants")


def _command(group: str) -> Command:
    def run(*arguments: str, code: int = 0) -> str:
        """Return what was printed on standard output, or on standard error if it must fail."""
        result = CliRunner().invoke(app, [group, *arguments])
        assert result.exit_code == code, result.output
        return result.stderr if code else result.stdout

    return run


def shown(models: Command, model: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(models("show", model, "--format", "json"))
    return answer


# sync


def test_sync_brings_the_catalog_to_the_file_and_says_what_changed(
    models: Command, workspace: Path
) -> None:
    (workspace / "models.yaml").write_text(MODELS_FILE)
    first = models("sync")
    assert "openai/our-llama@1: added" in first
    assert "calls meta-llama/Llama-3.1-8B-Instruct at endpoint vllm, floating" in first
    assert "2 in models.yaml: 2 added." in first
    assert "2 in models.yaml: 2 unchanged." in models("sync")
    changed = MODELS_FILE.replace("maximum: 1", "maximum: 0.9")
    (workspace / "models.yaml").write_text(changed)
    assert "parameters.temperature: at most 1 -> at most 0.9" in models("sync")
    other = MODELS_FILE.replace("endpoint: vllm", "endpoint: openai")
    (workspace / "models.yaml").write_text(other)
    assert "openai/our-llama@2: new version" in models("sync")


def test_a_dry_run_writes_nothing(models: Command, workspace: Path) -> None:
    (workspace / "models.yaml").write_text(MODELS_FILE)
    assert "2 added" in models("sync", "--dry-run")
    assert json.loads(models("list", "--format", "json")) == []


def test_sync_takes_another_file(models: Command, workspace: Path) -> None:
    (workspace / "more.yaml").write_text("models:\n  - model: simulated/small\n")
    assert "simulated/small@1: added" in models("sync", "more.yaml")


def test_a_file_that_is_wrong_is_told_with_its_line_and_changes_nothing(
    models: Command, workspace: Path
) -> None:
    (workspace / "models.yaml").write_text(MODELS_FILE + "    api_key: sk-canary\n")
    told = models("sync", code=2)
    assert "models.yaml, line 10: models[1].api_key: keys and headers are never read" in told
    assert "canary" not in told
    assert json.loads(models("list", "--format", "json")) == []


def test_a_workspace_without_the_file_is_told_what_else_to_do(models: Command) -> None:
    assert "workbench models add openai/gpt-4.1" in models("sync", code=2)


def test_a_file_that_names_no_model_says_so(models: Command, workspace: Path) -> None:
    (workspace / "models.yaml").write_text("models: []\n")
    assert models("sync") == "models.yaml names no model.\n"


# list and show


def test_an_empty_catalog_says_what_to_do(models: Command) -> None:
    assert "Add one: workbench models add openai/gpt-4.1" in models("list")


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_list_says_limits_prices_and_what_is_out_of_the_ordinary(
    models: Command, workspace: Path, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    (workspace / "models.yaml").write_text(MODELS_FILE)
    models("sync")
    models("add", "simulated/small")
    models("add", "openai/unheard-of-model-with-a-rather-long-name-2026-01-01")
    lines = models("list").splitlines()
    assert lines[0].split() == ["model", "most", "output", "$", "in", "$", "out", "remarks"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:-1] if line[0] != " "}
    assert rows["openai/our-llama@1"] == ["131,072", "0.1", "0.2", "floating,", "at", "vllm"]
    assert rows["simulated/small@1"] == ["4,096", "0", "0", "simulated"]
    assert "unknown" in models("list")
    assert lines[-1] == "$ are US dollars per million tokens."
    assert max(len(line) for line in lines) <= int(columns)


def test_long_names_are_not_cut(models: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "openai/" + "long-" * 20 + "name"
    models("add", name)
    listed = models("list").splitlines()[1:-1]
    assert "".join(line.split()[0] for line in listed if line.strip()).startswith(f"{name}@1")


def test_the_list_has_what_each_name_stands_for_and_the_rest_on_demand(models: Command) -> None:
    models("add", "openai/x")
    models("add", "openai/x", "--provider-model", "x-2026-01-01")
    models("add", "openai/gone")
    models("retire", "openai/gone")
    listed = json.loads(models("list", "--format", "json"))
    assert [m["reference"] for m in listed] == ["openai/x@2"]
    everything = json.loads(models("list", "--all", "--format", "json"))
    assert [m["reference"] for m in everything] == ["openai/gone@1", "openai/x@1", "openai/x@2"]


def test_a_catalog_of_retired_models_says_how_to_see_them(models: Command) -> None:
    models("add", "openai/gone")
    models("retire", "openai/gone")
    assert "retired ones: --all" in models("list")


def test_show_tells_calls_limits_facts_and_prices(models: Command) -> None:
    models("add", "openai/gpt-5")
    text = models("show", "openai/gpt-5")
    for told in (
        "gpt-5 at endpoint openai",
        "no: floating",
        "400,000 tokens",
        "list price",
        "25,000 unless asked otherwise; sent as max_completion_tokens",
        "only 1",
    ):
        assert told in text
    shape = shown(models, "openai/gpt-5@1")
    assert shape["facts"]["parameters"]["temperature"]["fixed"] == 1
    assert shape["price"]["source"] == shape["prices"][0]["source"] == "genai-prices"


def test_show_of_a_model_without_facts_says_what_is_assumed(models: Command) -> None:
    models("add", "openai/unheard-of")
    text = models("show", "openai/unheard-of")
    assert "unknown, 1,024 tokens assumed" in text
    assert "(nothing known)" in text
    assert "price now" in text


def test_text_that_looks_like_markup_is_shown_as_it_is(models: Command, workspace: Path) -> None:
    (workspace / "models.yaml").write_text(
        "models:\n  - {model: openai/x, provider_model: '[red]x[/red]'}\n"
    )
    assert "calls [red]x[/red] at endpoint openai" in models("sync")
    assert "[red]x[/red]" in models("show", "openai/x")


# add and set


def test_add_takes_endpoint_provider_name_and_limits(models: Command) -> None:
    models(
        "add",
        "openai/mine",
        *("--endpoint", "vllm", "--provider-model", "org/Mine-7B"),
        *("--context-window", "8192", "--max-output-tokens", "2048"),
    )
    shape = shown(models, "openai/mine")
    assert (shape["endpoint"], shape["provider_model"]) == ("vllm", "org/Mine-7B")
    assert shape["facts"]["context_window"] == 8192
    assert shape["facts"]["max_output_tokens"] == 2048
    assert models("add", "openai/mine") == "openai/mine@1: unchanged\n"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("gpt-4.1", "write provider/name, as in openai/gpt-4.1"),
        ("azure/gpt-4.1", "is an endpoint of provider openai"),
        ("openai/x@3", "leave out @3"),
    ],
)
def test_add_refuses_what_is_no_model(models: Command, model: str, told: str) -> None:
    assert told in models("add", model, code=2)


def test_the_command_that_mends_the_catalog_after_a_refusal(models: Command) -> None:
    models("add", "openai/new-model")
    told = models("set", "openai/new-model", "--parameter", "temperature=unsupported")
    assert "parameters.temperature: nothing -> not supported" in told
    models(
        "set",
        "openai/new-model@1",
        *("--parameter", "max_tokens=wire:max_completion_tokens"),
        *("--parameter", "top_p=exclusive:top_k"),
        *("--max-output-tokens", "9000"),
    )
    facts = shown(models, "openai/new-model")["facts"]
    assert facts["max_output_tokens"] == 9000
    assert facts["parameters"]["max_tokens"]["wire"] == "max_completion_tokens"
    assert facts["parameters"]["top_p"]["exclusive"] == ["top_k"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Nothing to set"),
        (("--parameter", "temperature"), "Write temperature=unsupported"),
        (("--parameter", "temprature=unsupported"), "is no parameter"),
        (("--parameter", "temperature=fixed:9"), "out of bounds"),
    ],
)
def test_set_refuses_what_makes_no_sense(
    models: Command, arguments: tuple[str, ...], told: str
) -> None:
    models("add", "openai/x")
    assert told in models("set", "openai/x", *arguments, code=2)


# price and retire


def test_a_price_of_ones_own_is_recorded_and_shown(models: Command) -> None:
    models("add", "openai/gpt-4.1")
    told = models(
        "price",
        "openai/gpt-4.1",
        *("--input", "1.50", "--cached-input", "0.15", "--output", "6", "--from", "2026-01-01"),
    )
    assert told == (
        "openai/gpt-4.1@1: 1.5 in, 0.15 cached, 6 out per million tokens "
        "from 2026-01-01 00:00 UTC.\n"
    )
    assert shown(models, "openai/gpt-4.1")["price"]["source"] == "own"
    assert "your own (now)" in models("show", "openai/gpt-4.1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--input", "x", "--output", "1"), "input: Input should be a valid decimal"),
        (("--input=-1", "--output", "1"), "greater than or equal to 0"),
        (("--input", "1", "--output", "1", "--from", "May"), "'May' is no date"),
    ],
)
def test_a_price_that_is_none_is_refused(
    models: Command, arguments: tuple[str, ...], told: str
) -> None:
    models("add", "openai/x")
    assert told in models("price", "openai/x", *arguments, code=2)
    assert shown(models, "openai/x")["prices"] == []


def test_a_retired_model_says_what_comes_after(models: Command) -> None:
    models("add", "openai/old")
    told = models("retire", "openai/old", "--successor", "openai/new", "--sunset", "2999-01-01")
    assert "status: active -> deprecated" in told
    assert "deprecated until 2999-01-01" in models("list")
    models("retire", "openai/old")
    assert "Its successor is openai/new." in models("show", "openai/old", code=2)
    assert shown(models, "openai/old@1")["status"] == "retired"


# probe


@pytest.fixture(scope="module")
def provider() -> Any:
    with FakeProviderProcess(ProviderOptions(models=("llama3.2",), closed=True)) as server:
        yield server


def test_probing_an_ollama_model_pins_it_to_its_digest(
    models: Command, provider: FakeProviderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", provider.ollama_url)
    told = models("probe", "ollama/llama3.2")
    assert "ollama/llama3.2@1: endpoint ollama has llama3.2" in told
    assert "ollama/llama3.2@2: new version" in told
    shape = shown(models, "ollama/llama3.2")
    assert len(shape["digest"].removeprefix("sha256:")) == 64
    assert shape["floating"] is False
    assert "new version" not in models("probe", "ollama/llama3.2")


def test_probing_an_openai_model_says_whether_it_is_there(
    models: Command, provider: FakeProviderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert "endpoint openai has llama3.2." in models("probe", "openai/llama3.2")
    assert "has no model 'gpt-x'" in models("probe", "openai/gpt-x", code=2)


def test_probing_an_endpoint_that_does_not_answer_says_so(
    models: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert "The endpoint ollama gave no answer" in models("probe", "ollama/x", code=2)


# variants


def test_no_variant_yet_says_where_they_come_from(variants: Command) -> None:
    assert "workbench variants make" in variants("list")


def test_a_variant_shows_which_layer_each_parameter_came_from_and_what_is_sent(
    models: Command, variants: Command, workspace: Path
) -> None:
    (workspace / "models.yaml").write_text(
        "models:\n"
        "  - model: openai/strict\n"
        "    parameters:\n"
        "      max_tokens: {wire: max_completion_tokens}\n"
        "      top_p: {unsupported: true}\n"
        "      seed: {default: 3}\n"
    )
    assert read_models_file(workspace / "models.yaml")
    models("sync")
    made = asyncio.run(_variant(workspace, "openai/strict", {"max_tokens": 20}))
    [listed] = json.loads(variants("list", "--format", "json"))
    assert listed["content_hash"] == made
    assert listed["prompt"] == "hello@1"
    assert made.removeprefix("sha256:")[:12] in variants("list")
    text = variants("show", made[7:15])
    rows = {line.split("  ")[0].strip(): " ".join(line.split()) for line in text.splitlines()}
    assert rows["max_tokens"] == "max_tokens 20 experiment yes, as max_completion_tokens"
    assert rows["temperature"] == "temperature 0 prompt version yes"
    assert rows["seed"] == "seed 3 model version yes"
    assert rows["top_p"] == "top_p 0.6 house default no: not supported by the model"
    assert "experiment, prompt version, model version, house default" in " ".join(text.split())
    models("set", "openai/strict", "--parameter", "max_tokens=unsupported")
    assert "Cannot run: max_tokens was asked for by the experiment" in variants("show", made[7:15])
    refused = json.loads(variants("show", made, "--format", "json"))["refused"]
    assert refused == {"max_tokens": "not supported by the model"}


def test_a_variant_that_is_not_there_says_so(variants: Command) -> None:
    assert "There is no variant abcdef" in variants("show", "abcdef", code=2)
    assert "at least 6 digits" in variants("show", "abc", code=2)


async def _variant(workspace: Path, model: str, parameters: dict[str, Any]) -> str:
    async with open_services(load_settings(workspace)) as services:
        actor = local_actor()
        content = PromptContent.model_validate(
            {
                "messages": [{"role": "user", "content": "Say hello."}],
                "parameters": {"temperature": 0},
            }
        )
        prompt = (await services.prompts.register(actor, "hello", content, number=1)).version
        version = await services.models.get(model)
        variant = await services.variants.ensure(actor, prompt, version, parameters)
        return variant.content_hash
