"""How the two protocols describe the models that a provider has."""

import hashlib

import orjson

from tests.fake_provider.dialects import CREATED, CREATED_TEXT

__all__ = [
    "model_digest",
    "ollama_description",
    "ollama_model",
    "openai_model",
    "requested_model",
]

_MODEL_BYTES = 1_000_000_000
_CONTEXT_LENGTH = 8192
_DETAILS = {
    "format": "gguf",
    "family": "fake",
    "families": ["fake"],
    "parameter_size": "1B",
    "quantization_level": "Q4_0",
}


def model_digest(model: str) -> str:
    """Return the digest of a model's weights: 64 hexadecimal digits that its name fixes."""
    return hashlib.sha256(model.removesuffix(":latest").encode()).hexdigest()


def openai_model(name: str) -> dict[str, object]:
    """Return an entry of `GET /v1/models`."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}


def ollama_model(name: str, digest: str) -> dict[str, object]:
    """Return an entry of `GET /api/tags`; a name without a tag gets `:latest`."""
    tagged = name if ":" in name else f"{name}:latest"
    return {
        "name": tagged,
        "model": tagged,
        "modified_at": CREATED_TEXT,
        "size": _MODEL_BYTES,
        "digest": digest,
        "details": _DETAILS,
    }


def ollama_description() -> dict[str, object]:
    """Return the reply of `POST /api/show`, alike for every model."""
    return {
        "modelfile": "",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "modified_at": CREATED_TEXT,
        "details": _DETAILS,
        "model_info": {
            "general.architecture": "fake",
            "fake.context_length": _CONTEXT_LENGTH,
        },
        "capabilities": ["completion", "tools"],
    }


def requested_model(body: bytes) -> str:
    """Return the model that a `POST /api/show` asks about, "" if it names none."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    name = payload.get("model") if isinstance(payload, dict) else None
    return name if isinstance(name, str) else ""
