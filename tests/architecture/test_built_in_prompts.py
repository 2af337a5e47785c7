"""Prompts that our own code sends are data: static, deterministic, and under a version."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from app.prompts import BUILTIN_NAMES, BUILTIN_PROMPTS, BuiltinPrompt
from app.schemas.prompts import PromptContent
from tests.architecture.sources import Finder, Finding, Module, example, forbid, modules

# The content of every version that ever was. A changed text is a new VERSION and a new line here;
# no line is ever changed, because generations on record name these versions.
CONTENT_HASHES = {
    ("default_assistant", 1): (
        "sha256:b9e18bf9fb5944a2041335c828e3672cbf1d63ada7542a9b80e718e3208d8915"
    ),
    ("judge_correctness", 1): (
        "sha256:3b245441f47d9ad1ab37a374e98c1ccc937f66b4950a9f2dc61a7395ac4b94ae"
    ),
    ("judge_faithfulness", 1): (
        "sha256:06bca55440fe803e2b0202f72a07f9e5cc36b6b70a2162ca2c33d8c3b016d8a9"
    ),
    ("judge_preference", 1): (
        "sha256:06657a319881815ccaa6074ddc5167b66b24b2c249b2e13dab553926bb571156"
    ),
    ("judge_rubric", 1): (
        "sha256:e5f2d5195d5e2ab2e4460706c5c08dce15d3da8a781f1874cb6dc7fec2a3238b"
    ),
    ("judge_rubric_pass_fail", 1): (
        "sha256:d76aade5b4d1bb3483f84a4e47cfd34d8b197fd257a69de1ca92bd31cb8a3d17"
    ),
    ("judge_rubric_share", 1): (
        "sha256:d6a34f430d38c4e0461e81cbf846cb0826c0027f322b68c344d1dba501fdd512"
    ),
    ("passthrough", 1): ("sha256:efaf568335ba4fb910a76b199f1746aa97f6030be2d6c89ce290be50565f71c2"),
}
_TEXTS = [f"app.prompts.{name}" for name in sorted(BUILTIN_NAMES)]
_OTHERS = {"app.prompts", "app.prompts.builtin"}
_MAY_IMPORT = ("__future__.", "app.prompts.builtin.")


def content_hash(prompt: BuiltinPrompt) -> str:
    return PromptContent.model_validate(prompt.content).hash


def impure(module: Module) -> Iterator[Finding]:
    """Anything that could make a text depend on when, where or for whom it is read."""
    for node, name in module.imports():
        if not name.startswith(_MAY_IMPORT):
            yield node, f"imports {name}"
    for call, name in module.calls():
        if name != "app.prompts.builtin.BuiltinPrompt":
            yield call, f"calls {name}"
    for part in module.nodes:
        if isinstance(part, ast.JoinedStr):
            yield part, "formats a text"


def without_version(module: Module) -> Iterator[Finding]:
    constants = {
        target.id: node.value
        for node in module.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    version = constants.get("VERSION")
    if not (isinstance(version, ast.Constant) and isinstance(version.value, int)):
        yield module.tree, "has no VERSION"


@pytest.mark.parametrize("prompt", BUILTIN_PROMPTS, ids=lambda prompt: prompt.name)
def test_a_text_changes_only_with_its_version(prompt: BuiltinPrompt) -> None:
    assert content_hash(prompt) == CONTENT_HASHES.get((prompt.name, prompt.version)), (
        f"The text of {prompt.name}@{prompt.version} has changed: give it a new VERSION."
    )


def test_a_changed_text_would_be_found() -> None:
    prompt = BUILTIN_PROMPTS[1]
    changed = {"messages": [{"role": "system", "content": "Another."}, {"placeholder": "history"}]}
    other = BuiltinPrompt(prompt.name, prompt.version, prompt.description, changed)
    assert content_hash(other) != CONTENT_HASHES[prompt.name, prompt.version]


def test_every_module_of_the_package_is_registered() -> None:
    found = {module.name for module in modules() if module.is_in(["app.prompts"])}
    assert found == _OTHERS | set(_TEXTS)


def test_prompt_modules_hold_data_only() -> None:
    forbid(impure, within=_TEXTS)


def test_every_prompt_module_has_a_version() -> None:
    forbid(without_version, within=_TEXTS)


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (impure, "import datetime"),
        (impure, "TEXT = open('prompt.txt')"),
        (impure, "TEXT = f'Today is {day}.'"),
        (without_version, "VERSION = 'one'"),
        (without_version, "PROMPT = 1"),
    ],
)
def test_a_breach_would_be_found(finder: Finder, source: str) -> None:
    assert list(finder(example(source)))
