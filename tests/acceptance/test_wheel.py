"""The wheel, as people get it: what is in it, and what works in an environment that has only it.

Building and installing read the package registry; nothing else leaves this machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProviderProcess, ProviderOptions

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]

# Folder of the clone -> where it travels inside the wheel.
_TRAVELS = {
    "app": "app",
    "workbench": "workbench",
    "migrations": "app/database/_migrations",
    "prompts": "workbench/workspace/_sample/prompts",
    "datasets": "workbench/workspace/_sample/datasets",
    "experiments": "workbench/workspace/_sample/experiments",
    "scorers": "workbench/workspace/_sample/scorers",
}


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel and what it depends on."""

    programs: Path

    def sh(self, command: str, folder: Path, **environment: str) -> str:
        """Run a line as typed into a shell in `folder`; return standard output."""
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "LANG") if name in os.environ}
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=folder,
            env={**kept, "PATH": path, "COLUMNS": "160", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def files(wheel: Path) -> dict[str, bytes]:
    """Return what a wheel holds besides its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: archive.read(name) for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the clone, as `make wheel` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ".")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel in an environment of its own, by uv where it is installed, else by pip."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = folder / "bin" / "python"
    if uv := shutil.which("uv"):
        run(uv, "venv", "--quiet", "--python", sys.executable, folder)
        run(uv, "pip", "install", "--quiet", "--python", python, wheel)
    else:
        run(sys.executable, "-m", "venv", folder)
        run(python, "-m", "pip", "install", "--quiet", wheel)
    return Installation(folder / "bin")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_holds_the_two_packages_with_migrations_and_sample_and_nothing_else(
    wheel: Path,
) -> None:
    expected = {
        f"{inside}/{path.relative_to(REPOSITORY / folder).as_posix()}": path.read_bytes()
        for folder, inside in _TRAVELS.items()
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = files(wheel)
    assert sorted(held) == sorted(expected)
    assert held == expected
    assert {"app/py.typed", "workbench/py.typed"} <= held.keys()
    assert "app/database/_migrations/script.py.mako" in held


def test_the_wheel_built_from_the_source_archive_is_the_same(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path, ".")
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    assert not tops & {"tests", "docs", ".venv", ".ci"}
    assert files(next(tmp_path.glob("*.whl"))) == files(wheel)


def test_init_works_in_an_empty_folder_and_so_do_the_commands_it_prints(
    installation: Installation, empty: Path
) -> None:
    told = installation.sh("workbench init", empty)
    steps = re.findall(r"^  (workbench .*)$", told, re.MULTILINE)
    answers = [installation.sh(step, empty) for step in steps]
    assert len(answers) == 3
    assert "Experiment 1: 2 runs" in answers[-1]
    assert "up to date" in installation.sh("workbench db status", empty)


@pytest.mark.parametrize("program", ["workbench", "python -m workbench", "../bin/workbench"])
def test_demo_works_in_an_empty_folder_and_so_do_the_commands_it_prints(
    installation: Installation, empty: Path, program: str
) -> None:
    (empty.parent / "bin").symlink_to(installation.programs, target_is_directory=True)
    with FakeProviderProcess(ProviderOptions(answer="fixed:billing")) as server:
        environment = {
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": server.base_url,
            "OLLAMA_HOST": server.ollama_url,
        }
        told = installation.sh(f"{program} demo", empty, **environment)
        steps = re.findall(r"^  (\(cd .*\))$", told, re.MULTILINE)
        answers = [installation.sh(step, empty, **environment) for step in steps]
    assert "SUPERIOR" in told
    assert (empty / "workbench-demo" / "report.html").read_text().startswith("<!doctype html>")
    assert len(answers) == 4
    assert "Experiment 2: 2 runs" in answers[1]


def test_a_project_with_an_app_of_its_own_is_no_matter_to_the_command(
    installation: Installation, empty: Path
) -> None:
    (empty / "app").mkdir()
    (empty / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')\n")
    installation.sh("workbench init", empty)
    assert "up to date" in installation.sh("workbench db upgrade && workbench db status", empty)
