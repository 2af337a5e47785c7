"""Exports as the formats' own packages read them: the same messages as ours, to the letter.

`make nightly` installs each package into an environment of its own below `.venv/references`:
two releases of one package cannot share one, and none of them belongs into ours. GitHub has
published no package that reads its format.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder, PromptContent
from app.services.rendering import PromptRenderer
from tests.unit.interchange.corpus import FORMATS, cases, read
from workbench.interchange.formats import PROMPT_FORMATS
from workbench.interchange.losses import LossReport
from workbench.interchange.prompts import Exportable
from workbench.workspace.prompt_files import find_prompt_files, read_prompt_file

pytestmark = pytest.mark.nightly

REPOSITORY = Path(__file__).resolve().parents[3]
PYTHON = "bin/python"
REFERENCES = {"dotprompt": "dotprompt", "prompty": "prompty-1", "prompty-v2": "prompty-2"}

# Values that a careless reader would escape, run or take for a role.
VALUES: dict[str, JSON] = {"string": "<b>&amp;</b> {{ other }} \"q\" 'q'", "any": "{% raw %}"}
VALUES |= {"integer": 7, "number": 0.5}


@dataclass(frozen=True)
class Case:
    """One exported prompt, with the messages that our own renderer makes of it."""

    label: str
    text: str
    values: dict[str, JSON]
    messages: list[list[str]]
    report: LossReport


def sources() -> list[tuple[str, Exportable]]:
    """Return every prompt of the corpus and of the sample workspace."""
    found = [
        (f"{name}/{path.name}", Exportable(prompt.name, prompt.content, prompt.description))
        for name, path in cases()
        for prompt in read(name, path).prompts
    ]
    for path in find_prompt_files(REPOSITORY):
        file = read_prompt_file(path)
        found.append((file.reference, Exportable(file.name, file.content, file.description)))
    return found


def exported(format_name: str) -> list[Case]:
    """Return the prompts that this format holds without a loss of meaning."""
    write = PROMPT_FORMATS[format_name].write
    assert write is not None
    found = []
    for label, prompt in sources():
        values = values_for(prompt.content)
        written = write(prompt)
        if values is None or written.report.of_meaning or not prompt.content.templates:
            continue
        messages = [[m.role, m.text] for m in PromptRenderer(prompt.content).render(values)]
        found.append(Case(label, written.text, values, messages, written.report))
    return found


def values_for(content: PromptContent) -> dict[str, JSON] | None:
    """Return a value for each variable; None if one is of a type that is written otherwise.

    A conversation is left out: an empty one adds no message anywhere.
    """
    kinds = {name: variable.type for name, variable in content.variables.items()}
    if set(kinds.values()) - set(VALUES):
        return None
    assert all(isinstance(m, MessagePlaceholder) or m.content for m in content.messages)
    return {name: VALUES[kind] for name, kind in kinds.items()}


def rendered(format_name: str, found: list[Case]) -> list[list[list[str]]]:
    """Return the messages that the format's own package makes of each case."""
    reference = REFERENCES[format_name]
    python = REPOSITORY / ".venv" / "references" / reference / PYTHON
    assert python.is_file(), f"{python} is not there: run `make nightly`, which installs it"
    script = Path(__file__).parent / "references" / f"{reference.replace('-', '_')}.py"
    done = subprocess.run(
        [str(python), "-W", "ignore", str(script)],
        input=json.dumps([{"text": case.text, "values": case.values} for case in found]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    messages: list[list[list[str]]] = json.loads(done.stdout.splitlines()[-1])
    return messages


def comparable(messages: list[list[str]], report: LossReport) -> list[list[str]]:
    """Return messages without what the report names: white space that is cut, changed roles."""
    roles = {"model": "assistant"} | ({"developer": "system"} if _names(report, ".role") else {})
    kept = [[roles.get(role, role), text] for role, text in messages]
    if _names(report, ".content") or _names(report, "]"):
        kept = [[role, text.strip()] for role, text in kept if text.strip()]
    return kept


def _names(report: LossReport, end: str) -> bool:
    return any(loss.path.startswith("messages[") and loss.path.endswith(end) for loss in report)


@pytest.mark.parametrize("format_name", [name for name in FORMATS if name in REFERENCES])
def test_the_formats_own_package_sees_the_same_messages(format_name: str) -> None:
    found = exported(format_name)
    assert len(found) >= 60
    for case, messages in zip(found, rendered(format_name, found), strict=True):
        theirs = comparable(messages, case.report)
        assert theirs == comparable(case.messages, case.report), case.label
