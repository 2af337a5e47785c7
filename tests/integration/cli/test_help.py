"""The command line's entry: what `--help` says, and that it says it at once."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from workbench.cli.main import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_described_as_its_module_describes_it(name: str) -> None:
    module, told = COMMANDS[name]
    found = typer.main.get_command(importlib.import_module(module).app)
    assert importlib.import_module(module).app.info.help == told
    assert found.help


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_can_be_read(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"], prog_name="workbench")
    assert result.exit_code == 0, result.output
    assert f"workbench {name}" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_a_group_does_not_offer_shell_completion(name: str) -> None:
    """Completion is the whole command's; on a group's page it would only be in the way."""
    found = typer.main.get_command(importlib.import_module(COMMANDS[name][0]).app)
    assert not any("completion" in option for p in found.params for option in p.opts)


def test_help_imports_no_command() -> None:
    """Whoever asks for help waits for no library."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from workbench.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'sqlalchemy', 'pydantic', 'fastapi', 'numpy', 'openai', 'app.bootstrap'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
