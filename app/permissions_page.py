"""The page `docs/reference/permissions.md`, made from the roles and from what routes declare.

python -m app.permissions_page > docs/reference/permissions.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.api.authorisation import declared_permissions
from app.core.permissions import ROLE_PERMISSIONS, SERVICE_PERMISSIONS, Permission
from app.core.settings import Settings
from app.main import create_app

__all__ = ["permissions_page"]

_HEAD = """\
# Who may do what

Made by `python -m app.permissions_page` from the roles and the routes themselves; a test holds this
page equal to them.

A person has roles, each for all names or for those of one team (`payments/*`); what they may do is
everything that any of their roles permits. Outside their teams an object does not exist for them:
the answer is 404. Without the permission at all it is 403, without a credential that holds 401. How
people and services sign in: [../howto/sign-in.md](../howto/sign-in.md).
"""

_ROLES = """\
## Roles

The last column is what a service's key may be given: it has those of them that its scope names.
"""

_ROUTES = """\
## Routes

What is `signed in` takes a credential, and the service behind it decides: one's own keys and
conversations need no permission, those of others do, and what an answer takes depends on the alias
or model that is asked.
"""


def permissions_page(declared: Mapping[str, str]) -> str:
    """Return the page, given what each route declares (`declared_permissions`)."""
    parts = (
        _HEAD,
        _ROLES,
        "\n".join(_role_table()) + "\n",
        _ROUTES,
        "\n".join(_route_table(declared)) + "\n",
    )
    return "\n".join(parts)


def _role_table() -> Iterator[str]:
    yield _row(["permission", *(role.value for role in ROLE_PERMISSIONS), "service"])
    yield _row(["---"] * (len(ROLE_PERMISSIONS) + 2))
    for permission in Permission:
        holders = [*ROLE_PERMISSIONS.values(), SERVICE_PERMISSIONS]
        marks = ["yes" if permission in held else "" for held in holders]
        yield _row([f"`{permission.value}`", *marks])


def _route_table(declared: Mapping[str, str]) -> Iterator[str]:
    yield _row(["route", "needs"])
    yield _row(["---", "---"])
    by_path = sorted(declared.items(), key=lambda item: tuple(reversed(item[0].split(" ", 1))))
    for route, needed in by_path:
        yield _row([f"`{route}`", f"`{needed}`" if ":" in needed else needed])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _main() -> None:
    """Write the page to standard output; no database is opened."""
    here = Path.cwd()
    settings = Settings(workspace=here, database_url=f"sqlite+aiosqlite:///{here / 'none.db'}")
    sys.stdout.write(permissions_page(declared_permissions(create_app(settings))))


if __name__ == "__main__":
    _main()
