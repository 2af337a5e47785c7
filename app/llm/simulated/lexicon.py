"""What the simulated model knows of the world: topics, the words that point to them, their names.

Written from general knowledge of office mail, as a list that is right more often than not. A
label that is none of these topics is known by its own name and by what the prompt says of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TOPICS", "Topic", "topic_of"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; `strong` and `weak` match words that point to it."""

    key: str
    names: tuple[str, ...]
    """Label names, by their beginning, that mean this topic."""
    own_words: tuple[str, ...]
    """What the model calls the topic if nobody names the labels; likeliest first."""
    strong: re.Pattern[str]
    weak: re.Pattern[str]
    base: float = 0.0
    """Evidence without any word: how readily the topic is taken when nothing else fits."""


def _words(*beginnings: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(beginnings) + r")\w*", re.IGNORECASE)


TOPICS: tuple[Topic, ...] = (
    Topic(
        "money",
        ("billing", "payment", "invoice", "finance", "money", "price", "refund"),
        ("billing", "billing", "billing", "payments"),
        _words(
            "invoic",
            "refund",
            "charg",
            "bill(?:s|ed|ing)?\\b",
            "overcharg",
            "payment",
            "debit",
            "receipt",
            "discount",
            "vat\\b",
            "pric(?:e|ing)",
            "credited",
            "subscription",
            "renewal",
        ),
        _words(
            "pay(?:s|ing)?\\b",
            "paid",
            "card\\b",
            "bank",
            "cost",
            "tax",
            "fee\\b",
            "euro",
            "dollar",
            "seats?\\b",
            "plan\\b",
            "cancel",
            "quote",
            "owe",
            "coupon",
            "statement",
            "amount",
            "upgrad",
            "licen[cs]e",
            "money",
            "trial",
            "tariff",
            "rate\\b",
        ),
    ),
    Topic(
        "malfunction",
        ("bug", "technical", "error", "defect", "incident", "outage", "fault", "problem"),
        ("technical", "technical issue", "bug", "technical", "support"),
        _words(
            "crash",
            "error",
            "bug(?:s|gy)?\\b",
            "broken",
            "freez",
            "fail",
            "stopped working",
            "does(?:n.?t| not) work",
            "wrong(?:ly)?\\b",
            "glitch",
            "404",
            "500",
            "502",
            "blank",
            "stuck",
            "hang(?:s|ing)?\\b",
            "reload",
            "undefined",
            "exception",
        ),
        _words(
            "slow",
            "empty",
            "missing",
            "vanish",
            "disappear",
            "twice every",
            "update\\b",
            "version",
            "screen",
            "button",
            "browser",
            "export",
            "import\\b",
            "upload",
            "sync",
            "search",
            "page\\b",
            "instead of",
            "jumps?",
            "lose[sn]?\\b",
            "lost\\b",
            "steps:",
            "late\\b",
            "android",
            "windows",
            "firefox",
            "click",
            "shows?\\b",
        ),
    ),
    Topic(
        "access",
        ("account", "access", "login", "profile", "identity", "user", "security"),
        ("account", "account", "login", "account access"),
        _words(
            "password",
            "log ?in",
            "login",
            "sign(?:ed|ing)? ?in",
            "locked out",
            "two-factor",
            "two factor",
            "two-step",
            "verif",
            "account",
            "acount",
            "username",
            "user name",
            "permission",
            "single sign",
            "unlock",
        ),
        _words(
            "profile",
            "role\\b",
            "roles\\b",
            "invit",
            "owner",
            "admin",
            "access",
            "delet",
            "e-?mail address",
            "workspace",
            "code\\b",
            "codes\\b",
            "rights?\\b",
            "member",
            "guest",
            "identity",
            "personal data",
            "merge",
            "colleague",
            "session",
        ),
    ),
    Topic(
        "rest",
        ("other", "general", "misc", "none", "rest", "anything", "unknown", "feedback"),
        ("general", "other", "general enquiry", "feedback"),
        _words(
            "feature request",
            "suggestion",
            "idea\\b",
            "newsletter",
            "sponsor",
            "interview",
            "partner",
            "reseller",
            "thesis",
            "tutorial",
            "documentation",
            "lovely",
        ),
        _words(
            "thank you to",
            "would be (?:nice|great|a great)",
            "are you planning",
            "do you have",
            "roadmap",
            "feedback",
            "recommend",
            "how many",
            "is there a",
            "difference between",
            "curious",
            "course",
            "blog",
            "question",
            "which one",
            "could i\\b",
            "may i\\b",
        ),
        base=0.9,
    ),
    Topic(
        "praise",
        ("positive", "praise", "happy", "good"),
        ("positive",),
        _words(
            "good",
            "great",
            "excellent",
            "love",
            "wonderful",
            "perfect",
            "amazing",
            "delicious",
            "friendly",
            "recommend",
            "happy",
            "fantastic",
            "best",
        ),
        _words("nice", "fast", "easy", "clean", "helpful", "thank", "enjoy", "works?\\b", "fresh"),
    ),
    Topic(
        "complaint",
        ("negative", "complaint", "unhappy", "bad"),
        ("negative",),
        _words(
            "bad\\b",
            "terrible",
            "awful",
            "worst",
            "horrible",
            "disappoint",
            "broken",
            "waste",
            "rude",
            "never again",
            "poor",
            "disgust",
            "annoy",
            "hate",
        ),
        _words(
            "slow", "late\\b", "cold", "dirty", "expensive", "wrong", "not good", "boring", "un\\w+"
        ),
    ),
    Topic(
        "unwanted",
        ("spam", "phishing", "scam", "junk"),
        ("spam",),
        _words("winner", "won\\b", "prize", "free money", "claim", "lottery", "inherit", "bitcoin"),
        _words("urgent", "click here", "offer", "million", "transfer", "cash", "act now", "deal"),
    ),
    Topic(
        "delivery",
        ("shipping", "delivery", "logistics", "order"),
        ("shipping", "delivery"),
        _words("parcel", "deliver", "shipp", "courier", "tracking", "package"),
        _words("arriv", "address", "order", "late\\b", "days", "return"),
    ),
)


def topic_of(label: str) -> Topic | None:
    """Return the topic that a label's name means, or None."""
    name = label.lower()
    for topic in TOPICS:
        if name.startswith(topic.names):
            return topic
    return None
