"""The official `openai` package of npm against the application; it is installed first."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "node"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_the_npm_package_works_unchanged(server: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(HERE, tmp_path / "node")
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder,
                   check=True, capture_output=True)  # fmt: skip
    address = {"SERVER_URL": server.url, "SERVER_KEY": server.key}
    done = subprocess.run(
        ["node", "check.mjs"],
        cwd=folder,
        env={**os.environ, **address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed: ") == 8
