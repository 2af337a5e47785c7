"""JWTs of an identity provider, checked against the keys that it publishes (JWKS, RFC 7517).

Only asymmetric algorithms are taken, each with the kind of key it belongs to: a token that is not
signed, or signed with a public key as if that were a shared secret, is refused before a key is
looked at. Issuer, audience and expiry must be there and right; clocks may differ by a minute. The
keys are fetched through the guarded transport, kept for ten minutes, and fetched anew for a key id
that is not among them, though at most once a minute: invented ids cause no load elsewhere.

The cryptography takes a while to load, so this module is imported only where there is a provider.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import jwt
import orjson
from yarl import URL

from app.core.clock import Clock
from app.core.errors import Unavailable
from app.core.redaction import Redactor
from app.core.settings import AuthSettings, CallLimits, EndpointSettings
from app.llm.errors import LLMError
from app.llm.transport import GuardedTransport
from app.services.sign_in import InvalidToken, TokenClaims

__all__ = ["HTTPKeySets", "IdentityTokens", "KeySets"]

_ALGORITHMS: Final[Mapping[str, str]] = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
"""What a token may be signed with, and the type of the key that it takes (RFC 7518 and 8037)."""

_LEEWAY = timedelta(seconds=60)
_KEPT_S = 600.0
_REFETCHED_EVERY_S = 60.0
_RETRIED_EVERY_S = 5.0  # while no key is known at all
_FETCH_LIMITS = CallLimits(connect_s=5, first_byte_s=5, idle_s=5, total_s=10, max_bytes=256 * 1024)


class KeySets(Protocol):
    """Where the identity provider's keys come from."""

    async def fetch(self) -> bytes:
        """Return the key set as it is published now; `Unavailable` if it cannot be had."""
        ...


class HTTPKeySets:
    """The key set at an address: bounded in time and size, no redirects, no proxy."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def fetch(self) -> bytes:
        settings = EndpointSettings(provider="jwks", limits=_FETCH_LIMITS)
        transport = GuardedTransport("identity provider", settings, redact=Redactor())
        try:
            reply = await transport.fetch("GET", URL(self._url))
        except LLMError as error:
            raise Unavailable(f"The identity provider's keys cannot be fetched: {error}") from None
        finally:
            await transport.close()
        if reply.status != 200:
            raise Unavailable(f"The identity provider answers {reply.status} when asked for keys.")
        return reply.body


class IdentityTokens:
    """Verifies tokens; keeps the identity provider's keys."""

    def __init__(self, settings: AuthSettings, key_sets: KeySets, clock: Clock) -> None:
        self._settings = settings
        self._key_sets = key_sets
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = -math.inf
        self._fetching = asyncio.Lock()

    async def verified(self, token: str) -> TokenClaims:
        """Return what a token says.

        Raises `InvalidToken` if it does not hold, and `Unavailable` if that cannot be found out
        because the keys cannot be fetched and none are known.
        """
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise InvalidToken("malformed") from None
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS or "crit" in header:
            raise InvalidToken("algorithm")
        key = await self._key(header.get("kid"))
        if key is None:
            raise InvalidToken("unknown_signing_key")
        if key.key_type != _ALGORITHMS[algorithm]:
            raise InvalidToken("algorithm")
        return self._claims(token, key, algorithm)

    def _claims(self, token: str, key: jwt.PyJWK, algorithm: str) -> TokenClaims:
        try:
            payload = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                # Times are compared below, by our own clock.
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(type(error).__name__) from None
        subject = payload["sub"]
        if not isinstance(subject, str) or not subject:
            raise InvalidToken("subject")
        return TokenClaims(subject, self._checked_times(payload))

    def _checked_times(self, payload: Mapping[str, object]) -> datetime:
        """Return when the token expires, the leeway included; refuse one that is early or late."""
        now = self._clock.now()
        for claim in ("nbf", "iat"):
            if claim in payload and _time(payload[claim]) > now + _LEEWAY:
                raise InvalidToken("not_yet_valid")
        expires_at = _time(payload["exp"]) + _LEEWAY
        if expires_at <= now:
            raise InvalidToken("expired")
        return expires_at

    async def _key(self, key_id: object) -> jwt.PyJWK | None:
        wanted = key_id if isinstance(key_id, str) else None
        if self._is_due(wanted):
            async with self._fetching:
                if self._is_due(wanted):  # else whoever went before has fetched
                    await self._fetch()
        if not self._keys:
            raise Unavailable("The identity provider's keys cannot be fetched at the moment.")
        return self._keys.get(wanted)

    def _is_due(self, wanted: str | None) -> bool:
        """Whether to fetch: nothing is known, not this key, or what is known is old."""
        now = self._clock.monotonic()
        pause = _REFETCHED_EVERY_S if self._keys else _RETRIED_EVERY_S
        if now - self._tried_at < pause:
            return False
        return wanted not in self._keys or now - self._fetched_at >= _KEPT_S

    async def _fetch(self) -> None:
        """Fetch the keys; if that fails, those that are known stay."""
        self._tried_at = self._clock.monotonic()
        with suppress(Unavailable):
            self._keys = _parsed(await self._key_sets.fetch())
            self._fetched_at = self._tried_at


def _parsed(body: bytes) -> Mapping[str | None, jwt.PyJWK]:
    """Return the keys for signatures by id; those that cannot be used are left out.

    A token may name no key id where the set has a single key.
    """
    try:
        found = orjson.loads(body)["keys"]
        keys = [key for entry in found if (key := _signing_key(entry)) is not None]
    except (ValueError, KeyError, TypeError):
        raise Unavailable("What the identity provider publishes is no key set.") from None
    by_id: dict[str | None, jwt.PyJWK] = {key.key_id: key for key in keys}
    if len(keys) == 1:
        by_id[None] = keys[0]
    else:
        by_id.pop(None, None)
    return by_id


def _signing_key(entry: object) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("kty") not in _ALGORITHMS.values():
        return None
    try:
        return jwt.PyJWK(entry)
    except jwt.PyJWTError:  # a curve or an algorithm that we do not take
        return None


def _time(value: object) -> datetime:
    """Return a `NumericDate` (RFC 7519) as a time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken("malformed_time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidToken("malformed_time") from None
