"""Numbers in the sentences of verdicts; imports nothing, so that printing one is cheap."""

from typing import Final

__all__ = ["format_p", "format_value"]

_MINUS: Final = "\N{MINUS SIGN}"


def format_value(value: float, decimals: int) -> str:
    """Format a number with a real minus sign; what rounds to zero has no sign."""
    text = f"{abs(value):,.{decimals}f}"
    negative = value < 0.0 and any(digit in text for digit in "123456789")
    return f"{_MINUS}{text}" if negative else text


def format_p(p_value: float) -> str:
    """Format a p-value with its relation sign: "p = 0.052", "p < 0.001"."""
    if p_value < 0.001:
        return "p < 0.001"
    return f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"
