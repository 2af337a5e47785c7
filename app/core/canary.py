"""Who of an alias' callers meets its canary (pure).

Every caller stands in one of 10,000 buckets, for good: SHA-256 over the alias' id and what the
caller is known by. Canaries take buckets from 0 upwards, the primary the rest. Nothing else goes
into the hash, so raising a canary's weight moves callers from the primary to the canary and none
back, and a caller who met the canary at 1 % meets it at 10 %. With several canaries that holds for
raising the last one, since those behind a canary that grows move on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

__all__ = ["BUCKETS", "WeightedTarget", "bucket", "choose"]

BUCKETS: Final = 10_000


class WeightedTarget(Protocol):
    """What a deployment may answer with.

    The weight of a canary is its part of all callers, between 0 and 1; a fallback's is its place
    in the order, from 1.
    """

    @property
    def role(self) -> str: ...

    @property
    def weight(self) -> float: ...


TargetT = TypeVar("TargetT", bound=WeightedTarget)


def bucket(sticky: str, salt: str) -> int:
    """Return where a caller stands, 0 to 9,999; `sticky` is what they are known by, `salt` the
    alias' id, so that the same person stands elsewhere for another alias."""
    digest = hashlib.sha256(f"{salt}\0{sticky}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def choose(targets: Sequence[TargetT], caller: int) -> tuple[TargetT, ...]:
    """Return the targets in the order in which they are to be tried for a caller's bucket.

    First the caller's own, canary or primary; then the primary, if the canary fails; then the
    fallbacks. Another canary is never tried: nobody meets one by a failure.
    """
    order = [canary] if (canary := _canary(targets, caller)) is not None else []
    order += [target for target in targets if target.role == "primary"]
    order += sorted((t for t in targets if t.role == "fallback"), key=lambda t: t.weight)
    return tuple(order)


def _canary(targets: Sequence[TargetT], caller: int) -> TargetT | None:
    share = 0.0
    for target in targets:
        if target.role == "canary":
            share += target.weight
            if caller < round(share * BUCKETS):
                return target
    return None
