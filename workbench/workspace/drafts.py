"""Files for texts that come from elsewhere: a free name for each, nothing ever overwritten.

A draft is `prompts/<name>/draft.yaml`, or `draft-2.yaml` if that is there and says something
else; a version takes the number after the highest one known. A text that one of the prompt's
files has already is not written again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import Invalid, Unavailable
from app.schemas.prompts import PromptContent
from workbench.workspace.prompt_files import PromptFile, read_prompt_file

__all__ = ["NewPrompt", "Placed", "place_prompt", "place_text", "write_new"]

_MOST_NAMES = 1000


@dataclass(frozen=True)
class NewPrompt:
    """A prompt text that has no file yet."""

    name: str
    content: PromptContent
    description: str = ""
    message: str = ""


@dataclass(frozen=True)
class Placed:
    """Where a text stands now; `is_new` is false if a file had it already."""

    path: Path
    is_new: bool


def place_prompt(
    folder: Path,
    prompt: NewPrompt,
    *,
    taken: Mapping[Path, PromptFile],
    latest: int | None = None,
) -> tuple[Placed, PromptFile]:
    """Return the file that a prompt becomes in the folder `prompts`, without writing it.

    `taken` are files that are to be written before this one. With `latest`, the highest number
    that the registry knows (0: none), it becomes a version, else a draft.
    """
    own = folder.joinpath(*prompt.name.split("/"))
    known = {**_files(own), **taken}
    for path, file in known.items():
        if path.parent == own and file.content.hash == prompt.content.hash:
            return Placed(path, is_new=False), file
    number = None
    if latest is None:
        path = _free(own, "draft", ".yaml", set(known))
    else:
        numbers = [file.number or 0 for at, file in known.items() if at.parent == own]
        number = max([latest, *numbers, *_numbers(own)]) + 1
        path = own / f"v{number}.yaml"
    new = PromptFile(path, prompt.name, number, prompt.content, prompt.description, prompt.message)
    return Placed(path, is_new=True), new


def _files(folder: Path) -> dict[Path, PromptFile]:
    """Return the prompt files of a folder that can be read."""
    found = {}
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            found[path] = read_prompt_file(path)
        except Invalid:  # somebody is working on it; its name counts as taken all the same
            continue
    return found


def _numbers(folder: Path) -> Iterator[int]:
    for path in folder.glob("v*.yaml"):
        if path.stem[1:].isdigit():
            yield int(path.stem[1:])


def _free(folder: Path, stem: str, suffix: str, taken: set[Path]) -> Path:
    for path in _names(folder / f"{stem}{suffix}"):
        if path not in taken and not path.exists():
            return path
    raise Invalid(f"{folder} has {_MOST_NAMES} files called {stem}; remove those that are done.")


def _names(path: Path) -> Iterator[Path]:
    """Yield `triage.jsonl`, `triage-2.jsonl`, `triage-3.jsonl` and so on."""
    yield path
    for number in range(2, _MOST_NAMES + 1):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def place_text(path: Path, text: str, *, taken: set[Path]) -> Placed:
    """Return a free name for a text, or the first file called so that holds it already."""
    for known in _names(path):
        if not known.exists():
            break
        if known.is_file() and known.read_bytes() == text.encode():
            return Placed(known, is_new=False)
    return Placed(_free(path.parent, path.stem, path.suffix, taken), is_new=True)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet; raises `Unavailable` if it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise Unavailable(f"{path} is there already and was left as it is.") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
