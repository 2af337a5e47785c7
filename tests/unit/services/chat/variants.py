"""A variant as it is served, made without a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.ids import new_id
from app.core.parameters import ModelFacts, resolve_parameters
from app.llm.types import ModelTarget
from app.schemas.prompts import PromptContent
from app.services.rendering import PromptRenderer
from app.services.serving import ServedVariant

FACTS = ModelFacts.model_validate(
    {
        "max_output_tokens": 4_096,
        "parameters": {
            "max_tokens": {"wire": "max_completion_tokens"},
            "top_k": {"unsupported": True},
        },
    }
)


def variant(content: Mapping[str, Any] | None = None) -> ServedVariant:
    told = PromptContent.model_validate(
        {
            "messages": [{"placeholder": "history"}],
            "parameters": {"temperature": 0.5, "max_tokens": 100},
            **(content or {}),
        }
    )
    return ServedVariant(
        variant_id=new_id(),
        variant_hash="sha256:00",
        prompt="p@1",
        prompt_version_id=new_id(),
        content=told,
        renderer=PromptRenderer(told),
        model="openai/m@1",
        model_version_id=new_id(),
        parameters=resolve_parameters({}, told.parameters, FACTS),
        facts=FACTS,
        target=ModelTarget("openai", "openai", "m"),
        price_id=None,
        status="active",
        deprecated_at=None,
        sunset_at=None,
        successor=None,
    )
