"""`workbench users` and `workbench keys`, from an empty workspace on."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.core.security import key_prefix
from app.core.settings import HMAC_KEY_FILE
from app.schemas.api_keys import KeyScope, NewApiKey
from workbench.cli import keys, users
from workbench.cli.context import open_workspace

BOOTSTRAP = ("bootstrap", "--name", "ana")


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("WORKBENCH_DATABASE_URL", "WORKBENCH_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    return tmp_path


def on_users(*arguments: str) -> Result:
    return CliRunner().invoke(users.app, arguments)


def on_keys(*arguments: str) -> Result:
    return CliRunner().invoke(keys.app, arguments)


def secret_in(output: str) -> str:
    return next(line.strip() for line in output.splitlines() if key_prefix(line.strip()))


def test_bootstrap_works_once_and_shows_a_key(workspace: Path) -> None:
    first = on_users(*BOOTSTRAP)
    assert first.exit_code == 0
    assert secret_in(first.stdout).startswith("wb_")
    second = on_users("bootstrap", "--name", "bo")
    assert second.exit_code == 2
    assert "There are users already" in second.stderr
    assert [user["name"] for user in json.loads(on_users("list", "--format", "json").stdout)] == [
        "ana"
    ]


def test_the_servers_secret_is_made_once_and_for_its_owner_alone(workspace: Path) -> None:
    told = on_users(*BOOTSTRAP)
    file = workspace / HMAC_KEY_FILE
    assert f"Made {HMAC_KEY_FILE}" in told.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = file.read_text()
    assert made.strip() not in told.output
    on_users("bootstrap", "--name", "bo")
    assert file.read_text() == made


def test_a_secret_of_the_environment_needs_no_file(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_KEY_SECRET", "x" * 32)
    assert on_users(*BOOTSTRAP).exit_code == 0
    assert not (workspace / HMAC_KEY_FILE).exists()


@pytest.mark.parametrize("secret", ["short", "x" * 31])
def test_a_secret_that_is_too_short_is_refused_and_not_repeated(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("WORKBENCH_KEY_SECRET", secret)
    told = on_users(*BOOTSTRAP)
    assert told.exit_code == 2
    assert "key_secret" in told.stderr
    assert secret not in told.stderr


def test_a_secret_that_others_can_read_is_refused(workspace: Path) -> None:
    on_users(*BOOTSTRAP)
    (workspace / HMAC_KEY_FILE).chmod(0o644)
    told = on_users("list")
    assert told.exit_code == 2
    assert "can be read by others" in told.stderr
    assert "chmod 600" in told.stderr


def test_without_a_secret_no_key_is_made_and_it_is_said_how_to_get_one(workspace: Path) -> None:
    on_users("create", "ana")
    told = on_keys("create", "laptop", "--user", "ana")
    assert told.exit_code == 2
    assert "workbench users bootstrap" in told.stderr


def test_an_empty_list_says_what_to_do() -> None:
    assert "workbench users bootstrap" in on_users("list").stdout
    assert "workbench keys create" in on_keys("list").stdout


def test_people_are_admitted_with_roles_and_changed(workspace: Path) -> None:
    on_users(*BOOTSTRAP)
    created = on_users("create", "bo", "--role", "viewer", "--prefix", "payments/*")
    assert "bo: viewer for payments/*" in created.stdout
    assert "operator, viewer for payments/*" in on_users("grant", "bo", "operator").stdout
    assert "bo: viewer for payments/*" in on_users("revoke", "bo", "operator").stdout
    assert "deactivated" in on_users("deactivate", "bo").stdout
    assert "deactivated" not in on_users("reactivate", "bo").stdout
    shown = json.loads(on_users("show", "bo", "--format", "json").stdout)
    assert [(grant["role"], grant["prefix"]) for grant in shown["grants"]] == [
        ("viewer", "payments/")
    ]
    assert "viewer for payments/*" in on_users("list").stdout


def test_keys_are_made_rotated_and_revoked(workspace: Path) -> None:
    on_users(*BOOTSTRAP)
    made = on_keys("create", "bot", "--service", "--alias", "support-bot@production")
    secret = secret_in(made.stdout)
    assert secret_in(on_keys("rotate", "bot").stdout) != secret
    listed = on_keys("list").stdout
    assert secret not in listed
    for text in ("first", "bot~2", secret[:15], "a service", "support-bot@production", "never"):
        assert text in listed
    assert "revoked" in on_keys("revoke", "bot").stdout
    shown = json.loads(on_keys("show", "bot~2", "--format", "json").stdout)
    assert (shown["replaces"], shown["scope"]["aliases"]) == ("bot", ["support-bot@production"])


def test_who_revokes_a_key_is_told_which_of_its_rotations_still_work(workspace: Path) -> None:
    on_users(*BOOTSTRAP)
    on_keys("create", "bot", "--service")
    on_keys("rotate", "bot")
    assert "Still working: bot~2" in on_keys("revoke", "bot").stdout
    assert "Still working" not in on_keys("revoke", "bot~2").stdout


def test_a_key_without_permissions_may_use_nothing(workspace: Path) -> None:
    on_users(*BOOTSTRAP)

    async def make() -> None:
        scope = KeyScope(permissions=frozenset())
        async with open_workspace() as opened:
            await opened.services.api_keys.create(
                opened.actor, NewApiKey(name="none", user="ana", scope=scope)
            )

    asyncio.run(make())
    assert "may use nothing" in on_keys("show", "none").stdout


def test_a_key_of_a_deactivated_user_is_not_shown_as_working(workspace: Path) -> None:
    on_users(*BOOTSTRAP)
    on_users("create", "bo")
    on_keys("create", "bo-laptop", "--user", "bo")
    on_users("deactivate", "bo")
    for listed in (on_keys("show", "bo-laptop").stdout, on_keys("list").stdout):
        assert "user deactivated" in listed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "Bo X"), "'Bo X' is no name: write a short name"),
        (("grant", "ana", "viewer", "--prefix", "pay"), "'pay' is no prefix: write a team"),
        (("create", "bo", "--external-id", "a b"), "'a b' is no external_id"),
        (("show", "nobody"), "There is no user nobody."),
        (("revoke", "ana", "admin"), "ana is the last admin"),
        (("deactivate", "ana"), "ana is the last admin"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    on_users(*BOOTSTRAP)
    refused = on_users(*arguments)
    assert refused.exit_code == 2
    assert told in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "x"), "is no user: say whose key it is."),
        (("create", "X y", "--user", "ana"), "'X y' is no name"),
        (("create", "x", "--user", "ana", "--service"), "one of the two"),
        (("create", "x", "--service", "--permission", "user:write"), "No service has"),
        (("create", "x", "--service", "--alias", "none"), "'none' is no alias"),
        (("revoke", "x"), "There is no key x."),
    ],
)
def test_a_key_that_cannot_be_is_told_in_a_sentence(arguments: tuple[str, ...], told: str) -> None:
    on_users(*BOOTSTRAP)
    refused = on_keys(*arguments)
    assert refused.exit_code == 2
    assert told in refused.stderr
