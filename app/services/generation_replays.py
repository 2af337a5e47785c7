"""The replay check: a request is made again from stored rows and held against what was sent.

No model is called. An experiment's request is made by the code that made it first, of prompt
version, example, binding, parameters and model version. A chat's caller gave turns and variables
that are stored nowhere but in the request itself: they are read back from it, and all that the
prompt version adds must come out the same. A judge's question has texts behind a fence that only
the workspace that asked can make: there the stored hash is all that can be checked. A stored
request that no longer has its hash is not what was sent, whatever can be rendered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.hashing import JSON, ordered_json
from app.core.permissions import Actor
from app.core.templating import Template, compile_template
from app.database import Database
from app.llm.request_identity import (
    changed_parts,
    identity_hash,
    identity_of,
    identity_of_stored,
)
from app.llm.types import ModelTarget
from app.repositories.generation_replays import GenerationReplayRepository
from app.repositories.provenance import ProvenanceRepository
from app.schemas.generation_replays import ReplayDifference, ReplaySource, ReplayView
from app.schemas.prompts import MessagePlaceholder, MessageTemplate, PromptContent
from app.services.cell_requests import RequestMaker
from app.services.generations import may_read, may_see, record_opening
from app.services.rendering import PromptRenderer

__all__ = ["GenerationReplayService", "replayed"]

_LONGEST_DIFFERENCE: Final = 20_000  # characters of one side
_READ_BACK: Final = (
    "The caller's turns and the values of variables were read back from the request: a chat's are "
    "stored nowhere else."
)
_AMBIGUOUS: Final = (
    "The messages do not come out the same, but the values cannot be told apart in the text, so "
    "that this says nothing."
)
_BESIDE_THE_BODY: Final = frozenset({"provider", "endpoint", "digest", "repetition"})
"""Parts that no stored request holds: nothing but its hash tells whether they are as sent."""

Identity = Mapping[str, JSON]
_Filled = tuple[MessageTemplate, JSON]
"""A message of a prompt, and what was sent for it."""


class _CannotReplay(Exception):
    """Why a request cannot be made again; the message is shown."""


class GenerationReplayService:
    """Checks stored requests."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def replay(self, actor: Actor, generation_id: UUID) -> ReplayView:
        """Make a generation's request again and say whether it is the one that was sent.

        Raises `NotFound` for one that the actor may not see. Reading a customer's chat for it is
        recorded as an opening; whoever may not read it gets the reason instead.
        """
        async with self._database.read_session() as session:
            home = await ProvenanceRepository(session).home(generation_id)
        if home is None or not may_see(actor, home):
            raise NotFound(f"There is no generation {generation_id}.")
        if not may_read(actor, home):
            return _impossible(
                generation_id,
                "The texts of this chat are withheld from you: reading them takes the permission "
                "production_content:read.",
            )
        if home.purpose == "chat":
            await record_opening(self._database, self._clock, actor, generation_id, home)
        async with self._database.read_session() as session:
            source = await GenerationReplayRepository(session).source(generation_id)
        if source is None:
            raise NotFound(f"There is no generation {generation_id}.")
        return replayed(generation_id, source)


def replayed(generation_id: UUID, source: ReplaySource) -> ReplayView:
    """Return what comes of rendering a stored request again (pure)."""
    stored = None
    try:
        request, target = _sent(source)
        stored = identity_of_stored(
            request, _as_sent(request, target), source.digest, source.repetition
        )
        rendered, note = _rendered(source, request, target)
        changed = changed_parts(stored, rendered)
        if list(changed) == ["messages"] and _is_ambiguous(source, request):
            raise _CannotReplay(_AMBIGUOUS)
    except _CannotReplay as why:
        return _impossible(generation_id, str(why), source, stored)
    except Invalid as error:
        return _impossible(
            generation_id, f"It cannot be rendered again: {error.message}", source, stored
        )
    differences = [
        *_broken_hash(source, stored),
        *(
            ReplayDifference(
                part=part, stored=_shown(stored, part), rendered=_shown(rendered, part)
            )
            for part in changed
        ),
    ]
    return ReplayView(
        generation_id=generation_id,
        outcome="different" if differences else "identical",
        identical=not differences,
        reason=None,
        note=note,
        checked=_parts(source, stored, rendered),
        differences=differences,
        stored_hash=source.request_hash,
        rendered_hash=identity_hash(rendered) if source.request_hash else None,
        hash_holds=_hash_holds(source, stored),
    )


def _impossible(
    generation_id: UUID,
    reason: str,
    source: ReplaySource | None = None,
    stored: Identity | None = None,
) -> ReplayView:
    differences = [] if source is None or stored is None else _broken_hash(source, stored)
    return ReplayView(
        generation_id=generation_id,
        outcome="different" if differences else "impossible",
        identical=False if differences else None,
        reason=reason,
        note=None,
        checked=[],
        differences=differences,
        stored_hash=None if source is None else source.request_hash,
        rendered_hash=None,
        hash_holds=None if source is None or stored is None else _hash_holds(source, stored),
    )


def _hash_holds(source: ReplaySource, stored: Identity) -> bool | None:
    if not source.request_hash:
        return None
    return identity_hash(stored) == source.request_hash


def _broken_hash(source: ReplaySource, stored: Identity) -> list[ReplayDifference]:
    """Return that the stored request is not the one whose hash was taken, if that is so."""
    if _hash_holds(source, stored) is not False:
        return []
    return [
        ReplayDifference(
            part="request_hash", stored=source.request_hash, rendered=identity_hash(stored)
        )
    ]


def _as_sent(request: Mapping[str, JSON], target: ModelTarget) -> ModelTarget:
    """Return the target under the model's name that the stored request has, if it has one."""
    model = request.get("model")
    return replace(target, provider_model=model) if isinstance(model, str) else target


def _sent(source: ReplaySource) -> tuple[Mapping[str, JSON], ModelTarget]:
    """Return the request as it is stored, and where it went."""
    if source.origin == "imported":
        raise _CannotReplay("It was made elsewhere and imported: no request of ours was sent.")
    if source.request is None:
        if source.was_stored:
            raise _CannotReplay("The text of its request was erased.")
        raise _CannotReplay("No request is stored: it could not be rendered when it was wanted.")
    if source.provider is None or source.endpoint is None or source.provider_model is None:
        raise _CannotReplay("Its model version is not on record.")
    return source.request, ModelTarget(source.provider, source.endpoint, source.provider_model)


def _rendered(
    source: ReplaySource, request: Mapping[str, JSON], target: ModelTarget
) -> tuple[Identity, str | None]:
    """Return the request made again, and what of it was read back from the stored one."""
    if source.content is None:
        raise _CannotReplay("Its prompt version is not on record.")
    if source.purpose == "judge":
        raise _CannotReplay(
            "It is a question to a judge: the fence around what is judged is made with a secret of "
            "the workspace that asked, so only the hash of the stored question is checked."
        )
    if source.purpose == "chat":
        return _rendered_chat(source, source.content, request, target), _READ_BACK
    if source.example is None:
        if source.example_was_stored:
            raise _CannotReplay("The text of its example was erased.")
        raise _CannotReplay("It belongs to no example.")
    if source.binding is None:
        raise _CannotReplay("Its run belongs to no experiment, so nothing says what was bound.")
    content = source.content
    maker = RequestMaker(
        renderer=PromptRenderer(content),
        binding=source.binding,
        target=target,
        parameters=source.applied,
        digest=source.digest,
        tools=content.tools,
        tool_choice=content.tool_choice,
        response_format=content.response_format,
    )
    made = maker.request_for(source.example, source.repetition)
    return identity_of(made, source.digest), None


def _rendered_chat(
    source: ReplaySource,
    content: PromptContent,
    request: Mapping[str, JSON],
    target: ModelTarget,
) -> Identity:
    """Return a chat's request made again of its prompt version and of what its caller gave."""
    parameters = {
        name: request.get(name) if _is_text_count(value) else value
        for name, value in source.applied.items()
    }
    shape: dict[str, JSON] = {"messages": _chat_messages(content, request), **parameters}
    for name, own in (
        ("tools", content.tools),
        ("tool_choice", content.tool_choice),
        ("response_format", content.response_format),
    ):
        shape[name] = request.get(name) if own is None else own
    return identity_of_stored(shape, target, source.digest, source.repetition)


def _is_text_count(value: JSON) -> bool:
    """Whether a parameter stands as a fact without its texts (`app.services.chat.texts`)."""
    return isinstance(value, Mapping) and set(value) == {"texts"}


def _chat_messages(content: PromptContent, request: Mapping[str, JSON]) -> list[JSON]:
    """Render a prompt's messages with the values that they had, round the caller's turns."""
    before, turns, behind = _split(content, request)
    values: dict[str, str] = {}
    for template, message in (*before, *behind):
        compiled = compile_template(template.content)
        values = {**_values(compiled, _text_of(message) or ""), **values}

    def filled(pairs: Sequence[_Filled]) -> list[JSON]:
        return [
            {"role": it.role, "content": compile_template(it.content).render(values)}
            for it, _ in pairs
        ]

    return [*filled(before), *turns, *filled(behind)]


def _split(
    content: PromptContent, request: Mapping[str, JSON]
) -> tuple[list[_Filled], list[JSON], list[_Filled]]:
    """Return a prompt's messages with what was sent for each, before and behind the turns."""
    sent = request.get("messages")
    messages: list[JSON] = list(sent) if isinstance(sent, list) else []
    own = [it for it in content.messages if isinstance(it, MessageTemplate)]
    at = next(
        (i for i, it in enumerate(content.messages) if isinstance(it, MessagePlaceholder)), len(own)
    )
    if len(messages) < len(own):
        raise _CannotReplay(
            f"The request has {len(messages)} messages and the prompt version {len(own)}."
        )
    end = len(messages) - (len(own) - at)
    before = list(zip(own[:at], messages[:at], strict=True))
    behind = list(zip(own[at:], messages[end:], strict=True))
    return before, messages[at:end], behind


def _text_of(message: JSON) -> str | None:
    text = message.get("content") if isinstance(message, Mapping) else None
    return text if isinstance(text, str) else None


def _is_ambiguous(source: ReplaySource, request: Mapping[str, JSON]) -> bool:
    """Whether a chat's messages may be the prompt's with values that are not those read back.

    So it is if every message fits its template, and one of them in more ways than one.
    """
    if source.purpose != "chat" or source.content is None:
        return False
    before, _, behind = _split(source.content, request)
    is_ambiguous = False
    for template, message in (*before, *behind):
        text = _text_of(message)
        if text is None or message != {"role": template.role, "content": text}:
            return False
        literals = compile_template(template.content).literals
        first = _between(literals, text)
        if first is None:
            return False
        last = _between([it[::-1] for it in reversed(literals)], text[::-1]) or []
        is_ambiguous = is_ambiguous or first != [it[::-1] for it in reversed(last)]
    return is_ambiguous


def _between(literals: Sequence[str], text: str) -> list[str] | None:
    """Return what stands between a template's fixed parts if each is taken where it first comes;
    None if they do not all stand in the text in their order."""
    first, *rest = literals
    if not rest:
        return [] if text == first else None
    *inner, last = rest
    end = len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last) and end >= len(first)):
        return None
    found, place = [], len(first)
    for literal in inner:
        at = text.find(literal, place, end)
        if at < 0:
            return None
        found.append(text[place:at])
        place = at + len(literal)
    return [*found, text[place:end]]


def _values(template: Template, text: str) -> dict[str, str]:
    """Read the values back that a template was filled with.

    Where its fixed parts do not fit, the values come out so that rendering gives another text.
    """
    found: dict[str, str] = {}
    first, *rest = template.literals
    place = len(first) if text.startswith(first) else 0
    for number, (name, literal) in enumerate(zip(template.names, rest, strict=True)):
        is_last = number == len(rest) - 1
        end = len(text) - len(literal) if is_last else text.find(literal, place)
        end = max(place, end)
        found.setdefault(name, text[place:end])
        place = end + len(literal)
    return found


def _parts(source: ReplaySource, stored: Identity, rendered: Identity) -> list[str]:
    """Name what was held against each other, in the order of an identity."""
    left_out = {"form", "parameters"}
    if not source.request_hash:
        left_out |= _BESIDE_THE_BODY
    named = [name for name in stored if name not in left_out]
    parameters = {
        f"parameters.{name}"
        for identity in (stored, rendered)
        for name in _mapping(identity.get("parameters"))
    }
    present = [
        name for name in named if stored.get(name) is not None or rendered.get(name) is not None
    ]
    return [*present, *sorted(parameters)]


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _shown(identity: Identity, part: str) -> str | None:
    """Return a part as text to compare: a chat as it reads, all else as JSON."""
    name, _, parameter = part.partition(".")
    value = identity.get(name)
    if parameter:
        value = _mapping(value).get(parameter)
    if value is None:
        return None
    if name == "messages" and isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(_message(it) for it in value)[:_LONGEST_DIFFERENCE]
    return json.dumps(value, indent=2, ensure_ascii=False)[:_LONGEST_DIFFERENCE]


def _message(message: JSON) -> str:
    if not isinstance(message, Mapping):
        return ordered_json(message)
    content = message.get("content")
    others = {k: v for k, v in message.items() if k not in ("role", "content")}
    text = content if isinstance(content, str) else ordered_json(content)
    return f"[{message.get('role')}]{ordered_json(others) if others else ''}\n{text}"
