"""What ships about known model families: limits, parameter facts, which names are snapshots.

Only what the makers publish stands here, each family with its source; a model that fits no
family has no facts, and `app.core.parameters` then assumes the least. A catalog entry can
say otherwise at any time. Nothing here is a price.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.core.parameters import ModelFacts, ParameterFact

__all__ = ["PROVIDERS", "family_facts", "family_name", "is_floating", "is_local"]

PROVIDERS = ("openai", "ollama", "simulated")

_DATE = r"(-\d{4}-\d{2}-\d{2})?"
_UNSUPPORTED = ParameterFact(unsupported=True)

# Reasoning is written into the same budget as the answer. OpenAI's guide on reasoning models
# recommends 25,000 tokens for both to begin with; with the house's 1,024 many answers are empty.
_REASONING_BUDGET = 25_000

# OpenAI, reference of chat completions: there is no top_k; reasoning_effort is for reasoning
# models only.
_CHAT: Mapping[str, ParameterFact] = {
    "top_k": _UNSUPPORTED,
    "reasoning_effort": _UNSUPPORTED,
}

# OpenAI, reference of chat completions: max_tokens is deprecated for max_completion_tokens and not
# compatible with reasoning models. Guide on reasoning models: no penalties, no log probabilities.
_REASONING: Mapping[str, ParameterFact] = {
    "max_tokens": ParameterFact(wire="max_completion_tokens", default=_REASONING_BUDGET),
    "frequency_penalty": _UNSUPPORTED,
    "presence_penalty": _UNSUPPORTED,
    "logprobs": _UNSUPPORTED,
    "top_logprobs": _UNSUPPORTED,
    "top_k": _UNSUPPORTED,
}
_NO_SAMPLING: Mapping[str, ParameterFact] = {"temperature": _UNSUPPORTED, "top_p": _UNSUPPORTED}

# OpenAI, guides on GPT-5.1 and later: sampling is taken only without reasoning, which is what
# these models do when nobody asks for an effort.
_SAMPLING_WITHOUT_EFFORT: Mapping[str, ParameterFact] = {
    "temperature": ParameterFact(exclusive=("reasoning_effort",)),
    "top_p": ParameterFact(exclusive=("reasoning_effort",)),
}


@dataclass(frozen=True)
class _Family:
    """Models whose provider name matches `pattern` as a whole."""

    providers: tuple[str, ...]
    pattern: str
    facts: ModelFacts


def _openai(
    pattern: str, window: int | None, output: int, *parameters: Mapping[str, ParameterFact]
) -> _Family:
    merged = {name: fact for part in parameters for name, fact in part.items()}
    facts = ModelFacts(context_window=window, max_output_tokens=output, parameters=merged)
    return _Family(("openai",), f"({pattern}){_DATE}", facts)


def _open_weights(pattern: str, window: int) -> _Family:
    """Weights that anyone may serve: an answer is bounded by the window alone.

    The name may have an organisation before it and a size, tag or format after it. A server
    may be configured for a smaller window than the model was made for.
    """
    facts = ModelFacts(context_window=window, max_output_tokens=window)
    return _Family(
        ("ollama", "openai"), rf"(?i:([^:]*/)?{pattern}([-:_.][A-Za-z0-9._:-]*)?)", facts
    )


# What holds for every model of a provider. Ollama's API has neither: it answers once, and would
# ignore both without a word.
_OF_PROVIDER: Mapping[str, Mapping[str, ParameterFact]] = {
    "ollama": {"n": _UNSUPPORTED, "verbosity": _UNSUPPORTED},
}

# Windows and outputs of OpenAI's models: their pages in its model reference.
_FAMILIES: tuple[_Family, ...] = (
    _Family(
        ("openai",),
        "gpt-4o-2024-05-13",
        ModelFacts(context_window=128_000, max_output_tokens=4_096, parameters=dict(_CHAT)),
    ),
    _openai(r"gpt-4o(-mini)?", 128_000, 16_384, _CHAT),
    _openai(r"gpt-4\.1(-mini|-nano)?", 1_047_576, 32_768, _CHAT),
    _openai(r"o1|o3-mini", 200_000, 100_000, _REASONING, _NO_SAMPLING),
    # SDK's reference of `stop`: not supported with o3 and o4-mini.
    _openai(r"o3|o4-mini", 200_000, 100_000, _REASONING, _NO_SAMPLING, {"stop": _UNSUPPORTED}),
    # The API's own refusal: "does not support 0.2 with this model. Only the default (1)".
    _openai(
        r"gpt-5(-mini|-nano)?",
        400_000,
        128_000,
        _REASONING,
        {"temperature": ParameterFact(fixed=1), "top_p": _UNSUPPORTED},
    ),
    _openai(r"gpt-5\.[12]", 400_000, 128_000, _REASONING, _SAMPLING_WITHOUT_EFFORT),
    _openai(r"gpt-5\.4", 1_050_000, 128_000, _REASONING, _SAMPLING_WITHOUT_EFFORT),
    _openai(r"gpt-5\.4-(mini|nano)", 400_000, 128_000, _REASONING, _NO_SAMPLING),
    _openai(r"gpt-5\.5", None, 128_000, _REASONING, _NO_SAMPLING),
    _openai(r"gpt-5\.6(-sol|-terra|-luna)?", 1_050_000, 128_000, _REASONING, _NO_SAMPLING),
    _openai(r"gpt-6(\.[12])?-(astra|sol|terra|luna)", 1_050_000, 128_000, _REASONING, _NO_SAMPLING),
    # Windows of open weights: the makers' model cards.
    _open_weights(r"(meta-)?llama-?3\.[123]", 131_072),
    _open_weights(r"gemma-?3(?![-:](1b|270m))", 131_072),
    _open_weights(r"qwen-?2\.5(?!.*(math|vl|omni|1m))", 32_768),
    _open_weights(r"gpt-oss[-:](20b|120b)", 131_072),
    _open_weights(r"phi-?4(?!-(mini|reasoning|multimodal))", 16_384),
    # Our own provider answers briefly; the bound is what it enforces of itself.
    _Family(("simulated",), r".+", ModelFacts(context_window=32_768, max_output_tokens=4_096)),
)

# Names that providers promise not to change: a date at the end (2024-08-06, 20250514, or the
# older 0613, with or without -preview), a fine-tuned model's own id, a hash of the weights.
_SNAPSHOT = re.compile(
    r".*-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})(-preview)?|ft:.+:.+|.*[@:-](sha256[:-])?[0-9a-f]{12,64}"
)

_OLLAMA_CLOUD = re.compile(r".*[-:]cloud")  # tags of models that run on Ollama's own machines


def family_facts(provider: str, provider_model: str) -> ModelFacts:
    """Return what is known of a model by its provider's name; empty facts if nothing is."""
    found = ModelFacts()
    for family in _FAMILIES:
        if provider in family.providers and re.fullmatch(family.pattern, provider_model):
            found = family.facts
            break
    parameters = {**_OF_PROVIDER.get(provider, {}), **found.parameters}
    return found.model_copy(update={"parameters": parameters})


_OF_OPENAI = re.compile(r"(gpt|chatgpt|o\d|text-davinci|davinci)")
_FIRST_WORD = re.compile(r"(?:meta-)?([a-z]+)")


def family_name(provider: str, provider_model: str) -> str:
    """Return the family that a model seems to be of, such as `gpt` or `llama`.

    By its name alone: models of one family share training and taste, whoever serves them. What
    has no word in its name is a family of its own.
    """
    if provider == "simulated":
        return provider
    name = provider_model.lower().removeprefix("ft:").rpartition("/")[2]
    if _OF_OPENAI.match(name):
        return "gpt"
    found = _FIRST_WORD.match(name)
    return found[1] if found else name


def is_floating(provider: str, provider_model: str, digest: str | None) -> bool:
    """Whether the provider may put another model behind this name.

    A digest pins a model, and so does a name that is a snapshot. Simulated models change
    only with our code.
    """
    if provider == "simulated" or digest is not None:
        return False
    return provider != "openai" or not _SNAPSHOT.fullmatch(provider_model)


def is_local(provider: str, provider_model: str) -> bool:
    """Whether a call costs nothing because it runs on the user's own machines."""
    if provider == "ollama":
        return not _OLLAMA_CLOUD.fullmatch(provider_model)
    return provider == "simulated"
