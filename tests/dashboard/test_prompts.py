"""The page of prompts: the list, versions in time, changes, and the playground."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, prompts

HOSTILE = "![x](https://evil.example/a.png) <script>alert(1)</script> **bold** \u202e"
TRIAGE: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Route the ticket."},
        {"role": "user", "content": "{{ ticket }}"},
    ],
    "variables": {"ticket": {"type": "string"}},
}


@pytest.fixture
def client(filled: Workspace) -> Iterator[Client]:
    with Client(filled.url, filled.key) as opened:
        yield opened


def page(workspace: Workspace, **query: str | list[str]) -> AppTest:
    return open_page("prompts", workspace.url, workspace.key, query)


def playground(workspace: Workspace, name: str, **query: str) -> AppTest:
    return page(workspace, name=name, view="Playground", **query)


def field(test: AppTest, label: str) -> Any:
    """Return the one field of a label, whatever its kind."""
    kinds = ("text_input", "text_area", "selectbox", "number_input", "button")
    found = [one for kind in kinds for one in getattr(test, kind) if one.label == label]
    assert len(found) == 1, (label, [one.label for kind in kinds for one in getattr(test, kind)])
    return found[0]


def labels(test: AppTest) -> set[str]:
    kinds = ("text_input", "text_area", "selectbox", "number_input", "button")
    return {one.label for kind in kinds for one in getattr(test, kind)}


# The list


def test_an_empty_workspace_has_only_what_is_built_in(empty: Workspace) -> None:
    assert "passthrough" in texts(page(empty))
    assert "No prompt is called or described so." in texts(page(empty, search="nothing like it"))


def test_the_list_is_searched_by_its_address(filled: Workspace) -> None:
    found = texts(page(filled, search="TICKET"))
    assert "support\\-triage" in found
    assert "passthrough" not in found


def test_a_failing_api_is_told_in_a_sentence(failing: str, filled: Workspace) -> None:
    told = open_page("prompts", failing, filled.key)
    assert "The database does not answer; try again" in texts(told).replace("\\", "")


def test_without_a_role_the_page_says_what_is_missing(filled: Workspace) -> None:
    refused = open_page("prompts", filled.url, filled.nobody)
    assert "Your roles do not allow this." in texts(refused)


def test_a_prompt_that_there_is_not_is_told(filled: Workspace) -> None:
    assert "There is nothing here by this name" in texts(page(filled, name="nothing"))


# Versions


def test_a_version_is_shown_with_its_place_in_time(filled: Workspace) -> None:
    test = page(filled, name="support-triage")
    told = texts(test).replace("\\", "")
    assert "**Version 3** · shown" in told
    assert "support-triage@production since" in told
    assert "{{ ticket }}" in [code.value for code in test.code]


def test_an_older_version_is_an_address(filled: Workspace) -> None:
    told = texts(page(filled, name="support-triage", version="1"))
    assert "**Version 1** · shown" in told


def test_a_version_can_be_compared_in_an_experiment(filled: Workspace) -> None:
    told = texts(page(filled, name="support-triage", version="2"))
    assert "/experiments?new=1&prompt=support-triage%402" in told


def test_who_may_only_look_sees_no_editor(filled: Workspace) -> None:
    test = open_page("prompts", filled.url, filled.viewer, {"name": "support-triage"})
    assert "Playground" not in test.button_group[0].options
    assert "Edit in the playground" not in texts(test)
    asked = {"name": "support-triage", "view": "Playground"}
    test = open_page("prompts", filled.url, filled.viewer, asked)
    assert "Run" not in labels(test)
    assert "New prompt" not in texts(open_page("prompts", filled.url, filled.viewer))


def test_a_draft_is_published_with_a_message(filled: Workspace, client: Client) -> None:
    draft = client.send(prompts.add("desk/publish", TRIAGE, draft=True))
    reference = f"draft-{draft.content_hash[7:15]}"
    test = page(filled, name="desk/publish", version=reference)
    field(test, "Publish this draft").click().run()
    assert "Say what this version changes" in texts(test)
    field(test, "What this version changes").set_value("First.")
    field(test, "Publish this draft").click().run()
    assert "desk/publish@1 is registered" in texts(test).replace("\\", "")
    assert client.send(prompts.version("desk/publish@1")).message == "First."


def test_texts_of_people_are_shown_as_they_are(filled: Workspace, client: Client) -> None:
    content = {"messages": [{"role": "user", "content": HOSTILE}]}
    client.send(
        prompts.add("desk/hostile", content, message=HOSTILE, description=HOSTILE, number=1)
    )
    changed = {"messages": [{"role": "user", "content": f"{HOSTILE} and more"}]}
    client.send(prompts.add("desk/hostile", changed, message=HOSTILE))
    for query in ({}, {"view": "Changes"}, {"view": "Playground"}):
        test = page(filled, name="desk/hostile", **query)
        for element in (*test.markdown, *test.caption, *test.info, *test.success):
            assert "![x](" not in element.value
            assert "<script>" not in element.value
            assert "\u202e" not in element.value


# Changes


def test_changes_are_marked_word_by_word(filled: Workspace, client: Client) -> None:
    for number, text in enumerate(("Route the ticket now.", "Route the letter now."), start=1):
        content = {"messages": [{"role": "user", "content": text}]}
        client.send(prompts.add("desk/changes", content, message=f"{number}."))
    told = texts(page(filled, name="desk/changes", view="Changes"))
    assert ":orange-background[~~ticket~~]" in told
    assert ":blue-background[letter]" in told
    same = page(filled, name="desk/changes", view="Changes", before="1", after="1")
    assert "Choose two different versions." in texts(same)


# The playground


def test_an_author_edits_runs_registers_and_sees_what_changed(
    filled: Workspace, client: Client
) -> None:
    client.send(prompts.add("desk/journey", TRIAGE, message="First.", description="Routes."))
    test = playground(filled, "desk/journey")
    assert field(test, "Run").disabled
    field(test, "Text of message 1").set_value("Route the ticket to one queue.").run()
    field(test, "Value of ticket").set_value("The invoice of May is wrong.").run()
    assert "It costs at most \\$0: about" in texts(test)
    field(test, "Run").click().run()
    assert [one.value for one in test.subheader][-2:] == ["Answer", "Register"]
    assert "Of a text that you have changed since." not in texts(test)
    field(test, "Register version 2").click().run()
    assert "Say what this version changes" in texts(test)
    field(test, "What this version changes").set_value("One queue.").run()
    field(test, "Register version 2").click().run()
    told = texts(test)
    assert "desk/journey@2 is registered" in told.replace("\\", "")
    assert ":blue-background[to one queue]" in told
    version = client.send(prompts.version("desk/journey@2"))
    assert (version.message, version.description) == ("One queue.", "Routes.")


def test_an_answer_to_another_text_is_told_to_be_one(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/changed", TRIAGE, message="First."))
    test = playground(filled, "desk/changed")
    field(test, "Value of ticket").set_value("Hello.").run()
    field(test, "Run").click().run()
    field(test, "Text of message 1").set_value("Another text.").run()
    assert "Of a text that you have changed since." in texts(test)


def test_a_number_that_was_taken_meanwhile_is_told_with_what_differs(
    filled: Workspace, client: Client
) -> None:
    client.send(prompts.add("desk/race", TRIAGE, message="First."))
    test = playground(filled, "desk/race")
    field(test, "Text of message 1").set_value("Mine.").run()
    field(test, "What this version changes").set_value("Mine.")
    theirs = {**TRIAGE, "messages": [{"role": "system", "content": "Theirs."}, *TRIAGE["messages"]]}
    client.send(prompts.add("desk/race", theirs, message="Theirs."))
    field(test, "Register version 2").click().run()
    told = texts(test).replace("\\", "")
    assert "desk/race@2 is taken" in told
    assert ":orange-background[~~Theirs.~~]" in told
    field(test, "Register version 3").click().run()
    assert "desk/race@3 is registered" in texts(test).replace("\\", "")


def test_values_come_from_an_example_of_a_dataset(filled: Workspace) -> None:
    test = playground(filled, "support-triage")
    field(test, "Dataset").set_value("support-triage@1").run()
    field(test, "Fill in").click().run()
    assert field(test, "Value of ticket").value
    assert not field(test, "Run").disabled


def test_a_placeholder_makes_a_variable_with_a_type(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/types", TRIAGE, message="First."))
    test = playground(filled, "desk/types")
    field(test, "Text of message 1").set_value("At most {{ count }} words.").run()
    field(test, "Type of count").set_value("integer").run()
    field(test, "Value of ticket").set_value("Hello.").run()
    field(test, "Value of count").set_value("many").run()
    assert "count is to be a whole number" in texts(test).replace("\\", "")
    field(test, "Value of count").set_value("3").run()
    assert "At most 3 words." in [code.value for code in test.code]


def test_messages_are_added_and_removed(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/messages", TRIAGE, message="First."))
    test = playground(filled, "desk/messages")
    field(test, "Add message").click().run()
    field(test, "Text of message 3").set_value("And politely.").run()
    next(it for it in test.button if it.label == "Remove").click().run()
    assert field(test, "Text of message 2").value == "And politely."
    assert "Text of message 3" not in labels(test)


def test_a_field_that_holds_no_json_is_told(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/json", TRIAGE, message="First."))
    test = playground(filled, "desk/json")
    field(test, "Tools (JSON)").set_value("{").run()
    assert "Tools (JSON) holds no JSON" in texts(test).replace("\\", "")
    assert "Run" not in labels(test)


def test_a_new_prompt_is_written_from_nothing(filled: Workspace, client: Client) -> None:
    test = playground(filled, "desk/new")
    field(test, "What the prompt is for").set_value("Greets.").run()
    field(test, "Text of message 2").set_value("Say hello.").run()
    field(test, "What this version changes").set_value("First.").run()
    field(test, "Register version 1").click().run()
    assert client.send(prompts.version("desk/new@1")).description == "Greets."


def test_parameters_are_part_of_what_is_registered(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/parameters", TRIAGE, message="First."))
    test = playground(filled, "desk/parameters")
    field(test, "Temperature").set_value(1.0).run()
    field(test, "Other parameters (JSON)").set_value('{"seed": 7}').run()
    field(test, "What this version changes").set_value("Warm.").run()
    field(test, "Register version 2").click().run()
    stored = client.send(prompts.version("desk/parameters@2")).content["parameters"]
    assert stored == {"temperature": 1, "seed": 7}


def test_what_the_api_refuses_to_run_is_told(filled: Workspace, client: Client) -> None:
    client.send(prompts.add("desk/refused", TRIAGE, message="First."))
    test = playground(filled, "desk/refused")
    field(test, "Value of ticket").set_value("Hello.").run()
    field(test, "Top p").set_value(9.0).run()
    assert "parameters.top_p" in texts(test).replace("\\", "")
    assert field(test, "Run").disabled
