"""What the fake model says: a pure function of the request and the seed.

A `Chat` is a request as far as the fake reads it; an `Answer` is what will be said, before either
dialect puts it into its own JSON. Token counts come from text lengths: four characters are one
token, and a stream sends one token per event.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from tests.fake_provider.hashing import request_identity, unit_interval
from tests.fake_provider.judges import (
    Gullible,
    Noisy,
    Obedient,
    PassesNothings,
    PrefersLonger,
    WordCounter,
)

__all__ = [
    "Answer",
    "AnswerRule",
    "Arithmetic",
    "BadRequest",
    "Chat",
    "Echo",
    "Fixed",
    "Payload",
    "ToolCall",
    "Usage",
    "answer_chat",
    "answer_rule",
    "read_chat",
    "token_count",
    "tokens",
]

Payload = dict[str, object]
"""A decoded JSON object."""

CHARACTERS_PER_TOKEN = 4
DEFAULT_RIGHT_SHARE = 0.808

_QUESTION = re.compile(r"(-?\d+)\s*([-+*\u00d7])\s*(-?\d+)")


class BadRequest(ValueError):
    """The body is no chat request; the text says why, for the client to read."""


class Chat(NamedTuple):
    """A chat request. `text` is the text of the last user message, "" if there is none.

    `identity` names the request for faults and counts (see `hashing.request_identity`);
    `prompt_tokens` is the sum over all messages; `max_tokens` is None if the request sets none.
    """

    body: Payload
    model: str
    text: str
    identity: str
    prompt_tokens: int
    max_tokens: int | None
    stream: bool


class Usage(NamedTuple):
    """Token counts as they will be sent; text only where a fault wants them so."""

    prompt: int | str
    completion: int | str
    total: int | str


class ToolCall(NamedTuple):
    """A call of a tool; `arguments` is JSON text."""

    name: str
    arguments: str


class Answer(NamedTuple):
    """What will be said. `usage` None means that no counts are sent."""

    content: str | None
    finish_reason: str
    usage: Usage | None
    refusal: str | None = None
    tool_call: ToolCall | None = None


class AnswerRule(Protocol):
    """Turns the last user message into the text of the answer."""

    def __call__(self, question: str) -> str:
        """Return the answer to `question`; equal questions get equal answers."""


class Echo:
    """Answers with the question."""

    def __call__(self, question: str) -> str:
        """Return `question` as it is."""
        return question


@dataclass(frozen=True, slots=True)
class Fixed:
    """Answers everything with `text`."""

    text: str

    def __call__(self, question: str) -> str:
        """Return the fixed text."""
        return self.text


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Answers the last `A + B`, `A - B` or `A * B` in the question, right for a seeded share.

    The answer is the bare number; a wrong one is 1 to 9 too large. A question without such an
    expression is echoed. `right_share` is in [0, 1]; which questions are answered rightly depends
    on the seed and on nothing else, so a test can ask `is_right` for the expected score.
    """

    seed: int = 0
    right_share: float = DEFAULT_RIGHT_SHARE

    def __call__(self, question: str) -> str:
        """Return the number as text."""
        expressions = _QUESTION.findall(question)
        if not expressions:
            return question
        right = _calculate(*expressions[-1])
        if self.is_right(question):
            return str(right)
        return str(right + 1 + int(9 * unit_interval(f"error:{self.seed}:{question}")))

    def is_right(self, question: str) -> bool:
        """Say whether this question, if it holds an expression, is answered rightly."""
        return unit_interval(f"right:{self.seed}:{question}") < self.right_share


def _calculate(left: str, operator: str, right: str) -> int:
    if operator == "+":
        return int(left) + int(right)
    if operator == "-":
        return int(left) - int(right)
    return int(left) * int(right)


def answer_rule(spec: str, *, seed: int, right_share: float) -> AnswerRule:
    """Return the rule that `echo`, `arithmetic`, `fixed:TEXT` or the name of a judge stands for.

    Judges are the `judge-` names below; one that always says the same is `fixed:TEXT`.

    Raises:
        ValueError: `spec` is none of these, or the share is outside [0, 1].
    """
    if not 0 <= right_share <= 1:
        raise ValueError("The share of right answers has to be between 0 and 1.")
    if spec == "echo":
        return Echo()
    if spec == "arithmetic":
        return Arithmetic(seed, right_share)
    if spec.startswith("fixed:"):
        return Fixed(spec.removeprefix("fixed:"))
    judges: dict[str, AnswerRule] = {
        "judge-gullible": Gullible(),
        "judge-longer": PrefersLonger(),
        "judge-noisy": Noisy(seed, right_share),
        "judge-nothings": PassesNothings(),
        "judge-obedient": Obedient(),
        "judge-words": WordCounter(),
    }
    if spec in judges:
        return judges[spec]
    raise ValueError(
        f"Unknown answer {spec!r}: use echo, arithmetic, fixed:TEXT, {', '.join(judges)}."
    )


def token_count(text: str) -> int:
    """Return the tokens of a text: a quarter of its characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def tokens(text: str) -> list[str]:
    """Cut a text into its tokens, of four characters each."""
    step = CHARACTERS_PER_TOKEN
    return [text[start : start + step] for start in range(0, len(text), step)]


def read_chat(data: bytes, *, stream_by_default: bool = False) -> Chat:
    """Read the body of a chat request, of either dialect.

    `stream_by_default` is what a missing `stream` means: no for OpenAI, yes for Ollama.

    Raises:
        BadRequest: no JSON object, no model name, or no list of messages with roles.
    """
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body has to be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model has to be the name of a model.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages has to be a list with at least one message.")
    text, prompt_tokens = _read_messages(messages)
    return Chat(
        body=body,
        model=model,
        text=text,
        identity=request_identity(model, messages),
        prompt_tokens=prompt_tokens,
        max_tokens=_max_tokens(body),
        stream=bool(body.get("stream", stream_by_default)),
    )


def _read_messages(messages: Sequence[object]) -> tuple[str, int]:
    last_user, count = "", 0
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequest("Every message has to be an object with a role.")
        text = _content_text(message.get("content"))
        count += token_count(text)
        if message["role"] == "user":
            last_user = text
    return last_user, count


def _content_text(content: object) -> str:
    """Return the text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _max_tokens(body: Payload) -> int | None:
    """Return the limit on the answer, by any of the names that the two dialects use."""
    options = body.get("options")
    for limit in (
        body.get("max_completion_tokens"),
        body.get("max_tokens"),
        options.get("num_predict") if isinstance(options, dict) else None,
    ):
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def answer_chat(chat: Chat, rule: AnswerRule) -> Answer:
    """Return the good answer to a request: a tool call where one is demanded, else text.

    Text beyond the request's token limit is cut and the finish reason is then `length`.
    """
    if name := _demanded_tool(chat.body):
        call = ToolCall(name, orjson.dumps({"text": chat.text}).decode())
        return Answer(None, "tool_calls", _usage(chat, call.arguments), tool_call=call)
    text, finish_reason = rule(chat.text), "stop"
    if chat.max_tokens is not None and token_count(text) > chat.max_tokens:
        text, finish_reason = text[: chat.max_tokens * CHARACTERS_PER_TOKEN], "length"
    return Answer(text, finish_reason, _usage(chat, text))


def _usage(chat: Chat, text: str) -> Usage:
    completion = token_count(text)
    return Usage(chat.prompt_tokens, completion, chat.prompt_tokens + completion)


def _demanded_tool(body: Payload) -> str | None:
    """Return the function that `tool_choice` names, or the first tool if it says `required`."""
    choice, tools = body.get("tool_choice"), body.get("tools")
    if choice == "required" and isinstance(tools, list) and tools:
        choice = tools[0]
    if not isinstance(choice, dict):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None
