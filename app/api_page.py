"""The page `docs/reference/api.md`, made from the OpenAPI document.

python -m app.api_page > docs/reference/api.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.core.settings import Settings
from app.main import create_app

__all__ = ["api_page"]

_HEAD: Final = """\
# The HTTP API

Made by `python -m app.api_page` from the routes themselves; a test holds this page equal to them.
The whole of it, with schemas and examples, is the OpenAPI document that a running server gives at
`/openapi.json` and shows at `/docs`. What each role may do: [permissions.md](permissions.md).

- Who: `Authorization: Bearer`, with an API key or an identity provider's JWT; see
  [../howto/sign-in.md](../howto/sign-in.md).
- Bodies are `application/json`, at most 4 MiB, a dataset import 64 MiB (settings `max_body_bytes`,
  `max_import_bytes`).
- Errors are `application/problem+json` with `status`, `detail`, `request_id` and, where one field
  is wrong, its `path`. A 404 does not tell whether there is no such object or it is not yours to
  see. Below `/v1` errors have OpenAI's shape; see [openai-api.md](openai-api.md).
- Lists come in pages: `?limit=` (50, at most 500) and `?cursor=`, which is `next_cursor` of the
  page before. `total_estimate` is counted to 10,000.
- A POST that creates takes `Idempotency-Key`. Sent again within a day it gets the same reply, with
  `Idempotent-Replayed: true`; another request under the key is 422, one that comes while the first
  is under way 409 with `Retry-After`. Making and rotating API keys take none: their reply holds a
  secret and is not kept.
- Every answer has `x-request-id`: yours, if you sent a plain one.
- Scripts of other origins are let in by the setting `cors_origins`, host names by `trusted_hosts`.
"""

_METHODS: Final = ("get", "post", "put", "patch", "delete")


def api_page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    sections: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                told = _row([f"`{method.upper()} {path}`", *_cells(item[method])])
                sections.setdefault(item[method]["tags"][0], []).append(told)
    return "\n".join([_HEAD, *_lines(sections)])


def _lines(sections: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for tag, rows in sections.items():
        yield f"## {tag}\n"
        yield _row(["operation", "what it does", "answers", "errors"])
        yield _row(["---"] * 4)
        yield from rows
        yield ""


def _cells(operation: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the first sentences of what a route says of itself, and how it may end."""
    first = str(operation["description"]).split("\n\n", 1)[0]
    statuses = sorted(operation["responses"])
    answers = [status for status in statuses if status < "400"]
    errors = [status for status in statuses if status not in answers]
    return " ".join(first.split()), ", ".join(answers), ", ".join(errors)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _main() -> None:
    """Write the page to standard output; no database is opened."""
    here = Path.cwd()
    settings = Settings(workspace=here, database_url=f"sqlite+aiosqlite:///{here / 'none.db'}")
    sys.stdout.write(api_page(create_app(settings).openapi()))


if __name__ == "__main__":
    _main()
