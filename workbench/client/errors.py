"""What can go wrong between a program and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "ERRORS",
    "APIError",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "LimitReached",
    "NotFound",
    "ServerFailed",
    "StreamBroken",
    "Unauthenticated",
    "Unreachable",
]


class ClientError(Exception):
    """Base of all errors here; `str(error)` is a sentence."""


class Unreachable(ClientError):
    """The server was not reached, or the connection broke before its answer came."""


class StreamBroken(ClientError):
    """An answer broke off: what came of it is not the whole."""


class APIError(ClientError):
    """The server refused or failed.

    `code` is the kind of error, `path` the field that is wrong, `retry_after_s` when to try again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str | None,
        path: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{detail} (status {status}, request {request_id or 'unknown'})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.path = path
        self.retry_after_s = retry_after_s


class Unauthenticated(APIError):
    """There is no key, or none that holds."""


class Forbidden(APIError):
    """The key lacks the permission."""


class NotFound(APIError):
    """There is no such object, or the key may not know that there is."""


class Conflict(APIError):
    """What is recorded forbids it."""


class Invalid(APIError):
    """A field breaks a rule; `path` names it."""


class LimitReached(APIError):
    """A limit of requests, tokens or money is reached."""


class ServerFailed(APIError):
    """The server, or a provider behind it, failed."""


ERRORS: Final[Mapping[int, type[APIError]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: LimitReached,
}
