"""Judges: scorers that ask a language model. What is here is pure; the runner asks."""

from __future__ import annotations

from workbench.scorers.judges.aggregate import Answer, Opinion, combined, opinion_of
from workbench.scorers.judges.interface import AnyJudge, Judge, JudgeConfig, NotJudgeable, Pins
from workbench.scorers.judges.kinds import (
    JUDGES,
    JudgeCorrectness,
    JudgeFaithfulness,
    JudgePreference,
    JudgeRubric,
    OutputJudge,
)
from workbench.scorers.judges.reply import Reply, ReplyError, Scale, read_reply, response_format

__all__ = [
    "JUDGES",
    "Answer",
    "AnyJudge",
    "Judge",
    "JudgeConfig",
    "JudgeCorrectness",
    "JudgeFaithfulness",
    "JudgePreference",
    "JudgeRubric",
    "NotJudgeable",
    "Opinion",
    "OutputJudge",
    "Pins",
    "Reply",
    "ReplyError",
    "Scale",
    "combined",
    "opinion_of",
    "read_reply",
    "response_format",
]
