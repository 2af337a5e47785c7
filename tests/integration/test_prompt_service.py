"""The registry: numbers are given once, drafts keep their identity, every change is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.core.clock import SystemClock
from app.core.errors import ConfigurationError, Conflict, Forbidden, Invalid, NotFound
from app.core.permissions import Actor, ActorKind, Permission
from app.database import Database, DatabaseError
from app.prompts import BUILTIN_PROMPTS, BuiltinPrompt
from app.repositories.audit import AuditRepository
from app.schemas.prompts import PromptContent
from app.services.audit import first_broken_entry
from app.services.builtin_prompts import register_builtin_prompts
from app.services.prompts import AlreadyRegistered, NumberTaken, PromptService, Registered

ANN = Actor(ActorKind.LOCAL, "ann", frozenset(Permission))
BEN = Actor(ActorKind.LOCAL, "ben", frozenset(Permission))
READER = Actor(ActorKind.LOCAL, "carl", frozenset({Permission.PROMPT_READ}))


class FixedClock(SystemClock):
    """It is always the same minute."""

    def now(self) -> datetime:
        return datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


def content(said: str, **parameters: float) -> PromptContent:
    return PromptContent.model_validate(
        {"messages": [{"role": "user", "content": said}], "parameters": parameters}
    )


@pytest.fixture
def prompts(database: Database) -> PromptService:
    return PromptService(database, FixedClock())


@pytest.fixture
async def open_registry(database_url: str) -> AsyncIterator[Callable[[], PromptService]]:
    """What opens one more registry with connections of its own over the same database."""
    opened: list[Database] = []

    def make() -> PromptService:
        opened.append(Database(database_url))
        return PromptService(opened[-1], SystemClock())

    yield make
    for database in opened:
        await database.close()


async def actions(database: Database) -> list[str]:
    """The recorded actions in order; the chain is checked on the way."""
    async with database.read_session() as session:
        assert await first_broken_entry(session) is None
        bodies = await AuditRepository(session).bodies()
    return [body.split('"action":"')[1].split('"')[0] for _, body, _, _ in bodies]


async def test_a_version_reads_back_as_it_was_registered(prompts: PromptService) -> None:
    said = PromptContent.model_validate(
        {
            "messages": [
                {"role": "system", "content": "You route.\n"},
                {"placeholder": "history"},
                {"role": "user", "content": "{{ a }}{{ b }}"},
            ],
            "variables": {
                "a": {"description": "text"},
                "b": {"type": "number", "required": False, "default": 0.5},
            },
            "parameters": {"temperature": 0.0, "stop": ["x"]},
            "tools": [{"z": 1, "a": {"y": [None]}}],
            "tool_choice": "auto",
            "response_format": {"type": "json_object"},
        }
    )
    registered = await prompts.register(
        ANN, "desk/triage", said, number=3, description="Route.", message="first"
    )
    version = await prompts.get("desk/triage@3")
    assert version == registered.version
    assert version.content == said
    assert version.content.hash == version.content_hash == said.hash
    assert list(version.content.tools[0]) == ["z", "a"]  # type: ignore[index] # there are tools
    assert (version.author, version.description, version.message) == (
        "local:ann",
        "Route.",
        "first",
    )
    assert version.published_at == version.created_at == FixedClock().now()


async def test_the_same_content_under_the_same_number_again_is_no_change(
    prompts: PromptService, database: Database
) -> None:
    first = await prompts.register(ANN, "x", content("a"), number=1)
    again = await prompts.register(BEN, "x", content("a"), number=1)
    assert (first.created, again.created) == (True, False)
    assert again.version == first.version
    assert await actions(database) == ["prompt_version.registered"]


async def test_a_taken_number_says_who_took_it_when_and_the_difference(
    prompts: PromptService,
) -> None:
    await prompts.register(ANN, "x", content("old text"), number=1)
    with pytest.raises(NumberTaken) as caught:
        await prompts.register(BEN, "x", content("new text"), number=1)
    assert str(caught.value) == (
        "x@1 is taken: local:ann registered other content under this number "
        "on 2026-03-04 05:06 UTC."
    )
    assert "-old text" in caught.value.diff
    assert "+new text" in caught.value.diff
    assert "--renumber" in str(caught.value.hint)


async def test_with_renumber_a_taken_number_gives_way_to_the_next_free_one(
    prompts: PromptService,
) -> None:
    await prompts.register(ANN, "x", content("a"), number=1)
    await prompts.register(ANN, "x", content("b"), number=7)
    registered = await prompts.register(BEN, "x", content("c"), number=1, renumber=True)
    assert registered.version.number == 8


async def test_content_that_has_a_number_gets_no_second_one(prompts: PromptService) -> None:
    await prompts.register(ANN, "x", content("a"), number=1)
    with pytest.raises(AlreadyRegistered, match=r"already registered as x@1.*cannot be x@2"):
        await prompts.register(ANN, "x", content("a"), number=2)


async def test_the_same_content_may_stand_under_two_names(prompts: PromptService) -> None:
    await prompts.register(ANN, "x", content("a"), number=1)
    assert (await prompts.register(ANN, "y", content("a"), number=1)).created


async def test_a_temperature_of_zero_is_one_content_however_it_is_written(
    prompts: PromptService,
) -> None:
    await prompts.register(ANN, "x", content("a", temperature=0), number=1)
    again = await prompts.register(ANN, "x", content("a", temperature=0.0), number=1)
    assert not again.created


async def test_a_draft_is_stored_and_stays_out_of_lists(
    prompts: PromptService, database: Database
) -> None:
    draft = (await prompts.register(ANN, "x", content("a"), number=None)).version
    assert draft.number is None
    assert await prompts.list() == []
    assert await prompts.versions("x") == []
    assert await prompts.all_versions() == []
    assert await prompts.get(draft.reference) == draft
    assert await prompts.get(f"x@{draft.content_hash}") == draft
    assert await prompts.find_content("x", content("a")) == draft
    with pytest.raises(NotFound, match="x has no numbered version yet, only drafts"):
        await prompts.get("x")
    assert await actions(database) == ["prompt_version.draft_stored"]


@pytest.mark.parametrize("how", ["publish", "register"])
async def test_a_published_draft_keeps_its_row(
    prompts: PromptService, database: Database, how: str
) -> None:
    await prompts.register(ANN, "x", content("a"), number=1)
    draft = (await prompts.register(ANN, "x", content("b"), number=None)).version
    if how == "publish":
        done = await prompts.publish(BEN, "x", content("b"), message="better")
    else:
        done = await prompts.register(BEN, "x", content("b"), number=2, message="better")
    version = done.version
    assert (version.id, version.content_hash) == (draft.id, draft.content_hash)
    assert (version.number, version.message, version.author) == (2, "better", "local:ben")
    assert (await prompts.register(ANN, "x", content("b"), number=None)).version == version
    assert await actions(database) == [
        "prompt_version.registered",
        "prompt_version.draft_stored",
        "prompt_version.published",
    ]


async def test_publishing_content_that_was_never_run_registers_it(prompts: PromptService) -> None:
    published = await prompts.publish(ANN, "x", content("a"), message="first", description="D.")
    assert (published.version.number, published.version.description) == (1, "D.")


async def test_publishing_twice_changes_nothing(prompts: PromptService, database: Database) -> None:
    first = await prompts.publish(ANN, "x", content("a"), message="first")
    again = await prompts.publish(BEN, "x", content("a"), message="second")
    assert (again.created, again.version) == (False, first.version)
    assert len(await actions(database)) == 1


async def test_of_twenty_parallel_registrations_of_one_number_one_wins(
    open_registry: Callable[[], PromptService], database: Database
) -> None:
    outcomes = await asyncio.gather(
        *(open_registry().register(ANN, "x", content(f"text {i}"), number=1) for i in range(20)),
        return_exceptions=True,
    )
    winners = [o for o in outcomes if isinstance(o, Registered)]
    losers = [o for o in outcomes if isinstance(o, NumberTaken)]
    assert (len(winners), len(losers)) == (1, 19)
    assert all(loser.existing == winners[0].version for loser in losers)
    assert await actions(database) == ["prompt_version.registered"]


async def test_twenty_parallel_registrations_of_one_content_are_one_version(
    open_registry: Callable[[], PromptService], database: Database
) -> None:
    done = await asyncio.gather(
        *(open_registry().register(ANN, "x", content("same"), number=1) for _ in range(20))
    )
    assert sum(registered.created for registered in done) == 1
    assert len({registered.version.id for registered in done}) == 1
    assert await actions(database) == ["prompt_version.registered"]


async def test_twenty_parallel_publications_get_twenty_numbers(
    open_registry: Callable[[], PromptService], database: Database
) -> None:
    done = await asyncio.gather(
        *(open_registry().publish(ANN, "x", content(f"text {i}"), message="m") for i in range(20))
    )
    assert sorted(p.version.number or 0 for p in done) == list(range(1, 21))
    assert await actions(database) == ["prompt_version.registered"] * 20


async def test_an_unknown_reference_says_what_exists(prompts: PromptService) -> None:
    await prompts.register(ANN, "triage", content("a"), number=1)
    await prompts.register(ANN, "triage", content("b"), number=4)
    with pytest.raises(NotFound, match=r"no triage@2; triage has the versions 1, 4\."):
        await prompts.get("triage@2")
    with pytest.raises(NotFound, match=r"Did you mean triage\?"):
        await prompts.get("traige@1")
    with pytest.raises(NotFound, match=r"no triage@sha256:123456"):
        await prompts.get("triage@123456abcdef")
    with pytest.raises(NotFound):
        await prompts.versions("traige")
    assert (await prompts.get("triage")).number == 4
    assert (await prompts.get("triage@latest")).number == 4


async def test_a_hash_may_be_shortened_as_long_as_it_is_unique(prompts: PromptService) -> None:
    version = (await prompts.register(ANN, "x", content("a"), number=1)).version
    assert await prompts.get(f"x@{version.content_hash[:15]}") == version


@pytest.mark.parametrize("name", ["X", "a/b/c", "a b", "../x", "x@2", "x@latest", ""])
async def test_what_is_no_name_is_refused(prompts: PromptService, name: str) -> None:
    with pytest.raises(Invalid):
        await prompts.register(ANN, name, content("a"), number=1)


@pytest.mark.parametrize(
    "parameters", [{"temperature": 3}, {"max_tokens": 0}, {"temprature": 0}, {"top_p": "high"}]
)
async def test_a_parameter_that_no_model_takes_is_refused(
    prompts: PromptService, parameters: dict[str, float]
) -> None:
    with pytest.raises(Invalid) as caught:
        await prompts.register(ANN, "x", content("a", **parameters), number=1)
    assert caught.value.path == f"parameters.{next(iter(parameters))}"


@pytest.mark.parametrize("field", ["description", "message"])
async def test_a_text_that_no_database_holds_is_refused(prompts: PromptService, field: str) -> None:
    with pytest.raises(Invalid, match="NUL"):
        await prompts.register(ANN, "x", content("a"), number=1, **{field: "a\0b"})  # type: ignore[arg-type] # both are texts


async def test_who_may_not_write_changes_nothing(
    prompts: PromptService, database: Database
) -> None:
    with pytest.raises(Forbidden):
        await prompts.register(READER, "x", content("a"), number=1)
    with pytest.raises(Forbidden):
        await prompts.publish(READER, "x", content("a"), message="m")
    assert await actions(database) == []
    with pytest.raises(NotFound):
        await prompts.versions("x")


async def test_a_change_that_cannot_be_recorded_is_not_made(
    prompts: PromptService, database: Database
) -> None:
    async def execute(statement: str) -> None:
        async with database.write_session() as session:
            await session.execute(text(statement))
            await session.commit()

    await execute("ALTER TABLE audit_event RENAME TO hidden")
    with pytest.raises(DatabaseError):
        await prompts.register(ANN, "x", content("a"), number=1)
    await execute("ALTER TABLE hidden RENAME TO audit_event")
    with pytest.raises(NotFound):
        await prompts.versions("x")


async def test_the_list_has_the_newest_version_of_each_prompt(prompts: PromptService) -> None:
    for name, number in (("b", 1), ("b", 3), ("a/x", 2)):
        await prompts.register(
            ANN, name, content(f"{name}{number}"), number=number, description=f"D{number}"
        )
    listed = [(s.name, s.latest, s.versions, s.description) for s in await prompts.list()]
    assert listed == [("a/x", 2, 1, "D2"), ("b", 3, 2, "D3")]


# Built-in prompts


async def test_built_in_prompts_are_registered_once(
    prompts: PromptService, database: Database
) -> None:
    assert await register_builtin_prompts(prompts) == len(BUILTIN_PROMPTS)
    assert await register_builtin_prompts(prompts) == 0
    version = await prompts.get("passthrough@1")
    assert (version.origin, version.author) == ("builtin", "system:workbench")
    assert await actions(database) == ["prompt_version.registered"] * len(BUILTIN_PROMPTS)


async def test_a_built_in_text_changed_under_its_version_refuses_to_start(
    prompts: PromptService,
) -> None:
    def built_in(version: int, said: str) -> list[BuiltinPrompt]:
        messages = [{"role": "system", "content": said}]
        return [BuiltinPrompt("passthrough", version, "", {"messages": messages})]

    await register_builtin_prompts(prompts, built_in(1, "a"))
    with pytest.raises(ConfigurationError, match="passthrough@1 has other text") as caught:
        await register_builtin_prompts(prompts, built_in(1, "b"))
    assert "give it a new VERSION" in str(caught.value.hint)
    assert await register_builtin_prompts(prompts, built_in(2, "b")) == 1


async def test_the_name_of_a_built_in_prompt_is_not_given_away(prompts: PromptService) -> None:
    for write in (
        prompts.register(ANN, "passthrough", content("a"), number=2),
        prompts.publish(ANN, "default_assistant", content("a"), message="m"),
    ):
        with pytest.raises(Conflict, match="is the name of a built-in prompt"):
            await write
