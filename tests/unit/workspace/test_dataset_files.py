"""Examples from files: columns by name, chats, and this project's own form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigurationError
from app.schemas.datasets import ExampleInput
from workbench.workspace.dataset_files import ExampleColumns, dataset_name, read_examples
from workbench.workspace.tables import TableError

TICKETS = "id,ticket,lang,queue,customer\nt-1,My invoice,en,billing,acme\nt-2,Passwort,,account,\n"


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    path.write_text(TICKETS)
    return path


def jsonl(folder: Path, *rows: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(path: Path, columns: ExampleColumns | None = None) -> TableError:
    with pytest.raises(TableError) as refused:
        list(read_examples(path, columns))
    return refused.value


def test_columns_are_taken_by_name_and_the_others_are_left_out(tickets: Path) -> None:
    columns = ExampleColumns(
        inputs=("ticket",), expected="queue", key="id", cluster="customer", metadata=("lang",)
    )
    assert list(read_examples(tickets, columns)) == [
        ExampleInput(
            key="t-1",
            input={"ticket": "My invoice"},
            expected_output="billing",
            metadata={"lang": "en"},
            cluster="acme",
        ),
        ExampleInput(key="t-2", input={"ticket": "Passwort"}, expected_output="account"),
    ]


def test_without_input_columns_all_that_is_nothing_else_is_an_input(tickets: Path) -> None:
    first = next(read_examples(tickets, ExampleColumns(expected="queue", key="id")))
    assert list(first.input) == ["ticket", "lang", "customer"]


def test_an_empty_cell_is_an_input_but_no_expected_output(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n,,x\n")
    (example,) = read_examples(path, ExampleColumns(inputs=("a",), expected="b"))
    assert (example.input, example.expected_output) == ({"a": ""}, None)


def test_a_json_null_is_an_input_but_no_expected_output(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"a": None, "b": None})
    (example,) = read_examples(path, ExampleColumns(inputs=("a",), expected="b"))
    assert (example.input, example.expected_output) == ({"a": None}, None)


def test_paths_reach_into_objects_and_the_answer_never_leaks_into_an_input(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"task": {"text": "1+1"}, "answer": {"final": 2}, "note": "x"})
    (example,) = read_examples(path, ExampleColumns(expected="answer.final"))
    assert example.input == {"task": {"text": "1+1"}, "note": "x"}
    assert example.expected_output == 2
    (example,) = read_examples(path, ExampleColumns(inputs=("task.text",)))
    assert example.input == {"task.text": "1+1"}


def test_a_column_with_dots_in_its_name_leaves_its_neighbour_an_input(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"a": "question", "a.b": "answer"})
    (example,) = read_examples(path, ExampleColumns(expected="a.b"))
    assert (example.input, example.expected_output) == ({"a": "question"}, "answer")


def test_whole_numbers_are_keys_and_other_values_are_not(tmp_path: Path) -> None:
    columns = ExampleColumns(inputs=("a",), key="id")
    (example,) = read_examples(jsonl(tmp_path, {"id": 17, "a": 1}), columns)
    assert example.key == "17"
    for bad in (1.5, True, [1]):
        error = refusal(jsonl(tmp_path, {"id": 1, "a": 1}, {"id": bad, "a": 1}), columns)
        assert (error.row, error.line, error.column) == (2, 2, "id")
    assert "the key is empty" in refusal(jsonl(tmp_path, {"id": "", "a": 1}), columns).message


def test_a_misspelt_column_is_refused_at_once_with_what_there_is(tickets: Path) -> None:
    error = refusal(tickets, ExampleColumns(inputs=("tickt",)))
    assert (error.row, error.column) == (1, "tickt")
    assert error.message.endswith(
        "there are 'id', 'ticket', 'lang', 'queue', 'customer'. Did you mean 'ticket'?"
    )
    with pytest.raises(TableError, match="'que'"):
        next(read_examples(tickets, ExampleColumns(inputs=("ticket",), expected="que")))


def test_an_expected_output_may_be_missing_in_some_json_rows_but_not_in_all(tmp_path: Path) -> None:
    columns = ExampleColumns(inputs=("a",), expected="b")
    some = jsonl(tmp_path, {"a": 1}, {"a": 2, "b": 3})
    assert [example.expected_output for example in read_examples(some, columns)] == [None, 3]
    assert (
        "no row has such a column" in refusal(jsonl(tmp_path, {"a": 1}, {"a": 2}), columns).message
    )


def test_an_input_that_a_row_lacks_is_refused_with_the_row(tmp_path: Path) -> None:
    error = refusal(jsonl(tmp_path, {"a": 1}, {"b": 2}), ExampleColumns(inputs=("a",)))
    assert (error.row, error.line, error.column) == (2, 2, "a")


def test_a_new_column_in_a_later_row_is_refused_unless_inputs_are_named(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"a": 1}, {"a": 2, "surprise": 3})
    assert refusal(path).column == "surprise"
    assert len(list(read_examples(path, ExampleColumns(inputs=("a",))))) == 2


def test_a_file_whose_columns_are_all_spoken_for_has_no_input(tickets: Path) -> None:
    columns = ExampleColumns(expected="queue", metadata=("id", "ticket", "lang", "customer"))
    assert "no column is left" in refusal(tickets, columns).message


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"inputs": ("a",), "expected": "a"}, "cannot be an input"),
        ({"inputs": ("a", "a")}, "named twice"),
        ({"inputs": ("message",), "messages": "chat"}, "last user turn"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(
    columns: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ExampleColumns(**columns)


OWN = {
    "key": "k-1",
    "input": {"ticket": "Hello"},
    "messages": [{"role": "user", "content": "Hi"}],
    "expected_output": {"queue": "other"},
    "metadata": {"lang": "en"},
    "cluster": "c",
}


def test_the_projects_own_form_needs_no_columns(tmp_path: Path) -> None:
    short = {"key": "k-2", "input": {"ticket": "x"}}
    examples = list(read_examples(jsonl(tmp_path, OWN, short)))
    assert examples == [ExampleInput.model_validate(OWN), ExampleInput.model_validate(short)]


@pytest.mark.parametrize(
    ("second", "column", "words"),
    [
        ({"input": {"ticket": "x"}, "extra": 1}, "extra", "whose fields are"),
        ({"key": 5, "input": {"ticket": "x"}}, "key", "valid string"),
        ({"key": "k", "input": {}}, None, "needs an input"),
        ({"key": "a\tb", "input": {"ticket": "x"}}, None, "control characters"),
    ],
)
def test_a_row_that_breaks_the_own_form_is_refused(
    second: dict[str, Any], column: str | None, words: str, tmp_path: Path
) -> None:
    error = refusal(jsonl(tmp_path, OWN, second))
    assert (error.row, error.line, error.column) == (2, 2, column)
    assert words in error.message


SYSTEM = {"role": "system", "content": "Be kind."}
HELLO = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
PARTS = {"role": "user", "content": [{"type": "text", "text": "How "}, {"text": "are you?"}]}
WELL = {"role": "assistant", "content": "Well.", "weight": 1}
CHAT = ExampleColumns(messages="messages")


def test_a_chat_gives_history_last_user_turn_and_expected_answer(tmp_path: Path) -> None:
    (example,) = read_examples(jsonl(tmp_path, {"messages": [SYSTEM, *HELLO, PARTS, WELL]}), CHAT)
    assert example == ExampleInput.model_validate(
        {
            "input": {"message": "How are you?"},
            "messages": [SYSTEM, *HELLO],
            "expected_output": "Well.",
        }
    )


def test_a_single_turn_has_no_history_and_an_open_chat_no_answer(tmp_path: Path) -> None:
    (example,) = read_examples(jsonl(tmp_path, {"messages": [HELLO[0]]}), CHAT)
    assert (example.messages, example.expected_output) == (None, None)


def test_other_columns_stand_beside_the_chat(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"id": 1, "messages": [HELLO[0]], "gold": "Hey", "tone": "warm"})
    columns = ExampleColumns(inputs=("tone",), expected="gold", key="id", messages="messages")
    (example,) = read_examples(path, columns)
    assert example.input == {"message": "Hi", "tone": "warm"}
    assert (example.key, example.expected_output) == ("1", "Hey")


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("text", "list of messages"),
        ([], "list of messages"),
        (["text"], "message 1 is no object"),
        ([{"role": "robot", "content": "x"}], "role 'robot'"),
        ([{"role": "tool", "content": "x"}], "role 'tool'"),
        ([HELLO[0], {"role": "assistant", "content": None, "tool_calls": [{}]}], "calls a tool"),
        ([{"role": "user", "content": None}], "message 1 is no text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "message 1 is no text"),
        ([SYSTEM], "must be the user's"),
        ([WELL], "must be the user's"),
        ([*HELLO, WELL], "must be the user's"),
    ],
)
def test_a_chat_that_cannot_be_an_example_is_refused(
    messages: Any, words: str, tmp_path: Path
) -> None:
    error = refusal(jsonl(tmp_path, {"messages": HELLO}, {"messages": messages}), CHAT)
    assert (error.row, error.column) == (2, "messages")
    assert words in error.message


def test_two_answers_are_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"messages": HELLO, "gold": "Hey"})
    error = refusal(path, ExampleColumns(messages="messages", expected="gold"))
    assert "two answers" in error.message


def test_chats_are_not_taken_for_an_input_with_their_answers(tmp_path: Path) -> None:
    error = refusal(jsonl(tmp_path, {"messages": HELLO}))
    assert error.column == "messages"
    assert error.hint is not None
    assert "--messages messages" in error.hint


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tickets.csv", "tickets"),
        ("My Tickets (final).jsonl", "my-tickets-final"),
        ("v1.2_data.csv", "v1.2_data"),
        ("x" * 150 + ".csv", "x" * 100),
    ],
)
def test_a_file_name_becomes_a_dataset_name(file: str, name: str) -> None:
    assert dataset_name(Path("folder") / file) == name
