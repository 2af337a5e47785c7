"""Settings: one frozen object, read once at the composition root and passed in.

Sources, the first wins: environment (`WORKBENCH_*`, and the names every provider's users
already have: `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OLLAMA_HOST`), the workspace's `.env`,
the workspace's `workbench.yaml`. Keys are `SecretStr`, come from the environment only and
are never stored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from app.core.errors import ConfigurationError
from app.core.security import SHORTEST_KEY_SECRET

__all__ = [
    "HMAC_KEY_FILE",
    "WORKSPACE_MARKER",
    "AuthSettings",
    "CallLimits",
    "ChatSettings",
    "DashboardSettings",
    "EndpointSettings",
    "Settings",
    "load_settings",
]

WORKSPACE_MARKER = "workbench.yaml"
HMAC_KEY_FILE = ".workbench-key-secret"
"""Beside the marker, readable by its owner alone; `WORKBENCH_KEY_SECRET` goes before it."""
_WORKSPACE_VERSION = 1
_PREFIX = "WORKBENCH_"
_PLAIN = (
    "host",
    "port",
    "log_level",
    "cors_origins",
    "trusted_hosts",
    "max_body_bytes",
    "max_import_bytes",
    "body_timeout_s",
)  # settings that the file and the environment write alike
_KEY = re.compile(r"[!-~]+")  # printable ASCII, as a header can carry it
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
    of ours. `chat_share` of it is kept for chats: experiments leave it alone. `max_concurrency`
    bounds adaptive concurrency and the connection pool.
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
    chat_share: float = Field(default=0.3, ge=0, lt=1, description="of the quota")
    max_concurrency: int = Field(default=200, ge=1, le=2000)
    limits: CallLimits = Field(default_factory=CallLimits)


class ChatSettings(BaseModel):
    """How chats in production are carried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_messages: int = Field(default=2_000, ge=1, description="of one request")
    max_message_characters: int = Field(default=200_000, ge=1, description="of one text")
    drain_s: float = Field(
        default=30, ge=0, description="how long an answer is read on whose client is gone"
    )
    most_draining: int = Field(default=16, ge=0, description="such answers at once")
    keep_keys_s: float = Field(
        default=86_400, gt=0, description="how long an idempotency key stands for its request"
    )
    sweep_s: float = Field(default=30, gt=0, description="between two searches for lost calls")


class AuthSettings(BaseModel):
    """The identity provider whose tokens sign people in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jwks_url: str = Field(
        pattern=r"^(https://[^\s@]+|http://(127\.0\.0\.1|localhost|\[::1\])[:/][^\s@]*)$",
        description="where it publishes its keys: https, or http on this machine",
    )
    issuer: str = Field(min_length=1, description="what its tokens carry as `iss`")
    audience: str = Field(min_length=1, description="what tokens meant for us carry as `aud`")


class DashboardSettings(BaseModel):
    """How people reach the dashboard, and where they sign in by OpenID Connect.

    `client_id`, `client_secret` and `metadata_url` come together: who asks the identity provider,
    and the address of its discovery document. The secret is read from the environment only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(default=8801, ge=0, le=65535)
    url: str | None = Field(
        default=None,
        pattern=r"^(https://[A-Za-z0-9.\-:]+|http://(127\.0\.0\.1|localhost)(:\d+)?)/?$",
        description="as people reach it through a proxy, as https://workbench.example.com",
    )
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = Field(default=None, min_length=1)
    metadata_url: str | None = Field(
        default=None, pattern=r"^(https://[^\s@]+|http://(127\.0\.0\.1|localhost)[:/][^\s@]*)$"
    )


class Settings(BaseModel):
    """Everything the product reads from outside, frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Path = Field(description="the folder that holds workbench.yaml")
    database_url: str = Field(
        description="sqlite+aiosqlite:///PATH or postgresql+asyncpg://...", repr=False
    )
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings)
    host: str = "127.0.0.1"
    port: int = Field(default=8800, ge=0, le=65535)
    log_level: str = "WARNING"
    cors_origins: tuple[str, ...] = Field(
        default=(), description="whose scripts may call the API, as https://a.example; none"
    )
    trusted_hosts: tuple[str, ...] = Field(
        default=(), description="the host names that the API answers to; empty is all"
    )
    max_body_bytes: int = Field(default=4 * 1024 * 1024, gt=0, description="of a request")
    max_import_bytes: int = Field(
        default=64 * 1024 * 1024, gt=0, description="of a request that imports a dataset"
    )
    body_timeout_s: float = Field(default=60, gt=0, description="for a body to arrive")
    auth: AuthSettings | None = Field(
        default=None, description="an identity provider; without one only API keys sign in"
    )
    key_secret: SecretStr | None = Field(
        default=None, min_length=SHORTEST_KEY_SECRET, description="what API keys are stored under"
    )

    @field_validator("cors_origins", "trusted_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Read the environment's form, `a,b`."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

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
            auth=file.get("auth"),
            dashboard=_dashboard(env, file),
            key_secret=_key_secret(env, workspace),
            **{
                name: env.get(_PREFIX + name.upper(), file.get(name))
                for name in _PLAIN
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
    try:
        from_file = dotenv_values(file) if file.is_file() else {}
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not written in UTF-8: save it as UTF-8.") from None
    return {**{k: v for k, v in from_file.items() if v is not None}, **given}


def _marker(workspace: Path) -> dict[str, object]:
    path = workspace / WORKSPACE_MARKER
    if not path.is_file():
        return {}
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not written in UTF-8: save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise ConfigurationError(f"{path}{line} is no valid YAML: {why}.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigurationError(f"{path} must hold a mapping of settings.")
    known = {"workspace_version", "database_url", "endpoints", "auth", "dashboard", *_PLAIN}
    if unknown := sorted(set(map(str, loaded)) - known):
        raise ConfigurationError(
            f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}."
        )
    version = loaded.get("workspace_version", _WORKSPACE_VERSION)
    if type(version) is not int or version != _WORKSPACE_VERSION:
        raise ConfigurationError(
            f"{path}: workspace_version is {version!r} and this workbench reads "
            f"{_WORKSPACE_VERSION} only: install the version that wrote the workspace, or write "
            f"workspace_version: {_WORKSPACE_VERSION}.",
            path="workspace_version",
        )
    return loaded


def _dashboard(env: Mapping[str, str], file: Mapping[str, object]) -> dict[str, object]:
    """Return the section of the file; the environment goes before it and holds the secret."""
    declared = file.get("dashboard") or {}
    if not isinstance(declared, dict) or "client_secret" in declared:
        raise ConfigurationError(
            "dashboard must be a mapping without client_secret: set "
            f"{_PREFIX}DASHBOARD_CLIENT_SECRET in the environment or in .env.",
            path="dashboard",
        )
    variables = {
        name: env[f"{_PREFIX}DASHBOARD_{name.upper()}"]
        for name in DashboardSettings.model_fields
        if env.get(f"{_PREFIX}DASHBOARD_{name.upper()}")
    }
    return {**{str(name): value for name, value in declared.items()}, **variables}


def _key_secret(env: Mapping[str, str], workspace: Path) -> str | None:
    """Return the secret of the environment, else of the file that `users bootstrap` makes."""
    if given := env.get(_PREFIX + "KEY_SECRET"):
        return given
    file = workspace / HMAC_KEY_FILE
    if not file.is_file():
        return None
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"{file} can be read by others than its owner.",
            path="key_secret",
            hint=f"Run chmod 600 {file}",
        )
    return file.read_text(encoding="utf-8", errors="replace").strip()


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
    sources: dict[tuple[str, str], str] = {}
    common = {"openai": ("OPENAI_BASE_URL", "OPENAI_API_KEY"), "ollama": ("OLLAMA_HOST", None)}
    for name, (url, key) in common.items():
        if env.get(url):
            shapes[name]["base_url"] = _with_scheme(env[url])
            sources[name, "base_url"] = url
        if key and env.get(key):
            shapes[name]["api_key"] = env[key]
            sources[name, "api_key"] = key
    for name, shape in shapes.items():
        for field in ("base_url", "api_key", "proxy", "ca_file"):
            if value := env.get(_variable(name, field)):
                shape[field] = value
                sources[name, field] = _variable(name, field)
        if headers := env.get(_variable(name, "extra_headers")):
            shape["extra_headers"] = _headers(name, headers)
    endpoints = {name: EndpointSettings.model_validate(shape) for name, shape in shapes.items()}
    for name, endpoint in endpoints.items():
        _check_addresses(name, endpoint, sources)
        _check_secrets(name, endpoint, sources)
    return endpoints


def _check_addresses(
    name: str, endpoint: EndpointSettings, sources: Mapping[tuple[str, str], str]
) -> None:
    """Refuse an address that no call can reach; the message never repeats it: it may hold a key."""
    for field, address in (("base_url", endpoint.base_url), ("proxy", endpoint.proxy)):
        source = sources.get((name, field), f"endpoints.{name}.{field} in {WORKSPACE_MARKER}")
        if address is not None and not _is_http(address):
            raise ConfigurationError(
                f"{source} must be an address such as http://127.0.0.1:8000/v1: http or https, "
                "a host, and no control characters.",
                path=f"endpoints.{name}.{field}",
            )
    if endpoint.base_url and endpoint.api_key and "@" in urlsplit(endpoint.base_url).netloc:
        source = sources.get((name, "base_url"), f"endpoints.{name}.base_url in {WORKSPACE_MARKER}")
        raise ConfigurationError(
            f"{source} holds a user or password and {sources[name, 'api_key']} a key: a call can "
            "carry one of them only, so remove the other.",
            path=f"endpoints.{name}.base_url",
        )


def _check_secrets(
    name: str, endpoint: EndpointSettings, sources: Mapping[tuple[str, str], str]
) -> None:
    """Refuse a key or header that HTTP cannot carry; the message never repeats it."""
    if endpoint.api_key and not _KEY.fullmatch(endpoint.api_key.get_secret_value()):
        raise ConfigurationError(
            f"{sources[name, 'api_key']} has a space, a line break or another character that no "
            "key has: set it to the key alone.",
            path=f"endpoints.{name}.api_key",
        )
    for header, value in endpoint.extra_headers.items():
        if not _HEADER_NAME.fullmatch(header) or _CONTROL.search(value.get_secret_value()):
            raise ConfigurationError(
                f"{_variable(name, 'extra_headers')} holds a header that HTTP cannot carry: write "
                "Name=value,Other=value without line breaks and control characters.",
                path=f"endpoints.{name}.extra_headers",
            )


def _is_http(address: str) -> bool:
    if _CONTROL.search(address) or " " in address:
        return False
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that does not close
        return False


def _variable(endpoint: str, field: str) -> str:
    return f"{_PREFIX}ENDPOINT_{endpoint.upper().replace('-', '_')}_{field.upper()}"


def _with_scheme(address: str) -> str:
    """`OLLAMA_HOST` may be `host:port`; `0.0.0.0` or no host when it configures the server."""
    url = address if "://" in address else f"http://{address}"
    return re.sub(r"://(0\.0\.0\.0|(?=:\d))", "://127.0.0.1", url)


def _headers(endpoint: str, text: str) -> dict[str, str]:
    """Read `Name=value,Other=value`."""
    pairs = [item.partition("=") for item in text.split(",") if item.strip()]
    if any(not separator for _, separator, _ in pairs):
        raise ConfigurationError(
            f"{_variable(endpoint, 'extra_headers')} must be written Name=value,Other=value."
        )
    return {name.strip(): value.strip() for name, _, value in pairs}
