"""What a layer may hold, beyond what the import contracts in pyproject.toml can say."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import (
    Finder,
    Finding,
    Function,
    Module,
    example,
    forbid,
    modules,
    own_statements,
)

_MOST_STATEMENTS = 8
_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "api_route"})
_PROVIDERS = tuple(
    f"app.llm.{name}" for name in ("openai_provider", "ollama_provider", "simulated_provider")
)
_SDKS = frozenset({"openai", "ollama"})
_HTTP = frozenset({"aiohttp", "httpx", "httpx2", "requests", "urllib3"})
_HTTP_MODULES = ("http.client.", "urllib.request.")


def handlers(module: Module) -> Iterator[Function]:
    """Yield the functions that are routes."""
    for function in module.functions():
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call):
                _, dot, method = module.dotted(decorator.func).rpartition(".")
                if dot and method in _METHODS:
                    yield function


def business_in_handlers(module: Module) -> Iterator[Finding]:
    """A handler parses, calls one service method and returns its answer."""
    for function in handlers(module):
        statements = own_statements(function)
        calls = [call for call, name in module.calls(function) if name.startswith("services.")]
        if len(statements) > _MOST_STATEMENTS:
            yield function, f"{function.name} has {len(statements)} statements"
        if len(calls) > 1:
            yield function, f"{function.name} calls {len(calls)} service methods"
        for node in ast.walk(function):
            if isinstance(node, (ast.For, ast.AsyncFor, ast.While, ast.comprehension)):
                yield function, f"{function.name} has a loop"


def behaviour(module: Module) -> Iterator[Finding]:
    for function in module.functions():
        yield function, f"defines {function.name}: tables have no behaviour"


def sdk_imports(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.partition(".")[0] in _SDKS:
            yield node, f"imports {name}"


def http_imports(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.partition(".")[0] in _HTTP or f"{name}.".startswith(_HTTP_MODULES):
            yield node, f"imports {name}"


def provider_imports(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.startswith(_PROVIDERS):
            yield node, f"imports {name}"


def client_constructions(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if name.rpartition(".")[2] in ("LLMClient", "Database"):
            yield call, f"makes a {name.rpartition('.')[2]}"


def inline_prompts(module: Module) -> Iterator[Finding]:
    """Messages whose text stands in the code: a dict with role and content, a `Message`, or a
    built-in prompt outside the package of those."""
    for node in module.nodes:
        if isinstance(node, ast.Dict):
            items = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            if "role" in items and _is_text(items.get("content")):
                yield node, "writes a message into the code"
    for call, name in module.calls():
        kind = name.rpartition(".")[2]
        arguments = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "content")]
        if kind in ("Message", "MessageTemplate") and any(map(_is_text, arguments)):
            yield call, "writes a message into the code"
        if kind == "BuiltinPrompt":
            yield call, "makes a built-in prompt"


def _is_text(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(node.value.strip())
    return isinstance(node, ast.JoinedStr)


def test_a_route_parses_calls_one_service_and_returns() -> None:
    forbid(business_in_handlers, within=["app.api"])


def test_routes_are_found() -> None:
    """The check above looks at something."""
    found = [h for module in modules() if module.is_in(["app.api"]) for h in handlers(module)]
    assert found


def test_tables_have_no_behaviour() -> None:
    forbid(behaviour, within=["app.models"])


def test_only_a_provider_module_imports_its_sdk() -> None:
    forbid(sdk_imports, except_in=["app.llm.openai_provider", "app.llm.ollama_provider"])


def test_only_the_model_client_speaks_http_to_the_outside() -> None:
    forbid(http_imports, except_in=["app.llm", "workbench.client"])


def test_only_the_composition_root_makes_providers() -> None:
    forbid(provider_imports, except_in=["app.bootstrap"])


def test_only_the_composition_root_makes_clients_and_databases() -> None:
    # app.database opens temporary databases, to write a migration against one.
    forbid(client_constructions, except_in=["app.bootstrap", "app.database"])


def test_prompts_that_our_own_code_sends_live_in_app_prompts() -> None:
    forbid(inline_prompts, except_in=["app.prompts"])


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (
            business_in_handlers,
            "@router.post('/')\n"
            "async def move(services):\n"
            "    await services.aliases.check(name)\n"
            "    await services.aliases.move(name)",
        ),
        (
            business_in_handlers,
            "@router.get('/')\n"
            "async def read(services):\n"
            "    return [row for row in await services.prompts.list() if row.author]",
        ),
        (
            business_in_handlers,
            "@router.get('/')\nasync def read(services):\n" + "    a = 1\n" * 9,
        ),
        (behaviour, "class Prompt(Base):\n    @property\n    def title(self): ..."),
        (sdk_imports, "def connect():\n    from openai import AsyncOpenAI"),
        (http_imports, "import httpx"),
        (http_imports, "from urllib import request"),
        (http_imports, "import urllib.request"),
        (provider_imports, "from app.llm.openai_provider import OpenAIProvider"),
        (client_constructions, "from app.llm.client import LLMClient\nclient = LLMClient({})"),
        (inline_prompts, "messages = [{'role': 'system', 'content': 'Be brief.'}]"),
        (inline_prompts, "{'role': 'user', 'content': f'Rate this: {answer}'}"),
        (inline_prompts, "Message(Role.SYSTEM, 'Be brief.')"),
        (inline_prompts, "Message(role=role, content='Be brief.')"),
        (inline_prompts, "PROMPT = BuiltinPrompt(name='judge')"),
    ],
)
def test_a_breach_would_be_found(finder: Finder, source: str) -> None:
    assert list(finder(example(source)))


@pytest.mark.parametrize(
    "source",
    [
        "{'role': 'assistant', 'content': error.partial_text or ''}",
        "Message(role=message['role'], content=message.get('content'))",
        "{'role': 'user', 'content': ''}",
    ],
)
def test_a_message_made_of_given_texts_is_no_inline_prompt(source: str) -> None:
    assert not list(inline_prompts(example(source)))
