"""`models.yaml`: what may stand in it, and the line of what may not."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.parameters import ParameterFact
from app.schemas.models import ModelDeclaration
from workbench.workspace import models_file
from workbench.workspace.models_file import read_models_file
from workbench.workspace.strict_yaml import parse_yaml


@pytest.fixture
def read(tmp_path: Path):
    def from_text(text: str) -> list[ModelDeclaration]:
        file = tmp_path / "models.yaml"
        file.write_text(text)
        return read_models_file(file, source="models.yaml")

    return from_text


def test_everything_that_can_be_said_of_a_model(read) -> None:
    [declared] = read(
        """
models:
  - model: openai/our-gpt
    provider_model: gpt-4.1-2025-04-14
    endpoint: azure
    context_window: 1047576
    max_output_tokens: 32768
    parameters:
      temperature: {minimum: 0, maximum: 1, default: 0.5}
      top_p: {unsupported: true}
      seed: {fixed: 7}
      max_tokens: {wire: max_completion_tokens}
      frequency_penalty: {exclusive: [presence_penalty]}
    prices:
      - {from: 2026-01-01, to: 2026-06-01, input: 2.00, cached_input: 0.5, output: 8}
      - {from: 2026-06-01, input: "0.075", output: 6}
    status: deprecated
    sunset: 2027-01-14
    successor: openai/gpt-5
"""
    )
    assert declared.model == "openai/our-gpt"
    assert declared.endpoint == "azure"
    assert declared.parameters["top_p"] == ParameterFact(unsupported=True)
    assert declared.parameters["max_tokens"].wire == "max_completion_tokens"
    assert [price.input for price in declared.prices] == [Decimal("2.0"), Decimal("0.075")]
    assert declared.sunset == datetime(2027, 1, 14, tzinfo=UTC)
    assert declared.successor == "openai/gpt-5"


def test_models_stand_in_the_order_of_the_file(read) -> None:
    declared = read("models:\n  - model: openai/b\n  - model: openai/a\n")
    assert [d.model for d in declared] == ["openai/b", "openai/a"]


@pytest.mark.parametrize("text", ["models:\n", "models: []\n"])
def test_a_file_may_name_no_model(read, text: str) -> None:
    assert read(text) == []


def test_the_example_in_the_documentation_is_valid(read) -> None:
    assert models_file.__doc__ is not None
    example = models_file.__doc__.split("\n\n")[1]
    text = "\n".join(line.removeprefix("    ") for line in example.splitlines())
    assert parse_yaml(text, source="example").value
    assert [d.endpoint for d in read(text)] == [None, "vllm"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file must begin with 'models:'"),
        ("- model: openai/x\n", "line 1: the file must begin with 'models:'"),
        ("models: []\nmodel: x\n", "line 2: model: unknown key 'model'"),
        ("models: openai/x\n", "line 1: models: this must be a list"),
        ("models:\n  - openai/x\n", "line 2: models[0]: a model is a mapping"),
        ("models:\n  - endpoint: x\n", "line 2: models[0]: 'model' is missing"),
        ("models:\n  - model: gpt-4\n", "line 2: models[0].model: 'gpt-4' is no model"),
        ("models:\n  - model: openai/x@2\n", "line 2: models[0].model: leave out @2"),
        (
            "models:\n  - model: openai/x\n    contxt_window: 5\n",
            "line 3: models[0].contxt_window: unknown key 'contxt_window'; did you mean "
            "'context_window'?",
        ),
        (
            "models:\n  - model: openai/x\n    max_output_tokens: many\n",
            "line 3: models[0].max_output_tokens: input should be a valid integer",
        ),
        (
            "models:\n  - model: openai/x\n    parameters:\n      temprature: {fixed: 1}\n",
            "line 4: models[0].parameters.temprature: 'temprature' is no parameter",
        ),
        (
            "models:\n  - model: openai/x\n    parameters:\n      top_p: {fixd: 1}\n",
            "line 4: models[0].parameters.top_p.fixd: unknown key 'fixd'; did you mean 'fixed'?",
        ),
        (
            "models:\n  - model: openai/x\n    parameters:\n      top_p: {exclusive: [topp]}\n",
            "line 4: models[0].parameters.top_p.exclusive[0]: 'topp' is no parameter",
        ),
        (
            "models:\n  - model: openai/x\n    prices:\n      - {input: 1, output: 1}\n",
            "line 4: models[0].prices[0]: 'from' is missing",
        ),
        (
            "models:\n  - model: openai/x\n    prices:\n      - {from: May, input: 1, output: 1}\n",
            "line 4: models[0].prices[0].from: 'May' is no date",
        ),
        (
            "models:\n  - model: openai/x\n  - model: openai/y\n  - model: openai/x\n",
            "line 4: models[2].model: openai/x is there already, on line 2",
        ),
        ("models:\n  - model: openai/x\n    model: openai/y\n", "line 3: the key 'model' is there"),
        ("models:\n  - &a {model: openai/x}\n", "line 2: anchors"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_field(read, text: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert refused.value.message.startswith(f"models.yaml, {message}")


@pytest.mark.parametrize(
    "line",
    ["api_key: sk-canary", "API_KEY: sk-canary", "token: sk-canary", "headers: {a: sk-canary}"],
)
def test_a_key_is_refused_and_never_repeated(read, line: str) -> None:
    with pytest.raises(Invalid, match="OPENAI_API_KEY") as refused:
        read(f"models:\n  - model: openai/x\n    {line}\n")
    assert refused.value.message.startswith("models.yaml, line 3: models[0].")
    assert "canary" not in refused.value.message


@pytest.mark.parametrize(
    "line",
    ["base_url: http://h/v1", "url: http://h", "endpoint: http://user:canary@h/v1", "proxy: h:1"],
)
def test_an_address_is_refused_with_where_it_belongs(read, line: str) -> None:
    with pytest.raises(Invalid, match=r"under 'endpoints' in workbench\.yaml") as refused:
        read(f"models:\n  - model: openai/x\n    {line}\n")
    assert "canary" not in refused.value.message
