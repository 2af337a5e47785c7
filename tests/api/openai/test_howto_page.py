"""The page for users of the SDK says what works: its Python is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "with-openai-sdk.md"


def test_the_pages_python_runs(server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    code = "\n".join(blocks).replace("http://127.0.0.1:8800/v1", server.url)
    names: dict[str, Any] = {}
    exec(compile(code.replace('"wb_..."', repr(server.key)), str(PAGE), "exec"), names)
    names["client"].close()
    printed = capsys.readouterr().out
    assert printed.startswith("Where is my parcel?\nWhere is my parcel?")
    assert "support-bot@1 openai/fake-model@1\ntemperature\n" in printed
