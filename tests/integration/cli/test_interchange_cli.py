"""`workbench import prompts|models` and `workbench export prompt`, as a person uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import CommandLine

GITHUB = """\
name: Capital City
model: openai/gpt-4.1
messages:
  - {role: user, content: "Capital of {{country}}?"}
testData:
  - {country: Norway, expected: Oslo}
  - {country: Peru, expected: Lima}
evaluators:
  - {name: right, string: {contains: "{{expected}}"}}
"""
BLOCK = "---\nname: block\n---\n{{#if formal}}Dear{{/if}} {{name}}\n"


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    (tmp_path / "city.prompt.yml").write_text(GITHUB)
    (tmp_path / "block.prompt").write_text(BLOCK)
    return CommandLine(tmp_path)


def test_an_imported_prompt_is_a_draft_with_its_examples_and_scorers(line: CommandLine) -> None:
    told = line.run("import", "prompts", "city.prompt.yml")

    assert "written  prompts/capital-city/draft.yaml" in told
    assert "model = openai/gpt-4.1" in told
    line.run("datasets", "import", "datasets/capital-city.jsonl", "--name", "capital-city")
    line.run("prompts", "publish", "capital-city", "-m", "from GitHub")
    experiment = line.folder / "experiments" / "capital-city.yaml"
    experiment.write_text(
        experiment.read_text().replace("prompts/capital-city/draft.yaml", "capital-city@1")
    )
    assert "contains" in line.run("run", "experiments/capital-city.yaml")


def test_importing_again_writes_nothing_and_another_text_gets_its_own_file(
    line: CommandLine,
) -> None:
    line.run("import", "prompts", "city.prompt.yml")
    assert "is there already  prompts/capital-city/draft.yaml" in line.run(
        "import", "prompts", "city.prompt.yml"
    )
    (line.folder / "city.prompt.yml").write_text(GITHUB.replace("Capital of", "Chief city of"))
    told = line.json("import", "prompts", "city.prompt.yml")
    (prompt,) = told["files"][0]["prompts"]
    assert prompt["path"] == "prompts/capital-city/draft-2.yaml"


def test_a_prompt_that_would_say_something_else_is_refused_unless_it_is_wanted(
    line: CommandLine,
) -> None:
    told = line.json("import", "prompts", "block.prompt", "city.prompt.yml", code=2)
    refused, taken = told["files"]
    assert "would say something else" in refused["refused"]["message"]
    assert [loss["path"] for loss in refused["losses"] if loss["changes_meaning"]] == [
        "body, line 4",
        "body, line 4",
    ]
    assert taken["refused"] is None
    assert not (line.folder / "prompts" / "block").exists()

    line.run("import", "prompts", "block.prompt", "--lossy")
    assert r"\{{#if formal}}" in (line.folder / "prompts/block/draft.yaml").read_text()


def test_a_dry_run_writes_nothing(line: CommandLine) -> None:
    assert "would write  prompts/capital-city" in line.run(
        "import", "prompts", "city.prompt.yml", "--dry-run"
    )
    assert not (line.folder / "prompts").exists()


def test_versions_of_an_export_become_the_next_versions(line: CommandLine) -> None:
    (line.folder / "export.json").write_text(
        '[{"name": "ask", "version": 7, "prompt": "B {{q}}", "labels": ["production"]},'
        ' {"name": "ask", "version": 5, "prompt": "A {{q}}", "labels": []}]'
    )
    told = line.json("import", "prompts", "export.json", "--as-version")
    prompts = told["files"][0]["prompts"]
    assert [prompt["path"] for prompt in prompts] == ["prompts/ask/v1.yaml", "prompts/ask/v2.yaml"]
    assert prompts[1]["proposed_aliases"] == ["production"]
    assert "2 registered" in line.run("prompts", "sync")


def test_a_version_is_exported_and_reads_back_as_the_same_text(line: CommandLine) -> None:
    line.run("import", "prompts", "city.prompt.yml", "--as-version")
    line.run("prompts", "sync")
    told = line.run(
        "export", "prompt", "capital-city@1", "--as", "dotprompt", "--output", "out.prompt"
    )
    assert "nothing was lost" in told
    again = line.json("import", "prompts", "out.prompt")
    (prompt,) = again["files"][0]["prompts"]
    assert (prompt["path"], prompt["written"]) == ("prompts/capital-city/v1.yaml", False)

    line.run(
        "export", "prompt", "capital-city@1", "--as", "dotprompt", "--output", "out.prompt", code=2
    )
    assert "is there already" in line.last_error


def test_a_text_that_a_format_cannot_hold_is_not_exported(line: CommandLine) -> None:
    folder = line.folder / "prompts" / "chat"
    folder.mkdir(parents=True)
    (folder / "draft.yaml").write_text(
        "name: chat\nmessages:\n  - {placeholder: history}\n  - {role: user, content: Go on.}\n"
    )
    arguments = ("export", "prompt", "prompts/chat/draft.yaml", "--as", "github-models")
    assert line.run(*arguments, code=2) == ""
    assert "history" in line.last_error
    assert line.json(*arguments, code=2)["text"] is None
    assert "Go on." in line.run(*arguments, "--lossy")


def test_models_of_a_litellm_configuration_are_shown_as_entries(line: CommandLine) -> None:
    (line.folder / "config.yaml").write_text(
        "model_list:\n"
        "  - model_name: ours\n"
        "    litellm_params:\n"
        "      {model: openai/x, api_base: 'http://127.0.0.1:9/v1', api_key: k-0001}\n"
    )
    told = line.run("import", "models", "config.yaml")
    assert "model: openai/ours" in told
    assert "http://127.0.0.1:9/v1" in told
    assert "k-0001" not in told
    line.run("import", "models", "config.yaml", "--output", "models.yaml")
    assert "models:" in (line.folder / "models.yaml").read_text()


def test_a_name_of_a_variable_cannot_steer_the_terminal(line: CommandLine) -> None:
    (line.folder / "config.yaml").write_text(
        "model_list:\n"
        "  - model_name: ours\n"
        "    litellm_params:\n"
        "      model: openai/x\n"
        "      api_base: http://127.0.0.1:9/v1\n"
        '      api_key: "os.environ/KEY\\e[2J\\nforged"\n'
    )
    told = line.run("import", "models", "config.yaml")
    assert "\x1b" not in told
    assert "is read from WORKBENCH_ENDPOINT_OURS_API_KEY, there from KEY" in told
    assert "\nforged" not in told


def test_a_folder_in_which_names_would_not_fit_is_refused(line: CommandLine) -> None:
    (line.folder / "prompts" / "team").mkdir(parents=True)
    line.run("import", "prompts", "city.prompt.yml", "--to", "prompts/team", code=2)
    assert "Leave --to out" in line.last_error


def test_an_unknown_format_is_refused_with_the_known_ones(line: CommandLine) -> None:
    line.run("import", "prompts", "city.prompt.yml", "--from", "word", code=2)
    assert "github-models" in line.last_error
    line.run("export", "prompt", "x@1", "--as", "word", code=2)
    assert "prompty-v2" in line.last_error
