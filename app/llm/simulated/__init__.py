"""A simulated model that needs no network and no key; see `engine` for what it is and is not."""

from app.llm.simulated.engine import SimulatedAnswer, answer

__all__ = ["SimulatedAnswer", "answer"]
