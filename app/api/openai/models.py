"""The shape in which models are listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.served_models import ServedModel

__all__ = ["ModelList", "ModelObject", "model_list", "model_object"]

_OWN: Final = "prompt-workbench"


class ModelObject(BaseModel):
    """What may be named as `model`."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="an alias, or the reference of a model version")
    object: Literal["model"] = "model"
    created: int = Field(description="when it was made, in seconds since 1970")
    owned_by: str = Field(description="a model's provider; of an alias, this product")
    shutdown_date: str | None = Field(
        default=None, description="the day, as 2027-01-31, on which the model is served no longer"
    )


class ModelList(BaseModel):
    """Everything that the caller may name as `model`."""

    model_config = ConfigDict(frozen=True)

    object: Literal["list"] = "list"
    data: list[ModelObject]


def model_object(served: ServedModel) -> ModelObject:
    """Return a served model in OpenAI's shape."""
    return ModelObject(
        id=served.name,
        created=int(served.created_at.timestamp()),
        owned_by=served.owner or _OWN,
        shutdown_date=served.sunset_at and f"{served.sunset_at:%Y-%m-%d}",
    )


def model_list(served: Sequence[ServedModel]) -> ModelList:
    """Return served models in OpenAI's shape."""
    return ModelList(data=[model_object(model) for model in served])
