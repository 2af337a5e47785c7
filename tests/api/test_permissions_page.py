"""The page of permissions says what the code does."""

from __future__ import annotations

from pathlib import Path

from app.api.authorisation import declared_permissions
from app.core.settings import Settings
from app.main import create_app
from app.permissions_page import permissions_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "permissions.md"


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    """If not: python -m app.permissions_page > docs/reference/permissions.md"""
    url = f"sqlite+aiosqlite:///{tmp_path / 'none.db'}"
    application = create_app(Settings(workspace=tmp_path, database_url=url))
    assert PAGE.read_text(encoding="utf-8") == permissions_page(declared_permissions(application))
