"""Render files with the first Prompty: JSON cases on standard input, messages on standard output.

Runs in an environment of its own that has this package and none of ours.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import prompty


def render(text: str, values: dict[str, object]) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.prompty"
        path.write_text(text, encoding="utf-8")
        messages = prompty.prepare(prompty.load(str(path)), values)
    return [[message["role"], message["content"]] for message in messages]


print(json.dumps([render(case["text"], case["values"]) for case in json.load(sys.stdin)]))
