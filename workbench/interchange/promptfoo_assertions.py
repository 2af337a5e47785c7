"""One assertion of promptfoo as a check of ours, with the verdict that promptfoo would give.

Thresholds that are left out, what a value may be and what `not-` turns round were read in
promptfoo's `src/assertions/`. A check is `{scorer, expected, weight}` or a group of them, see
`workbench.scorers.checks`. What has no rule here, and everything that is code, is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, TypeAlias

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.jinja import read_jinja
from workbench.interchange.losses import FieldPath, Source
from workbench.interchange.pieces import Foreign, Text, Use
from workbench.scorers import ScorerConfigError, parse_rule

__all__ = [
    "JUDGED",
    "NotFilled",
    "Place",
    "as_text",
    "assertion",
    "assertion_set",
    "filled",
    "is_amount",
    "is_kind",
    "kinds",
    "names_a_file",
]

Check: TypeAlias = dict[str, JSON]
Variables: TypeAlias = Mapping[str, JSON]

JUDGED: Final = frozenset(
    {"llm-rubric", "g-eval", "factuality", "model-graded-factuality", "model-graded-closedqa",
     "answer-relevance", "context-faithfulness"}
)  # fmt: skip
"""Kinds that a model judges and that have a judge here."""

_CODE: Final = "it is code, and nothing of a file is run here: write it as a scorer in scorers/"
_EMBEDDING: Final = "there are no embeddings here: rouge_l, chrf or a judge may do"
_TRACE: Final = "it looks into the calls of an agent, which are not recorded here"
_NO_COUNTERPART: Final = MappingProxyType(
    {
        **dict.fromkeys(("javascript", "python", "ruby"), _CODE),
        "webhook": "nothing is asked of other servers: write it as a scorer in scorers/",
        **dict.fromkeys(
            ("similar", "similar:cosine", "similar:dot", "similar:euclidean"), _EMBEDDING
        ),
        **dict.fromkeys(
            ("select-best", "max-score"),
            "it compares outputs with each other: that is judge_preference of a comparison here",
        ),
        **dict.fromkeys(("moderation", "guardrails", "pi"), "it asks a service that is not known"),
        **dict.fromkeys(("perplexity", "perplexity-score"), "log probabilities are not kept here"),
    }
)
_NO_RULE: Final = frozenset(
    {"agent-rubric", "classifier", "contains-sql", "context-recall", "context-relevance",
     "conversation-relevance", "is-sql", "meteor", "search-rubric", "skill-used",
     "trajectory"}
)  # fmt: skip
_IGNORES_NOT: Final = frozenset(
    {"levenshtein", "finish-reason", "is-valid-function-call", "is-valid-openai-function-call",
     "is-valid-openai-tools-call"}
)  # fmt: skip
_NEAR: Final = "words are cut and counted otherwise: near the threshold the verdict may differ"
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.|"")*+)"', re.DOTALL)
_LONGEST_PATTERN: Final = 1_000  # characters; the scorer takes no longer one
_TOKEN: Final = re.compile(r"\\.|\[\^?(?:\\.|[^\]\\])*\]|\$|.", re.DOTALL)
_CLASS_ESCAPES: Final = {"\\d": "0-9", "\\w": "A-Za-z0-9_"}
_ESCAPES: Final = {
    "$": r"\Z",
    "\\d": "[0-9]",
    "\\D": "[^0-9]",
    "\\w": "[A-Za-z0-9_]",
    "\\W": "[^A-Za-z0-9_]",
    "\\/": "/",
}


class NotFilled(ValueError):
    """A text cannot be filled in; the message says why in one clause."""


_LONGEST_FILLED: Final = 100_000  # characters


def names_a_file(value: JSON) -> bool:
    """Whether promptfoo would read a file or load a package for this text."""
    return isinstance(value, str) and value.startswith(("file://", "package:"))


class _NoCheck(ValueError):
    """An assertion becomes no check; the message says why in one clause."""


@dataclass(frozen=True)
class Place:
    """Where an assertion stands. In a table it is one cell, else its keys are fields."""

    source: Source
    path: FieldPath
    is_cell: bool = False

    def take(self, key: str) -> None:
        self.source.take(*self._at(key))

    def lose(self, why: str, key: str | None = None, *, changed: bool = False) -> None:
        path = self.path if key is None else self._at(key)
        self.source.lose(path, why, "changed" if changed else "dropped")

    def _at(self, key: str) -> FieldPath:
        return self.path if self.is_cell else (*self.path, key)


# Texts with variables


def filled(text: str, variables: Variables) -> str:
    """Put a test's values into a text, as Nunjucks does; a missing one is empty.

    Raises `NotFilled` for anything but `{{ name }}` and for values that have no one text.
    """
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    parts: list[str] = []
    length = 0
    for piece in read_jinja(text):
        if isinstance(piece, Text):
            parts.append(piece.text)
        elif isinstance(piece, Use):
            parts.append(as_text(variables.get(piece.name, "")))
            length += len(parts[-1])
            if length > _LONGEST_FILLED:
                raise NotFilled(f"with its values it is longer than {_LONGEST_FILLED:,} characters")
        elif isinstance(piece, Foreign) and not piece.is_comment:
            raise NotFilled(f"{piece.what} in its text: only {{{{ name }}}} is filled in here")
    return "".join(parts)


def as_text(value: JSON) -> str:
    """Return a value as JavaScript writes it; raises `NotFilled` for objects and lists."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if float(value).is_integer() else repr(value)
    raise NotFilled("a list or an object stands where a text is wanted")


# Assertions


def assertion(shape: JSON, place: Place, variables: Variables, tools: JSON) -> Check | None:
    """Return the check that an assertion becomes; None, with the loss named, if it becomes none.

    `variables` are the values of the test, `tools` what the models are given to call.
    """
    try:
        return _check(shape, place, variables, tools)
    except (_NoCheck, NotFilled) as error:
        place.lose(str(error))
    except ScorerConfigError as error:
        place.lose(error.message.rstrip("."))
    return None


def assertion_set(parts: Sequence[Check], shape: Mapping[str, JSON], place: Place) -> Check | None:
    """Return the group that an `assert-set` becomes of its parts."""
    for key in ("type", "threshold", "weight"):
        place.take(key)
    if not parts:
        return None
    group: Check = {"checks": list(parts)}
    for key in ("threshold", "weight"):
        value = shape.get(key)
        if is_amount(value):
            group[key] = value
        elif value is not None:
            place.lose("a number from 0 is wanted", key)
    return group


def is_amount(value: JSON) -> bool:
    """Whether a value can be a weight or a threshold of checks: a number from 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1e9


def _check(shape: JSON, place: Place, variables: Variables, tools: JSON) -> Check | None:
    if not isinstance(shape, Mapping) or not isinstance(shape.get("type"), str):
        raise _NoCheck("this is no assertion: it has no type")
    told = str(shape["type"])
    kind = told.removeprefix("not-")
    if kind in _NO_COUNTERPART:
        raise _NoCheck(_NO_COUNTERPART[kind])
    if kind.startswith(("trace-", "trajectory", "skill-")):
        raise _NoCheck(_TRACE)
    if kind not in _KINDS:
        raise _NoCheck("no scorer here does the same")
    if shape.get("transform") is not None:
        raise _NoCheck("its transform is code, and nothing of a file is run here")
    weight = 1 if shape.get("weight") is None else shape["weight"]
    if not is_amount(weight):
        raise _NoCheck("its weight is no number from 0")
    if weight == 0:
        raise _NoCheck("with weight 0 it decides nothing")
    read = _Reader(place, shape, _value(shape.get("value"), variables), tools)
    found = _KINDS[kind](read)
    rule = found.rule
    if kind != told:
        if kind in _IGNORES_NOT:
            place.lose("promptfoo does not look at this not-; here it counts", "type", changed=True)
        rule = {"name": "not", "scorer": rule}
    parse_rule(rule)
    for key in ("type", "value", "threshold", "weight"):
        place.take(key)
    if shape.get("metric") is not None:
        place.lose("scores have the names of scorers here", "metric")
    more: Check = {} if found.expected is None else {"expected": found.expected}
    if weight != 1:
        more["weight"] = weight
    return {"scorer": rule, **more} if more else rule


def _value(value: JSON, variables: Variables) -> JSON:
    """Return an assertion's value with the variables put into its texts."""
    if names_a_file(value):
        raise _NoCheck("files are never opened: write the value here")
    if isinstance(value, str):
        return filled(value, variables)
    if isinstance(value, (list, tuple)):
        return [_value(item, variables) if isinstance(item, str) else item for item in value]
    return value


@dataclass(frozen=True)
class _Reader:
    """One assertion, its value filled in, while it becomes a check."""

    place: Place
    shape: Mapping[str, JSON]
    value: JSON
    tools: JSON

    def text(self) -> str:
        """Return the value as a text that is not empty."""
        text = "" if self.value is None else as_text(self.value)
        if not text:
            raise _NoCheck("it has no value")
        return text

    def texts(self) -> list[str]:
        """Return a list of texts, also one written with commas."""
        value = self.value
        items = _listed(value) if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)) or not items:
            raise _NoCheck("a list of texts is wanted")
        texts = [as_text(item) for item in items]
        if "" in texts:
            raise _NoCheck("an empty text is in every output")
        return texts

    def threshold(self, default: float | None = None) -> float:
        value = self.shape.get("threshold")
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _NoCheck("it has no threshold that is a number")
        return value

    def changed(self, why: str) -> None:
        self.place.lose(why, "type", changed=True)


def _listed(text: str) -> list[str]:
    """Split at commas; a part in double quotes may hold some, and empty parts are left out."""
    parts = []
    position = 0
    while position < len(text):
        if text[position] == "," or text[position].isspace():
            position += 1
        elif text[position] == '"':
            quoted = _QUOTED.match(text, position)
            if quoted is None:
                raise _NoCheck("a double quote in its list is not closed")
            parts.append(re.sub(r'\\(["\\])|""', lambda found: found[1] or '"', quoted[1]))
            position = quoted.end()
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            parts.append(text[position:end].strip())
            position = end
    return parts


@dataclass(frozen=True)
class _Rule:
    """A rule of ours, and the expected output that it compares with if it needs one."""

    rule: dict[str, JSON]
    expected: JSON = None


def _ruled(name: str, expected: JSON = None, **options: JSON) -> _Rule:
    return _Rule({"name": name, **options}, expected)


def _equals(read: _Reader) -> _Rule:
    form = read.shape.get("normalizeUnicode")
    options: Check = {"strip": False}
    if form is not None:
        form = "NFC" if form is True else form
        read.place.take("normalizeUnicode")
        options["unicode_form"] = "none" if form is False else form
    value = read.value
    if value is None:
        raise _NoCheck("it has no value")
    if not isinstance(value, (list, tuple, Mapping)):
        value = as_text(value)
    return _ruled("exact_match", value, **options)


def _contains(read: _Reader, *, ignore_case: bool = False) -> _Rule:
    options: Check = {"ignore_case": True} if ignore_case else {}
    return _ruled("contains", text=read.text(), **options)


def _several(read: _Reader, name: str, *, ignore_case: bool = False) -> _Rule:
    options: Check = {"ignore_case": True} if ignore_case else {}
    return _ruled(name, texts=list(read.texts()), **options)


def _affix(read: _Reader, name: str) -> _Rule:
    return _ruled(name, texts=[read.text()], strip=False)


def _regex(read: _Reader) -> _Rule:
    return _ruled("regex", pattern=_python_pattern(read.text()))


def _python_pattern(pattern: str) -> str:
    r"""Return a JavaScript pattern as one of ours: `$`, `\d` and `\w` mean less there."""

    def replaced(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith("["):
            return re.sub(r"\\.", lambda m: _CLASS_ESCAPES.get(m[0], m[0]), token, flags=re.DOTALL)
        return _ESCAPES.get(token, token)

    return pattern if len(pattern) > _LONGEST_PATTERN else _TOKEN.sub(replaced, pattern)


def _json(read: _Reader, *, anywhere: bool = False) -> _Rule:
    options: Check = {"allow_fence": False}
    if anywhere:
        options["anywhere"] = True
    schema = read.value
    if schema is None or schema == "":
        return _ruled("json_valid", **options)
    if isinstance(schema, str):
        try:
            schema = parse_foreign_yaml(schema, source="its schema").value
        except Invalid as error:
            raise _NoCheck(error.message.rstrip(".")) from error
    if not isinstance(schema, (dict, bool)):
        raise _NoCheck("its value is no JSON Schema")
    if anywhere:
        read.changed("the first JSON in the answer counts here, there any that fits the schema")
    return _ruled("json_schema", schema=schema, **options)


def _xml(read: _Reader, *, anywhere: bool = False) -> _Rule:
    value = read.value
    if isinstance(value, Mapping):
        value = value.get("requiredElements")
    options: Check = {"anywhere": True} if anywhere else {}
    elements = _listed(value) if isinstance(value, str) else value
    if isinstance(elements, (list, tuple)) and elements:
        options["elements"] = [as_text(element) for element in elements]
    return _ruled("xml_valid", allow_fence=False, **options)


def _html(read: _Reader, *, anywhere: bool = False) -> _Rule:
    read.changed("whether elements are closed is asked here, there whether it looks like HTML")
    return _ruled("html_valid", **({"anywhere": True} if anywhere else {"allow_fence": False}))


def _levenshtein(read: _Reader) -> _Rule:
    most = read.threshold(5) or 5
    return _ruled("edit_distance", read.text(), max=int(most))


def _likeness(read: _Reader, default: float, name: str, **options: JSON) -> _Rule:
    read.changed(_NEAR)
    expected: JSON = read.texts() if isinstance(read.value, (list, tuple)) else read.text()
    part: JSON = {"name": name, **options}
    return _ruled("weighted", expected, scorers=[part], threshold=read.threshold(default))


def _latency(read: _Reader) -> _Rule:
    return _ruled("latency", max_ms=float(read.threshold()))


def _cost(read: _Reader) -> _Rule:
    return _ruled("cost", max=float(read.threshold()))


def _refusal(read: _Reader) -> _Rule:
    read.changed("a refusal is known by other words here; see the scorer refusal")
    empty: JSON = {"name": "regex", "pattern": r"\s*", "fullmatch": True}
    return _ruled("any_of", scorers=[{"name": "refusal", "wanted": "refusal"}, empty])


def _finish_reason(read: _Reader) -> _Rule:
    return _ruled("finish_reason", allowed=[read.text().lower()])


def _word_count(read: _Reader) -> _Rule:
    value = read.value
    if isinstance(value, Mapping):
        bounds: Check = {key: value[key] for key in ("min", "max") if value.get(key) is not None}
    else:
        text = read.text()
        if not re.fullmatch(r"\s*\d{1,9}(\.0*)?\s*", text):
            raise _NoCheck("a whole number of words is wanted")
        count = int(float(text))
        bounds = {"min": count, "max": count}
    return _ruled("length", unit="words", **bounds)


def _tokens(read: _Reader) -> _Rule:
    value = read.value
    if not isinstance(value, Mapping) or set(value) - {"min", "max", "source"}:
        raise _NoCheck("bounds min and max are wanted, without a pattern of spans")
    if value.get("source") == "trace":
        raise _NoCheck(_TRACE)
    bounds = {key: value[key] for key in ("min", "max") if key in value}
    return _ruled("tokens", kind="total", **bounds)


def _tool_call_f1(read: _Reader) -> _Rule:
    part: JSON = {"name": "tool_call_overlap", "calls": list(read.texts())}
    return _ruled("weighted", scorers=[part], threshold=read.threshold(1))


def _valid_call(read: _Reader) -> _Rule:
    if not isinstance(read.tools, list):
        raise _NoCheck("the provider has no tools in the file to compare the calls with")
    return _ruled("tool_calls_valid", tools=read.tools)


_KINDS: Final[Mapping[str, Callable[[_Reader], _Rule]]] = MappingProxyType(
    {
        "equals": _equals,
        "contains": _contains,
        "icontains": partial(_contains, ignore_case=True),
        "contains-any": partial(_several, name="contains_any"),
        "contains-all": partial(_several, name="contains_all"),
        "icontains-any": partial(_several, name="contains_any", ignore_case=True),
        "icontains-all": partial(_several, name="contains_all", ignore_case=True),
        "starts-with": partial(_affix, name="starts_with"),
        "ends-with": partial(_affix, name="ends_with"),
        "regex": _regex,
        "is-json": _json,
        "contains-json": partial(_json, anywhere=True),
        "is-xml": _xml,
        "contains-xml": partial(_xml, anywhere=True),
        "is-html": _html,
        "contains-html": partial(_html, anywhere=True),
        "levenshtein": _levenshtein,
        "rouge-n": partial(_likeness, default=0.75, name="rouge_n", metric="recall"),
        "bleu": partial(_likeness, default=0.5, name="bleu", ignore_case=True),
        "gleu": partial(_likeness, default=0.5, name="gleu"),
        "latency": _latency,
        "cost": _cost,
        "is-refusal": _refusal,
        "finish-reason": _finish_reason,
        "word-count": _word_count,
        "tokens-used": _tokens,
        "tool-call-f1": _tool_call_f1,
        "is-valid-openai-tools-call": _valid_call,
        "is-valid-function-call": _valid_call,
        "is-valid-openai-function-call": _valid_call,
    }
)


def kinds() -> Iterable[str]:
    """Return the kinds of assertions that become checks."""
    return _KINDS.keys()


def is_kind(kind: str) -> bool:
    """Whether a name without its `not-` is one of promptfoo's kinds, with a rule here or not."""
    return kind in _KINDS or kind in JUDGED or kind in _NO_COUNTERPART or kind in _NO_RULE
