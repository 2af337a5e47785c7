"""Client of the Prompt Workbench's HTTP API, for the dashboard and for other programs.

    from workbench.client import Client, prompts

    with Client("http://127.0.0.1:8800", key="wb_...") as client:
        for prompt in client.all(prompts.listing(search="triage")):
            print(prompt.name, prompt.latest)
        answer = client.chat("support-bot@production", [{"role": "user", "content": "Hello"}])

`Client` waits, `AsyncClient` is awaited; both send what the modules of the nouns describe. This
package imports nothing of the service and may be copied.

What may be sent again is sent again: reads, and POSTs that create, which carry an idempotency key
made here. Not sent again is a chat: whoever wants that gives the key. Errors carry the server's
sentence and its `request_id`.
"""

from workbench.client.calls import Answer, Call, Listing, Page
from workbench.client.clients import AsyncClient, Client
from workbench.client.errors import (
    APIError,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    LimitReached,
    NotFound,
    ServerFailed,
    StreamBroken,
    Unauthenticated,
    Unreachable,
)
from workbench.client.protocol import ChatAnswer, Published

__all__ = [
    "APIError",
    "Answer",
    "AsyncClient",
    "Call",
    "ChatAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "LimitReached",
    "Listing",
    "NotFound",
    "Page",
    "Published",
    "ServerFailed",
    "StreamBroken",
    "Unauthenticated",
    "Unreachable",
]
