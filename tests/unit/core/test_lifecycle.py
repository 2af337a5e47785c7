"""What a model's status means at a time, and the headers that tell of its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from app.core.lifecycle import lifecycle_headers, status_at

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_deprecated_version_is_retired_once_its_sunset_has_come() -> None:
    assert status_at("deprecated", NOON, NOON - HOUR) == "deprecated"
    assert status_at("deprecated", NOON, NOON) == "retired"


def test_a_version_without_a_sunset_stays_what_it_is() -> None:
    assert status_at("deprecated", None, NOON) == "deprecated"
    assert status_at("active", NOON - HOUR, NOON) == "active"


def test_the_headers_have_the_forms_of_their_standards() -> None:
    elsewhere = NOON.astimezone(timezone(2 * HOUR))
    assert lifecycle_headers(elsewhere, elsewhere, "openai/next@1") == {
        "deprecation": "@1772366400",
        "sunset": "Sun, 01 Mar 2026 12:00:00 GMT",
        "x-workbench-successor": "openai/next@1",
    }


def test_a_version_that_goes_on_has_no_headers() -> None:
    assert lifecycle_headers(None, NOON, "openai/next@1") == {}
