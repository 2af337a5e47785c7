"""Services own the transactions, repositories own the statements, and nobody waits in one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import Finder, Finding, Function, Module, example, forbid

_STATEMENTS = frozenset({"select", "insert", "update", "delete", "text"})
_EXECUTES = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "stream_scalars"})
_MODEL_CALLS = frozenset({"generate", "stream", "probe"})
_WRITES = "write_session"
_SESSIONS = frozenset({_WRITES, "read_session"})


def _last(dotted: str) -> str:
    return dotted.rpartition(".")[2]


def commits(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if isinstance(call.func, ast.Attribute) and _last(name) == "commit":
            yield call, "commits"


def statements(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.startswith("sqlalchemy.") and _last(name) in _STATEMENTS:
            yield node, f"imports {name}"
    for call, name in module.calls():
        if name.startswith("sqlalchemy.") and _last(name) in _STATEMENTS:
            yield call, f"builds a statement with {name}"


def executions(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if isinstance(call.func, ast.Attribute) and _last(name) in _EXECUTES:
            yield call, f"executes by .{_last(name)}()"


def repository_imports(module: Module) -> Iterator[Finding]:
    for node, name in module.imports():
        if name.startswith(("app.repositories.", "app.models.")):
            yield node, f"imports {name}"


def model_calls_in_a_session(module: Module) -> Iterator[Finding]:
    for block in module.nodes:
        if isinstance(block, ast.AsyncWith) and any(
            isinstance(item.context_expr, ast.Call)
            and _last(module.dotted(item.context_expr.func)) in _SESSIONS
            for item in block.items
        ):
            for call, name in module.calls(within=block):
                if isinstance(call.func, ast.Attribute) and _last(name) in _MODEL_CALLS:
                    yield call, f"calls a model by .{_last(name)}() while it holds a session"


def unguarded_writes(module: Module) -> Iterator[Finding]:
    """Public methods that write without taking an actor first and requiring a permission.

    A method may leave the check to another method of its class to which it passes the actor.
    """
    for service in module.nodes:
        if not isinstance(service, ast.ClassDef):
            continue
        methods = {node.name: node for node in service.body if isinstance(node, Function)}
        for name, method in methods.items():
            if name.startswith("_") or not _calls(module, method, {_WRITES}):
                continue
            arguments = [argument.arg for argument in method.args.args]
            if arguments[1:2] != ["actor"]:
                yield method, f"{service.name}.{name} writes and does not take the actor first"
            elif not _requires(module, method, methods):
                yield method, f"{service.name}.{name} writes and requires no permission"


def _calls(module: Module, function: Function, names: set[str]) -> bool:
    return any(_last(name) in names for _, name in module.calls(within=function))


def _requires(module: Module, method: Function, methods: dict[str, Function]) -> bool:
    if _calls(module, method, {"require"}):
        return True
    delegates = {
        _last(name)
        for call, name in module.calls(within=method)
        if name.startswith("self.") and any(_is_actor(argument) for argument in call.args)
    }
    return any(_calls(module, methods[name], {"require"}) for name in delegates if name in methods)


def _is_actor(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "actor"


def test_only_services_commit() -> None:
    # app.database commits the connection that a migration ran on.
    forbid(commits, except_in=["app.services", "app.database.schema"])


def test_statements_are_built_only_in_repositories() -> None:
    # Conditions of partial indexes stand with the tables, `SELECT 1` with the engines.
    homes = ["app.repositories", "app.models", "app.database"]
    forbid(statements, except_in=homes)


def test_statements_are_executed_only_in_repositories() -> None:
    forbid(executions, except_in=["app.repositories", "app.database"])


def test_only_services_use_repositories() -> None:
    homes = ["app.services", "app.repositories", "app.models"]
    forbid(repository_imports, except_in=homes)


def test_no_session_is_held_across_a_call_to_a_model() -> None:
    forbid(model_calls_in_a_session)


def test_every_writing_service_method_takes_the_actor_and_requires_a_permission() -> None:
    forbid(unguarded_writes, within=["app.services"])


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (commits, "async def store(session): await session.commit()"),
        (statements, "from sqlalchemy import select"),
        (statements, "import sqlalchemy as sa\nrows = sa.text('SELECT 1')"),
        (statements, "from sqlalchemy.dialects import sqlite\nsqlite.insert(table)"),
        (executions, "async def read(session): return await session.scalars(rows)"),
        (repository_imports, "from app.repositories.prompts import PromptRepository"),
        (repository_imports, "from app.models import Prompt"),
        (
            model_calls_in_a_session,
            "async def answer(self):\n"
            "    async with self._database.read_session() as session:\n"
            "        return await self._client.generate(request)",
        ),
        (
            unguarded_writes,
            "class Service:\n"
            "    async def store(self, value):\n"
            "        async with self._database.write_session() as session: ...",
        ),
        (
            unguarded_writes,
            "class Service:\n"
            "    async def store(self, actor, value):\n"
            "        async with self._database.write_session() as session: ...",
        ),
        (
            unguarded_writes,
            "class Service:\n"
            "    async def store(self, actor, value):\n"
            "        async with self._database.write_session() as session:\n"
            "            await self.store_in(session, actor)\n"
            "    async def store_in(self, session, actor): ...",
        ),
    ],
)
def test_a_breach_would_be_found(finder: Finder, source: str) -> None:
    assert list(finder(example(source)))


def test_a_method_may_leave_the_check_to_one_that_gets_the_actor() -> None:
    source = (
        "class Service:\n"
        "    async def store(self, actor, value):\n"
        "        async with self._database.write_session() as session:\n"
        "            await self.store_in(session, actor)\n"
        "    async def store_in(self, session, actor):\n"
        "        require(actor, Permission.PROMPT_WRITE)"
    )
    assert not list(unguarded_writes(example(source)))
