"""The page of datasets: the list, a version with its examples, changes, a profile, an upload."""

from __future__ import annotations

import io
import json
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, datasets
from workbench.client.datasets import Example, LengthBucket, Message, Preview, Profile, RowError
from workbench.dashboard.charts.datasets import label_chart, length_chart
from workbench.dashboard.elements import csv_bytes
from workbench.dashboard.frames.datasets import (
    error_frame,
    example_lines,
    example_parts,
    label_frame,
    length_frame,
    summary_of,
    tokens_of,
)
from workbench.dashboard.frames.uploads import (
    HEAD_BYTES,
    Columns,
    Upload,
    UploadError,
    guessed,
    head_of,
    import_command,
    is_own_form,
    name_of,
    whole_of,
)

TRIAGE = "support-triage"
CSV = b"id,ticket,queue\n1,Charged twice,billing\n2,No light,bug\n"
WRONG = b"id,ticket,queue\n1,Charged twice,billing\n2,only two\n1,Again,bug\n"
HOSTILE = '=HYPERLINK("http://evil.example") ![x](http://evil.example/a.png) \u202egnp.exe'


# The page


def test_an_empty_workspace_says_how_to_bring_a_dataset_in(empty: Workspace) -> None:
    page = open_page("datasets", empty.url, empty.key)
    assert "There is no dataset yet" in texts(page)
    assert "Upload a file" in texts(page)


def test_the_list_is_searched_by_the_address(filled: Workspace) -> None:
    page = open_page("datasets", filled.url, filled.key, {"search": "triage"})
    said = texts(page).replace("\\", "")
    assert TRIAGE in said
    assert "word-problems" not in said
    page = open_page("datasets", filled.url, filled.key, {"search": "nothing"})
    assert "No dataset is called so" in texts(page)


def test_a_version_shows_its_card_and_its_examples(filled: Workspace) -> None:
    said = shown(filled, name=TRIAGE)
    assert "200 examples, 200 with expected output; inputs: ticket" in said
    assert "triage-0001" in said
    assert "More examples" in said
    assert f"dataset={TRIAGE}%401" in said  # the experiments page's form, filled in


def shown(workspace: Workspace, key: str | None = None, **query: str) -> str:
    page = open_page("datasets", workspace.url, key or workspace.key, query)
    return texts(page).replace("\\", "")


def test_examples_are_searched_by_the_address(filled: Workspace) -> None:
    said = shown(filled, name=TRIAGE, text="14 seats")
    assert "triage-0001" in said
    assert "triage-0002" not in said
    assert "No example is like that" in shown(filled, name=TRIAGE, text="no such words")
    said = shown(filled, name=TRIAGE, column="trait", value="sarcasm")
    assert "triage-0002" in said
    assert "triage-0001" not in said


def test_one_example_is_shown_whole(filled: Workspace) -> None:
    page = open_page("datasets", filled.url, filled.key, {"name": TRIAGE, "key": "triage-0001"})
    said = texts(page)
    assert "Example 1 of 200" in said
    assert "input, ticket" in said
    assert "expected output" in said


def test_lengths_repeats_and_labels_are_shown(filled: Workspace) -> None:
    said = shown(filled, name=TRIAGE, view="Lengths and repeats")
    assert "Half of the inputs have at most" in said
    assert "Expected outputs" in said


def test_the_only_version_has_nothing_to_be_compared_with(filled: Workspace) -> None:
    assert "This is the only version" in shown(filled, name="word-problems", view="Changes")


def test_two_versions_are_compared_word_by_word(filled: Workspace) -> None:
    before = [{"key": key, "input": {"q": f"What is {key}?"}} for key in "abc"]
    after = [
        {"key": "a", "input": {"q": f"What was a? {HOSTILE}"}},
        before[1],
        {"key": "d", "input": {"q": HOSTILE}},
    ]
    with Client(filled.url, filled.key) as client:
        client.send(datasets.import_("page/compared", before))
        client.send(datasets.import_("page/compared", after))
    page = open_page(
        "datasets", filled.url, filled.key, {"name": "page/compared", "view": "Changes"}
    )
    said = texts(page)
    assert "1 added, 1 removed, 1 changed" in said
    assert "~~is~~" in said
    assert "was" in said
    marked = "".join(element.value for element in page.markdown)
    assert "evil" in marked
    assert "](http" not in marked  # untrusted text is no Markdown
    assert "\u202e" not in said
    assert "2 versions" in shown(filled, search="compared")


def test_a_dataset_that_is_not_there_is_told_in_a_sentence(filled: Workspace) -> None:
    page = open_page("datasets", filled.url, filled.key, {"name": "nothing"})
    assert "the link may be old" in page.warning[0].value


def test_a_viewer_cannot_upload(filled: Workspace) -> None:
    said = shown(filled, filled.viewer, name=TRIAGE)
    assert "Upload" not in said
    assert "Use it in an experiment" not in said
    page = open_page("datasets", filled.url, filled.viewer, {"new": "1"})
    assert not page.file_uploader


def test_nobody_is_told_that_their_roles_do_not_allow_it(filled: Workspace) -> None:
    page = open_page("datasets", filled.url, filled.nobody)
    assert "Your roles do not allow this" in page.warning[0].value


def test_an_api_that_fails_is_told_with_a_way_to_try_again(failing: str) -> None:
    page = open_page("datasets", failing, "wb_x")
    assert "The database does not answer" in page.error[0].value


def upload(workspace: Workspace, name: str, content: bytes) -> AppTest:
    page = open_page("datasets", workspace.url, workspace.key, {"new": "1"})
    page.file_uploader[0].set_value((name, content, "application/octet-stream"))
    page.run()
    assert not page.exception, page.exception
    return page


def test_a_file_is_looked_at_and_imported(filled: Workspace) -> None:
    page = upload(filled, "My Tickets.csv", CSV)
    assert page.text_input[0].value == "my-tickets"
    assert '"expected_output"' not in texts(page)
    page.selectbox[0].set_value("queue")  # nothing tells that queues are what is expected
    page.run()
    assert '"expected_output": "billing"' in texts(page)
    page.button(key="upload-import").click().run()
    assert not page.exception, page.exception
    assert "Imported 2 examples as my-tickets@1" in texts(page).replace("\\", "")
    with Client(filled.url, filled.key) as client:
        examples = list(client.all(datasets.examples("my-tickets@1")))
    assert [example.key for example in examples] == ["1", "2"]
    assert examples[0].input == {"ticket": "Charged twice"}


def test_every_wrong_row_is_told_and_nothing_is_stored(filled: Workspace) -> None:
    page = upload(filled, "wrong-rows.csv", WRONG)
    page.button(key="upload-import").click().run()
    assert "2 rows are wrong, 1 would do" in page.error[-1].value
    table = page.dataframe[0].value
    assert list(table["row"]) == [2, 3]
    assert list(table["line"]) == [3, 4]
    assert "already used by row 1" in table.loc[1, "what is wrong"]
    assert "No dataset is called so" in shown(filled, search="wrong-rows")


def test_rows_that_are_examples_have_no_columns_to_choose(filled: Workspace) -> None:
    lines = json.dumps({"key": "a", "input": {"x": "1"}}).encode()
    page = upload(filled, "own-form.jsonl", lines)
    assert "The rows are examples as they are" in page.info[0].value
    page.button(key="upload-import").click().run()
    assert "Imported 1 examples as own-form@1" in texts(page).replace("\\", "")


def test_a_file_that_is_no_text_is_told_in_a_sentence(filled: Workspace) -> None:
    page = upload(filled, "latin.csv", "ticket\nGrüße\n".encode("latin-1"))
    assert "save it as UTF" in page.error[0].value


# Files


def test_a_header_says_what_stands_between_the_cells() -> None:
    assert head_of("a.csv", b"a;b\n1,5;2\n") == Upload("a;b\n1,5;2\n", "csv", ";")
    assert head_of("a.tsv", b"a\tb\n1\t2\n").separator == "\t"
    assert head_of("a.csv", b'"a,x";b\n').separator == ";"


def test_a_mark_at_the_beginning_is_no_part_of_a_name() -> None:
    assert head_of("a.csv", b"\xef\xbb\xbfa\n1\n").text == "a\n1\n"


def test_the_beginning_of_a_large_file_ends_with_a_whole_line() -> None:
    content = b'{"x": "\xc3\xa4"}\n' * (HEAD_BYTES // 10)
    head = head_of("a.jsonl", content)
    assert len(head.text) < HEAD_BYTES
    assert head.text.endswith("\n")
    assert len(whole_of("a.jsonl", content).text) > HEAD_BYTES


def test_an_array_begins_with_its_first_objects() -> None:
    content = json.dumps([{"x": number} for number in range(100)]).encode()
    assert head_of("a.json", content).text.splitlines()[1] == '{"x": 1}'
    assert whole_of("a.json", content) == Upload(content.decode(), "json")


def test_parquet_becomes_lines() -> None:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"x": ["a", "b"], "n": [1, None]}), buffer)
    upload = whole_of("a.parquet", buffer.getvalue())
    assert upload == Upload('{"x": "a", "n": 1}\n{"x": "b", "n": null}', "jsonl")
    assert head_of("a.parquet", buffer.getvalue()) == upload


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.xlsx", b"x", "Files end with"),
        ("a.csv", b"  \n", "no rows"),
        ("a.csv", b"a\n\xff\n", "Line 2 holds the byte 0xFF"),
        ("a.csv", "a\n1\n".encode("utf-16"), "UTF-16"),
        ("a.csv", b"a\n\0\n", "Line 2 holds a NUL"),
        ("a.json", b'[{"x": 1},\n{]', "Line 2 is no JSON"),
        ("a.json", b'{"x": 1}', "one array"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.parquet", b"PAR1 and no more", "no Parquet"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(name: str, content: bytes, told: str) -> None:
    with pytest.raises(UploadError, match=told):
        head_of(name, content)


@pytest.mark.parametrize(
    ("columns", "guess"),
    [
        (("id", "ticket", "Label"), Columns(expected_output="Label", key="id")),
        (("question",), Columns()),
        (("answer",), Columns(inputs=("answer",))),
    ],
)
def test_names_tell_what_columns_probably_are(columns: tuple[str, ...], guess: Columns) -> None:
    assert guessed(columns) == guess


def test_the_command_for_a_larger_file_says_the_same() -> None:
    columns = Columns(("a b",), "queue", "id", None, ("lang",))
    assert import_command("My file.csv", "t", columns) == (
        "workbench datasets import 'My file.csv' --name t --input 'a b' --expected queue "
        "--key id --metadata lang"
    )


def test_a_file_s_name_makes_a_dataset_s() -> None:
    assert name_of("../My Tickets (2).csv") == "my-tickets-2"
    assert name_of("日本.csv") == ""


def test_own_form_is_objects_of_our_fields() -> None:
    def first(**values: object) -> Preview:
        row = {"row": 1, "values": values, "example": None}
        return Preview.model_validate(
            {
                "columns": list(values),
                "rows": [row],
                "examples": 0,
                "expected_count": 0,
                "repeated_inputs": 0,
                "errors": [],
                "error_count": 0,
            }
        )

    assert is_own_form(first(input={"x": 1}, key="a"))
    assert not is_own_form(first(input="text", key="a"))
    assert not is_own_form(first(input={"x": 1}, other=1))


# Frames and charts


def an_example(**changes: object) -> Example:
    values: dict[str, object] = {
        "id": UUID(int=0),
        "position": 0,
        "key": "a",
        "input": {"q": "one\ntwo", "n": 3},
        "messages": (Message(role="user", content="before"),),
        "expected_output": {"x": 1},
        "metadata": {"lang": "en"},
        "cluster": "c",
    }
    return Example.model_validate({**values, **changes})


def test_an_example_is_read_in_the_order_of_the_conversation() -> None:
    assert [name for name, _ in example_parts(an_example())] == [
        "user before",
        "input, q",
        "input, n",
        "expected output",
        "metadata, lang",
        "cluster",
    ]
    assert example_lines(an_example())[:5] == ["user before:", "before", "input, q:", "one", "two"]
    assert example_lines(None) == []
    assert summary_of({"q": "text"}, 100) == "text"
    assert summary_of({"q": "text", "n": 1}, 100) == "q: text; n: 1"


def a_profile(**changes: object) -> Profile:
    values: dict[str, object] = {
        "dataset": "a@1",
        "examples": 4,
        "complete": True,
        "median_characters": 10,
        "longest": [],
        "lengths": [],
        "characters_per_token": 4,
        "repeated_groups": 0,
        "repeated_examples": 0,
        "repeated": [],
        "labels": [{"label": "=1+1", "examples": 3}],
        "without_expected": 1,
    }
    return Profile.model_validate({**values, **changes})


def test_labels_are_counted_with_their_share_and_harmless_in_a_spreadsheet() -> None:
    frame = label_frame(a_profile())
    assert list(frame["expected output"]) == ["=1+1", "(none)"]
    assert list(frame["share"]) == [0.75, 0.25]
    assert b"'=1+1" in csv_bytes(frame)
    assert "n = 4 examples" in str(label_chart(frame).to_dict()["title"])


def test_lengths_are_drawn_with_unit_and_number() -> None:
    frame = length_frame([LengthBucket(low=1, high=4, examples=2)])
    drawn = length_chart(frame).to_dict()
    assert "n = 2 examples" in str(drawn["title"])
    assert "characters" in drawn["encoding"]["x"]["title"]
    assert tokens_of(41, a_profile()) == "about 11 tokens"


def test_errors_show_hidden_characters() -> None:
    wrong = RowError(row=1, line=None, column="\u202ea", problem="bad\u200b")
    frame = error_frame([wrong])
    assert frame.loc[0, "column"] == "⟨U+202E⟩a"
    assert frame["line"].isna().all()
