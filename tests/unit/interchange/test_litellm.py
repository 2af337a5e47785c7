"""Models from a LiteLLM configuration: what becomes an entry, what is named instead."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.core.settings import EndpointSettings
from app.schemas.models import ModelDeclaration
from workbench.interchange.litellm import ImportedModels, read_litellm

CONFIG = """\
model_list:
  - model_name: gpt-4.1
    litellm_params: {model: openai/gpt-4.1, api_key: os.environ/OPENAI_API_KEY, rpm: 60}
    model_info: {max_output_tokens: 32768, max_input_tokens: 1047576}
  - model_name: our-llama
    litellm_params:
      model: hosted_vllm/meta-llama/Llama-3.1-8B-Instruct
      api_base: http://10.0.0.5:8000/v1
      api_key: os.environ/LLAMA_KEY
    model_info: {input_cost_per_token: 0.0000002, output_cost_per_token: 0.0000006, mode: chat}
  - model_name: second-llama
    litellm_params: {model: openai/llama-3, api_base: "http://10.0.0.5:8000/v1"}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4}
  - model_name: gpt-4.1
    litellm_params: {model: openai/gpt-4.1}
  - model_name: local
    litellm_params: {model: ollama_chat/qwen3}
  - model_name: from-environment
    litellm_params: {model: openai/x, api_base: os.environ/BASE}
router_settings: {routing_strategy: least-busy}
"""


@pytest.fixture
def imported() -> ImportedModels:
    return read_litellm(CONFIG, source="config.yaml", valid_from="2026-01-01")


def test_models_become_entries_that_models_yaml_takes(imported: ImportedModels) -> None:
    assert list(imported.models) == [
        {"model": "openai/gpt-4.1", "max_output_tokens": 32768, "context_window": 1047576},
        {
            "model": "openai/our-llama",
            "provider_model": "meta-llama/Llama-3.1-8B-Instruct",
            "endpoint": "our-llama",
            "prices": [{"from": "2026-01-01", "input": 0.2, "output": 0.6}],
        },
        {"model": "openai/second-llama", "provider_model": "llama-3", "endpoint": "our-llama"},
        {"model": "ollama/qwen3"},
        {"model": "openai/from-environment", "provider_model": "x"},
    ]
    for entry in imported.models:
        ModelDeclaration.model_validate(entry)


def test_one_address_is_one_endpoint_that_workbench_yaml_takes(imported: ImportedModels) -> None:
    shape = {"provider": "openai", "base_url": "http://10.0.0.5:8000/v1"}
    assert imported.endpoints == {"our-llama": shape}
    assert imported.keys == {"our-llama": "LLAMA_KEY"}
    EndpointSettings.model_validate(shape)


def test_what_has_no_counterpart_is_named(imported: ImportedModels) -> None:
    lost = {loss.path: loss.why for loss in imported.report}
    assert "WORKBENCH_ENDPOINT_OUR_LLAMA_API_KEY" in lost["model_list[1].litellm_params.api_key"]
    assert "OpenAI's protocol" in lost["model_list[3]"]
    assert "there already" in lost["model_list[4]"]
    assert "environment is not read" in lost["model_list[6].litellm_params.api_base"]
    assert set(lost) >= {
        "model_list[0].litellm_params.api_key",
        "model_list[0].litellm_params.rpm",
        "model_list[1].model_info.mode",
        "router_settings",
    }


def test_a_file_without_models_is_refused() -> None:
    with pytest.raises(Invalid, match="model_list"):
        read_litellm("litellm_settings: {}", source="config.yaml", valid_from="2026-01-01")


def read_one(deployment: str) -> ImportedModels:
    return read_litellm(
        f"model_list:\n  - {deployment}\n", source="config.yaml", valid_from="2026-01-01"
    )


@pytest.mark.parametrize("address", ["http://[", "https://user:word@host/v1", "ftp://host"])
def test_what_is_no_plain_address_is_named_and_never_an_endpoint(address: str) -> None:
    imported = read_one(
        f"{{model_name: a, litellm_params: {{model: openai/a, api_base: '{address}'}}}}"
    )

    assert not imported.endpoints
    assert [loss.path for loss in imported.report] == ["model_list[0].litellm_params.api_base"]
    assert address not in str(imported.report)


def test_a_second_price_that_differs_is_named() -> None:
    same, other = "0.000001", "0.000002"
    imported = read_one(
        f"{{model_name: a, litellm_params: {{model: openai/a, input_cost_per_token: {same}, "
        f"output_cost_per_token: {same}}}, model_info: {{input_cost_per_token: {same}, "
        f"output_cost_per_token: {other}}}}}"
    )

    (entry,) = imported.models
    assert entry["prices"] == [{"from": "2026-01-01", "input": 1.0, "output": 2.0}]
    assert [loss.path for loss in imported.report] == [
        "model_list[0].litellm_params.output_cost_per_token"
    ]
