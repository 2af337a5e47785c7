"""A server that begins one answer, says so, and waits to be killed: `DATABASE_URL PROVIDER_URL`."""

from __future__ import annotations

import asyncio
import sys

from app.core.permissions import local_actor
from app.database import Database
from tests.integration.chat.support import World, ask, endpoint


async def main(database_url: str, provider_url: str) -> None:
    world = World(Database(database_url), local_actor(), {"openai": endpoint(provider_url)})
    call = await world.chat.begin(world.actor, ask(idempotency_key="key-1"))
    sys.stdout.write(f"{call.generation_id}\n")
    sys.stdout.flush()
    await call.result()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
