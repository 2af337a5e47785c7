"""No arbitrary code, nothing that blocks the event loop, no state that modules share."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

import pytest

from tests.architecture.sources import (
    PACKAGES,
    Finder,
    Finding,
    Function,
    Module,
    example,
    forbid,
)

_RUNS_CODE = frozenset(
    {
        "builtins.eval",
        "builtins.exec",
        "builtins.compile",
        "os.system",
        "os.popen",
        "os.startfile",
        "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell",
        "runpy.run_path",
        "runpy.run_module",
    }
)
_UNSAFE_MODULES = frozenset({"pickle", "marshal", "shelve", "subprocess", "pty", "dill"})
_YAML = frozenset({"load", "load_all", "full_load", "full_load_all", "unsafe_load"})
_IMPORTS_BY_NAME = frozenset(
    {
        "builtins.__import__",
        "importlib.import_module",
        "importlib.util.spec_from_file_location",
    }
)

_BLOCKS = frozenset(
    {
        "builtins.open",
        "builtins.input",
        "time.sleep",
        "socket.create_connection",
        "sqlite3.connect",
        "shutil.copy",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.rmtree",
    }
)
_FILE_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})

_MUTATES = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "insert",
        "pop",
        "popitem",
        "remove",
        "setdefault",
        "update",
    }
)
_CONTAINERS = frozenset({"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict"})
# Registries of a framework that a module fills while it is imported.
_LOWER_CASE_NAMES = frozenset({"app", "router", "__all__"})


def code_execution(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if name in _RUNS_CODE:
            yield call, f"calls {name}"
        if name.startswith("yaml.") and name.removeprefix("yaml.") in _YAML and not _safe(call):
            yield call, f"calls {name} without a safe loader"
    for node, name in module.imports():
        if name.partition(".")[0] in _UNSAFE_MODULES:
            yield node, f"imports {name}"


def _safe(call: ast.Call) -> bool:
    loaders = [*call.args[1:2], *(k.value for k in call.keywords if k.arg == "Loader")]
    return any("Safe" in ast.unparse(loader) for loader in loaders)


def imports_by_name(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if name in _IMPORTS_BY_NAME:
            yield call, f"calls {name}"


def sleeps(module: Module) -> Iterator[Finding]:
    for call, name in module.calls():
        if name == "time.sleep":
            yield call, "sleeps"


def blocking_calls(module: Module) -> Iterator[Finding]:
    """Calls that wait for a disk or a clock, straight inside a coroutine."""
    for function in module.functions():
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        asynchronous = {
            item.context_expr
            for node in ast.walk(function)
            if isinstance(node, ast.AsyncWith)
            for item in node.items
        }
        for call in _own_calls(function):
            name = module.dotted(call.func)
            if name in _BLOCKS or (
                call not in asynchronous  # no file is one
                and isinstance(call.func, ast.Attribute)
                and name.rpartition(".")[2] in (_FILE_METHODS | {"open"})
            ):
                yield call, f"{function.name} waits in {name}"


def _own_calls(function: ast.AsyncFunctionDef) -> Iterator[ast.Call]:
    """Yield the calls that run in the coroutine itself and not in a function inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting.extend(ast.iter_child_nodes(node))


def module_state(module: Module) -> Iterator[Finding]:
    """What makes a module remember: `global`, a variable in lower case, a constant that some
    function changes, a cache without a bound."""
    for node in module.nodes:
        if isinstance(node, ast.Global):
            yield node, f"global {', '.join(node.names)}"
    for node, name in _module_variables(module):
        if not name.isupper() and name not in _LOWER_CASE_NAMES and not _is_type(name):
            yield node, f"{name} is a variable of the module: constants are in upper case"
    containers = set(_containers(module))
    for function in module.functions():
        yield from _changed_constants(function, containers)
        yield from _unbounded_caches(module, function)


def _module_variables(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node in module.tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and not _is_context_variable(module, node):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (part for target in targets for part in ast.walk(target)):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    yield node, name.id


def _is_context_variable(module: Module, node: ast.Assign | ast.AnnAssign) -> bool:
    value = node.value
    return isinstance(value, ast.Call) and module.dotted(value.func) == "contextvars.ContextVar"


def _is_type(name: str) -> bool:
    """Type aliases and type variables are written like classes."""
    bare = name.lstrip("_")
    return bare[:1].isupper() or not bare


def _containers(module: Module) -> Iterator[str]:
    """Yield the constants that hold, or may hold, a list, a set or a dictionary."""
    yield from (name for name in module.imported if name.isupper())
    for node in module.tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_container(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _is_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in _CONTAINERS
    return isinstance(value, (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp))


def _changed_constants(function: Function, containers: Collection[str]) -> Iterator[Finding]:
    for node in ast.walk(function):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Delete):
            targets = node.targets
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _MUTATES
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in containers
        ):
            yield node, f"{ast.unparse(node.func)}() changes a constant"
        for target in targets:
            if isinstance(target, (ast.Subscript, ast.Attribute)) and _is_constant(target.value):
                yield node, f"{ast.unparse(target)} is a part of a constant and is assigned to"


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.isupper() and len(node.id.strip("_")) > 1


def _unbounded_caches(module: Module, function: Function) -> Iterator[Finding]:
    """A function without parameters has one value: that is a constant made on first use."""
    if not ast.unparse(function.args):
        return
    for decorator in function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = module.dotted(call)
        bounded = isinstance(decorator, ast.Call) and any(
            keyword.arg == "maxsize"
            and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
            for keyword in decorator.keywords
        )
        if name == "functools.cache" or (name == "functools.lru_cache" and not bounded):
            yield decorator, f"{function.name} has a cache without a bound"


def test_nothing_runs_code_that_is_data() -> None:
    # The runner starts our own script, in which a team's scorer runs; the server our processes.
    forbid(code_execution, except_in=["workbench.runner.team_scoring", "workbench.cli.processes"])


def test_only_the_command_line_imports_by_name() -> None:
    # The command line loads a command group when it is used, from a table in the same module.
    # The script in which a team's scorer runs loads it from a file; nothing imports the script.
    forbid(imports_by_name, except_in=["workbench.cli.main", "workbench.runner.team_worker"])


def test_the_script_of_a_team_s_scorer_is_imported_by_nothing_and_imports_nothing() -> None:
    script = "workbench.runner.team_worker"

    def findings(module: Module) -> Iterator[Finding]:
        for node, name in module.imports():
            if name.startswith(script) or (
                module.name == script and name.partition(".")[0] in PACKAGES
            ):
                yield node, f"imports {name}"

    forbid(findings)


def test_nothing_sleeps_but_by_the_event_loop() -> None:
    # The synchronous client of a foreign program has no loop.
    forbid(sleeps, except_in=["workbench.client"])


def test_coroutines_of_the_service_do_not_block_the_event_loop() -> None:
    forbid(blocking_calls, within=["app", "workbench.runner"])


def test_modules_keep_no_state() -> None:
    forbid(module_state)


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (code_execution, "value = eval(text)"),
        (code_execution, "exec(text)"),
        (code_execution, "import os\nos.system(text)"),
        (code_execution, "from subprocess import run"),
        (code_execution, "import pickle"),
        (code_execution, "import yaml\nyaml.load(text)"),
        (code_execution, "import yaml\nyaml.load(text, Loader=yaml.Loader)"),
        (code_execution, "from yaml import unsafe_load\nunsafe_load(text)"),
        (imports_by_name, "from importlib import import_module\nimport_module(text)"),
        (imports_by_name, "__import__(text)"),
        (imports_by_name, "import importlib.util\nimportlib.util.spec_from_file_location(n, p)"),
        (sleeps, "from time import sleep\nsleep(1)"),
        (blocking_calls, "async def read(path):\n    with open(path) as file: ..."),
        (blocking_calls, "async def read(path): return path.read_text()"),
        (blocking_calls, "async def read(path):\n    with path.open() as file: ..."),
        (blocking_calls, "import time\nasync def wait():\n    if True: time.sleep(1)"),
        (module_state, "def remember():\n    global SEEN\n    SEEN = 1"),
        (module_state, "cache = {}"),
        (module_state, "ONE, seen = 1, []"),
        (module_state, "_clients: dict[str, object] = {}"),
        (module_state, "SEEN = []\ndef remember(name): SEEN.append(name)"),
        (module_state, "SEEN = {}\ndef remember(name): SEEN[name] = 1"),
        (module_state, "SEEN = {}\ndef forget(name):\n    del SEEN[name]"),
        (module_state, "from app.api.errors import SEEN\ndef remember(x): SEEN.add(x)"),
        (module_state, "LIMIT = Limit()\ndef change(): LIMIT.value = 1"),
        (module_state, "from functools import cache\n@cache\ndef read(name): ..."),
        (module_state, "import functools\n@functools.lru_cache(maxsize=None)\ndef read(name): ..."),
    ],
)
def test_a_breach_would_be_found(finder: Finder, source: str) -> None:
    assert list(finder(example(source)))


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (code_execution, "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)"),
        (code_execution, "import re\nre.compile(text)"),
        (blocking_calls, "async def read(path): return await to_thread(path.read_text)"),
        (blocking_calls, "async def spend(budgets):\n    async with budgets.open() as it: ..."),
        (
            blocking_calls,
            "async def read():\n    def work(): return open('x')\n    await run(work)",
        ),
        (
            module_state,
            "from contextvars import ContextVar\n_now: ContextVar[int] = ContextVar('x')",
        ),
        (module_state, "_EXACT = Context(prec=20)\ndef total(a, b): return _EXACT.add(a, b)"),
        (module_state, "_NAMES = {'a': 1}\nPair = tuple[int, int]\n_T = TypeVar('_T')"),
        (module_state, "from functools import cache\n@cache\ndef environment(): ..."),
        (module_state, "from functools import lru_cache\n@lru_cache(maxsize=8)\ndef read(x): ..."),
    ],
)
def test_what_is_allowed_is_not_found(finder: Finder, source: str) -> None:
    assert not list(finder(example(source)))
