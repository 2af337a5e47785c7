"""Prompt files and the registry: how they differ, and how each learns of the other.

Git is where text is written, the registry is where numbers are given. `sync` registers
files, `pull` writes files for versions that exist only in the registry, `publish` gives a
draft the next number and makes its file the version's file. Each file stands alone: one that
is refused keeps no other from being registered. No file with other content is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from app.bootstrap import Services
from app.core.errors import Conflict, NotFound, Unavailable, WorkbenchError
from app.core.permissions import Actor
from app.prompts import BUILTIN_NAMES
from app.schemas.prompts import PromptContent, PromptVersionView, parse_prompt_reference
from app.services.prompts import AlreadyRegistered, NumberTaken, PromptService
from workbench.workspace.prompt_files import (
    PROMPTS_FOLDER,
    PromptFile,
    find_prompt_files,
    is_prompt_file,
    number_prompt_text,
    prompt_path,
    read_prompt_file,
    write_prompt,
)

__all__ = [
    "Entry",
    "PromptStatus",
    "PromptText",
    "Published",
    "Pulled",
    "State",
    "Step",
    "SyncReport",
    "Synced",
    "compare",
    "load_prompt",
    "plan_sync",
    "prompt_status",
    "publish_prompt",
    "pull_prompts",
    "sync_prompts",
]


# Comparing


class State(StrEnum):
    """How a version's file and its row stand to each other."""

    IN_STEP = "in step"
    ONLY_IN_FILES = "only in files"
    ONLY_IN_REGISTRY = "only in registry"
    DIFFERS = "differs"
    DRAFT = "draft"


@dataclass(frozen=True)
class Entry:
    """One version, or one draft file.

    `version` is the row with this number, `twin` a row with this content and another number.
    """

    name: str
    number: int | None
    state: State
    file: PromptFile | None = None
    version: PromptVersionView | None = None
    twin: PromptVersionView | None = None

    @property
    def reference(self) -> str:
        """`triage@3`, or `triage` for a draft."""
        return self.name if self.number is None else f"{self.name}@{self.number}"


def compare(files: Sequence[PromptFile], versions: Sequence[PromptVersionView]) -> list[Entry]:
    """Return an entry for every file and every version, by name and number, drafts last.

    Built-in prompts have no files and are left out.
    """
    own = [version for version in versions if version.origin != "builtin"]
    by_number = {(version.name, version.number): version for version in own}
    by_hash = {(version.name, version.content_hash): version for version in own}
    entries = []
    for file in files:
        version = by_number.pop((file.name, file.number), None)
        twin = by_hash.get((file.name, file.content.hash))
        entries.append(
            Entry(
                file.name,
                file.number,
                _state(file, version),
                file,
                version,
                None if twin is version else twin,
            )
        )
    entries += [
        Entry(version.name, version.number, State.ONLY_IN_REGISTRY, version=version)
        for version in by_number.values()
    ]
    return sorted(entries, key=lambda e: (e.name, e.number is None, e.number or 0))


def _state(file: PromptFile, version: PromptVersionView | None) -> State:
    if file.number is None:
        return State.DRAFT
    if version is None:
        return State.ONLY_IN_FILES
    return State.IN_STEP if version.content_hash == file.content.hash else State.DIFFERS


@dataclass(frozen=True)
class PromptStatus:
    """Files and registry compared, and the problems of the files that cannot be read."""

    entries: list[Entry]
    problems: list[WorkbenchError]


async def prompt_status(services: Services, root: Path) -> PromptStatus:
    """Compare the prompt files of the workspace `root` with the registry; changes nothing."""
    files, problems = _read(root, find_prompt_files(root))
    return PromptStatus(compare(files, await services.prompts.all_versions()), problems)


def _read(root: Path, paths: Iterable[Path]) -> tuple[list[PromptFile], list[WorkbenchError]]:
    files: list[PromptFile] = []
    problems: list[WorkbenchError] = []
    for path in paths:
        try:
            files.append(read_prompt_file(path, source=_shown(root, path)))
        except WorkbenchError as problem:
            problems.append(problem)
    return files, problems


def _shown(root: Path, path: Path) -> str:
    """Return a path as it is told to people: within the workspace, or as given."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


# Files -> registry


@dataclass(frozen=True)
class Step:
    """What is to be done with one file: register it under `number`, or refuse it."""

    file: PromptFile
    number: int
    refusal: WorkbenchError | None = None

    @property
    def renumbers(self) -> bool:
        """Whether the file gets another number than it says."""
        return self.refusal is None and self.number != self.file.number


@dataclass(frozen=True)
class Synced:
    """A file that is registered now; `was` is its path before it got another number."""

    reference: str
    path: Path
    was: Path | None = None


@dataclass(frozen=True)
class SyncReport:
    """What `sync_prompts` did, or would do in a dry run."""

    dry_run: bool
    in_step: int
    synced: list[Synced]
    refused: list[tuple[PromptFile, WorkbenchError]]
    problems: list[WorkbenchError]

    @property
    def complete(self) -> bool:
        """Whether every file is in the registry now."""
        return not (self.refused or self.problems)

    @property
    def empty(self) -> bool:
        """Whether there is no file at all; drafts do not count."""
        return not (self.in_step or self.synced or self.refused or self.problems)

    @property
    def summary(self) -> str:
        """The counts in one line."""
        counts = {
            "to register" if self.dry_run else "registered": len(self.synced),
            "in step": self.in_step,
            "refused": len(self.refused),
            "not readable": len(self.problems),
        }
        return ", ".join(f"{n} {word}" for word, n in counts.items() if n) or "no prompt files"


def plan_sync(entries: Sequence[Entry], *, renumber: bool = False) -> list[Step]:
    """Return the steps that bring the files into the registry, ascending by number.

    Files in step and drafts need none. With `renumber` a file whose number is taken gets the
    next one that neither the registry nor a file of that prompt has; other files keep theirs.
    """
    planner = _Planner(entries, renumber)
    steps = [
        planner.step(entry, entry.file, entry.number)
        for entry in entries
        if entry.file is not None and entry.number is not None and entry.state is not State.IN_STEP
    ]
    return sorted(steps, key=lambda step: (step.file.name, step.number))


class _Planner:
    """Decides file by file, knowing what the files before it will have taken."""

    def __init__(self, entries: Sequence[Entry], renumber: bool) -> None:
        self._renumber = renumber
        self._planned: dict[tuple[str, str], PromptFile] = {}
        self._numbers: dict[str, set[int]] = {}
        self._filed = {(e.name, e.number) for e in entries if e.file is not None}
        for entry in entries:
            if entry.number is not None:
                self._numbers.setdefault(entry.name, set()).add(entry.number)

    def step(self, entry: Entry, file: PromptFile, number: int) -> Step:
        refusal = self._refusal(entry, file, number)
        given = number if refusal is None else self._other_number(file, refusal)
        if given is None:
            return Step(file, number, refusal)
        self._planned[file.name, file.content.hash] = file
        self._numbers[file.name].add(given)
        return Step(file, given)

    def _other_number(self, file: PromptFile, refusal: Conflict) -> int | None:
        """Return the number that mends a refusal, if another one may be given at all."""
        if self._renumber and isinstance(refusal, NumberTaken):
            return max(self._numbers[file.name]) + 1
        if self._renumber and isinstance(refusal, AlreadyRegistered):
            registered = refusal.existing.number
            return None if (file.name, registered) in self._filed else registered
        return None

    def _refusal(self, entry: Entry, file: PromptFile, number: int) -> Conflict | None:
        if file.name in BUILTIN_NAMES:
            return Conflict(f"{file.name} is a built-in prompt.", hint="Choose another name.")
        if other := self._planned.get((file.name, file.content.hash)):
            return Conflict(
                f"{file.reference} has the same content as {other.reference}.",
                hint="Delete one of the two files.",
            )
        if entry.twin is not None:
            return AlreadyRegistered(entry.twin, number)
        if entry.version is not None:
            return NumberTaken(entry.version, file.content)
        return None


async def sync_prompts(
    services: Services,
    actor: Actor,
    root: Path,
    *,
    renumber: bool = False,
    dry_run: bool = False,
) -> SyncReport:
    """Carry out `plan_sync` for the workspace `root`; a dry run only tells what would be done.

    A file that gets another number is rewritten and renamed to it.
    """
    status = await prompt_status(services, root)
    in_step = sum(entry.state is State.IN_STEP for entry in status.entries)
    report = SyncReport(dry_run, in_step, [], [], status.problems)
    for step in plan_sync(status.entries, renumber=renumber):
        if step.refusal is not None:
            report.refused.append((step.file, step.refusal))
        elif dry_run:
            report.synced.append(_synced(step.file, step.number))
        else:
            try:
                number = await _register(services, actor, step, renumber=renumber)
            except WorkbenchError as refusal:  # taken since the plan was made
                report.refused.append((step.file, refusal))
            else:
                report.synced.append(_synced(step.file, number))
    return report


async def _register(services: Services, actor: Actor, step: Step, *, renumber: bool) -> int:
    """Register a file and return its number, under which the file lies then."""
    file = step.file
    registered = await services.prompts.register(
        actor,
        file.name,
        file.content,
        number=step.number,
        renumber=renumber,
        description=file.description,
        message=file.message,
    )
    number = registered.version.number or step.number
    if number != file.number:
        _move(file, replace(file, path=_numbered_path(file, number), number=number))
    return number


def _synced(file: PromptFile, number: int) -> Synced:
    reference = f"{file.name}@{number}"
    if number == file.number:
        return Synced(reference, file.path)
    return Synced(reference, _numbered_path(file, number), was=file.path)


def _numbered_path(file: PromptFile, number: int) -> Path:
    return file.path.with_name(f"v{number}{file.path.suffix}")


# Registry -> files


@dataclass(frozen=True)
class Pulled:
    """What `pull_prompts` did: files written; files in the way, which were kept as they are."""

    written: list[Path]
    kept: list[Path]


async def pull_prompts(services: Services, root: Path) -> Pulled:
    """Write a file for every version that exists only in the registry."""
    pulled = Pulled([], [])
    for entry in (await prompt_status(services, root)).entries:
        version = entry.version
        if entry.state is not State.ONLY_IN_REGISTRY or version is None or version.number is None:
            continue
        path = prompt_path(root, version.name, version.number)
        file = PromptFile(
            path,
            version.name,
            version.number,
            version.content,
            version.description,
            version.message,
        )
        try:
            _write_new(path, write_prompt(file))
        except FileExistsError:
            pulled.kept.append(path)
        else:
            pulled.written.append(path)
    return pulled


# Drafts


@dataclass(frozen=True)
class Published:
    """A draft that has its number now. `replaced` is the draft's file, which is gone."""

    version: PromptVersionView
    path: Path
    replaced: Path | None


async def publish_prompt(
    services: Services, actor: Actor, root: Path, source: str, *, message: str
) -> Published:
    """Give a draft the next number; its file becomes the version's file.

    `source` is a prompt's name (which has one draft file), a draft's file, or the reference
    of a draft that was run. Raises `Conflict` if the content has a number already and its
    file is there, or if the number is another file's; `NotFound` if there is no draft.
    """
    draft = await _draft(services.prompts, root, source)
    _check_numbers(root, draft.name, await services.prompts.all_versions())
    registered = await services.prompts.publish(
        actor, draft.name, draft.content, message=message, description=draft.description
    )
    version = registered.version
    if version.number is None:
        raise Conflict(f"{version.reference} got no number.")
    path = prompt_path(root, draft.name, version.number)
    if not registered.created and path.exists():
        raise Conflict(
            f"Nothing to publish: this content is already {version.reference}, registered by "
            f"{version.author}.",
            hint=f"Change the text, or delete {_shown(root, draft.path)}.",
        )
    numbered = replace(draft, path=path, number=version.number, message=version.message)
    in_place = draft.path.parent == path.parent and draft.path.is_file()
    if in_place:
        _move(draft, numbered)
    else:
        _place(numbered, write_prompt(numbered))
    return Published(version, path, draft.path if in_place else None)


async def _draft(prompts: PromptService, root: Path, source: str) -> PromptFile:
    """Return the draft that is meant; one known only to the registry has no file yet."""
    if is_prompt_file(source):
        draft = _named_file(source)
        if draft.number is not None:
            raise Conflict(
                f"{source} has a number already.",
                hint="Register it with `workbench prompts sync`.",
            )
        return draft
    reference = parse_prompt_reference(source)
    if reference.hash_prefix is not None or reference.number is not None:
        version = await prompts.get(reference)
        path = root.joinpath(PROMPTS_FOLDER, version.name, "draft.yaml")
        return PromptFile(path, version.name, None, version.content, version.description)
    return _only_draft(root, reference.name)


def _only_draft(root: Path, name: str) -> PromptFile:
    folder = root.joinpath(PROMPTS_FOLDER, *name.split("/"))
    files, problems = _read(root, sorted(folder.glob("*.yaml")))
    drafts = [file for file in files if file.number is None]
    if len(drafts) == 1:
        return drafts[0]
    if problems:
        raise problems[0]
    if drafts:
        names = ", ".join(_shown(root, draft.path) for draft in drafts)
        raise Conflict(f"{name} has several drafts: {names}.", hint="Name the file to publish.")
    raise NotFound(
        f"{name} has no draft: there is no file without a version in {_shown(root, folder)}.",
        hint=f"Write {_shown(root, folder)}/draft.yaml, with name and messages.",
    )


def _check_numbers(root: Path, name: str, versions: Sequence[PromptVersionView]) -> None:
    """Refuse to give a number that a file which is not registered says it has."""
    folder = root.joinpath(PROMPTS_FOLDER, *name.split("/"))
    files, problems = _read(root, sorted(folder.glob("v*.yaml")))
    if problems:
        raise problems[0]
    for entry in compare(files, [v for v in versions if v.name == name]):
        if entry.state is State.ONLY_IN_FILES and entry.file is not None:
            raise Conflict(
                f"{_shown(root, entry.file.path)} is not registered yet, so that the next "
                "number is not certain.",
                hint="Run `workbench prompts sync` first.",
            )


# Naming one text


@dataclass(frozen=True)
class PromptText:
    """A prompt's text by the name it was asked for: a file, or a version of the registry."""

    label: str
    content: PromptContent
    file: PromptFile | None = None
    version: PromptVersionView | None = None


def _named_file(source: str) -> PromptFile:
    return read_prompt_file(Path(source).resolve(), source=source)


async def load_prompt(services: Services, root: Path, source: str) -> PromptText:
    """Return the text of a file or of a reference.

    Raises `Invalid` or `NotFound`; if a file waits for its registration, the hint says so.
    """
    if is_prompt_file(source):
        file = _named_file(source)
        return PromptText(source, file.content, file=file)
    reference = parse_prompt_reference(source)
    try:
        version = await services.prompts.get(reference)
    except NotFound as error:
        if reference.number is not None:
            path = prompt_path(root, reference.name, reference.number)
            if path.is_file():
                shown = _shown(root, path)
                error.hint = f"{shown} is not registered yet: run `workbench prompts sync`."
        raise
    return PromptText(version.reference, version.content, version=version)


# Writing


def _move(old: PromptFile, new: PromptFile) -> None:
    """Write the file under its new number and remove it under its old name."""
    text = old.path.read_bytes().decode("utf-8-sig")
    _place(new, number_prompt_text(text, new))
    old.path.unlink()


def _place(file: PromptFile, text: str) -> None:
    """Write the file of a version that was registered just now."""
    try:
        _write_new(file.path, text)
    except FileExistsError:
        raise Conflict(
            f"{file.reference} is registered, and {file.path} is already another file, "
            "which was left as it is.",
            hint="Run `workbench prompts status`.",
        ) from None


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet; raises `FileExistsError` if it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
