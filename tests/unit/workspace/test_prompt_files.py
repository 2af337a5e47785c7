"""Prompt files: what is accepted, what is refused and how that is told, how they are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.schemas.prompts import PromptContent
from workbench.workspace.prompt_files import (
    PromptFile,
    find_prompt_files,
    is_prompt_file,
    number_prompt_text,
    parse_prompt,
    prompt_path,
    read_prompt_file,
    write_prompt,
)

REPOSITORY = Path(__file__).resolve().parents[3]

V3 = """\
name: support-triage
version: v3                      # number 3, addressed support-triage@3
description: Route a ticket to one queue.
message: name the queues, ask for the label only
messages:
  - {role: system, content: "You route support tickets. Queues: billing, bug, account, other."}
  - {role: user, content: "{{ ticket }}"}
variables: {ticket: {type: string, required: true}}
parameters: {temperature: 0, max_tokens: 8}
"""


def parse(text: str, name: str = "v3.yaml") -> PromptFile:
    return parse_prompt(text, Path(name))


def refused(text: str, name: str = "v3.yaml") -> str:
    with pytest.raises(Invalid) as caught:
        parse(text, name)
    return str(caught.value)


def test_a_file_says_everything_about_one_version() -> None:
    file = parse(V3)
    assert (file.name, file.number, file.reference) == ("support-triage", 3, "support-triage@3")
    assert file.description == "Route a ticket to one queue."
    assert file.message == "name the queues, ask for the label only"
    assert file.content == PromptContent.model_validate(
        {
            "messages": [
                {
                    "role": "system",
                    "content": "You route support tickets. Queues: billing, bug, account, other.",
                },
                {"role": "user", "content": "{{ ticket }}"},
            ],
            "variables": {"ticket": {"type": "string", "required": True}},
            "parameters": {"temperature": 0, "max_tokens": 8},
        }
    )


def test_a_file_without_version_is_a_draft() -> None:
    file = parse(V3.replace("version: v3 ", "#"), "draft.yaml")
    assert file.number is None
    assert file.content == parse(V3).content


def test_tools_tool_choice_and_response_format_are_part_of_the_content() -> None:
    extra = "tools: [{type: function, function: {name: f}}]\ntool_choice: auto\n"
    file = parse(V3 + extra + "response_format: {type: json_object}\n")
    assert file.content.tools == [{"type": "function", "function": {"name": "f"}}]
    assert file.content.tool_choice == "auto"
    assert file.content.response_format == {"type": "json_object"}
    assert file.content.hash != parse(V3).content.hash


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("name: supp", "\ufeffname: supp")])
def test_line_ends_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    path = tmp_path / "v3.yaml"
    path.write_bytes(V3.replace(*change).encode())
    assert read_prompt_file(path) == replace(parse(V3), path=path)


def test_line_ends_inside_a_block_are_line_feeds(tmp_path: Path) -> None:
    text = "name: x\nmessages:\n  - role: user\n    content: |\n      one\n      two\n"
    path = tmp_path / "draft.yaml"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert next(read_prompt_file(path).content.text_lines()) == "[user]"
    assert read_prompt_file(path).content == parse(text, "draft.yaml").content


BLOCK = """\
name: x
messages:
  - role: user
    content: |
      first line
      {{ a }} and {{ b }}
variables: {a: {type: string}}
"""

# each row: what is changed in V3 -> what the message says after "v3.yaml, line "
REFUSALS = [
    # keys
    (("message: name", "mesage: name"), "4: mesage: unknown key 'mesage'; did you mean 'message'?"),
    (("role: user", "rol: user"), "7: messages[1].rol: unknown key 'rol'; did you mean 'role'?"),
    (("role: user, ", ""), "7: messages[1]: 'role' is missing"),
    (("role: user", "role: user, nmae: x"), "7: messages[1].nmae: unknown key 'nmae'"),
    (
        ("required: true", "requird: true"),
        "8: variables.ticket.requird: unknown key 'requird'; did",
    ),
    (("description: R", "name: R"), "3: the key 'name' is there already, on line 1"),
    (("messages:", "texts:"), "5: texts: unknown key 'texts'; known are name, version, descripti"),
    (("name: support-triage\n", ""), "1: 'name' is missing"),
    # types
    (("name: support-triage", "name: 3"), "1: name: this must be a text; put it in quotes"),
    (("name: support-triage", "name: Support"), "1: name: 'Support' is no prompt"),
    (("name: support-triage", "name: support-triage@3"), "1: name: 'support-triage@3' is a ref"),
    (("version: v3", "version: 3"), "2: version: write v and a number, as in v3"),
    (("version: v3", "version: v03"), "2: version: write v and a number, as in v3"),
    (("version: v3", "version:"), "2: version: write v and a number, as in v3"),
    (("version: v3", "version: v4"), "2: version: version v4 belongs in a file called v4.yaml"),
    (("version: v3", "#"), "1: version is missing: a file called v3.yaml says version: v3"),
    (("role: system", "role: sytem"), "6: messages[0].role: input should be 'system', 'develop"),
    (("role: user,", "role: tool,"), "7: messages[1].role: input should be 'system', 'develop"),
    (('content: "{{ ticket }}"', "content: 3"), "7: messages[1].content: this must be a text"),
    (('content: "{{ ticket }}"', "content: "), "7: messages[1].content: this must be a text"),
    (("required: true", "required: yes"), "8: variables.ticket.required: this must be true or f"),
    (("type: string", "type: text"), "8: variables.ticket.type: input should be 'string', 'int"),
    (("{type: string, required: true}", "string"), "8: variables.ticket: a variable is a mapping"),
    (('{role: user, content: "{{ ticket }}"}', "hello"), "7: messages[1]: a message is a mapping"),
    (("{ticket: {", "{tickets: {"), "7: messages[1].content: the placeholder {{ ticket }} is not"),
    # variables
    (("required: true", "required: false"), "8: variables.ticket: a variable that is not required"),
    (("required: true", "default: x"), "8: variables.ticket: a variable with a default is not"),
    (
        ("required: true", "required: false, default: 3"),
        "8: variables.ticket: the default is not of type string.",
    ),
    (("{{ ticket }}", "the ticket"), "8: variables.ticket: the variable ticket is declared and us"),
    (("{{ ticket }}", "{{ticket.x}}"), "7: messages[1].content: '{{ticket.x}}' is no placeholder"),
    # parameters
    (("temperature: 0", "temprature: 0"), "9: parameters.temprature is no parameter"),
    (("temperature: 0", "temperature: 3"), "9: parameters.temperature = 3 is out of bounds"),
    (("temperature: 0", "temperature: hot"), "9: parameters.temperature must be a number"),
    (("temperature: 0", "temperature: "), "9: parameters.temperature: the value is missing"),
    # what YAML could do and must not
    (("{type: string", "!!python/name:os.system {type: string"), "8: tags (!) are not read"),
    (("{type: string", "&x {type: string"), "8: anchors and aliases (& and *) are not read"),
    (("{type: string, required: true}", "*x"), "8: anchors and aliases (& and *) are not read"),
    (("parameters:", "---\nparameters:"), "9: there is a second document"),
    (("temperature: 0", f"temperature: {'[' * 60}{']' * 60}"), "9: this is nested deeper than 50"),
    (("temperature: 0", f"temperature: {'9' * 5000}"), "9: this number is too large"),
    (("description: R", "description: a: b R"), "3: this is not valid YAML"),
    (("description: R", "description: @R"), "3: this is not valid YAML"),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS)
def test_a_problem_is_told_with_file_line_and_field(change: tuple[str, str], message: str) -> None:
    assert change[0] in V3
    told = refused(V3.replace(*change, 1))
    assert told.startswith(f"v3.yaml, line {message}")


def test_an_undeclared_placeholder_in_a_block_is_told_with_its_own_line() -> None:
    assert refused(BLOCK, "draft.yaml") == (
        "draft.yaml, line 6: messages[0].content: "
        "the placeholder {{ b }} is not declared under variables."
    )


def test_a_broken_placeholder_in_a_block_is_told_with_its_own_line() -> None:
    told = refused(BLOCK.replace("first line", "{% if %} {{ a | upper }}"), "draft.yaml")
    assert told.startswith("draft.yaml, line 5: messages[0].content: '{{ a | upper }}' is no")


def test_a_second_history_placeholder_is_refused() -> None:
    text = "name: x\nmessages:\n  - placeholder: history\n  - placeholder: history\n"
    assert refused(text, "draft.yaml") == (
        "draft.yaml, line 4: messages[1]: a prompt has at most one message placeholder."
    )


def test_an_empty_file_is_refused() -> None:
    assert "holds a mapping with name and messages" in refused("", "draft.yaml")


def test_braces_without_quotes_are_told_how_to_write_them(tmp_path: Path) -> None:
    path = tmp_path / "v3.yaml"
    path.write_text(V3.replace('"{{ ticket }}"', "{{ ticket }}"))
    with pytest.raises(Invalid, match="line 7") as caught:
        read_prompt_file(path)
    assert caught.value.hint == 'A text that begins with {{ stands in quotes: "{{ name }}".'


def test_a_file_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(Invalid, match="1,000,001 bytes; at most 1,000,000"):
        read_prompt_file(path)


def test_a_file_that_is_no_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "v3.yaml"
    path.write_bytes(V3.replace("Route", "R\u00f6ute").encode("latin-1"))
    with pytest.raises(Invalid, match="line 3: this is not UTF-8"):
        read_prompt_file(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"v9\.yaml cannot be read: No such file"):
        read_prompt_file(tmp_path / "v9.yaml")


def test_another_ending_is_refused_and_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "prompts" / "x").mkdir(parents=True)
    path = tmp_path / "prompts" / "x" / "v1.yml"
    path.write_text(V3)
    assert find_prompt_files(tmp_path) == [path]
    with pytest.raises(Invalid, match=r"ends in \.yaml; rename the file"):
        read_prompt_file(path)


def workspace(root: Path, where: str, text: str) -> Path:
    (root / "workbench.yaml").touch()
    path = root / "prompts" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("where", ["other/v3.yaml", "team/support-triage/v3.yaml", "v3.yaml"])
def test_a_file_in_the_folder_of_another_name_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(Invalid, match="belongs in the folder prompts/support-triage; it lies in"):
        read_prompt_file(workspace(tmp_path, where, V3))


def test_a_team_is_a_folder(tmp_path: Path) -> None:
    text = V3.replace("support-triage", "desk/support-triage")
    file = read_prompt_file(workspace(tmp_path, "desk/support-triage/v3.yaml", text))
    assert file.reference == "desk/support-triage@3"
    assert file.path == prompt_path(tmp_path, file.name, 3)


def test_a_draft_may_lie_anywhere_outside_the_prompts_folder(tmp_path: Path) -> None:
    path = workspace(tmp_path, "../mine.yaml", V3.replace("version: v3 ", "#"))
    assert read_prompt_file(path).name == "support-triage"


def test_hidden_files_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for where in (".cache/v1.yaml", "x/.v1.yaml", "x/README.md", "x/v1.yaml"):
        workspace(tmp_path, where, V3)
    assert find_prompt_files(tmp_path) == [tmp_path / "prompts" / "x" / "v1.yaml"]


def test_a_workspace_without_prompts_has_no_files(tmp_path: Path) -> None:
    assert find_prompt_files(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "is_file"),
    [("triage@3", False), ("team/triage", False), ("draft.yaml", True), ("a/v3.yml", True)],
)
def test_a_file_is_told_from_a_reference_by_its_ending(text: str, is_file: bool) -> None:
    assert is_prompt_file(text) is is_file


@pytest.mark.parametrize("path", find_prompt_files(REPOSITORY), ids=lambda path: str(path)[-40:])
def test_the_sample_prompts_are_in_order(path: Path) -> None:
    file = read_prompt_file(path)
    assert file.number is not None
    assert path == prompt_path(REPOSITORY, file.name, file.number)


# Writing

_NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,12}(/[a-z0-9][a-z0-9._-]{0,12})?", fullmatch=True)
_VARIABLE_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
_TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="{\0")),
    st.text(alphabet=" \n\t\r\x85\u2028'\":#-|>&*!?,[]}%@`\\0.e+ab"),
)
_SHORT = st.text(alphabet=" \n:#-'{}ab", max_size=6)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _SHORT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_SHORT, inner, max_size=2),
    max_leaves=4,
)
_OBJECTS = st.dictionaries(_SHORT, _JSON, max_size=2)


@st.composite
def _variables(draw: st.DrawFn) -> dict[str, object]:
    if draw(st.booleans()):
        return {"description": draw(_TEXTS)}
    return {
        "type": "any",
        "required": False,
        "default": draw(_JSON.filter(lambda v: v is not None)),
    }


@st.composite
def _contents(draw: st.DrawFn) -> PromptContent:
    variables = draw(st.dictionaries(_VARIABLE_NAMES, _variables(), max_size=3))
    messages: list[dict[str, str]] = [
        {"role": draw(st.sampled_from(["system", "user", "assistant"])), "content": draw(_TEXTS)}
        for _ in range(draw(st.integers(1, 3)))
    ]
    for name in variables:
        messages[0]["content"] += f"{draw(_TEXTS)} {{{{ {name} }}}}"  # no backslash before
    if draw(st.booleans()):
        messages.append({"placeholder": "history"})
    return PromptContent.model_validate(
        {
            "messages": messages,
            "variables": variables,
            "parameters": draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "temperature": st.floats(0, 2),
                        "max_tokens": st.integers(1, 100),
                        "stop": st.lists(_TEXTS.filter(bool), min_size=1, max_size=3),
                    },
                )
            ),
            "tools": draw(st.none() | st.lists(_OBJECTS, max_size=2)),
            "tool_choice": draw(st.none() | _TEXTS | _OBJECTS),
            "response_format": draw(st.none() | _OBJECTS),
        }
    )


@st.composite
def _files(draw: st.DrawFn) -> PromptFile:
    number = draw(st.none() | st.integers(1, 10**6))
    return PromptFile(
        path=Path("draft.yaml" if number is None else f"v{number}.yaml"),
        name=draw(_NAMES),
        number=number,
        content=draw(_contents()),
        description=draw(_TEXTS),
        message=draw(_TEXTS),
    )


@settings(deadline=None)  # the machine's load is not what is tested
@given(_files())
def test_what_is_written_reads_back_as_the_same_and_is_written_the_same(file: PromptFile) -> None:
    text = write_prompt(file)
    read = parse_prompt(text, file.path)
    assert read == file
    assert read.content.hash == file.content.hash
    assert orjson.dumps(read.content.stored()) == orjson.dumps(file.content.stored())
    assert write_prompt(read) == text


def test_the_written_form_is_the_one_that_people_write() -> None:
    text = V3.replace("                      # number 3, addressed support-triage@3", "")
    text = text.replace('"You', "'You").replace('other."', "other.'").replace('"', "'")
    text = text.replace("- {role: system, ", "- role: system\n    ").replace("other.'}", "other.'")
    text = text.replace("variables: {t", "variables:\n  t").replace("true}}", "true}")
    assert write_prompt(parse(V3)) == text


# Giving a number

DRAFT = """\
# how we route
name: x    # the team's name for it
description: Route.

messages:
  - role: user
    content: |   # one block
      {{ a }}
variables: {a: {}}
"""


def test_publishing_a_draft_keeps_its_comments_and_layout() -> None:
    draft = parse(DRAFT, "draft.yaml")
    numbered = replace(draft, path=Path("v4.yaml"), number=4, message="say: it")
    assert number_prompt_text(DRAFT, numbered) == DRAFT.replace(
        "for it\n", "for it\nversion: v4\nmessage: 'say: it'\n"
    )


def test_publishing_replaces_the_message() -> None:
    text = DRAFT.replace("description: Route.", "message: >-\n  work in\n  progress")
    draft = parse(text, "draft.yaml")
    numbered = replace(draft, path=Path("v4.yaml"), number=4, message="done")
    assert number_prompt_text(text, numbered) == DRAFT.replace(
        "for it\ndescription: Route.\n", "for it\nversion: v4\nmessage: done\n"
    )


def test_another_number_changes_nothing_but_the_number() -> None:
    numbered = replace(parse(V3), path=Path("v12.yaml"), number=12)
    assert number_prompt_text(V3, numbered) == V3.replace("version: v3 ", "version: v12 ")


def test_line_ends_stay_as_they_are() -> None:
    text = DRAFT.replace("\n", "\r\n")
    numbered = replace(parse(text, "draft.yaml"), path=Path("v4.yaml"), number=4)
    assert number_prompt_text(text, numbered) == text.replace(
        "for it\r\n", "for it\r\nversion: v4\r\n"
    )


def test_a_layout_that_cannot_be_kept_is_written_anew() -> None:
    text = '{name: x, messages: [{role: user, content: "Hello."}]}'
    numbered = replace(parse(text, "draft.yaml"), path=Path("v1.yaml"), number=1)
    assert number_prompt_text(text, numbered) == write_prompt(numbered)


@settings(deadline=None)
@given(_files(), st.integers(1, 10**6), _TEXTS)
def test_a_numbered_text_says_what_was_asked(file: PromptFile, number: int, message: str) -> None:
    numbered = replace(file, path=Path(f"v{number}.yaml"), number=number, message=message)
    text = number_prompt_text(write_prompt(file), numbered)
    assert parse_prompt(text, numbered.path) == numbered
