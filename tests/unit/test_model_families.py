"""Facts that ship with the product, and which names are snapshots."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.core.model_families import family_facts, is_floating, is_local
from app.core.parameters import ModelFacts, resolve_parameters


@pytest.mark.parametrize(
    ("name", "window", "output"),
    [
        ("gpt-4o", 128_000, 16_384),
        ("gpt-4o-2024-05-13", 128_000, 4_096),
        ("gpt-4o-2024-08-06", 128_000, 16_384),
        ("gpt-4o-mini", 128_000, 16_384),
        ("gpt-4.1-nano-2025-04-14", 1_047_576, 32_768),
        ("o1-2024-12-17", 200_000, 100_000),
        ("o3-mini", 200_000, 100_000),
        ("gpt-5-mini-2025-08-07", 400_000, 128_000),
    ],
)
def test_limits_of_known_models_ship(name: str, window: int, output: int) -> None:
    known = family_facts("openai", name)
    assert (known.context_window, known.max_output_tokens) == (window, output)


@pytest.mark.parametrize(
    "name", ["gpt-4o", "gpt-4.1", "o1", "o3", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2", "gpt-6-sol"]
)
def test_a_prompt_for_any_model_runs_on_every_known_model(name: str) -> None:
    """What a model does not take was only a default of the prompt, so it is left out."""
    prompt = {"temperature": 0, "max_tokens": 50, "presence_penalty": 0.1, "top_k": 5}
    applied = resolve_parameters({}, prompt, family_facts("openai", name)).applied
    assert applied.get("max_completion_tokens", applied.get("max_tokens")) == 50
    assert "top_k" not in applied


@pytest.mark.parametrize("name", ["o1", "o3", "o4-mini", "gpt-5", "gpt-5.2", "gpt-6.1-terra"])
def test_reasoning_models_are_sent_their_own_name_of_the_limit(name: str) -> None:
    applied = resolve_parameters({}, {}, family_facts("openai", name)).applied
    assert "max_tokens" not in applied
    assert applied["max_completion_tokens"] == 25_000


def test_gpt_5_takes_no_temperature_but_its_own() -> None:
    known = family_facts("openai", "gpt-5")
    assert "temperature" not in resolve_parameters({}, {}, known).applied
    assert resolve_parameters({"temperature": 1}, {}, known).applied["temperature"] == 1
    with pytest.raises(Invalid, match="takes only 1"):
        resolve_parameters({"temperature": 0}, {}, known)


def test_sampling_yields_to_an_effort_where_both_cannot_be_sent() -> None:
    known = family_facts("openai", "gpt-5.2")
    assert resolve_parameters({}, {}, known).applied["temperature"] == 0.2
    asked = resolve_parameters({"reasoning_effort": "high"}, {}, known)
    assert set(asked.applied) == {"reasoning_effort", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("provider", "name", "window"),
    [
        ("ollama", "llama3.2", 131_072),
        ("ollama", "llama3.1:8b-instruct-q4_K_M", 131_072),
        ("openai", "meta-llama/Llama-3.1-8B-Instruct", 131_072),
        ("ollama", "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", 131_072),
        ("ollama", "qwen2.5:7b", 32_768),
        ("openai", "Qwen/Qwen2.5-7B-Instruct", 32_768),
        ("ollama", "gemma3", 131_072),
        ("ollama", "gpt-oss:20b", 131_072),
        ("ollama", "phi4", 16_384),
    ],
)
def test_open_weights_answer_as_long_as_their_window(provider: str, name: str, window: int) -> None:
    known = family_facts(provider, name)
    assert (known.context_window, known.max_output_tokens) == (window, window)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-5-chat-latest"),
        ("openai", "gpt-4oo"),
        ("openai", "my-gpt-4o"),
        ("openai", "gpt-4.1-2025"),
        ("openai", "o3x"),
        ("openai", "qwen2.5-math-7b"),
        ("openai", "phi4-mini"),
        ("openai", "gemma3:1b"),
    ],
)
def test_a_model_of_no_known_family_has_no_facts(provider: str, name: str) -> None:
    assert family_facts(provider, name) == ModelFacts()


def test_ollama_is_never_sent_what_its_api_does_not_have() -> None:
    for name in ("llama3.2", "somebodys-own"):
        assert family_facts("ollama", name).parameters["n"].unsupported


def test_simulated_models_have_facts_whatever_their_name() -> None:
    assert family_facts("simulated", "anything").max_output_tokens == 4_096


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-2024-08-06",
        "gpt-4-0613",
        "gpt-4-1106-preview",
        "claude-sonnet-4-20250514",
        "ft:gpt-4o-mini-2024-07-18:acme::abc123",
        "our-model:0123456789abcdef",
        "our-model@sha256:" + "0" * 64,
    ],
)
def test_names_with_a_date_or_a_hash_are_snapshots(name: str) -> None:
    assert not is_floating("openai", name, None)


@pytest.mark.parametrize(
    "name",
    ["gpt-4o", "gpt-5-mini", "gpt-4o-latest", "meta-llama/Llama-3.1-8B-Instruct", "llama-7b"],
)
def test_other_names_float(name: str) -> None:
    assert is_floating("openai", name, None)


def test_an_ollama_tag_floats_until_its_digest_is_known() -> None:
    assert is_floating("ollama", "llama3.2:3b", None)
    assert not is_floating("ollama", "llama3.2:3b", "a" * 64)


def test_simulated_models_never_float() -> None:
    assert not is_floating("simulated", "small", None)


@pytest.mark.parametrize(
    ("provider", "name", "local"),
    [
        ("ollama", "llama3.2", True),
        ("ollama", "gpt-oss:120b-cloud", False),
        ("ollama", "glm-4.6:cloud", False),
        ("simulated", "small", True),
        ("openai", "gpt-4o", False),
    ],
)
def test_what_runs_on_the_users_machines_is_local(provider: str, name: str, local: bool) -> None:
    assert is_local(provider, name) is local
