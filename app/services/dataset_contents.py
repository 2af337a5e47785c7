"""What stands in a dataset version: examples found in it, and what they come to.

Both are bounded. A page of a search goes through at most `MAX_SEARCHED` examples and hands on
where it stopped; a profile looks at `MAX_PROFILED` and is kept, because a version never changes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, cast
from uuid import UUID

import orjson

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.permissions import Actor
from app.database import Database
from app.repositories.datasets import DatasetRepository
from app.schemas.dataset_profiles import (
    MAX_PROFILED,
    MAX_SEARCHED,
    DatasetProfile,
    ExampleFilter,
    ExamplePage,
)
from app.schemas.datasets import DatasetVersionView, ExampleItem, ExampleView
from app.schemas.names import Reference
from app.schemas.pages import decode_cursor, encode_cursor
from app.services.dataset_profiles import ProfileCount, texts_of
from app.services.datasets import DatasetService

__all__ = ["DatasetContentService"]

_STEP: Final = 1_000  # examples read at once
_KEPT: Final = 64  # profiles, of some ten kilobytes each


class DatasetContentService:
    """Use cases of looking into a version."""

    def __init__(self, database: Database, datasets: DatasetService) -> None:
        self._database = database
        self._datasets = datasets
        self._profiles: OrderedDict[UUID, DatasetProfile] = OrderedDict()
        self._profiling = asyncio.Lock()

    async def examples_page(
        self,
        actor: Actor,
        reference: Reference | str,
        wanted: ExampleFilter,
        *,
        cursor: str | None,
        limit: int,
    ) -> ExamplePage:
        """Return examples of a version in order, texts included: all, or those that are wanted.

        Raises `Invalid` for a column without a value or one that the version does not have.
        """
        version = await self._datasets.read(actor, reference)
        _check(wanted, version)
        after = -1 if cursor is None else cast("int", decode_cursor(cursor, int)[0])
        if wanted.key is not None:
            return await self._of_key(version, wanted)
        if wanted.is_everything:
            found = await self._datasets.examples(version.id, after_position=after, limit=limit + 1)
            return _page(found, version, limit=limit, last=version.example_count - 1)
        last = min(after + MAX_SEARCHED, version.example_count - 1)
        found = await self._found(version, wanted, after=after, last=last, limit=limit + 1)
        return _page(found, version, limit=limit, last=last, is_filtered=True)

    async def profile(self, actor: Actor, reference: Reference | str) -> DatasetProfile:
        """Return what a version is made of; made when it is first asked for, one at a time."""
        version = await self._datasets.read(actor, reference)
        if version.id not in self._profiles:
            async with self._profiling:
                if version.id not in self._profiles:
                    self._keep(version.id, await self._made(version))
        self._profiles.move_to_end(version.id)
        return self._profiles[version.id]

    async def _of_key(self, version: DatasetVersionView, wanted: ExampleFilter) -> ExamplePage:
        assert wanted.key is not None  # noqa: S101 - the caller has asked
        async with self._database.read_session() as session:
            found = await DatasetRepository(session).examples_by_key(version, [wanted.key])
        examples = [example for example, _ in found.values() if _is_wanted(example, wanted)]
        return _page(examples, version, limit=1, last=version.example_count - 1, is_filtered=True)

    async def _found(
        self,
        version: DatasetVersionView,
        wanted: ExampleFilter,
        *,
        after: int,
        last: int,
        limit: int,
    ) -> list[ExampleView]:
        """Return the first wanted examples behind a position, up to the last one looked at."""
        texts = [_inside_json(text) for text in _texts(wanted)]
        found: list[ExampleView] = []
        while after < last and len(found) < limit:
            until = min(after + _STEP, last)
            async with self._database.read_session() as session:
                candidates = await DatasetRepository(session).examples_with(
                    version.id, texts, key_too=wanted.search, after=after, until=until
                )
            found += [example for example in candidates if _is_wanted(example, wanted)]
            after = until
        return found[:limit]

    async def _made(self, version: DatasetVersionView) -> DatasetProfile:
        count = ProfileCount(version)
        last = min(MAX_PROFILED, version.example_count) - 1
        for after in range(-1, last, _STEP):
            async with self._database.read_session() as session:
                rows = await DatasetRepository(session).bodies(
                    version.id, after=after, until=min(after + _STEP, last)
                )
            await asyncio.to_thread(count.add_all, rows)
        return await asyncio.to_thread(count.profile)

    def _keep(self, version_id: UUID, profile: DatasetProfile) -> None:
        self._profiles[version_id] = profile
        while len(self._profiles) > _KEPT:
            self._profiles.popitem(last=False)


def _check(wanted: ExampleFilter, version: DatasetVersionView) -> None:
    if (wanted.column is None) != (wanted.value is None):
        raise Invalid("A metadata column is searched for a value: give both.", path="column")
    if wanted.column is not None and wanted.column not in version.metadata_names:
        known = ", ".join(version.metadata_names[:20]) or "none"
        raise Invalid(
            f"{version.reference} has no metadata column {wanted.column!r}; it has {known}.",
            path="column",
        )


def _texts(wanted: ExampleFilter) -> list[str]:
    """Return what the stored JSON of a wanted example holds for sure; the search comes first."""
    return [text for text in (wanted.search, wanted.value, wanted.expected_output) if text]


def _inside_json(text: str) -> str:
    return orjson.dumps(text).decode()[1:-1]


def _is_wanted(example: ExampleView, wanted: ExampleFilter) -> bool:
    """Whether an example is what the filter says; the database looked at its JSON only."""
    if wanted.search and not _says(example, wanted.search.casefold()):
        return False
    if wanted.column is not None and _written(example.metadata, wanted.column) != wanted.value:
        return False
    expected = {"expected": example.expected_output}
    return wanted.expected_output in (None, _written(expected, "expected"))


def _says(example: ExampleView, text: str) -> bool:
    said: list[JSON] = [
        example.key,
        dict(example.input),
        [turn.get("content") for turn in example.messages or ()],
        example.expected_output,
        dict(example.metadata),
        example.cluster,
    ]
    return any(text in part.casefold() for part in texts_of(said))


def _written(values: Mapping[str, JSON], name: str) -> str | None:
    """Return a value as people write it: a text as it is, all else as JSON."""
    value = values.get(name)
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _page(
    found: list[ExampleView],
    version: DatasetVersionView,
    *,
    limit: int,
    last: int,
    is_filtered: bool = False,
) -> ExamplePage:
    """Return the page of examples that were read up to one more than `limit`, or up to `last`."""
    more = len(found) > limit
    stopped = found[limit - 1].position if more else last
    at_end = not more and last >= version.example_count - 1
    return ExamplePage(
        items=[ExampleItem.of(example) for example in found[:limit]],
        next_cursor=None if at_end else encode_cursor(stopped),
        total_estimate=len(found) if is_filtered else version.example_count,
        searched=stopped + 1,
    )
