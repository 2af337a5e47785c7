"""Names of servers: which process carries a call, and whether that process still lives.

A name is `HOST:PID:BOOT`. HOST also tells the machine's namespace of process ids where the system
has any, so that a process id is only asked after where it means something; BOOT is random, so that
a process that has got the id of another one is not taken for it. Of a process elsewhere nothing can
be known from here, and only the age of its calls counts.
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

__all__ = ["is_gone", "server_name"]

_NAMESPACE = Path("/proc/self/ns/pid")
_LONGEST_HOST = 40


def server_name() -> str:
    """Return a new name for this process; at most 100 characters."""
    return f"{_host()}:{os.getpid()}:{uuid.uuid4().hex}"


def is_gone(server: str, own: str) -> bool:
    """Whether the process of a name is known to have ended; false for one that is elsewhere."""
    if server == own:
        return False
    host, _, rest = server.rpartition(":")[0].rpartition(":")
    if host != _host() or not rest.isdigit():
        return False
    return int(rest) == os.getpid() or not _lives(int(rest))


def _host() -> str:
    try:
        namespace = f"~{_NAMESPACE.stat().st_ino}"
    except OSError:  # a system without namespaces
        namespace = ""
    return f"{socket.gethostname()[:_LONGEST_HOST]}{namespace}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
