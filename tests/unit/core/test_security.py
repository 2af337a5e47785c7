"""What an API key looks like, and what is stored of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.core.errors import ConfigurationError
from app.core.security import (
    SHORTEST_KEY_SECRET,
    credential_digest,
    is_same_credential,
    key_prefix,
    make_key,
    make_key_secret,
    required_secret,
)

SECRET = b"a secret of the server for tests"


def test_a_key_is_its_public_part_and_32_random_bytes() -> None:
    key = make_key(SECRET)
    assert key.text.startswith(f"{key.prefix}_")
    assert len(key.text.removeprefix(f"{key.prefix}_")) == 43
    assert key_prefix(key.text) == key.prefix


def test_keys_differ() -> None:
    keys = [make_key(SECRET) for _ in range(100)]
    assert len({key.prefix for key in keys}) == 100
    assert len({key.text for key in keys}) == 100


def test_what_is_stored_holds_only_for_this_key_and_this_server() -> None:
    key, other = make_key(SECRET), make_key(SECRET)
    assert is_same_credential(credential_digest(key.text, SECRET), key.digest)
    assert not is_same_credential(credential_digest(other.text, SECRET), key.digest)
    assert not is_same_credential(credential_digest(key.text, b"another"), key.digest)


def test_a_key_does_not_show_itself() -> None:
    key = make_key(SECRET)
    assert key.text not in repr(key)
    assert key.prefix in repr(key)


@given(st.text(max_size=80))
def test_anything_else_is_no_key(text: str) -> None:
    assert key_prefix(text) is None


@given(position=st.integers(0, 58), character=st.characters(codec="utf-8"))
def test_a_key_with_one_character_changed_is_another_credential(
    position: int, character: str
) -> None:
    key = make_key(SECRET)
    changed = key.text[:position] + character + key.text[position + 1 :]
    same = is_same_credential(credential_digest(changed, SECRET), key.digest)
    assert same == (changed == key.text)


def test_the_servers_secret_is_long_enough_to_be_one() -> None:
    assert len(make_key_secret()) >= SHORTEST_KEY_SECRET
    assert make_key_secret() != make_key_secret()


def test_without_a_secret_it_is_said_how_to_get_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        required_secret(None)
    assert "workbench users bootstrap" in str(caught.value.hint)
    assert required_secret(SecretStr("given")) == b"given"
