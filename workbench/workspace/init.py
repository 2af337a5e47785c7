"""Making a folder a workspace: marker, settings to fill in, and one example that runs.

Nothing that is there is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import ConfigurationError, Unavailable
from app.core.settings import HMAC_KEY_FILE, WORKSPACE_MARKER

__all__ = ["IGNORED", "SAMPLE_FOLDERS", "InitReport", "init_workspace", "sample_folder"]

SAMPLE_FOLDERS = ("prompts", "datasets", "experiments", "scorers")

_SETTINGS = """\
# This file makes the folder a workspace: commands work here and in every folder below.
# Settings also come from the environment (WORKBENCH_*) and from .env; those win.
workspace_version: 1

# Where results are kept; the default is workbench.db beside this file.
# database_url: postgresql://user@host/database

# More accounts of model providers. Keys never stand here: see .env.example.
# endpoints:
#   company:
#     provider: openai                  # any OpenAI-compatible server
#     base_url: https://llm.example.com/v1
#     requests_per_minute: 600
#     max_concurrency: 50

# host: 127.0.0.1                       # for `workbench serve`
# port: 8800
# log_level: WARNING
"""

IGNORED = ("workbench.db*", "workbench.*.db", ".workbench/", ".env", HMAC_KEY_FILE)
_GITIGNORE = (
    "# Results and secrets stay out of version control; prompts, datasets and experiments go in.\n"
    + "".join(f"{line}\n" for line in IGNORED)
)

_ENV_EXAMPLE = """\
# Copy to .env and fill in what you use.
# OPENAI_API_KEY=
# OPENAI_BASE_URL=https://api.openai.com/v1
# OLLAMA_HOST=http://127.0.0.1:11434
# WORKBENCH_DATABASE_URL=postgresql://user:password@host/database
# WORKBENCH_ENDPOINT_COMPANY_API_KEY=
"""

_PROMPT_1 = """\
name: review-mood
version: v1
description: Tell the mood of a product review.
message: first try
messages:
  - role: user
    content: |-
      What is the mood of this review?

      {{ review }}
variables:
  review: {type: string, required: true, description: "What the buyer wrote."}
parameters: {temperature: 0, max_tokens: 32}
"""

_PROMPT_2 = """\
name: review-mood
version: v2
description: Tell the mood of a product review.
message: name the labels, ask for the label only
messages:
  - role: system
    content: |-
      Classify product reviews. Labels:

      - positive: the buyer is satisfied.
      - negative: the buyer is disappointed or angry.
      - mixed: praise and complaint in the same review.

      Answer with the label only, in lower case.
  - role: user
    content: "{{ review }}"
variables:
  review: {type: string, required: true, description: "What the buyer wrote."}
parameters: {temperature: 0, max_tokens: 8}
"""

_DATASET = """\
{"key": "r01", "review": "Great kettle, boils fast and looks good.", "mood": "positive"}
{"key": "r02", "review": "It broke after two days. I want my money back.", "mood": "negative"}
{"key": "r03", "review": "Lovely colour, but the zip is terrible.", "mood": "mixed"}
{"key": "r04", "review": "Exactly what I was looking for. Excellent!", "mood": "positive"}
{"key": "r05", "review": "The worst headphones I ever had.", "mood": "negative"}
{"key": "r06", "review": "Good sound, awful battery.", "mood": "mixed"}
{"key": "r07", "review": "My daughter loves it and uses it every day.", "mood": "positive"}
{"key": "r08", "review": "Arrived late, scratched and without the manual.", "mood": "negative"}
{"key": "r09", "review": "Nice idea and easy to use, yet far too expensive.", "mood": "mixed"}
{"key": "r10", "review": "Perfect fit, wonderful material, thank you.", "mood": "positive"}
{"key": "r11", "review": "Useless. It does not even switch on.", "mood": "negative"}
{"key": "r12", "review": "Brilliant screen, but the keyboard is a pain.", "mood": "mixed"}
"""

_EXPERIMENT = """\
# Is version 2 better than version 1? `workbench run experiments/review-mood.yaml` tells.
name: review-mood
dataset: review-mood@1
prompts: [review-mood@1, review-mood@2]
models: [simulated/small]               # answers without a key; later e.g. openai/gpt-4.1-mini
scorers: [exact_match]
"""

_FILES: Mapping[str, str] = {
    WORKSPACE_MARKER: _SETTINGS,
    ".gitignore": _GITIGNORE,
    ".env.example": _ENV_EXAMPLE,
}

_EXAMPLE: Mapping[str, str] = {
    "prompts/review-mood/v1.yaml": _PROMPT_1,
    "prompts/review-mood/v2.yaml": _PROMPT_2,
    "datasets/review-mood.jsonl": _DATASET,
    "experiments/review-mood.yaml": _EXPERIMENT,
}


@dataclass(frozen=True)
class InitReport:
    """Paths within the workspace: those written, and those that were there and stay as they are."""

    folder: Path
    written: list[str]
    kept: list[str]

    @property
    def ignores_results(self) -> bool:
        """Whether the workspace's `.gitignore` keeps database and secrets out, as ours does."""
        lines = (self.folder / ".gitignore").read_text(encoding="utf-8-sig").splitlines()
        return all(line in lines for line in IGNORED)


def init_workspace(folder: Path, *, sample: bool = False) -> InitReport:
    """Make `folder` (created if missing) a workspace with a small example, or with the sample.

    Raises `ConfigurationError` if the folder is a file or the sample is not installed,
    `Unavailable` if it cannot be written.
    """
    root = folder.resolve()
    if root.exists() and not root.is_dir():
        raise ConfigurationError(f"{folder} is a file; name a folder.")
    report = InitReport(root, [], [])
    try:
        for name, text in (_FILES if sample else {**_FILES, **_EXAMPLE}).items():
            _write(report, name, text.encode())
        if sample:
            for name, path in _sample_files():
                _write(report, name, path.read_bytes())
    except OSError as error:
        raise Unavailable(f"{error.filename} cannot be written: {error.strerror}.") from error
    return report


def _write(report: InitReport, name: str, data: bytes) -> None:
    path = report.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        report.kept.append(name)
    else:
        report.written.append(name)


def sample_folder() -> Path:
    """Return where the sample workspace is: inside an installed package, or in a clone.

    Raises `ConfigurationError` if it is in neither place.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "_sample", here.parent.parent):
        if all((folder / name).is_dir() for name in SAMPLE_FOLDERS):
            return folder
    raise ConfigurationError("The sample workspace is not part of this installation.")


def _sample_files() -> Iterator[tuple[str, Path]]:
    """Yield each file's path within the workspace and where it is."""
    root = sample_folder()
    for name in SAMPLE_FOLDERS:
        for path in sorted((root / name).rglob("*")):
            hidden = any(part.startswith(("_", ".")) for part in path.relative_to(root).parts)
            if path.is_file() and not hidden:
                yield path.relative_to(root).as_posix(), path
