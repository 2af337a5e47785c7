"""The client against a running server, and its models against the OpenAPI document."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest

import workbench.client
from app.bootstrap import Services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from app.main import create_app
from app.schemas.models import ModelDeclaration
from tests.api.conftest import KEY_SECRET
from tests.api.live import Live, live
from workbench.client import (
    Answer,
    APIError,
    AsyncClient,
    Client,
    Conflict,
    Invalid,
    LimitReached,
    NotFound,
    ServerFailed,
    StreamBroken,
    Unauthenticated,
    Unreachable,
    datasets,
    models,
    prompts,
    variants,
)

CONTENT = {"messages": [{"role": "user", "content": "{{ x }}"}], "variables": {"x": {}}}
EXAMPLES = [{"key": f"k{number}", "input": {"x": str(number)}} for number in range(450)]
MESSAGES = [{"role": "user", "content": "Hello"}]


async def fill(services: Services) -> None:
    await services.models.declare(local_actor(), ModelDeclaration(model="simulated/small"))


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "workbench.db").write_bytes(sqlite_template.read_bytes())
    environment = {
        "WORKBENCH_DATABASE_URL": "sqlite:///workbench.db",
        "WORKBENCH_KEY_SECRET": KEY_SECRET,
    }
    with live(create_app(load_settings(folder, environment)), fill) as running:
        yield running


@pytest.fixture
def client(server: Live) -> Iterator[Client]:
    with Client(server.url, server.key) as opened:
        yield opened


@pytest.fixture
async def waiting(server: Live) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, server.key) as opened:
        yield opened


def test_the_client_does_what_the_registry_can(client: Client) -> None:
    version = client.send(prompts.add("desk/sync", CONTENT, message="First."))
    assert client.send(prompts.add("desk/sync", CONTENT)).id == version.id
    assert client.send(prompts.version("desk/sync@1")) == version
    assert [it.id for it in client.all(prompts.versions("desk/sync"))] == [version.id]
    assert "desk/sync" in [prompt.name for prompt in client.all(prompts.listing(search="SYNC"))]
    assert client.send(models.version("simulated/small")).number == 1
    assert [model.name for model in client.all(models.listing())] == ["small"]
    variant = client.send(variants.make("desk/sync@1", "simulated/small", {"max_tokens": 5}))
    assert [it.id for it in client.all(variants.listing("desk/sync"))] == [variant.id]
    imported = client.send(datasets.import_("desk/sync", EXAMPLES))
    assert imported.created
    assert client.send(datasets.version("desk/sync@1")) == imported.version
    assert [it.key for it in client.all(datasets.examples("desk/sync@1"))] == [
        it["key"] for it in EXAMPLES
    ]
    assert "desk/sync" in [dataset.name for dataset in client.all(datasets.listing())]


async def test_the_awaited_client_does_the_same(waiting: AsyncClient) -> None:
    version = await waiting.send(prompts.add("desk/async", CONTENT, message="First."))
    assert (await waiting.send(prompts.add("desk/async", CONTENT))).id == version.id
    assert await waiting.send(prompts.version("desk/async@1")) == version
    assert [it.id async for it in waiting.all(prompts.versions("desk/async"))] == [version.id]
    assert "desk/async" in [
        prompt.name async for prompt in waiting.all(prompts.listing(search="ASYNC"))
    ]
    assert (await waiting.send(models.version("simulated/small"))).number == 1
    assert [model.name async for model in waiting.all(models.listing())] == ["small"]
    variant = await waiting.send(
        variants.make("desk/async@1", "simulated/small", {"max_tokens": 5})
    )
    assert [it.id async for it in waiting.all(variants.listing("desk/async"))] == [variant.id]
    imported = await waiting.send(datasets.import_("desk/async", EXAMPLES))
    assert await waiting.send(datasets.version("desk/async@1")) == imported.version
    keys = [it.key async for it in waiting.all(datasets.examples("desk/async@1"))]
    assert keys == [it["key"] for it in EXAMPLES]
    assert "desk/async" in [dataset.name async for dataset in waiting.all(datasets.listing())]


async def test_a_chat_is_answered_whole_and_as_it_grows(
    client: Client, waiting: AsyncClient
) -> None:
    whole = client.chat("simulated/small", MESSAGES, temperature=0)
    assert whole.text
    assert whole.generation_id
    assert "".join(client.stream_chat("simulated/small", MESSAGES, temperature=0)) == whole.text
    awaited = await waiting.chat("simulated/small", MESSAGES, temperature=0)
    assert awaited.text == whole.text
    pieces = [it async for it in waiting.stream_chat("simulated/small", MESSAGES, temperature=0)]
    assert "".join(pieces) == whole.text


def test_errors_carry_the_server_s_sentence_and_request_id(client: Client, server: Live) -> None:
    with pytest.raises(NotFound) as missing:
        client.send(prompts.version("none@1"))
    assert missing.value.request_id
    assert missing.value.detail in str(missing.value)
    with pytest.raises(Invalid) as invalid:
        client.send(prompts.add("desk/wrong", {"messages": []}))
    assert invalid.value.path == "body.content.messages"
    with pytest.raises(Conflict):
        client.send(prompts.add("passthrough", CONTENT))
    with Client(server.url, "wb_none") as stranger, pytest.raises(Unauthenticated):
        stranger.send(models.version("simulated/small"))
    with pytest.raises(NotFound) as unknown:
        client.chat("none@production", MESSAGES)
    assert unknown.value.code == "model_not_found"


# Against answers made here


Given = httpx2.Response | Exception


def client_of(*answers: Given, retries: int = 2) -> tuple[Client, list[httpx2.Request]]:
    """Return a client that gets these answers one after the other, and what it sent."""
    left, sent = list(answers), list[httpx2.Request]()

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    client = Client("http://test", "wb_x", retries=retries, transport=httpx2.MockTransport(answer))
    client._protocol.jitter = lambda: -1.0  # no pause
    return client, sent


def problem(status: int, code: str = "x", **headers: str) -> httpx2.Response:
    body = {"type": f"urn:workbench:problem:{code}", "detail": "Told.", "status": status}
    return httpx2.Response(status, json=body, headers={"x-request-id": "r-1", **headers})


def created() -> httpx2.Response:
    variant = {
        "id": "01a20232-b2a7-768c-8e16-d5d37666876b",
        "content_hash": "sha256:x",
        "prompt": "a@1",
        "model": "simulated/small@1",
        "asked": {},
        "applied": {},
        "later": "a newer server says more",
    }
    return httpx2.Response(201, json=variant)


@pytest.mark.parametrize(
    "first",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        problem(503),
        problem(429),
        problem(409, "in_flight"),
    ],
)
def test_what_creates_is_sent_again_under_the_same_key(first: Given) -> None:
    client, sent = client_of(first, created())
    assert client.send(variants.make("a@1", "simulated/small")).prompt == "a@1"
    keys = [request.headers["idempotency-key"] for request in sent]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(409), Conflict),
        (problem(422), Invalid),
        (problem(500), ServerFailed),
        (problem(429, **{"retry-after": "3600"}), LimitReached),
        (problem(418), APIError),
        (httpx2.Response(404, text="no JSON"), NotFound),
    ],
)
def test_what_would_fail_again_is_not_sent_again(
    answer: httpx2.Response, error: type[APIError]
) -> None:
    client, sent = client_of(answer)
    with pytest.raises(error):
        client.send(variants.make("a@1", "simulated/small"))
    assert len(sent) == 1


def test_the_last_failure_is_told() -> None:
    client, sent = client_of(problem(503), problem(503), problem(502))
    with pytest.raises(ServerFailed) as failed:
        client.send(models.version("simulated/small"))
    assert (failed.value.status, failed.value.request_id, len(sent)) == (502, "r-1", 3)
    unreachable, _ = client_of(*[httpx2.ConnectError("refused")] * 3)
    with pytest.raises(Unreachable, match="refused"):
        unreachable.send(models.version("simulated/small"))


def test_a_chat_is_sent_again_only_under_a_key() -> None:
    reply = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    without, sent = client_of(problem(503))
    with pytest.raises(ServerFailed):
        without.chat("a@production", MESSAGES)
    assert "idempotency-key" not in sent[0].headers
    keyed, sent = client_of(problem(503), httpx2.Response(200, json=reply))
    assert keyed.chat("a@production", MESSAGES, key="k", variables={"x": 1}).text == "Hi"
    assert [request.headers["idempotency-key"] for request in sent] == ["k", "k"]
    assert json.loads(sent[0].content)["prompt"] == {"variables": {"x": 1}}


def stream(*chunks: str) -> httpx2.Response:
    return httpx2.Response(200, text="".join(f"data: {chunk}\n\n" for chunk in chunks))


def chunk(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


@pytest.mark.parametrize(
    "end", [(), (json.dumps({"error": {"message": "upstream cut"}}),)], ids=["cut", "error"]
)
def test_a_stream_that_does_not_come_to_its_end_is_no_answer(end: tuple[str, ...]) -> None:
    client, _ = client_of(stream(chunk("Hel"), chunk("lo"), *end))
    pieces = client.stream_chat("a@production", MESSAGES)
    assert [next(pieces), next(pieces)] == ["Hel", "lo"]
    with pytest.raises(StreamBroken):
        next(pieces)


def published(**headers: str) -> httpx2.Response:
    return httpx2.Response(200, json={"alias": "a@production"}, headers=headers)


def test_a_published_alias_is_asked_for_by_its_etag_and_kept_while_the_server_is_away() -> None:
    client, sent = client_of(
        published(etag='"1"', **{"cache-control": "max-age=5, stale-if-error=60"}),
        httpx2.Response(304),
        httpx2.ConnectError("refused"),
        problem(503),
        problem(503),
        problem(404),
        retries=0,
    )
    now = 0.0
    client._protocol.now = lambda: now
    first = client.published("desk/a", "production")
    assert sent[0].url.path == "/api/prompts/desk/a/aliases/production"
    assert client.published("desk/a", "production") == first
    assert sent[1].headers["if-none-match"] == '"1"'
    now = 60.0
    for _ in range(2):
        again = client.published("desk/a", "production")
        assert (again.body, again.stale) == (first.body, True)
    now = 61.0
    with pytest.raises(ServerFailed):
        client.published("desk/a", "production")
    with pytest.raises(NotFound):  # it is gone, and no copy stands in
        client.published("desk/a", "production")


def test_an_alias_that_was_never_seen_has_no_copy() -> None:
    client, _ = client_of(httpx2.ConnectError("refused"), retries=0)
    with pytest.raises(Unreachable):
        client.published("a", "production")


# What it is held against


MODULES = [
    importlib.import_module(f"workbench.client.{found.name}")
    for found in pkgutil.iter_modules(workbench.client.__path__)
]
MODELS: list[type[Answer]] = sorted(
    {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Answer) and value.SCHEMA
    },
    key=lambda model: (model.__module__, model.__name__),
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("document")
    return create_app(load_settings(folder, {"WORKBENCH_KEY_SECRET": KEY_SECRET})).openapi()


@pytest.mark.parametrize(
    "model", MODELS, ids=lambda model: f"{model.__module__.rpartition('.')[2]}.{model.__name__}"
)
def test_a_model_holds_only_what_the_document_promises(
    model: type[Answer], document: dict[str, Any]
) -> None:
    promised = document["components"]["schemas"][model.SCHEMA]
    assert set(model.model_fields) <= set(promised["properties"])
    needed = {name for name, it in model.model_fields.items() if it.is_required()}
    assert needed <= set(promised.get("required", ()))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.__name__))
def test_the_client_imports_nothing_of_the_rest(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + [alias.name for alias in node.names]
    ]
    ours = [name for name in imported if name.split(".")[0] in ("app", "workbench")]
    assert not [name for name in ours if not name.startswith("workbench.client")]


def test_both_clients_say_the_same() -> None:
    def offers(kind: type[object]) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert offers(Client) == offers(AsyncClient)
