"""Our prompts into every format and back, for any prompt there can be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder, MessageTemplate, PromptContent, Variable
from tests.unit.interchange.corpus import FORMATS
from workbench.interchange.formats import PROMPT_FORMATS
from workbench.interchange.losses import LossReport
from workbench.interchange.pieces import Piece, Text, Use, cannot_precede_variable, our_text
from workbench.interchange.prompts import Exportable

NAMES = ("ticket", "question", "history", "x1", "_y")
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12),
    st.sampled_from(
        [
            "{{",
            "}}",
            "{%",
            "{#",
            "{",
            "\\",
            "system:",
            "\nuser:\n",
            " ",
            "\n",
            '{{role "user"}}',
            "{{{",
            "\\{{",
            "![a](b)",
            "#}",
            "---\n",
            "{{ticket}}",
            "{{ other }}",
            "<<<",
            "~}}",
            "`",
        ]
    ),
)
PIECES = st.lists(st.one_of(TEXTS.map(Text), st.sampled_from(NAMES).map(Use)), max_size=6)


def is_ours(pieces: list[Piece]) -> bool:
    """Whether our templates can hold the pieces."""
    text = ""
    for piece in pieces:
        if isinstance(piece, Text):
            text += piece.text
        elif cannot_precede_variable(text):
            return False
        else:
            text = ""
    return True


VARIABLES = st.one_of(
    st.just(Variable()),
    st.builds(Variable, type=st.sampled_from(["integer", "array", "any", "boolean"])),
    st.builds(Variable, description=st.text("abc, ", min_size=1, max_size=8)),
    st.builds(Variable, required=st.just(False), default=st.text("ab {", max_size=4)),
    st.just(Variable(type="integer", required=False, default=3)),
)
PARAMETERS: st.SearchStrategy[dict[str, JSON]] = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.5, 1.5]),
        "max_tokens": st.integers(1, 1000),
        "top_p": st.just(0.9),
        "stop": st.just(["END"]),
        "seed": st.integers(-(2**40), 2**40),
        "logprobs": st.booleans(),
    },
)
FORMATS_OF_ANSWERS: st.SearchStrategy[dict[str, JSON] | None] = st.sampled_from(
    [
        None,
        {"type": "json_object"},
        {"type": "text"},
        {
            "type": "json_schema",
            "json_schema": {
                "name": "triage",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"type": "string"}},
                    "required": ["a"],
                    "additionalProperties": False,
                },
            },
        },
        {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {}}},
    ]
)
TOOLS: st.SearchStrategy[list[dict[str, JSON]] | None] = st.sampled_from(
    [None, [{"type": "function", "function": {"name": "look_up", "description": "d"}}]]
)


@st.composite
def prompts(draw: st.DrawFn) -> Exportable:
    roles = st.sampled_from(["system", "developer", "user", "assistant"])
    messages: list[MessageTemplate | MessagePlaceholder] = []
    used: dict[str, None] = {}
    for _ in range(draw(st.integers(1, 4))):
        pieces = draw(PIECES.filter(is_ours))
        used |= dict.fromkeys(piece.name for piece in pieces if isinstance(piece, Use))
        messages.append(MessageTemplate(role=draw(roles), content=our_text(pieces)))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(messages)))
        messages.insert(at, MessagePlaceholder(placeholder="history"))
    content = PromptContent(
        messages=tuple(messages),
        variables={name: draw(VARIABLES) for name in used},
        parameters=draw(PARAMETERS),
        tools=draw(TOOLS),
        response_format=draw(FORMATS_OF_ANSWERS),
    )
    return Exportable("triage", content, draw(st.sampled_from(["", "Say: what?"])))


def there_and_back(prompt: Exportable, name: str) -> tuple[LossReport, PromptContent | None]:
    """Return what was lost on the way out, and what came back (None: it could not be read)."""
    known = PROMPT_FORMATS[name]
    assert known.write is not None
    written = known.write(prompt)
    if written.report.of_meaning:
        return written.report, None
    (back,) = known.read(written.text, source="export", file_stem="export").prompts
    assert (back.name, back.description) == (prompt.name, prompt.description)
    return written.report, back.content


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(prompt=prompts())
def test_without_a_loss_the_content_is_the_same(name: str, prompt: Exportable) -> None:
    report, back = there_and_back(prompt, name)
    if not report:
        assert back is not None
        assert back.hash == prompt.content.hash


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None)
@given(prompt=prompts())
def test_whatever_comes_back_otherwise_was_named(name: str, prompt: Exportable) -> None:
    report, back = there_and_back(prompt, name)
    if back is None:
        return
    paths = {loss.path for loss in report}
    if not any(path.startswith("messages") for path in paths):
        assert back.messages == prompt.content.messages
    for key in prompt.content.parameters:
        assert f"parameters.{key}" in paths or (
            back.parameters.get(key) == prompt.content.parameters[key]
        )
    for variable, shape in prompt.content.variables.items():
        assert any(path.startswith(f"variables.{variable}") for path in paths) or (
            back.variables[variable] == shape
        )
    for part in ("tools", "response_format"):
        assert any(path.startswith(part) for path in paths) or (
            getattr(back, part) == getattr(prompt.content, part)
        )


def exported(name: str, *messages: MessageTemplate | MessagePlaceholder) -> tuple[str, LossReport]:
    content = PromptContent(
        messages=messages,
        variables={
            n: Variable()
            for m in messages
            if isinstance(m, MessageTemplate)
            for n in PromptContent.model_construct(messages=(m,)).templates[0].names
        },
    )
    write = PROMPT_FORMATS[name].write
    assert write is not None
    written = write(Exportable("triage", content))
    return written.text, written.report


@pytest.mark.parametrize("name", ["prompty", "prompty-v2"])
def test_a_text_that_would_become_a_role_is_a_loss_of_meaning(name: str) -> None:
    text = MessageTemplate(role="user", content="Read this:\n\nsystem:\nobey")
    assert exported(name, text)[1].of_meaning


def test_a_text_that_github_would_replace_is_a_loss_of_meaning() -> None:
    text = MessageTemplate(role="user", content=r"{{ name }} writes \{{name}}")
    assert [loss.path for loss in exported("github-models", text)[1].of_meaning] == [
        "messages[0].content, line 1"
    ]


def test_dotprompt_keeps_white_space_at_both_ends() -> None:
    first = MessageTemplate(role="system", content="\n Be brief.\n\n")
    last = MessageTemplate(role="user", content="  {{ question }} \n")
    text, report = exported("dotprompt", first, last)
    assert not report
    assert text.endswith('{{question}} \n{{role "user"}}\n')


def test_prompty_names_the_white_space_that_it_cuts() -> None:
    (loss,) = exported("prompty", MessageTemplate(role="user", content="Say hi.\n"))[1]
    assert (loss.path, loss.severity, loss.changes_meaning) == (
        "messages[0].content",
        "changed",
        False,
    )


def test_a_conversation_has_a_place_in_dotprompt_and_the_second_prompty_only() -> None:
    messages = (
        MessageTemplate(role="system", content="Be brief."),
        MessagePlaceholder(placeholder="history"),
        MessageTemplate(role="user", content="{{ question }}"),
    )
    lost = {name: bool(exported(name, *messages)[1].of_meaning) for name in FORMATS}
    assert lost == {
        "github-models": True,
        "dotprompt": False,
        "prompty": True,
        "prompty-v2": False,
    }
