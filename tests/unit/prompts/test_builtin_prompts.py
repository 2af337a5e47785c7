"""Built-in prompts: whoever changes a text gives it a new VERSION.

The hashes below pin every version that was ever shipped. After a change, raise the module's
VERSION and add a line here; a line never changes and never goes.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import app.prompts
from app.prompts import BUILTIN_NAMES, BUILTIN_PROMPTS, BuiltinPrompt
from app.schemas.names import Reference, parse_reference
from app.schemas.prompts import PromptContent

PINNED = {
    ("passthrough", 1): ("sha256:efaf568335ba4fb910a76b199f1746aa97f6030be2d6c89ce290be50565f71c2"),
    ("default_assistant", 1): (
        "sha256:b9e18bf9fb5944a2041335c828e3672cbf1d63ada7542a9b80e718e3208d8915"
    ),
}


@pytest.mark.parametrize("prompt", BUILTIN_PROMPTS, ids=lambda prompt: prompt.name)
def test_the_text_of_a_version_never_changes(prompt: BuiltinPrompt) -> None:
    content = PromptContent.model_validate(prompt.content)
    assert content.hash == PINNED[prompt.name, prompt.version]


def test_two_versions_of_a_prompt_differ() -> None:
    assert len(set(PINNED.values())) == len(PINNED)


def test_every_module_has_one_prompt_of_its_name_and_version_and_is_listed() -> None:
    modules = {m.name for m in pkgutil.iter_modules(app.prompts.__path__)} - {"builtin"}
    assert modules == BUILTIN_NAMES
    for name in modules:
        module = importlib.import_module(f"app.prompts.{name}")
        assert (module.PROMPT.name, module.PROMPT.version) == (name, module.VERSION)
        assert module.PROMPT in BUILTIN_PROMPTS


@pytest.mark.parametrize("prompt", BUILTIN_PROMPTS, ids=lambda prompt: prompt.name)
def test_a_built_in_prompt_has_a_name_and_a_number_like_any_other(prompt: BuiltinPrompt) -> None:
    reference = parse_reference(f"{prompt.name}@{prompt.version}", noun="prompt")
    assert reference == Reference(prompt.name, number=prompt.version)
