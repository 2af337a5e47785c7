"""The interval that every estimate of this package carries, and the quantiles behind it.

`scipy.special` is used instead of `scipy.stats` throughout the package: the distributions are
the same functions, and importing `scipy.stats` costs two seconds that a command line feels.
"""

from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

__all__ = ["Interval", "check_level", "normal_critical", "symmetric_interval", "t_critical"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval `low` to `high` at confidence `level` (0.95 means 95 %)."""

    low: float
    high: float
    level: float

    @property
    def half_width(self) -> float:
        """Half the distance between the bounds."""
        return (self.high - self.low) / 2.0


def check_level(level: float) -> None:
    """Refuse a confidence level outside the open range 0 to 1."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"The confidence level must lie between 0 and 1, not {level!r}.")


def normal_critical(level: float) -> float:
    """Return the two-sided normal quantile of `level`: 1.96 for 0.95."""
    check_level(level)
    return float(ndtri((1.0 + level) / 2.0))


def t_critical(level: float, df: float) -> float:
    """Return the two-sided Student t quantile of `level` with `df` > 0 degrees of freedom."""
    check_level(level)
    if df <= 0:
        raise ValueError("A t interval needs at least two units.")
    return float(stdtrit(df, (1.0 + level) / 2.0))


def symmetric_interval(
    centre: float, standard_error: float, critical: float, level: float
) -> Interval:
    """Return `centre` plus and minus `critical` standard errors."""
    reach = critical * standard_error
    return Interval(centre - reach, centre + reach, level)
