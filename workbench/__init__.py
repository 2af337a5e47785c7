"""The tools: measure, compare, decide, show. From Python: `results`, `evaluate`, `evaluate_sync`.

The two functions are looked up on first use. Every command imports this package before anything
else, and the libraries behind them would cost each of them a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evaluation import AppAnswer, evaluate, evaluate_sync

__all__ = ["AppAnswer", "evaluate", "evaluate_sync"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import workbench.evaluation

        return getattr(workbench.evaluation, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
