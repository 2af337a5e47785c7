"""What is taken, what is named, and that nothing lies between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from workbench.interchange.losses import (
    WITHHELD,
    FieldPath,
    Source,
    is_reference,
    is_secret_name,
    leaves,
    path_text,
    shown,
)

SCALARS: st.SearchStrategy[JSON] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text()
)
NAMES = st.sampled_from(["a", "b", "name", "model", "api_key", "nested"])
DOCUMENTS: st.SearchStrategy[JSON] = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=4,
)


def places(value: JSON, path: FieldPath = ()) -> list[FieldPath]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


@given(DOCUMENTS, st.data())
def test_every_leaf_is_taken_or_named(document: JSON, data: st.DataObject) -> None:
    """Whatever a reader takes, and whatever it names itself."""
    source = Source(document, {"model": "a reason", "model.api_key": "another"})
    known = places(document)
    taken = data.draw(st.lists(st.sampled_from(known), max_size=4)) if known else []
    for path in taken:
        source.take(*path)
    named = [loss.path for loss in source.finish()]
    for path, _ in leaves(document):
        if not path:
            continue
        above = [path[:length] for length in range(1, len(path) + 1)]
        assert any(part in taken for part in above) or any(
            path_text(part) in named for part in above
        )
    assert not known or not source.uncovered()


@given(DOCUMENTS)
def test_nothing_is_named_twice(document: JSON) -> None:
    named = [loss.path for loss in Source(document).finish()]
    assert len(named) == len(set(named))


@given(DOCUMENTS)
def test_what_stands_under_the_name_of_a_secret_is_never_shown(document: JSON) -> None:
    for loss in Source({"outer": document, "api_key": "hush-hush"}).finish():
        assert "hush-hush" not in loss.was
        if "api_key" in loss.path:
            assert loss.was == WITHHELD


def test_a_field_is_named_with_the_reason_of_its_nearest_known_place() -> None:
    source = Source({"model": {"id": "x", "deep": {"y": 1}}}, {"model": "m", "model.deep": "d"})
    assert {loss.path: loss.why for loss in source.finish()} == {
        "model.id": "m",
        "model.deep": "d",
    }


def test_a_text_that_is_none_is_named() -> None:
    source = Source({"name": 3, "description": None})
    assert (source.text("name"), source.text("description"), source.text("other")) == ("", "", "")
    assert [loss.path for loss in source.finish()] == ["name"]


def test_credentials_are_known_by_their_names() -> None:
    secret = [
        "api_key",
        "apiKey",
        "key",
        "access_token",
        "clientSecret",
        "Authorization",
        "headers",
        "ssh_key",
        "awsSecretKey",
        "db_pass",
        "pwd",
        "passphrase",
        "github_pat",
        "bearer",
        "env",
        "environment_variables",
    ]
    plain = ["name", "keyboard", "author", "authors", "pattern", "max_tokens", "environment"]
    assert all(is_secret_name(name) for name in secret)
    assert not [name for name in plain if is_secret_name(name)]


def test_references_are_known_by_their_form() -> None:
    assert is_reference("${env:HOME}")
    assert is_reference("${file:x.json}")
    assert is_reference("os.environ/KEY")
    assert is_reference("file://x.txt")
    assert not is_reference("an env: variable")
    assert not is_reference(3)


def test_values_are_shown_short_on_one_line_and_masked() -> None:
    assert shown("a\nb\x1b[0m") == "a\\nb\\u001b[0m"
    assert shown({"a": 1, "token": "x"}) == f'{{"a":1,"token":"{WITHHELD}"}}'
    assert shown("key sk-0123456789abcdef") == "key ***"
    assert len(shown("x" * 1000)) == 80
