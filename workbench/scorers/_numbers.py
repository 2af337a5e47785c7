"""Numbers as people and models write them in running text.

Read are `18`, `-3` (also with U+2212), `1,234.50`, `1'234`, `1_000`, `.5`, `1e3`, `1/2` and
`3 1/2`, with a currency sign or unit around them ignored (`-$5.00`, `15%`, `18th`). A comma,
apostrophe, underscore or narrow space separates thousands, and only between groups of exactly
three digits; a comma is never the decimal point. A full stop counts as a decimal point only
before a digit, so a number may end a sentence. A hyphen is a minus only where no operand stands
before it: `16-3` holds 16 and 3, `COVID-19` holds 19.

All reading is linear in the length of the text.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Final

__all__ = ["first_number", "last_number", "multiply", "shown_number", "subtract"]

# Precise enough for any numbers that occur in practice, short enough to stay cheap; no traps
# and the widest exponents, so that a megabyte of digits is a number like any other.
_ARITHMETIC: Final = Context(prec=1_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
_DISPLAY: Final = Context(prec=20, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])

# Repeats are possessive or bounded: no text makes the search slower than linear.
_NUMBER: Final = re.compile(
    r"""
    (?<!/)(?:(?P<units>\d++)[ ])?(?P<numerator>\d++)/(?P<denominator>0*+[1-9]\d*+)(?!/|\.\d)
    | (?P<plain>
        (?:
          \d{1,3}(?P<comma>[,'\u2019_\u00a0\u2009\u202f])\d{3}(?:(?P=comma)\d{3}){0,11}
          (?!\d|(?P=comma)\d)
          | \d++
        )
        (?:\.\d++)?+
        (?:[eE][-+]?\d{1,3}(?!\d))?
        | (?<![\w.])\.\d++
      )
    """,
    re.VERBOSE,
)
_SEPARATORS: Final = {ord(character): None for character in ",'\u2019_\u00a0\u2009\u202f"}
_CURRENCY: Final = "$€£¥₹"
_MINUS: Final = "-\u2212"
# After one of these a hyphen joins or subtracts.
_OPERAND_END: Final = re.compile(r"[A-Za-z\d)\]%]")


def first_number(text: str, start: int = 0, end: int | None = None) -> Decimal | None:
    """Return the first number between the positions `start` and `end`, or None."""
    match = _NUMBER.search(text, start, len(text) if end is None else end)
    return None if match is None else _value(match)


def last_number(text: str) -> Decimal | None:
    """Return the last number, or None."""
    # A number never spans lines, and answers stand at the end: read from the last line up.
    end = len(text)
    while end >= 0:
        line_start = text.rfind("\n", 0, end) + 1
        last = None
        for match in _NUMBER.finditer(text, line_start, end):
            last = match
        if last is not None:
            return _value(last)
        end = line_start - 1
    return None


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """Return the difference, exact up to 1,000 digits."""
    return _ARITHMETIC.subtract(left, right)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Return the product, exact up to 1,000 digits."""
    return _ARITHMETIC.multiply(left, right)


def shown_number(number: Decimal) -> str:
    """Return the number as in `26`, `0.5` or `1E+40`, without trailing zeros, in at most
    about 30 characters."""
    digits = _DISPLAY.normalize(number)
    return f"{digits:f}" if abs(digits.adjusted()) < 20 else f"{digits}"


def _value(match: re.Match[str]) -> Decimal:
    plain = match["plain"]
    if plain is not None:
        magnitude = Decimal(plain.translate(_SEPARATORS))
    else:
        fraction = _ARITHMETIC.divide(Decimal(match["numerator"]), Decimal(match["denominator"]))
        magnitude = _ARITHMETIC.add(Decimal(match["units"] or 0), fraction)
    # copy_negate instead of minus, which would round to the current context.
    return magnitude.copy_negate() if _is_negative(match.string, match.start()) else magnitude


def _is_negative(text: str, start: int) -> bool:
    """Whether a minus belongs to the number at `start`: `-5`, `-$5`, `$-5`, not `16-3`."""
    sign = start - 1
    if sign >= 0 and text[sign] in _CURRENCY:
        sign -= 1
    if sign < 0 or text[sign] not in _MINUS:
        return False
    return sign == 0 or _OPERAND_END.match(text, sign - 1) is None
