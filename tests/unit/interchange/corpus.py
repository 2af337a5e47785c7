"""The corpus: prompt files of every format that is read and written, each with what is lost.

`tests/data/interchange/<format>/` holds the files, `<format>.losses.json` beside it what reading
each gives: the messages' roles, the name, and every loss as `severity path: why`, those of
meaning with an exclamation mark. `python -m tests.unit.interchange.corpus` writes the second
anew; read the difference before it is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.prompts import MessagePlaceholder
from workbench.interchange.formats import PROMPT_FORMATS, decode, file_stem
from workbench.interchange.losses import Loss
from workbench.interchange.prompts import Imported

FOLDER = Path(__file__).parents[2] / "data" / "interchange"
FORMATS = tuple(name for name, known in PROMPT_FORMATS.items() if known.write is not None)


def files(format_name: str) -> list[Path]:
    """Return the files of a format, in one order."""
    return sorted((FOLDER / format_name).iterdir())


def cases() -> Iterator[tuple[str, Path]]:
    """Yield every file with its format."""
    for name in FORMATS:
        yield from ((name, path) for path in files(name))


def read(format_name: str, path: Path) -> Imported:
    text = decode(path.read_bytes(), path.name)
    return PROMPT_FORMATS[format_name].read(text, source=path.name, file_stem=file_stem(path.name))


def outcome(format_name: str, path: Path) -> dict[str, JSON]:
    """Return what reading a file gives, in the form of the expectations."""
    try:
        imported = read(format_name, path)
    except Invalid as error:
        return {"refused": error.message}
    (prompt,) = imported.prompts
    return {
        "name": prompt.name,
        "messages": [
            "history" if isinstance(m, MessagePlaceholder) else f"{m.role}: {m.content}"
            for m in prompt.content.messages
        ],
        "losses": [line(loss) for loss in imported.report],
    }


def line(loss: Loss) -> str:
    mark = "!" if loss.changes_meaning else ""
    return f"{loss.severity}{mark} {loss.path} = {loss.was}: {loss.why}"


def expectations(format_name: str) -> dict[str, JSON]:
    found: dict[str, JSON] = json.loads(
        (FOLDER / f"{format_name}.losses.json").read_text(encoding="utf-8")
    )
    return found


def main() -> None:
    for name in FORMATS:
        found = {path.name: outcome(name, path) for path in files(name)}
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.losses.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
