"""Finding amounts, dates, numbers and names in a business text, with small rules.

Every finder collects candidates and scores each by the words around it; the best one after noise
is taken. `Weighing` carries how well the cues are used: by a careful model, or because the
request explains what it wants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from app.llm.simulated.dice import Dice

__all__ = [
    "Amount",
    "Day",
    "Weighing",
    "amounts_in",
    "days_in",
    "find_amount",
    "find_date",
    "find_identifier",
    "find_name",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Weighing:
    """How candidates are weighed: `trust` scales the cues, `noise` the luck."""

    dice: Dice
    trust: float
    noise: float

    def best(self, name: str, scored: Iterable[tuple[T, float]]) -> T | None:
        """Return the candidate with the highest weighted score, or None if there is none."""
        candidates = list(scored)
        if len(candidates) < 2:
            return candidates[0][0] if candidates else None
        weighted = [
            score * self.trust + self.noise * self.dice.gumbel(f"{name} {place}")
            for place, (_, score) in enumerate(candidates)
        ]
        return candidates[weighted.index(max(weighted))][0]


def _cues(beginnings: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{beginnings})")


def _before(text: str, position: int, width: int = 34) -> str:
    """Return what stands before `position` on its line, in lower case and at most `width` long."""
    return text[max(text.rfind("\n", 0, position) + 1, position - width) : position].lower()


# --------------------------------------------------------------------------- amounts


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money as found: `written` in full, its value, its currency sign or word."""

    written: str
    value: float
    currency: str


_SIGN = r"C\$|A\$|[$€£¥]|CHF|Fr\.|USD|EUR|GBP|CAD|AUD|SEK|NOK|DKK|PLN|JPY|zł|kr\b"
_FIGURE = r"(?<!\d)(?:\d{1,3}(?:[,. ]\d{3}){1,4}(?:[.,]\d{2})?|\d{1,12}[.,]\d{2}|\d{1,12})(?!\d)"
_AMOUNT = re.compile(
    rf"(?P<sign>{_SIGN})[ ]?(?P<figure>{_FIGURE})(?:[ ](?P<code>CAD|USD|AUD)\b)?"
    rf"|(?P<figure_first>{_FIGURE})[ ]?(?P<sign_last>{_SIGN})"
)
_BARE_AMOUNT = re.compile(r"(?<![\d./-])\d[\d,. ]{0,16}[.,]\d{2}(?![\d./-])")
_GRAND = _cues(
    r"total|grand|gross|sum\b|to pay|amount|due|paid|charge[ds]?|incl|in all|comes to|"
    r"gesamt|price|invoice|received"
)
_PARTIAL = _cues(
    r"sub|net|excl|before tax|without tax|tax|vat|hst|gst|change\b|cash|tip|shipping|"
    r"postage|delivery|deposit|remain|voucher|discount|offer|instal|each|of which|opening|"
    r"mwst|carriage|goods|items|not|less"
)
_SEPARATED_END = re.compile(r"[.,](\d{2})$")


def _value_of(figure: str) -> float:
    """Return the value of a figure with either decimal sign: `1,240.50`, `1.240,50`, `1 240,50`."""
    end = _SEPARATED_END.search(figure)
    whole = figure[: end.start()] if end else figure
    digits = re.sub(r"\D", "", whole) or "0"
    return float(f"{digits}.{end[1] if end else 0}")


def amounts_in(text: str) -> list[tuple[Amount, int]]:
    """Return the sums of money in `text` with their positions."""
    found = [
        (
            Amount(
                match[0],
                _value_of(match["figure"] or match["figure_first"]),
                match["code"] or match["sign"] or match["sign_last"],
            ),
            match.start(),
        )
        for match in _AMOUNT.finditer(text)
    ]
    if found:
        return found
    bare = _BARE_AMOUNT.finditer(text)
    return [(Amount(match[0], _value_of(match[0].strip()), ""), match.start()) for match in bare]


def find_amount(
    text: str, found: Sequence[tuple[Amount, int]], weighing: Weighing
) -> Amount | None:
    """Return what is likely the total among the amounts `found` in `text`."""
    largest = max((amount.value for amount, _ in found), default=0.0)

    def score(amount: Amount, position: int) -> float:
        before = _before(text, position)
        after = text[position + len(amount.written) : position + len(amount.written) + 14]
        cues = 2.0 * bool(_GRAND.search(before)) - 2.2 * bool(_PARTIAL.search(before))
        cues += 1.5 * bool(re.match(r",? (?:in (?:total|all)|including|all in)", after))
        cues -= 1.5 * bool(re.match(r" (?:plus|\+|without|remain|tax\b)", after))
        return cues + 1.2 * (amount.value == largest) + 0.5 * position / (len(text) + 1)

    return weighing.best("amount", ((amount, score(amount, at)) for amount, at in found))


# --------------------------------------------------------------------------- dates


@dataclass(frozen=True, slots=True)
class Day:
    """A date as found and, where it makes one, as a calendar day."""

    written: str
    day: date


_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DATE = re.compile(
    r"\b(?:(?P<y1>\d{4})-(?P<m1>\d{2})-(?P<d1>\d{2})"
    r"|(?P<a2>\d{1,2})(?P<separator>[./-])(?P<b2>\d{1,2})(?P=separator)(?P<y2>\d{4})"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?(?: of)?[ -](?P<m3>{_MONTH})[ ,-]{{1,2}}(?P<y3>\d{{4}})"
    rf"|(?P<m4>{_MONTH}) (?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y4>\d{{4}}))"
)
_ISSUED = _cues(
    r"invoice|issued|dated|date\b|datum|receipt|ordered|placed|booked on|written on|paid on|"
    r"charged on|received|invoiced|from\b|of\b|inv\b"
)
_OTHER_DAY = _cues(
    r"due|until|by\b|before|deliver|shipped|arriv|next|sent\b|remind|valid|left our|offer|"
    r"period|to\b|posting|replaces|cancels|return|payable"
)


def days_in(text: str) -> list[tuple[Day, int]]:
    """Return the dates in `text` with their positions; impossible ones are left out.

    In 03/04/2025 the month comes first if the text speaks of dollars; a part above 12 decides by
    itself.
    """
    month_first = "$" in text or "USD" in text
    days = []
    for match in _DATE.finditer(text):
        day = _day(match, month_first=month_first)
        if day is not None:
            days.append((Day(match[0], day), match.start()))
    return days


def _day(match: re.Match[str], *, month_first: bool) -> date | None:
    if match["y1"]:
        parts = match["y1"], match["m1"], match["d1"]
    elif match["y2"]:
        swap = match["separator"] == "/" and (month_first or int(match["b2"]) > 12)
        swap = swap and int(match["a2"]) <= 12
        parts = match["y2"], match["a2" if swap else "b2"], match["b2" if swap else "a2"]
    else:
        month = _MONTHS[(match["m3"] or match["m4"])[:3].lower()]
        parts = match["y3"] or match["y4"], str(month), match["d3"] or match["d4"]
    try:
        return date(*map(int, parts))
    except ValueError:
        return None


def find_date(text: str, found: Sequence[tuple[Day, int]], weighing: Weighing) -> Day | None:
    """Return what is likely the date of the document itself among the days `found` in `text`."""

    def score(position: int) -> float:
        before = _before(text, position)
        alone = 0.8 * (not before.strip())
        return alone + _nearest(before) - 0.6 * position / (len(text) + 1)

    return weighing.best("date", ((day, score(at)) for day, at in found))


def _nearest(before: str) -> float:
    """Return 1.6 if the last cue before a date speaks for it, -1.6 if against, 0 without one."""
    pro = max((match.end() for match in _ISSUED.finditer(before)), default=-1)
    contra = max((match.end() for match in _OTHER_DAY.finditer(before)), default=-1)
    return 0.0 if pro == contra else 1.6 if pro > contra else -1.6


# --------------------------------------------------------------------------- numbers of documents

_IDENTIFIER = re.compile(r"(?<![\w$€£.,/-])(?=[\w/-]*\d)[A-Z]{0,4}[\w/-]{3,16}(?![\w/]|[.,]\d)")
_UNIT_OF_TIME = re.compile(r"^\d{1,2}(?:st|nd|rd|th)$|^\d{4}$")


def find_identifier(
    text: str,
    taken: Sequence[tuple[Amount | Day, int]],
    wanted: re.Pattern[str],
    weighing: Weighing,
    *,
    strict: bool,
) -> str | None:
    """Return the number that follows a word of `wanted`, which matches lower case.

    Numbers inside the amounts and days `taken` do not count. Without a fitting number the best
    other one is returned, or None if `strict`.
    """
    spans = [(at, at + len(item.written)) for item, at in taken]
    scored = []
    for match in _IDENTIFIER.finditer(text):
        start = match.start()
        if _UNIT_OF_TIME.match(match[0]) or any(low <= start < high for low, high in spans):
            continue
        supported = wanted.search(_before(text, start, 24)) is not None
        if supported or not strict:
            digits = sum(character.isdigit() for character in match[0])
            scored.append((match[0].rstrip("-/"), 2.0 * supported + 0.15 * digits))
    return weighing.best("identifier", scored)


# --------------------------------------------------------------------------- names

_NAME = re.compile(r"\b[A-Z][a-z][\w'-]*(?:(?: (?:&|and|of) | )[A-Z][\w'-]+){0,4}(?!\w)")
_OPENING_WORDS = (
    "Hello Hi Dear Moin Hooray Good Best Kind Yours Cheers Greetings Thank Thanks Please Sir Madam "
    "The This Your You We Our They It If Not All Just For With From An In On At Then Before What "
    "Subject Total Invoice Receipt Date Order Tax Payment Amount Price Paid Items Shipping Sent "
    "Number Customer Description Estimated Delivery Seller Sold Shipped Ordered Tracking Cash Card "
    "Change Subtotal Net Gross Grand Billed Period Balance Booked Booking Reminder Reply Forwarded "
    "Pos Item Qty Unit Sum Bill Issued Document Expense Signed Received Plan Charged Next Voucher "
    "Subscription Postage Scanned Slip Petty Statement Check Table Tip Goods Budget Datum Netto "
    "Gesamt Zahlbar Rechnung Fr Fw Re Voice Top Nothing Questions Jan Feb Mar Apr May Jun Jul Aug "
    "Sep Oct Nov Dec January February March April June July August September October November "
    "December Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
)
_OPENERS = frozenset(_OPENING_WORDS.split())
"""Capitalised words that open a line or sentence and no company's name."""
_SELLER = re.compile(
    r"(?:\b(?:from|by|at|to|with|seller:?|vendor[=:;]?|company:?|from[:;]|sold by:?))\s*$"
)


def find_name(text: str, weighing: Weighing) -> str | None:
    """Return what is likely the name of the company that sends or sells."""
    last_line = text.rstrip().rfind("\n") + 1

    def score(match: re.Match[str]) -> float:
        words = match[0].split(" ")
        before = _before(text, match.start(), 20)
        points = 1.8 * bool(_SELLER.search(before)) + 0.5 * min(len(words), 3)
        points += 1.2 * (match.start() == 0) + 0.9 * (match.start() >= last_line)
        points += 0.9 * (not before.strip())
        points -= 3.0 * (words[0] in _OPENERS) + 1.2 * (len(words) == 1)
        return points - 1.5 * text.startswith((":", "="), match.end())

    return weighing.best("name", ((match[0], score(match)) for match in _NAME.finditer(text)))
