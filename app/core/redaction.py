"""Secrets out of texts that are stored, logged or shown.

A `Redactor` knows two kinds of secret: the ones it was given (exact, percent-encoded, in base64,
and cut after their first 12 characters, as providers like to echo them) and the ones that look
like a credential by themselves. It is applied to what a provider or a library says, never to
prompts and answers: those are content and have their own protection.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote

__all__ = ["MASK", "Redactor"]

MASK = "***"

_SHORTEST_SECRET = 6
_PREFIX = 12
_SLACK = 4096

# A name that announces a credential, then its value. The value ends at white space, a quote or a
# separator, so that the JSON around it stays readable.
_ANNOUNCED = (
    r"(?i:(?P<name>\b(?:x[-_])?(?:api[-_ ]?key|authorization|client[-_]?secret|password"
    r"|access[-_]?token|refresh[-_]?token)\b[\"']?\s*[:=]\s*[\"']?(?:bearer\s+|basic\s+)?)"
    r"[^\s\"',;&}<]+)"
)
_BEARER = r"(?i:(?P<scheme>\bbearer\s+)[\w.~+/*=-]{8,})"
_USERINFO = r"(?P<url>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"']+@"
_OURS = r"(?P<ours>\bwb_[a-z2-7]{12}_)[\w*.-]{6,}"  # what names a key of ours may be shown
_SHAPED = (
    r"\b(?:sk|pk|rk|gsk|hf|ghp|gho|ghs|glpat|xox[abp]|r8|pplx|nvapi|xai)[-_][\w*.-]{6,}"
    r"|\bAKIA[0-9A-Z]{12,}|\bAIza[\w-]{20,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
)
_LOOKS_SECRET = re.compile("|".join((_ANNOUNCED, _BEARER, _USERINFO, _OURS, _SHAPED)))


class Redactor:
    """A function from text to text without credentials.

    `secrets` are values known to be secret; those shorter than 6 characters are ignored, because
    masking them would hide ordinary words. Its `repr` shows none of them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._longest = max((len(form) for secret in known for form in _forms(secret)), default=0)
        self._known = _known_pattern(known)

    def __call__(self, text: str) -> str:
        """Return the text with every credential replaced by `***`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _LOOKS_SECRET.sub(_mask, text)

    def excerpt(self, body: str | bytes, limit: int = 8192) -> str:
        """Return the beginning of a body, redacted, of at most `limit` characters.

        Bytes are read as UTF-8; what is none becomes U+FFFD.
        """
        size = limit + _SLACK
        cut = len(body) > size
        if isinstance(body, bytes):
            text = body[:size].decode("utf-8", errors="replace")
        else:
            text = body[:size]
        clean = self(text)
        # A secret cut in two by our own cut is no longer recognised: leave its place out.
        return clean[: min(limit, len(clean) - self._longest)] if cut else clean[:limit]


def _mask(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group is not None), "") + MASK


def _known_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    exact = {form for secret in secrets for form in _forms(secret)}
    begun = {secret[:_PREFIX] for secret in secrets if len(secret) > _PREFIX}
    patterns = [re.escape(form) for form in sorted(exact, key=len, reverse=True)]
    patterns += [rf"{re.escape(prefix)}[\w*.~+/=-]*" for prefix in sorted(begun)]
    return re.compile("|".join(patterns)) if patterns else None


def _forms(secret: str) -> set[str]:
    data = secret.encode("utf-8", errors="replace")
    forms = {secret, quote(secret, safe=""), quote(secret)}
    forms |= {
        encode(data).decode().rstrip("=") for encode in (base64.b64encode, base64.urlsafe_b64encode)
    }
    return forms
