"""A key's scope only ever takes away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.permissions import Actor, ActorKind, Grant, Permission
from app.schemas.api_keys import KeyScope, NewApiKey, base_name
from app.schemas.users import NewGrant

PREFIXES = ["", "pay/", "payments/", "support/"]
NAMES = ["triage", "pay/bot", "payments/bot", "support/bot"]

# Few of each, so that grants, scopes and questions meet often.
PERMISSIONS = [Permission.PROMPT_READ, Permission.CHAT_WRITE]

permissions = st.frozensets(st.sampled_from(PERMISSIONS))
grants = st.lists(st.builds(Grant, permissions, st.sampled_from(PREFIXES)), max_size=4)
scopes = st.builds(KeyScope, permissions=st.none() | permissions, prefix=st.sampled_from(PREFIXES))


@given(grants, scopes, st.sampled_from(PERMISSIONS), st.sampled_from(NAMES))
def test_what_a_scoped_key_may_do_its_owner_may_and_its_scope_allows(
    held: list[Grant], scope: KeyScope, permission: Permission, name: str
) -> None:
    owner = Actor.of(ActorKind.USER, "ana", held)
    key = Actor.of(ActorKind.USER, "ana", scope.narrow(held))
    allowed = scope.permissions is None or permission in scope.permissions
    expected = owner.may(permission, name) and allowed and name.startswith(scope.prefix)
    assert key.may(permission, name) == expected


@given(grants)
def test_an_open_scope_takes_nothing_away(held: list[Grant]) -> None:
    assert KeyScope().is_open
    assert KeyScope().narrow(held) == tuple(grant for grant in held if grant.permissions)


def test_a_scope_is_written_in_one_order() -> None:
    scope = KeyScope(
        permissions=frozenset({Permission.MODEL_READ, Permission.CHAT_WRITE}),
        aliases=frozenset({"b@production", "a@production"}),
    )
    assert scope.model_dump(mode="json") == {
        "permissions": ["chat:write", "model:read"],
        "prefix": "",
        "aliases": ["a@production", "b@production"],
    }


@pytest.mark.parametrize(
    ("written", "stored"),
    [("payments/*", "payments/"), ("payments/", "payments/"), ("*", ""), ("", "")],
)
def test_a_team_is_written_with_or_without_a_star(written: str, stored: str) -> None:
    assert NewGrant.model_validate({"role": "viewer", "prefix": written}).prefix == stored


@pytest.mark.parametrize("prefix", ["pay", "pay*", "Pay/", "a/b/", "/", "%", "pay/%", "pay/\n"])
def test_anything_else_is_no_team(prefix: str) -> None:
    with pytest.raises(ValidationError):
        NewGrant.model_validate({"role": "viewer", "prefix": prefix})


@pytest.mark.parametrize("days", [0, 367])
def test_a_key_expires_within_a_year(days: int) -> None:
    with pytest.raises(ValidationError):
        NewApiKey(name="bot", lifetime_days=days)


def test_a_key_belongs_to_a_user_or_to_a_service() -> None:
    with pytest.raises(ValidationError, match="one of the two"):
        NewApiKey(name="bot", user="ana", is_service=True)


@pytest.mark.parametrize(("name", "base"), [("bot", "bot"), ("bot~2", "bot"), ("bot~12", "bot")])
def test_keys_that_replaced_each_other_share_a_name(name: str, base: str) -> None:
    assert base_name(name) == base
