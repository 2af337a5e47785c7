"""Templates of other tools as pieces, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from app.core.templating import compile_template
from workbench.interchange.handlebars import read_handlebars, write_handlebars
from workbench.interchange.jinja import read_jinja, write_jinja
from workbench.interchange.pieces import (
    Foreign,
    History,
    Piece,
    Role,
    Text,
    Use,
    literal_braces,
    merged,
    our_pieces,
    our_text,
    strip_ends,
)

TEXTS = st.text("{}%#\\ \nab~!'\"", max_size=10).map(Text)
PIECES = st.lists(st.one_of(TEXTS, st.sampled_from(["x", "long_name"]).map(Use)), max_size=6)


@given(PIECES)
def test_jinja_says_what_was_written(pieces: list[Piece]) -> None:
    expected = "".join(
        p.text if isinstance(p, Text) else "<v>" for p in pieces if not isinstance(p, Foreign)
    )  # type: ignore[union-attr]
    template = Environment(keep_trailing_newline=True).from_string(write_jinja(merged(pieces)))
    assert template.render(x="<v>", long_name="<v>") == expected


@given(PIECES)
def test_jinja_reads_back_what_it_wrote(pieces: list[Piece]) -> None:
    assert read_jinja(write_jinja(merged(pieces))) == merged(pieces)


@given(st.lists(st.one_of(st.text("ab{} \n", max_size=8).map(Text), st.just(Use("x"))), max_size=5))
def test_our_own_templates_read_back_where_they_can_hold_it(pieces: list[Piece]) -> None:
    text = our_text(pieces)
    compile_template(text)
    if not any(
        isinstance(p, Text) and p.text.replace("{{", "").endswith("{") for p in merged(pieces)
    ):
        assert our_pieces(text) == merged(pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a {{b}} c", [Text("a "), Use("b"), Text(" c")]),
        ("{{{b}}}{{&c}}{{ d }}", [Use("b"), Use("c"), Use("d")]),
        ("a {{~b~}} c", [Text("a"), Use("b"), Text("c")]),
        ("{{this.history}}{{./role}}", [Use("history"), Use("role")]),
        ('{{role "user"}}x{{history}}', [Role("user"), Text("x"), History()]),
        (r"\{{a}} {{b}}", [Text("{{a}} "), Use("b")]),
        (r"\\{{b}}", [Text("\\"), Use("b")]),
        (r"\{{a\{{b", [Text("{{a{{b")]),
        ("{{a.b}}", [Foreign("{{a.b}}", "a path into a value", 1)]),
        ("x\n{{#if a}}", [Text("x\n"), Foreign("{{#if a}}", "a block", 2)]),
        ("{{> p}}", [Foreign("{{> p}}", "a partial", 1)]),
        ("{{@s}}", [Foreign("{{@s}}", "a value of the surroundings", 1)]),
        ("{{if}}", [Foreign("{{if}}", "the helper if", 1)]),
        ("{{! c }}", [Foreign("{{! c }}", "a comment", 1, is_comment=True)]),
        ("{{!-- }} --}}", [Foreign("{{!-- }} --}}", "a comment", 1, is_comment=True)]),
        ("{{a", [Foreign("{{a", "a tag that is not closed", 1)]),
        ("{{ }}", [Foreign("{{ }}", "a path into a value", 1)]),
    ],
)
def test_handlebars(text: str, pieces: list[Piece]) -> None:
    assert read_handlebars(text, markers=True) == pieces


def test_names_of_helpers_are_variables_where_there_are_no_markers() -> None:
    assert read_handlebars("{{history}} {{role}}", markers=False) == [
        Use("history"),
        Text(" "),
        Use("role"),
    ]


def test_a_variable_called_like_a_helper_is_written_as_one() -> None:
    written = write_handlebars([Use("history"), Use("json"), Use("name")])
    assert written == "{{this.history}}{{this.json}}{{name}}"
    assert read_handlebars(written, markers=True) == [Use("history"), Use("json"), Use("name")]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a {{ b }} c", [Text("a "), Use("b"), Text(" c")]),
        ("a {{- b -}} c", [Text("a"), Use("b"), Text("c")]),
        ('{{ "{{" }}', [Text("{{")]),
        ("{% raw %}{{ a }}{% endraw %}", [Text("{{ a }}")]),
        ("{# c #}", [Foreign("{# c #}", "a comment", 1, is_comment=True)]),
        ("{{ a | b }}", [Foreign("{{ a | b }}", "a filter", 1)]),
        ("{{ a['}}'] }}", [Foreign("{{ a['}}'] }}", "an expression", 1)]),
        ("{{ true }}", [Foreign("{{ true }}", "an expression", 1)]),
        ("x\n{% if a %}", [Text("x\n"), Foreign("{% if a %}", "the statement if", 2)]),
        ("{{ a", [Foreign("{{ a", "a tag that is not closed", 1)]),
    ],
)
def test_jinja(text: str, pieces: list[Piece]) -> None:
    assert read_jinja(text) == pieces


def test_plain_replacement_takes_spaces_only_where_it_is_told_to() -> None:
    text = "{{a}} {{ b }}"
    assert literal_braces(text, spaces=True) == [Use("a"), Text(" "), Use("b")]
    assert literal_braces(text, spaces=False) == [Use("a"), Text(" {{ b }}")]


def test_white_space_is_cut_at_both_ends_of_the_whole_only() -> None:
    pieces = [Text(" \n a"), Use("x"), Text("b ")]
    assert strip_ends(pieces) == [Text("a"), Use("x"), Text("b")]
    assert strip_ends([Use("x"), Text(" ")]) == [Use("x")]
