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
    """One topic; `strong` and `weak` match words, in lower case, that point to it."""

    names: tuple[str, ...]
    """Label names, by their beginning, that mean this topic."""
    strong: re.Pattern[str]
    weak: re.Pattern[str]
    base: float = 0.0
    """Evidence without any word: how readily the topic is taken when nothing else fits."""
    own_words: tuple[str, ...] = ()
    """What the model calls the topic if nobody names labels, each equally likely; empty for a
    topic that it does not think of by itself."""


def _words(beginnings: str) -> re.Pattern[str]:
    """Return a pattern for words that begin like one of a list with commas."""
    return re.compile(rf"\b(?:{'|'.join(beginnings.split(', '))})\w*")


TOPICS: tuple[Topic, ...] = (
    Topic(
        ("billing", "payment", "invoice", "finance", "money", "price", "refund"),
        _words(
            r"invoic, refund, charg, overcharg, bill(?:s|ed|ing)?\b, payment, debit, receipt, "
            r"discount, vat\b, pric(?:e|ing), subscription, renewal, tariff, paying for, "
            r"bookkeep, accountant, auditor, reimburs"
        ),
        _words(
            r"pay(?:s|ing|ed)?\b, paid, card\b, bank, cost, tax, fee\b, euro, dollar, seats?\b, "
            r"plan\b, cancel, quote, owe, coupon, statement, amount, upgrad, downgrad, "
            r"licen[cs]e, money, trial, rate\b, credit, promo, budget, contract, agreed, bought, "
            r"expens, outstanding, months?\b"
        ),
        own_words=("billing", "billing", "billing", "billing", "payments"),
    ),
    Topic(
        ("bug", "technical", "error", "defect", "incident", "outage", "fault", "problem"),
        _words(
            r"crash, error, bug(?:s|gy)?\b, broken, freez, fail, stop(?:s|ped) working, "
            r"does(?:n.?t| not) work, wrong(?:ly)?\b, glitch, 404, 50[0-4]\b, blank, stuck, "
            r"hang(?:s|ing)?\b, reload, undefined, exception, vanish, disappear, overwrit, "
            r"loses?\b, since (?:the (?:new|last)|yesterday|last|this), every time, instead of"
        ),
        _words(
            r"slow, empty, missing, twice, update\b, version, screen, button, browser, export, "
            r"import\b, upload, sync, search, page\b, jumps?, lost\b, steps:, late\b, android, "
            r"windows, firefox, click, shows?\b, although, again\b, skips?, sort(?:s|ing|ed)?\b, "
            r"random, shortcut, chart, calendar, table, file, print, image, display, nothing, "
            r"says?\b, mobile, app\b, save[sd]?\b, report, feature, field\b, setting, repair"
        ),
        own_words=("bug", "technical", "bug", "technical issue", "support"),
    ),
    Topic(
        ("account", "access", "login", "profile", "identity", "user", "security"),
        _words(
            r"password, log ?in\b, logins?\b, sign(?:ed|ing)? ?in, locked, two-factor, two "
            r"factor, two-step, verif, account, username, user name, permission, single sign, "
            r"unlock, delet\w+ (?:my|all|the) (?:account|profile|personal), owner, who can, can "
            r"see, my profile"
        ),
        _words(
            r"profile, roles?\b, invit, admin, access, delet, e-?mail address, workspace, "
            r"codes?\b, rights?\b, member, guest, identity, personal data, merge, colleague, "
            r"session, address, rename, name\b, employee, confirmation, confirm, registered, "
            r"assign, share"
        ),
        own_words=("account", "account", "account", "login"),
    ),
    Topic(
        ("other", "general", "misc", "none", "rest", "anything", "unknown", "feedback"),
        _words(
            r"feature request, suggestion, idea\b, newsletter, sponsor, interview, partner, "
            r"reseller, thesis, tutor, documentation, lovely, roadmap, it would be "
            r"(?:nice|great|a great), are you planning"
        ),
        _words(
            r"do you have, feedback, recommend, how many, is there a, difference between, "
            r"curious, course, blog, question, which one, could i\b, may i\b, compar, offers?\b, "
            r"consider, please let us, nothing (?:is|left), no problem, does the, where can i "
            r"find, option"
        ),
        base=0.7,
        own_words=("other", "general", "other", "feedback"),
    ),
    Topic(
        ("positive", "praise", "happy", "good"),
        _words(
            r"good, great, excellent, love, wonderful, perfect, amazing, delicious, friendly, "
            r"recommend, happy, fantastic, best"
        ),
        _words(r"nice, fast, easy, clean, helpful, thank, enjoy, works?\b, fresh"),
    ),
    Topic(
        ("negative", "complaint", "unhappy", "bad"),
        _words(
            r"bad\b, terrible, awful, worst, horrible, disappoint, broken, waste, rude, never "
            r"again, poor, disgust, annoy, hate"
        ),
        _words(r"slow, late\b, cold, dirty, expensive, wrong, not good, boring, un\w+"),
    ),
    Topic(
        ("spam", "phishing", "scam", "junk"),
        _words(r"winner, won\b, prize, free money, claim, lottery, inherit, bitcoin"),
        _words(r"urgent, click here, offer, million, transfer, cash, act now, deal"),
    ),
    Topic(
        ("shipping", "delivery", "logistics", "order"),
        _words(r"parcel, deliver, shipp, courier, tracking, package"),
        _words(r"arriv, address, order, late\b, days, return"),
    ),
)


def topic_of(label: str) -> Topic | None:
    """Return the topic that a label's name means, or None."""
    name = label.lower()
    for topic in TOPICS:
        if name.startswith(topic.names):
            return topic
    return None
