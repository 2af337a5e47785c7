r"""Templates: `{{ name }}`, `\{{`, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.templating import TemplateSyntaxError, compile_template

_TEXTS = st.text(alphabet=st.sampled_from("ab {}\\n\t%$<"))
_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
_PLAIN = st.text(alphabet=st.characters(exclude_characters="{\\"))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Hello.", "Hello."),
        ("", ""),
        ("{{ a }}", "1"),
        ("{{a}} and {{  b  }}, {{ a }}", "1 and 2, 1"),
        (r"\{{ a }}", "{{ a }}"),  # a literal brace pair
        (r"\\{{ a }}", r"\{{ a }}"),  # of two backslashes the last one escapes
        ("{ a } }} { {", "{ a } }} { {"),  # single braces and closing pairs are text
        ("{% a %} ${a} %(a)s <a>", "{% a %} ${a} %(a)s <a>"),  # no other language
    ],
)
def test_placeholders_are_replaced_and_everything_else_is_text(text: str, rendered: str) -> None:
    assert compile_template(text).render({"a": "1", "b": "2"}) == rendered


@pytest.mark.parametrize(
    "text",
    ["{{}}", "{{ }}", "{{ a", "{{ a.b }}", "{{ a[0] }}", "{{ a|upper }}", "{{ a() }}", "{{ 1a }}",
     "{{ a }", "{{{ a }}}", "{{ a b }}", "{{\na }}", "{{ #if a }}", "{{ a:>9 }}", "{{ ä }}"],
)  # fmt: skip
def test_anything_that_is_no_plain_name_is_refused(text: str) -> None:
    with pytest.raises(TemplateSyntaxError, match="is no placeholder: write"):
        compile_template(text)


def test_the_line_of_a_problem_is_told() -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        compile_template("one\n{{ two }}\n\n{{ four! }}")
    assert caught.value.line == 4


def test_the_variables_are_known_without_rendering() -> None:
    template = compile_template("{{ b }}{{ a }}{{ b }}")
    assert template.names == ("b", "a", "b")
    assert template.variables == {"a", "b"}


def test_a_missing_value_is_an_error_and_never_an_empty_text() -> None:
    with pytest.raises(Invalid, match="needs the variable 'a'") as caught:
        compile_template("Hello {{ a }}").render({"b": "x"})
    assert caught.value.path == "variables.a"


@given(value=_TEXTS | st.just("{{ a }} {{ b }} \\{{"))
def test_a_value_is_put_in_as_it_is_and_never_looked_at_again(value: str) -> None:
    assert compile_template("<{{ a }}|{{ b }}>").render({"a": value, "b": "B"}) == f"<{value}|B>"


@given(text=_PLAIN)
def test_a_text_without_braces_is_itself(text: str) -> None:
    assert compile_template(text).render({}) == text


@given(text=_TEXTS)
def test_any_text_can_be_written_literally(text: str) -> None:
    escaped = text.replace("{{", "\\{{")
    assume("\\\\{{" not in escaped)  # a backslash of its own before the pair has no spelling
    assert compile_template(escaped).render({}) == text


@given(parts=st.lists(st.tuples(_PLAIN, _NAMES), max_size=5), end=_PLAIN)
def test_rendering_joins_literals_and_values_in_order(
    parts: list[tuple[str, str]], end: str
) -> None:
    text = "".join(f"{literal}{{{{ {name} }}}}" for literal, name in parts) + end
    values = {name: f"<{name}>" for _, name in parts}
    expected = "".join(literal + values[name] for literal, name in parts) + end
    assert compile_template(text).render(values) == expected


@given(text=st.text(alphabet="{} ab\\\n", max_size=30))
def test_compiling_ends_with_a_template_or_a_syntax_error(text: str) -> None:
    try:
        template = compile_template(text)
    except TemplateSyntaxError as error:
        assert 1 <= error.line <= text.count("\n") + 1
    else:
        assert len(template.literals) == len(template.names) + 1
