"""Settings that cannot work are refused by name, and secrets are never repeated."""

from __future__ import annotations

import string
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ConfigurationError
from app.core.settings import load_settings

KEY = {"OPENAI_API_KEY": "sk-canary"}


def refusal(folder: Path, environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(folder, environment)
    told = str(caught.value)
    assert "canary" not in told
    assert "\n" not in told
    return told


@pytest.mark.parametrize(
    "address",
    ["ftp://canary", "http://", "http://canary:port", "http://ca nary", "http://[::1", "http:x"],
)
@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "WORKBENCH_ENDPOINT_OPENAI_BASE_URL"])
def test_an_address_that_no_call_can_reach_is_refused_by_its_variable(
    tmp_path: Path, variable: str, address: str
) -> None:
    if variable == "OPENAI_BASE_URL" and address == "http:x":
        address = "http://:x"
    assert refusal(tmp_path, {variable: address}).startswith(f"{variable} must be an address")


def test_an_address_of_the_file_is_refused_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text(
        "endpoints: {mine: {provider: openai, base_url: 'ftp://canary'}}\n"
    )
    assert refusal(tmp_path, {}).startswith("endpoints.mine.base_url in workbench.yaml must")


def test_user_and_password_in_the_address_exclude_a_key(tmp_path: Path) -> None:
    address = {"OPENAI_BASE_URL": "http://ann:canary@127.0.0.1/v1"}
    told = refusal(tmp_path, {**address, **KEY})
    assert "OPENAI_BASE_URL" in told
    assert "OPENAI_API_KEY" in told
    load_settings(tmp_path, address)
    load_settings(tmp_path, KEY)


@given(
    before=st.text(string.ascii_letters, min_size=1, max_size=5),
    character=st.one_of(st.integers(0, 32), st.integers(127, 0x2FFF)).map(chr),
)
def test_a_key_with_a_character_that_no_key_has_is_refused(before: str, character: str) -> None:
    with TemporaryDirectory() as folder:
        told = refusal(Path(folder), {"OPENAI_API_KEY": f"{before}{character}canary"})
    assert told.startswith("OPENAI_API_KEY has ")


@pytest.mark.parametrize("headers", ["X-Team=can\x00ary", "X Team=canary", "X-Team=canary\r\nX: 1"])
def test_a_header_that_http_cannot_carry_is_refused(tmp_path: Path, headers: str) -> None:
    variable = "WORKBENCH_ENDPOINT_OPENAI_EXTRA_HEADERS"
    assert refusal(tmp_path, {variable: headers}).startswith(f"{variable} holds a header")


@pytest.mark.parametrize(
    ("given_", "used"),
    [("0.0.0.0:9", "http://127.0.0.1:9"), (":9", "http://127.0.0.1:9"), ("h:9", "http://h:9")],
)
def test_the_address_that_configures_an_ollama_server_is_understood(
    tmp_path: Path, given_: str, used: str
) -> None:
    assert load_settings(tmp_path, {"OLLAMA_HOST": given_}).endpoints["ollama"].base_url == used


@pytest.mark.parametrize("name", [".env", "workbench.yaml"])
def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("A=é\n".encode("latin-1"))
    assert f"{tmp_path / name} is not written in UTF-8" in refusal(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "line"), [("host: a\nport: [1\n", ", line 3"), ("a: b: c\n", ", line 1"), ("\x07", "")]
)
def test_bad_yaml_is_told_in_one_line_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "workbench.yaml").write_text(text)
    assert f"workbench.yaml{line} is no valid YAML" in refusal(tmp_path, {})


@pytest.mark.parametrize("version", ["2", "0", "'1'", "true", "1.0", ""])
def test_a_workspace_of_another_version_is_refused(tmp_path: Path, version: str) -> None:
    (tmp_path / "workbench.yaml").write_text(f"workspace_version: {version}\n")
    assert "workspace_version is" in refusal(tmp_path, {})


def test_a_workspace_of_this_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\nport: 9\n")
    assert load_settings(tmp_path, {}).port == 9


AUTH = "auth:\n  jwks_url: {url}\n  issuer: https://login.example\n  audience: workbench\n"


@pytest.mark.parametrize(
    "url", ["https://login.example/keys", "http://127.0.0.1:9/keys", "http://localhost/keys"]
)
def test_an_identity_provider_is_declared_in_the_file(tmp_path: Path, url: str) -> None:
    (tmp_path / "workbench.yaml").write_text(AUTH.format(url=url))
    auth = load_settings(tmp_path, {}).auth
    assert auth is not None
    assert (auth.jwks_url, auth.issuer, auth.audience) == (
        url,
        "https://login.example",
        "workbench",
    )


@pytest.mark.parametrize(
    "url",
    ["http://login.example/keys", "http://127.0.0.1.example/", "https://user@x/", "file:///k"],
)
def test_keys_of_an_identity_provider_come_over_an_address_that_nobody_can_forge(
    tmp_path: Path, url: str
) -> None:
    (tmp_path / "workbench.yaml").write_text(AUTH.format(url=url))
    assert "jwks_url" in refusal(tmp_path, {})


@pytest.mark.parametrize("missing", ["jwks_url", "issuer", "audience"])
def test_an_identity_provider_is_declared_whole(tmp_path: Path, missing: str) -> None:
    lines = AUTH.format(url="https://login.example/keys").splitlines(keepends=True)
    kept = "".join(line for line in lines if missing not in line)
    (tmp_path / "workbench.yaml").write_text(kept)
    assert f"auth.{missing}" in refusal(tmp_path, {})


def test_the_dashboard_is_set_in_the_file_and_the_environment_goes_before_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "workbench.yaml").write_text(
        "dashboard: {port: 9000, url: 'https://workbench.example.com', client_id: one}\n"
    )
    environment = {"WORKBENCH_DASHBOARD_PORT": "9001", "WORKBENCH_DASHBOARD_CLIENT_SECRET": "abc"}
    found = load_settings(tmp_path, environment).dashboard
    assert (found.port, found.url, found.client_id) == (
        9001,
        "https://workbench.example.com",
        "one",
    )
    assert found.client_secret is not None
    assert "abc" not in repr(found)


@pytest.mark.parametrize(
    "url", ["http://workbench.example.com", "https://a.example/path", "javascript:1", "a.example"]
)
def test_people_reach_the_dashboard_of_a_team_by_https_only(tmp_path: Path, url: str) -> None:
    assert "dashboard.url" in refusal(tmp_path, {"WORKBENCH_DASHBOARD_URL": url})


def test_a_secret_of_the_dashboard_is_not_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text("dashboard: {client_secret: canary}\n")
    assert "WORKBENCH_DASHBOARD_CLIENT_SECRET" in refusal(tmp_path, {})


def test_a_setting_of_the_dashboard_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text("dashboard: {prot: 8801}\n")
    assert "dashboard.prot" in refusal(tmp_path, {})
