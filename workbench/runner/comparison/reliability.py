"""How reliably each variant solves an example that it answered several times. Pure.

Only examples with a score in every repetition count: fewer samples would make pass@k and pass^k
of other examples. With k samples of k asked, pass@k is the share of examples that passed at
least once and pass^k of those that passed every time; an example between the two has flipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.statistics.observations import Aligned, ExampleScores
from workbench.statistics.pass_at_k import pass_at_k, pass_hat_k

__all__ = ["reliability"]


def reliability(aligned: Aligned) -> dict[str, Any] | None:
    """Return pass@k, pass^k and flips of either side; None without repetitions.

    k is the number of repetitions that both sides have. The scores must be 0 or 1.
    """
    k = min(int(side.n_cells.max(initial=0)) for side in (aligned.baseline, aligned.candidate))
    if k < 2:
        return None
    sides = [_side(side, k) for side in (aligned.baseline, aligned.candidate)]
    return {"k": k, "baseline": sides[0], "candidate": sides[1]}


def _side(scores: ExampleScores, k: int) -> dict[str, Any]:
    whole = (scores.n_scored >= k) & (scores.n_scored == scores.n_cells)
    counts = list(
        zip(
            scores.n_scored[whole].tolist(),
            np.rint(scores.sums[whole]).astype(int).tolist(),
            strict=True,
        )
    )
    return {
        "n_examples": len(counts),
        "pass_at_k": _mean([pass_at_k(n, c, k) for n, c in counts]),
        "pass_hat_k": _mean([pass_hat_k(n, c, k) for n, c in counts]),
        "flipped": sum(0 < c < n for n, c in counts),
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
