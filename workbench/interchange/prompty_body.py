"""What both forms of Prompty files share: front matter, role lines, Jinja or Mustache.

A line that holds a role and a colon (`system:`, `# user:`, in the newer form also
`user[name="x"]:`) begins a message. Prompty fills in the values first and looks for such lines
afterwards; here the template is split before any value is known, so that no value can speak in
another role. Text before the first role line is the system's. References (`${env:…}`,
`${file:…}`) are never resolved, and keys and connections are never taken over or shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.core.errors import Invalid
from app.schemas.prompts import MessagePlaceholder
from workbench.interchange.foreign_yaml import ForeignYaml, parse_foreign_yaml
from workbench.interchange.handlebars import read_handlebars
from workbench.interchange.jinja import read_jinja, write_jinja
from workbench.interchange.losses import FieldPath, Source
from workbench.interchange.pieces import (
    Foreign,
    History,
    Piece,
    Text,
    Use,
    merged,
    our_pieces,
    strip_ends,
)
from workbench.interchange.prompts import (
    JINJA_FORMS,
    Draft,
    DraftMessage,
    Exportable,
    prompt_name,
)
from workbench.interchange.writing import mapping_source

__all__ = [
    "Engine",
    "FrontMatter",
    "engine_at",
    "read_body",
    "read_head",
    "split_front_matter",
    "split_history",
    "write_body",
]

Engine = Literal["jinja2", "mustache"]

_FRONT: Final = re.compile(
    r"\A\s*---[ \t]*\r?\n(?P<yaml>(?:.*?\n)??)---[ \t]*(?:\r?\n(?P<body>.*))?\Z", re.DOTALL
)
_ROLE_LINE: Final = {
    1: re.compile(r"[ \t]*+#?[ \t]*+(?P<role>system|user|assistant|function)[ \t]*:[ \t]*", re.I),
    2: re.compile(
        r"[ \t]*+#?[ \t]*+(?P<role>system|user|assistant|developer)"
        r"(?P<attributes>\[[^\]\n]{0,500}\])?[ \t]*:[ \t]*",
        re.I,
    ),
}
_IMAGE: Final = re.compile(r"!\[[^\]\n]{0,500}\]\([^)\n]{1,2000}\)")


@dataclass(frozen=True)
class FrontMatter:
    """The two parts of a file; `first_line` is where the body begins, from 1.

    `yaml` has blank lines for what stands above it, so that its lines are those of the file.
    """

    yaml: str
    body: str
    first_line: int


def split_front_matter(text: str, source: str) -> FrontMatter:
    """Return the parts of a file; raises `Invalid` if it does not begin with front matter."""
    match = _FRONT.match(text)
    if match is None:
        raise Invalid(f"{source} has no front matter: two lines of --- with YAML between them.")
    above = text[: match.start("yaml")].count("\n")
    first_line = text[: match.start("body")].count("\n") + 1 if match["body"] else 1
    return FrontMatter("\n" * above + match["yaml"], match["body"] or "", first_line)


def read_head(
    text: str, reasons: Mapping[str, str], *, source: str, file_stem: str
) -> tuple[FrontMatter, Source, Draft]:
    """Return a file's parts, its front matter as a source, and a draft with name and description.

    Raises `Invalid` for a file without front matter.
    """
    front = split_front_matter(text, source)
    parsed = parse_foreign_yaml(front.yaml, source=source)
    if parsed.value is None:
        parsed = ForeignYaml({})
    document = mapping_source(parsed, reasons, source)
    draft = Draft(prompt_name(document, document.text("name"), ("name",), file_stem))
    draft.description = document.text("description")
    draft.written_otherwise = JINJA_FORMS
    return front, document, draft


def engine_at(document: Source, path: FieldPath) -> Engine:
    """Take the template engine that `path` names; Jinja where none is told."""
    kind = document.at(*path)
    if kind == "mustache":
        document.lose(
            path,
            "Mustache writes &, < and > as HTML does; here a value goes in as it is",
            "changed",
        )
        return "mustache"
    if kind == "jinja2":
        document.take(*path)
    elif kind is not None:
        document.lose(path, "no such template language is known", changes_meaning=True)
    return "jinja2"


def read_body(
    source: Source, front: FrontMatter, version: Literal[1, 2], engine: Engine
) -> list[DraftMessage]:
    """Split the body at its role lines and read each part as a template."""
    found: list[DraftMessage] = []
    for role, attributes, text, line in _sections(front, version):
        if attributes:
            source.note(
                f"body, line {line - 1}", attributes, "messages have no attributes", "dropped"
            )
        pieces = read_jinja(text) if engine == "jinja2" else read_handlebars(text, markers=False)
        if version == 1:
            pieces = [part for piece in pieces for part in _without_images(piece, text)]
        pieces = strip_ends(pieces, None if version == 1 else "\r\n")
        if pieces:
            found.append(DraftMessage(role, pieces, "body", line))
    return found


def _sections(front: FrontMatter, version: int) -> Iterator[tuple[str, str, str, int]]:
    """Yield role, attributes, text and the file's line of the text for each part."""
    role, attributes, start, gathered = "system", "", front.first_line, list[str]()
    for number, line in enumerate(front.body.splitlines(keepends=True), front.first_line):
        match = _ROLE_LINE[version].fullmatch(line.rstrip("\r\n"))
        if match is None:
            gathered.append(line)
            continue
        if "".join(gathered).strip():
            yield role, attributes, "".join(gathered), start
        role, start, gathered = match["role"].lower(), number + 1, []
        attributes = match.groupdict().get("attributes") or ""
    if "".join(gathered).strip():
        yield role, attributes, "".join(gathered), start


def _without_images(piece: Piece, text: str) -> Iterator[Piece]:
    """Yield the parts of a text with Markdown images, which Prompty loads, as foreign."""
    if not isinstance(piece, Text):
        yield piece
        return
    position = 0
    for match in _IMAGE.finditer(piece.text):
        line = text.count("\n", 0, max(text.find(match[0]), 0)) + 1
        yield Text(piece.text[position : match.start()])
        yield Foreign(match[0], "an image, which is never loaded", line)
        position = match.end()
    yield Text(piece.text[position:])


def split_history(messages: Sequence[DraftMessage], name: str) -> list[DraftMessage]:
    """Make a message placeholder of the variable `name` where it ends or begins a message.

    Inside a text it stays a variable, for which there is no counterpart.
    """
    found: list[DraftMessage] = []
    for message in messages:
        pieces = list(message.pieces)
        placeholder = DraftMessage("", [History()], message.place, message.first_line)
        if pieces and pieces[0] == Use(name):
            found.append(placeholder)
            pieces = strip_ends(pieces[1:], "\r\n")
        elif pieces and pieces[-1] == Use(name):
            kept = DraftMessage(
                message.role,
                strip_ends(pieces[:-1], "\r\n"),
                message.place,
                message.first_line,
            )
            found += [kept, placeholder]
            continue
        if pieces:
            found.append(DraftMessage(message.role, pieces, message.place, message.first_line))
    return found


def write_body(
    losses: Source, prompt: Exportable, version: Literal[1, 2], history: str | None
) -> str:
    """Return the body in Jinja; `history` is the variable of the conversation, if there is one."""
    parts = []
    for index, message in enumerate(prompt.content.messages):
        place = f"messages[{index}]"
        if isinstance(message, MessagePlaceholder):
            if history is None:
                losses.note(
                    place,
                    "{placeholder: history}",
                    "the format has no place for a conversation",
                    "dropped",
                    changes_meaning=True,
                )
            else:
                parts.append(f"{{{{ {history} }}}}")
            continue
        role: str = message.role
        if version == 1 and role == "developer":
            losses.note(f"{place}.role", role, "the nearest role there is system")
            role = "system"
        parts.append(f"{role}:\n{write_jinja(merged(our_pieces(message.content)))}")
    return "\n\n".join(parts)
