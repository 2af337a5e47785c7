"""Our package `app` has a common name: where another one is in its way, the command says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

_SHOP_RECORD = "app/__init__.py,,\napp/core/errors.py,,\n"


def workbench(*arguments: str, path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`, with `path` searched before everything installed."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "workbench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed packages that holds a copy of ours."""
    site = tmp_path / "site"
    for package in ("app", "workbench"):
        no_bytecode = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, site / package, ignore=no_bytecode)
    install(site, "prompt-workbench", "app/__init__.py,,\nworkbench/__init__.py,,\n")
    return site


def install(site: Path, name: str, record: str) -> None:
    """Leave the traces of a distribution that owns the files in `record`."""
    metadata = site / f"{name.replace('-', '_')}-1.0.dist-info"
    write(metadata / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(metadata / "RECORD", record)


@pytest.mark.parametrize(
    ("file", "named"), [("app/__init__.py", "app"), ("app.py", "app.py")], ids=["folder", "file"]
)
@pytest.mark.parametrize("argument", ["--help", "init"])
def test_another_app_that_hides_ours_is_named_in_one_sentence(
    tmp_path: Path, file: str, named: str, argument: str
) -> None:
    write(tmp_path / "project" / file)
    (tmp_path / "empty").mkdir()
    done = workbench(argument, path=tmp_path / "project", folder=tmp_path / "empty")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: Another package called app, {tmp_path / 'project' / named}, hides the workbench's "
        "own; take its folder off PYTHONPATH and run the command `workbench` in an environment of "
        "its own (`pipx install prompt-workbench`).\n"
    )
    assert not any((tmp_path / "empty").iterdir())


@pytest.mark.parametrize("file", ["app/notes.txt", "application/__init__.py"])
def test_a_folder_that_hides_nothing_is_no_matter(tmp_path: Path, file: str) -> None:
    write(tmp_path / "project" / file)
    done = workbench("db", "status", path=tmp_path / "project", folder=tmp_path)
    assert "another" not in done.stderr.lower()
    assert "workspace" in done.stderr  # the command itself ran, and found no workspace here


def test_our_own_app_is_found_beside_the_tools(site: Path, tmp_path: Path) -> None:
    done = workbench("init", "new", path=site, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_our_own_app_is_found_through_a_link(site: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(site, target_is_directory=True)
    done = workbench("init", "new", path=link, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_distribution_installed_over_our_app_is_named_in_one_sentence(
    site: Path, tmp_path: Path
) -> None:
    install(site, "shop", _SHOP_RECORD)
    write(site / "app" / "core" / "errors.py", "class OutOfStock(Exception): ...\n")
    done = workbench("init", "new", path=site, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: Another package called app, part of shop, was installed over the workbench's own; "
        "install the workbench in an environment of its own (`pipx install prompt-workbench`).\n"
    )


def test_a_missing_app_is_said_in_one_sentence(site: Path, tmp_path: Path) -> None:
    for file in (site / "app").glob("*.py"):
        file.unlink()
    # -S keeps the installation that runs these tests from standing in.
    command = [sys.executable, "-S", "-m", "workbench", "init"]
    libraries = next(p for p in map(Path, sys.path) if (p / "typer").is_dir())
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{libraries}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "own package app is missing; install the workbench anew" in done.stderr


def test_an_import_that_fails_for_another_reason_is_not_explained_away(
    site: Path, tmp_path: Path
) -> None:
    write(site / "app" / "core" / "errors.py", "import a_library_that_nobody_has\n")
    done = workbench("init", "new", path=site, folder=tmp_path)
    assert done.returncode == 1
    assert "No module named 'a_library_that_nobody_has'" in done.stderr
