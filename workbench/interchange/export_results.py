"""Export the results of an experiment or a run to a file or a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.bootstrap import Services
from app.core.clock import Clock
from app.core.errors import Conflict, Invalid
from app.schemas.experiments import RunView
from workbench.interchange.result_files import RESULT_FORMATS
from workbench.interchange.result_rows import Title, result_rows, scorer_columns

__all__ = ["new_file", "result_format", "write_results"]


def result_format(name: str | None, output: Path | None) -> str:
    """Return the format that was named, else the one of the file's name; JSONL for a stream.

    Raises `Invalid` for one that is not known.
    """
    known = ", ".join(RESULT_FORMATS)
    if name is not None:
        if name not in RESULT_FORMATS:
            raise Invalid(f"--as {name}: known formats are {known}.", path="as")
        return name
    if output is None:
        return "jsonl"
    for format_name, known_format in RESULT_FORMATS.items():
        if output.suffix.lower() == known_format.suffix:
            return format_name
    raise Invalid(f"{output}: say which format with --as: {known}.", path="as")


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that must not be there; it is removed again if writing it fails.

    Raises `Conflict` if it is there.
    """
    try:
        file = path.open("xb")
    except FileExistsError:
        raise Conflict(f"{path} is there already.", hint="Name another file.") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def write_results(
    services: Services, of: str, format_name: str, file: IO[bytes], clock: Clock
) -> int:
    """Write the cells of an experiment (its number or `latest`) or of one run; return how many."""
    runs = await _runs(services, of)
    columns = await scorer_columns(services, runs)
    title = Title(
        name=f"experiment {runs[0].experiment_number}" if len(runs) > 1 else runs[0].name,
        created_at=clock.now().isoformat(timespec="seconds"),
        scorers=list(columns.values()),
    )
    rows = result_rows(services, runs, columns)
    return await RESULT_FORMATS[format_name].write(title, rows, file)


async def _runs(services: Services, of: str) -> Sequence[RunView]:
    if of == "latest" or of.isdecimal():
        return (await services.experiments.get(of)).runs
    return [await services.experiments.run(of)]
