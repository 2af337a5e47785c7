"""The page of generations: one found among many, its whole story, its checks."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import ALIAS, Workspace
from tests.dashboard.hostile import PAYLOADS
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, generations
from workbench.client.calls import Parameter
from workbench.dashboard.answer_markdown import answer_pieces
from workbench.dashboard.frames.generations import purpose_word


def one(workspace: Workspace, **filters: Parameter) -> str:
    with Client(workspace.url, workspace.key) as client:
        return str(client.send(generations.page(filters, limit=1)).items[0].id)


def test_an_empty_workspace_says_what_to_do(empty: Workspace) -> None:
    said = texts(open_page("generations", empty.url, empty.key))
    assert "No generation yet" in said
    assert "Start an experiment" in said


def test_an_api_that_fails_is_told_in_a_sentence(failing: str) -> None:
    said = texts(open_page("generations", failing, "key"))
    assert "The database does not answer" in said


def test_whoever_has_no_role_is_told_what_is_missing(filled: Workspace) -> None:
    said = texts(open_page("generations", filled.url, filled.nobody))
    assert "Your roles do not allow this" in said


def test_the_list_has_everything_newest_first_and_goes_on(filled: Workspace) -> None:
    page = open_page("generations", filled.url, filled.key)
    said = texts(page)
    assert "newest first" in said
    assert ALIAS.partition("@")[0] in said.replace("\\", "")
    assert [button.label for button in page.button if button.label == "Older"] == ["Older"]


def test_filters_stand_in_the_address(filled: Workspace) -> None:
    query: dict[str, str | list[str]] = {"purpose": "chat", "text": "invoice of May is wrong 3"}
    page = open_page("generations", filled.url, filled.key, query)
    assert "1 found in " in texts(page)
    assert page.text_input(key="text").value == "invoice of May is wrong 3"


def test_a_link_may_name_what_it_filters_by_as_the_api_does(filled: Workspace) -> None:
    query: dict[str, str | list[str]] = {"purpose": "chat", "ending": ["failed", "upstream_cut"]}
    page = open_page("generations", filled.url, filled.key, query)
    assert page.multiselect(key="purpose").value == ["chat"]
    assert page.multiselect(key="ending").value == ["failed", "upstream_cut"]


def test_filters_that_nothing_fits_say_so(filled: Workspace) -> None:
    page = open_page("generations", filled.url, filled.key, {"key": "nothing"})
    assert "No generation fits the filters" in texts(page)
    assert [box.label for box in page.expander] == ["More filters (1 set)"]


def test_an_id_that_is_none_is_told_and_left_out(filled: Workspace) -> None:
    said = texts(open_page("generations", filled.url, filled.key, {"conversation_id": "x"}))
    assert "is no id, so this filter is left out" in said


def test_one_generation_is_told_whole(filled: Workspace) -> None:
    cell = one(filled, purpose="experiment")
    page = open_page("generations", filled.url, filled.key, {"id": cell})
    said = texts(page)
    for part in ("Request as sent", "Answer", "Parameters", "Attempts", "Scores", "Prompt hash"):
        assert part in said
    assert "Reviews" in said
    assert page.toggle[0].label == "Show the answer as Markdown"


def test_an_answer_that_came_whole_says_so_and_its_facts_say_what_they_mean(
    filled: Workspace,
) -> None:
    chat = one(filled, purpose="chat", alias=ALIAS)
    page = open_page("generations", filled.url, filled.key, {"id": chat})
    shown = {figure.label: figure.value for figure in page.metric}
    assert shown["Time to first token"] == "not streamed"
    said = texts(page)
    assert "Production" in said
    assert "canaries take the buckets from 0 upwards" in said


@pytest.mark.parametrize(
    ("purpose", "alias", "word"),
    [
        ("chat", ALIAS, "Production"),
        ("chat", None, "Direct call"),
        ("experiment", None, "Experiment"),
        ("later", None, "later"),
    ],
)
def test_a_chat_without_an_alias_is_a_direct_call(
    purpose: str, alias: str | None, word: str
) -> None:
    assert purpose_word(purpose, alias) == word


def test_the_replay_of_an_experiment_is_identical(filled: Workspace) -> None:
    page = open_page("generations", filled.url, filled.key, {"id": one(filled, experiment=1)})
    [check] = [button for button in page.button if button.label == "Check the replay"]
    check.click().run()
    assert [it.value.startswith("Identical") for it in page.success] == [True]


def _shown_replay(outcome: str, reason: str | None, hash_holds: bool | None) -> None:
    from workbench.client.generations import Replay
    from workbench.dashboard.views.generations_checks import replay_outcome

    replay_outcome(
        Replay(
            outcome=outcome,
            identical=outcome == "identical",
            reason=reason,
            note=None,
            checked=("messages",),
            differences=(),
            stored_hash="sha256:1",
            rendered_hash=None,
            hash_holds=hash_holds,
        )
    )


@pytest.mark.parametrize("outcome", ["identical", "different", "impossible"])
def test_a_request_that_lost_its_hash_is_never_shown_as_all_right(outcome: str) -> None:
    reason = "It is a question to a judge." if outcome == "impossible" else None
    page = AppTest.from_function(_shown_replay, args=(outcome, reason, False)).run()
    assert not page.success
    [error] = page.error
    assert "the stored request is not the one that was sent" in error.value
    assert (reason or "").rstrip(".") in error.value
    assert "does not hold" in texts(page)


def test_a_hash_that_nothing_is_left_to_check_against_is_not_said_to_fail() -> None:
    erased = ("impossible", "The text of its request was erased.", None)
    page = AppTest.from_function(_shown_replay, args=erased).run()
    assert "hold" not in texts(page)


def test_a_chat_is_not_there_for_whoever_may_not_see_production(filled: Workspace) -> None:
    chat = one(filled, purpose="chat")
    said = texts(open_page("generations", filled.url, filled.viewer, {"id": chat}))
    assert "It may be out of your sight" in said


def test_a_flag_wants_a_reason_and_then_stays(filled: Workspace) -> None:
    chat = one(filled, purpose="chat", alias=ALIAS)
    page = open_page("generations", filled.url, filled.key, {"id": chat})
    page.radio[0].set_value("flagged")
    [save] = [button for button in page.button if button.label == "Save review"]
    save.click().run()
    assert "the reason is empty" in texts(page)
    page.radio[0].set_value("flagged")
    page.text_area[0].set_value("It promises too much.")
    [save] = [button for button in page.button if button.label == "Save review"]
    save.click().run()
    assert "The review is saved." in texts(page)
    listed = open_page("generations", filled.url, filled.key, {"review": "flagged"})
    assert "1 generation, newest first" in texts(listed)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_markdown_of_an_answer_holds_no_image_link_or_html(payload: str) -> None:
    shown = "\n".join(piece.text for piece in answer_pieces(payload) if not piece.is_code)
    outside_code = "".join(part for part in shown.split("`")[::2])
    for mark in ("<", "[", "](", "!", "$"):
        bare = outside_code.replace(f"\\{mark}", "") if len(mark) == 1 else outside_code
        assert mark not in bare


def test_headings_lists_bold_and_code_stay() -> None:
    text = "# Title\n\n- **one** and `two`\n1. three\n```python\nx = '<b>'\n```"
    pieces = list(answer_pieces(text))
    assert [piece.is_code for piece in pieces] == [False, True]
    assert "#### Title" in pieces[0].text
    assert "- **one** and `two`" in pieces[0].text
    assert pieces[1].text == "x = '<b>'"
