"""Names of span attributes stand in one module, so that one release of the conventions holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import Finding, Module, example, forbid

_SETS = frozenset({"set_attribute", "set_attributes", "start_span", "start_as_current_span"})


def attribute_names(module: Module) -> Iterator[Finding]:
    for node in module.nodes:
        if (text := _text(node)).startswith("gen_ai."):
            yield node, f"writes the attribute name {text}"
    for call, name in module.calls():
        if name.rpartition(".")[2] in _SETS:
            values = [*call.args, *(keyword.value for keyword in call.keywords)]
            first = call.args[:1] if name.endswith("set_attribute") else []
            dicts = [value for value in values if isinstance(value, ast.Dict)]
            for key in (*first, *(key for found in dicts for key in found.keys)):
                if text := _text(key):
                    yield call, f"writes the attribute name {text}"


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_attribute_names_stand_in_one_module() -> None:
    forbid(attribute_names, except_in=["app.core.telemetry"])


@pytest.mark.parametrize(
    "source",
    [
        "NAME = 'gen_ai.request.model'",
        "span.set_attribute('model', model)",
        "span.set_attributes({'latency_ms': 3})",
        "tracer.start_span('chat', attributes={'provider': 'openai'})",
    ],
)
def test_a_name_elsewhere_would_be_found(source: str) -> None:
    assert list(attribute_names(example(source)))
