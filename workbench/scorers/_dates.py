"""Dates as people and models write them in running text.

Read are `2025-03-05` (also with `/` or `.`, and with a time behind it), `5 March 2025`,
`5th of March, 2025`, `March 5, 2025` and `Mar. 5th 2025`, with English names of months in any
case. Dates in numbers with the year last (`05/03/2025`, `5.3.2025`, `5-3-2025`) are read only
if the order of day and month is told. Years have four digits; a date that the calendar does not
have (`2025-02-30`) is no date.

All reading is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final, Literal, TypeAlias

__all__ = ["DateOrder", "dates_in"]

DateOrder: TypeAlias = Literal["unknown", "day_first", "month_first"]
"""What `05/03/2025` means."""

# fmt: off
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)
# fmt: on
_MONTH: Final = r"(?:{})".format(
    "|".join(rf"{name[:3]}(?:{name[3:]}|{'t' if name == 'september' else ''})" for name in _MONTHS)
)
_DATE: Final = re.compile(
    rf"""
    (?<![\d.])(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?!\d)
    | (?<![\d.])(?P<one>\d{{1,2}})(?P<split>[-/.])(?P<two>\d{{1,2}})(?P=split)
      (?P<last>\d{{4}})(?!\d)
    | (?<!\d)(?P<day_before>\d{{1,2}})(?:st|nd|rd|th)?[ ](?:of[ ])?(?P<name_after>{_MONTH})\.?,?[ ]
      (?P<year_after>\d{{4}})(?!\d)
    | (?<![a-z])(?P<name_before>{_MONTH})\.?[ ](?P<day_after>\d{{1,2}})(?:st|nd|rd|th)?,?[ ]
      (?P<year_end>\d{{4}})(?!\d)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def dates_in(text: str, order: DateOrder = "unknown") -> Iterator[date]:
    """Yield the dates of a text from its beginning to its end."""
    for match in _DATE.finditer(text):
        found = _read(match, order)
        if found is not None:
            yield found


def _read(match: re.Match[str], order: DateOrder) -> date | None:
    if match["year"] is not None:
        return _date(match["year"], int(match["month"]), match["day"])
    if match["one"] is not None:
        if order == "unknown":
            return None
        day, month = match["one"], match["two"]
        if order == "month_first":
            day, month = month, day
        return _date(match["last"], int(month), day)
    if match["name_after"] is not None:
        return _date(match["year_after"], _month(match["name_after"]), match["day_before"])
    return _date(match["year_end"], _month(match["name_before"]), match["day_after"])


def _month(name: str) -> int:
    return next(
        number for number, known in enumerate(_MONTHS, 1) if known.startswith(name[:3].lower())
    )


def _date(year: str, month: int, day: str) -> date | None:
    try:
        return date(int(year), month, int(day))
    except ValueError:
        return None
