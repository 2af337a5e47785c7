"""Settings: one frozen object, read once at the composition root and passed in.

Sources, the first wins: environment (`WORKBENCH_*`, and the names every provider's users
already have: `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OLLAMA_HOST`), the workspace's `.env`,
the workspace's `workbench.yaml`. Keys are `SecretStr`, come from the environment only and
are never stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from app.core.errors import ConfigurationError

__all__ = ["WORKSPACE_MARKER", "CallLimits", "EndpointSettings", "Settings", "load_settings"]

WORKSPACE_MARKER = "workbench.yaml"
_PREFIX = "WORKBENCH_"


class CallLimits(BaseModel):
    """The five limits of every outward call."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connect_s: float = Field(default=10, gt=0, description="to open a connection")
    first_byte_s: float = Field(default=120, gt=0, description="from request sent to headers")
    idle_s: float = Field(
        default=60, gt=0, description="between two pieces of content; keep-alives do not count"
    )
    total_s: float = Field(default=600, gt=0, description="the whole call")
    max_bytes: int = Field(
        default=16 * 1024 * 1024, gt=0, description="of the reply after decompression"
    )


class EndpointSettings(BaseModel):
    """One account at one provider: address, credentials, network, limits.

    `requests_per_minute` and `tokens_per_minute` are the account's quota; None is no limit
    of ours. `max_concurrency` bounds adaptive concurrency and the connection pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    extra_headers: dict[str, SecretStr] = Field(default_factory=dict)
    ca_file: Path | None = None
    proxy: str | None = None
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    max_concurrency: int = Field(default=200, ge=1, le=2000)
    limits: CallLimits = Field(default_factory=CallLimits)


class Settings(BaseModel):
    """Everything the product reads from outside, frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Path = Field(description="the folder that holds workbench.yaml")
    database_url: str = Field(
        description="sqlite+aiosqlite:///PATH or postgresql+asyncpg://...", repr=False
    )
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = Field(default=8800, ge=0, le=65535)
    log_level: str = "WARNING"

    @property
    def sqlite_path(self) -> Path | None:
        """The database file of an embedded workspace; None on PostgreSQL."""
        prefix = "sqlite+aiosqlite:///"
        if not self.database_url.startswith(prefix):
            return None
        return Path(self.database_url.removeprefix(prefix))


def load_settings(workspace: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of a workspace folder (its `workbench.yaml` may be missing).

    Raises `ConfigurationError` naming the setting that is wrong.
    """
    env = _environment(workspace, environment)
    file = _marker(workspace)
    try:
        return Settings(
            workspace=workspace,
            database_url=_database_url(env, file, workspace),
            endpoints=_endpoints(env, file),
            **{
                name: env.get(_PREFIX + name.upper(), file.get(name))
                for name in ("host", "port", "log_level")
                if _PREFIX + name.upper() in env or name in file
            },
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"Setting {where}: {first['msg']}.", path=where) from None


def _environment(workspace: Path, environment: Mapping[str, str] | None) -> dict[str, str]:
    given = dict(os.environ if environment is None else environment)
    file = workspace / ".env"
    from_file = dotenv_values(file) if file.is_file() else {}
    return {**{k: v for k, v in from_file.items() if v is not None}, **given}


def _marker(workspace: Path) -> dict[str, object]:
    path = workspace / WORKSPACE_MARKER
    if not path.is_file():
        return {}
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is no valid YAML: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"{path} must hold a mapping of settings.")
    known = {"workspace_version", "database_url", "endpoints", "host", "port", "log_level"}
    if unknown := sorted(set(map(str, loaded)) - known):
        raise ConfigurationError(
            f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    return loaded


def _database_url(env: Mapping[str, str], file: Mapping[str, object], workspace: Path) -> str:
    url = env.get(_PREFIX + "DATABASE_URL") or file.get("database_url")
    if url is None:
        return f"sqlite+aiosqlite:///{workspace / 'workbench.db'}"
    text = str(url)
    for plain, driver in _DRIVERS.items():
        if text.startswith(plain):
            text = driver + text.removeprefix(plain)
    if text.startswith("sqlite+aiosqlite:///"):
        path = Path(text.removeprefix("sqlite+aiosqlite:///"))
        return f"sqlite+aiosqlite:///{path if path.is_absolute() else workspace / path}"
    if not text.startswith("postgresql+asyncpg://"):
        raise ConfigurationError(
            "WORKBENCH_DATABASE_URL must begin with sqlite:/// or postgresql://.",
            path="database_url",
        )
    return text


_DRIVERS = {
    "sqlite:///": "sqlite+aiosqlite:///",
    "postgresql://": "postgresql+asyncpg://",
    "postgres://": "postgresql+asyncpg://",
}


def _endpoints(env: Mapping[str, str], file: Mapping[str, object]) -> dict[str, EndpointSettings]:
    """Return the built-in endpoints, then those of the file; the environment fills in secrets."""
    shapes: dict[str, dict[str, object]] = {
        "openai": {"provider": "openai", "base_url": "https://api.openai.com/v1"},
        "ollama": {
            "provider": "ollama",
            "base_url": "http://127.0.0.1:11434",
            "max_concurrency": 8,
        },
        "simulated": {"provider": "simulated"},
    }
    declared = file.get("endpoints") or {}
    if not isinstance(declared, dict):
        raise ConfigurationError("endpoints must be a mapping of names.", path="endpoints")
    for name, shape in declared.items():
        if not isinstance(shape, dict):
            raise ConfigurationError(f"endpoints.{name} must be a mapping.", path="endpoints")
        if {"api_key", "extra_headers"} & set(shape):
            raise ConfigurationError(
                f"endpoints.{name}: keys and headers are not read from a file. Set "
                f"{_variable(str(name), 'API_KEY')} in the environment or in .env.",
                path=f"endpoints.{name}.api_key",
            )
        shapes[str(name)] = {**shapes.get(str(name), {}), **shape}
    common = {"openai": ("OPENAI_BASE_URL", "OPENAI_API_KEY"), "ollama": ("OLLAMA_HOST", None)}
    for name, (url, key) in common.items():
        if env.get(url):
            shapes[name]["base_url"] = _with_scheme(env[url])
        if key and env.get(key):
            shapes[name]["api_key"] = env[key]
    for name, shape in shapes.items():
        for field in ("base_url", "api_key", "proxy", "ca_file"):
            if value := env.get(_variable(name, field)):
                shape[field] = value
        if headers := env.get(_variable(name, "extra_headers")):
            shape["extra_headers"] = _headers(name, headers)
    return {name: EndpointSettings.model_validate(shape) for name, shape in shapes.items()}


def _variable(endpoint: str, field: str) -> str:
    return f"{_PREFIX}ENDPOINT_{endpoint.upper().replace('-', '_')}_{field.upper()}"


def _with_scheme(address: str) -> str:
    """`OLLAMA_HOST` may be `host:port`, and `0.0.0.0` when it configures the server."""
    url = address if "://" in address else f"http://{address}"
    return url.replace("://0.0.0.0", "://127.0.0.1")


def _headers(endpoint: str, text: str) -> dict[str, str]:
    """Read `Name=value,Other=value`."""
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    if any(not separator for _, separator, _ in pairs):
        raise ConfigurationError(
            f"{_variable(endpoint, 'extra_headers')} must be written Name=value,Other=value."
        )
    return {name.strip(): value.strip() for name, _, value in pairs}
