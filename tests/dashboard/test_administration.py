"""The page Administration: users, roles, keys, limits, health."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, keys, limits, users
from workbench.client.keys import Key, KeyScope
from workbench.client.limits import Limit, Window
from workbench.client.users import Grant, RoleMeaning, User
from workbench.dashboard.frames.administration import (
    bars,
    key_frame,
    key_state,
    limit_frame,
    limit_values,
    names_of,
    prefix_of,
    role_frame,
    user_frame,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def client(filled: Workspace) -> Iterator[Client]:
    with Client(filled.url, filled.key) as opened:
        yield opened


def section(
    workspace: Workspace, name: str, credential: str | None = None, **query: str
) -> AppTest:
    return open_page(
        "administration", workspace.url, credential or workspace.key, {"tab": name, **query}
    )


def press(test: AppTest, label: str) -> AppTest:
    [button] = [it for it in test.button if it.label.replace("\\", "") == label]
    button.click().run()
    assert not test.exception
    return test


def told(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment:%Y-%m-%d}"


def a_key(**changes: object) -> Key:
    values: dict[str, object] = {
        "name": "bot",
        "prefix": "wb_abc",
        "user": None,
        "user_deactivated_at": None,
        "scope": KeyScope(),
        "expires_at": NOON,
        "revoked_at": None,
        "last_used_at": None,
        "replaces": None,
        "created_at": NOON,
        "created_by": "user:ana",
    }
    return Key.model_validate({**values, **changes})


def a_limit(**changes: object) -> Limit:
    values: dict[str, object] = {
        "holder_kind": "alias",
        "holder": "bot@production",
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "dollars_per_day": None,
        "dollars_per_month": None,
        "on_reach": "warn",
        "updated_at": NOON,
        "updated_by": "user:ana",
        "windows": (),
    }
    return Limit.model_validate({**values, **changes})


def sections_of(test: AppTest) -> list[str]:
    return list(test.segmented_control(key="tab").options)


def test_an_admin_sees_every_section_and_the_users_first(filled: Workspace) -> None:
    test = open_page("administration", filled.url, filled.key)

    assert sections_of(test) == ["Users", "Roles", "Keys", "Limits", "Health"]
    assert "vera" in set(test.dataframe[0].value["name"])


def test_a_viewer_sees_roles_and_their_own_keys_only(filled: Workspace) -> None:
    test = section(filled, "Keys", filled.viewer)

    assert sections_of(test) == ["Roles", "Keys"]
    assert set(test.dataframe[0].value["owner"]) == {"vera"}


def test_whoever_has_no_role_has_their_own_keys_too(filled: Workspace) -> None:
    test = section(filled, "Keys", filled.nobody)

    assert list(test.dataframe[0].value["owner"]) == ["noor"]


def test_an_empty_workspace_says_what_limits_are_for(empty: Workspace) -> None:
    assert "No limit is set" in texts(section(empty, "Limits"))


@pytest.mark.parametrize("name", ["Users", "Roles", "Keys", "Limits"])
def test_an_api_that_fails_is_told_in_a_sentence(failing: str, name: str) -> None:
    test = open_page("administration", failing, "wb_any", {"tab": name})

    assert "database does not answer" in test.error[0].value


def test_somebody_is_admitted_given_a_role_of_a_team_and_it_is_taken_back(
    filled: Workspace, client: Client
) -> None:
    test = section(filled, "Users")
    test.text_input(key="admit-name").set_value("admin-page-ana")
    press(test, "Admit")
    assert "is admitted" in test.success[0].value

    test = section(filled, "Users", user="admin-page-ana")
    assert "No role yet" in texts(test)
    test.selectbox(key="grant-role").set_value("researcher")
    test.text_input(key="grant-team").set_value("payments")
    press(test, "Grant")
    [granted] = client.send(users.one("admin-page-ana")).grants
    assert (granted.role, granted.prefix) == ("researcher", "payments/")

    press(test, "Take researcher for payments/* back")
    assert client.send(users.one("admin-page-ana")).grants == ()


def test_a_user_is_deactivated_after_a_question_and_comes_back(
    filled: Workspace, client: Client
) -> None:
    client.send(users.admit("admin-page-ben"))
    test = section(filled, "Users", user="admin-page-ben")
    assert "can then sign in no longer" in texts(test)

    press(test, "Deactivate admin-page-ben")
    assert client.send(users.one("admin-page-ben")).deactivated_at is not None
    press(test, "Reactivate")
    assert client.send(users.one("admin-page-ben")).deactivated_at is None


def test_what_the_api_refuses_is_said_and_the_page_stays(filled: Workspace) -> None:
    test = section(filled, "Users")
    test.text_input(key="admit-name").set_value("No Such Name")
    press(test, "Admit")

    assert "It was not done." in test.error[0].value
    assert "vera" in set(test.dataframe[0].value["name"])


def test_an_auditor_reads_users_and_is_offered_no_change(filled: Workspace, client: Client) -> None:
    client.send(users.admit("admin-page-aud"))
    client.send(users.grant("admin-page-aud", "auditor"))
    secret = client.send(keys.make("admin-page-aud-key", user="admin-page-aud")).secret

    test = section(filled, "Users", secret, user="vera")

    assert not [it for it in test.button if it.label not in ("More",)]
    assert not test.text_input


def test_roles_are_explained_with_a_sentence_and_their_permissions(filled: Workspace) -> None:
    test = section(filled, "Roles")

    assert "auditor" in texts(test)
    table = test.dataframe[0].value.set_index("permission")
    assert table.loc["audit:read", "auditor"] == "yes"
    assert table.loc["audit:read", "viewer"] == ""


def test_the_secret_of_a_new_key_is_shown_in_one_run_of_the_page_only(
    filled: Workspace, client: Client
) -> None:
    test = section(filled, "Keys")
    test.text_input(key="key-name").set_value("admin-page-key")
    press(test, "Make the key")
    [secret] = [it.value for it in test.code]
    assert secret.startswith("wb_")
    assert "shown this once" in texts(test)
    with Client(filled.url, secret) as made:
        assert made.send(users.me()).name == client.send(users.me()).name

    test.run()
    assert secret not in texts(test)


def test_a_key_is_rotated_and_revoked(filled: Workspace, client: Client) -> None:
    client.send(keys.make("admin-page-bot", is_service=True, permissions=["chat:write"]))
    test = section(filled, "Keys", key="admin-page-bot")

    press(test, "Replace admin-page-bot")
    assert test.code[0].value.startswith("wb_")
    test = section(filled, "Keys", key="admin-page-bot~2")
    press(test, "Revoke admin-page-bot~2")

    found = {it.name: it for it in client.all(keys.listing())}
    assert found["admin-page-bot~2"].revoked_at is not None
    assert found["admin-page-bot"].revoked_at is None


def test_limits_are_set_shown_with_their_use_and_taken_away(
    filled: Workspace, client: Client
) -> None:
    test = section(filled, "Limits")
    test.selectbox(key="limit-kind").set_value("key")
    test.text_input(key="limit-holder").set_value("admin-page-limit")
    test.number_input(key="limit-requests").set_value(60)
    test.number_input(key="limit-month").set_value(2.5)
    press(test, "Set")
    [made] = [it for it in client.send(limits.listing()) if it.holder == "admin-page-limit"]
    assert (made.requests_per_minute, made.dollars_per_month) == (60, 2.5)
    drawn = [str(it.proto.text).replace("\\", "") for it in test.get("progress")]
    assert "0 of 60 requests this minute" in drawn
    assert "$0 of $2.50 this month" in drawn

    test.selectbox(key="limit-gone").set_value(made).run()
    press(test, "Take them away")
    assert not [it for it in client.send(limits.listing()) if it.holder == "admin-page-limit"]


def test_limits_without_any_number_are_refused_in_a_sentence(filled: Workspace) -> None:
    test = section(filled, "Limits")
    test.selectbox(key="limit-kind").set_value("user")
    test.text_input(key="limit-holder").set_value("admin-page-none")
    press(test, "Set")

    assert "Name at least one limit" in test.error[0].value


def test_health_tells_version_database_schema_and_queue(filled: Workspace) -> None:
    test = section(filled, "Health")

    figures = {it.label: it.value for it in test.metric}
    assert figures["Database"] == "SQLite"
    assert figures["Jobs queued"] == figures["Jobs running"] == "0"
    assert "Nothing waits." in test.success[0].value


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("", ""), (" ", ""), ("payments", "payments/"), ("payments/*", "payments/"), ("*", "")],
)
def test_a_team_is_understood_however_it_is_written(text: str, prefix: str) -> None:
    assert prefix_of(text) == prefix


def test_names_are_parted_by_commas_or_spaces_and_said_once() -> None:
    assert names_of("a@production, b@staging a@production\n") == ("a@production", "b@staging")


def test_a_key_works_until_it_is_revoked_expired_or_its_user_is_gone() -> None:
    before, after = NOON - timedelta(1), NOON + timedelta(1)

    assert key_state(a_key(), before) == "works"
    assert key_state(a_key(), after) == "expired"
    assert key_state(a_key(revoked_at=NOON), before) == "revoked"
    assert key_state(a_key(user_deactivated_at=NOON), before) == "user deactivated"


def test_tables_say_what_is_missing_in_words() -> None:
    [key] = key_frame([a_key()], NOON, told).to_dict("records")
    assert (key["owner"], key["last used"], key["may do"]) == (
        "a service",
        "–",
        "all that its user may",
    )
    scope = KeyScope(permissions=("chat:write",), prefix="pay/", aliases=("pay/bot@production",))
    [scoped] = key_frame([a_key(scope=scope)], NOON, told).to_dict("records")
    assert scoped["may do"] == "chat:write; only pay/*; only the aliases pay/bot@production"
    user = User(
        name="ana",
        external_id=None,
        deactivated_at=NOON,
        grants=(Grant(role="viewer", prefix=""), Grant(role="operator", prefix="pay/")),
        created_at=NOON,
        created_by="user:ben",
    )
    [row] = user_frame([user], told).to_dict("records")
    assert (row["roles"], row["state"]) == ("viewer, operator for pay/*", "deactivated")
    assert list(limit_frame([a_limit()])["dollars a month"].isna()) == [True]


def test_the_table_of_roles_has_a_column_for_each() -> None:
    roles = [
        RoleMeaning(role="a", meaning="", permissions=("x:read",)),
        RoleMeaning(role="b", meaning="", permissions=("x:read", "y:read")),
    ]

    assert role_frame(roles).to_dict("records") == [
        {"permission": "x:read", "a": "yes", "b": "yes"},
        {"permission": "y:read", "a": "", "b": "yes"},
    ]


def test_bars_count_what_calls_under_way_may_still_use_and_never_pass_the_end() -> None:
    day = Window(
        span="day", starts_at=NOON, requests=1, tokens=1, reserved_tokens=0, spent=4, reserved=2
    )
    minute = day.model_copy(
        update={"span": "minute", "requests": 30, "tokens": 40, "reserved_tokens": 10}
    )
    limit = a_limit(
        requests_per_minute=60,
        tokens_per_minute=100,
        dollars_per_day=5,
        dollars_per_month=0,
        windows=(minute, day),
    )

    assert [(it.text, it.share) for it in bars(limit)] == [
        ("30 of 60 requests this minute", 0.5),
        ("50 of 100 tokens this minute", 0.5),
        ("$4.00 of $5.00 this day, $2.00 reserved", 1.0),
        ("$0 of $0 this month", 1.0),
    ]


def test_only_limits_that_are_named_are_sent() -> None:
    assert limit_values(None, None, None, None, None) == {}
    assert limit_values(1, None, 0.5, None, "stop") == {
        "requests_per_minute": 1,
        "dollars_per_day": "0.5000",
        "on_reach": "stop",
    }
