"""Render files with dotpromptz: JSON cases on standard input, their messages on standard output.

Runs in an environment of its own that has this package and none of ours.
"""

from __future__ import annotations

import asyncio
import json
import sys

from dotpromptz.dotprompt import Dotprompt
from dotpromptz.typing import DataArgument


async def render(text: str, values: dict[str, object]) -> list[list[str]]:
    rendered = await Dotprompt().render(text, DataArgument(input=values))
    return [
        [message.role.value, "".join(part.text for part in message.content)]
        for message in rendered.messages
    ]


async def main() -> None:
    cases = json.load(sys.stdin)
    print(json.dumps([await render(case["text"], case["values"]) for case in cases]))


asyncio.run(main())
