"""Prompts from exports of Langfuse and MLflow: versions in order, labels as proposals."""

from __future__ import annotations

import json

import pytest

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder
from workbench.interchange.formats import detect_format
from workbench.interchange.langfuse import read_langfuse
from workbench.interchange.mlflow import read_mlflow
from workbench.interchange.prompts import Imported


def langfuse(value: JSON) -> Imported:
    return read_langfuse(json.dumps(value), source="export.json", file_stem="export")


def mlflow(value: JSON) -> Imported:
    return read_mlflow(json.dumps(value), source="export.json", file_stem="export")


def texts(imported: Imported) -> list[list[str]]:
    return [
        [
            "history" if isinstance(m, MessagePlaceholder) else f"{m.role}: {m.content}"
            for m in prompt.content.messages
        ]
        for prompt in imported.prompts
    ]


def lost(imported: Imported) -> dict[str, str]:
    return {loss.path: loss.severity for loss in imported.report}


CHAT: dict[str, JSON] = {
    "id": "c1",
    "name": "Support Bot",
    "version": 2,
    "type": "chat",
    "prompt": [
        {"type": "chatmessage", "role": "system", "content": "You help {{ company }}."},
        {"type": "placeholder", "name": "earlier"},
        {"role": "user", "content": "{{question}}"},
    ],
    "config": {"model": "gpt-4o", "temperature": 0.3, "max_tokens": 200, "mood": "calm"},
    "labels": ["production", "latest", "staging"],
    "tags": ["mail"],
    "commitMessage": "name the company",
}


def test_a_chat_prompt_of_langfuse_becomes_messages_with_a_placeholder() -> None:
    imported = langfuse(CHAT)
    (prompt,) = imported.prompts
    assert texts(imported) == [
        ["system: You help {{ company }}.", "history", "user: {{ question }}"]
    ]
    assert (prompt.name, prompt.message) == ("support-bot", "name the company")
    assert prompt.content.parameters == {"temperature": 0.3, "max_tokens": 200}
    assert prompt.aliases == ("production", "staging")


def test_every_other_field_of_langfuse_is_named() -> None:
    assert lost(langfuse(CHAT)) == {
        "name": "changed",
        "prompt[1].name": "changed",
        "config.model": "dropped",
        "config.mood": "dropped",
        "id": "dropped",
        "labels[1]": "dropped",
        "tags": "dropped",
    }


def test_versions_come_oldest_first_from_any_page() -> None:
    pages: JSON = [
        {"data": [{"name": "ask", "version": 3, "type": "text", "prompt": "third {{q}}"}]},
        {
            "data": [
                {"name": "ask", "version": 1, "type": "text", "prompt": "first {{q}}"},
                {"name": "ask", "version": 2, "type": "text", "prompt": "second {{q}}"},
            ],
            "meta": {"page": 2},
        },
    ]
    imported = langfuse(pages)
    assert texts(imported) == [
        ["user: first {{ q }}"],
        ["user: second {{ q }}"],
        ["user: third {{ q }}"],
    ]
    assert [prompt.message for prompt in imported.prompts] == [
        "version 1 in Langfuse",
        "version 2 in Langfuse",
        "version 3 in Langfuse",
    ]


def test_a_prompt_inside_a_prompt_is_a_loss_of_meaning() -> None:
    text = "@@@langfusePrompt:name=rules|version=1@@@ {{q}} and {{user.name}}"
    report = langfuse({"name": "ask", "version": 1, "prompt": text}).report
    assert [loss.was for loss in report.of_meaning] == [
        "@@@langfusePrompt:name=rules|version=1@@@",
        "{{user.name}}",
    ]


def test_a_list_of_prompts_without_texts_is_refused_with_the_way() -> None:
    with pytest.raises(Invalid, match="export each version"):
        langfuse({"data": [{"name": "ask", "versions_": [1], "labels": []}]})


def test_a_prompt_version_of_mlflow_as_the_client_has_it() -> None:
    imported = mlflow(
        {
            "name": "qa",
            "version": 4,
            "template": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "{{ question }}"},
            ],
            "commit_message": "shorter",
            "aliases": ["champion"],
            "tags": {"team": "blue", "mlflow.prompt.is_prompt": "true"},
            "model_config": {"provider": "openai", "model_name": "gpt-4o", "temperature": 0.1},
            "response_format": {"type": "object", "properties": {"a": {"type": "string"}}},
            "creation_timestamp": 1700000000000,
        }
    )
    (prompt,) = imported.prompts
    assert texts(imported) == [["system: Be brief.", "user: {{ question }}"]]
    assert (prompt.message, prompt.aliases) == ("shorter", ("champion",))
    assert prompt.content.parameters == {"temperature": 0.1}
    assert prompt.content.response_format is not None
    assert set(lost(imported)) == {
        "tags.team",
        "model_config.provider",
        "model_config.model_name",
        "creation_timestamp",
    }


def test_a_model_version_of_mlflows_rest_api_has_its_text_in_a_tag() -> None:
    imported = mlflow(
        {
            "model_versions": [
                {
                    "name": "qa",
                    "version": "2",
                    "tags": [
                        {"key": "mlflow.prompt.text", "value": "Answer {{q}} in {{ lang }}."},
                        {"key": "mlflow.prompt.is_prompt", "value": "true"},
                    ],
                    "aliases": ["prod"],
                },
                {
                    "name": "qa",
                    "version": "1",
                    "tags": [
                        {"key": "_mlflow_prompt_type", "value": "chat"},
                        {
                            "key": "mlflow.prompt.text",
                            "value": '[{"role": "user", "content": "{{q}}", "x": 1}]',
                        },
                    ],
                },
            ]
        }
    )
    assert texts(imported) == [["user: {{ q }}"], ["user: Answer {{ q }} in {{ lang }}."]]
    assert lost(imported) == {
        "model_versions[1].template: [0].x": "dropped",
        "model_versions[0].template": "changed",
    }


def test_a_jinja_template_of_mlflow_is_read_as_jinja() -> None:
    imported = mlflow(
        {
            "name": "qa",
            "version": 1,
            "template": "{% if q %}{{ q }}{% endif %}",
            "prompt_type": "jinja2",
        }
    )
    assert [loss.was for loss in imported.report.of_meaning] == ["{% if q %}", "{% endif %}"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (CHAT, "langfuse"),
        ([{"data": [CHAT]}], "langfuse"),
        ({"name": "qa", "template": "x"}, "mlflow"),
        ({"model_versions": [{"name": "qa", "tags": []}]}, "mlflow"),
    ],
)
def test_an_export_is_known_by_its_fields(value: JSON, name: str) -> None:
    assert detect_format("export.json", json.dumps(value)) == name
