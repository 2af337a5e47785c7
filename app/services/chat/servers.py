"""Names of servers: which process carries a call, and whether that process still lives.

A name is `HOST:PID:START`. HOST ends with a hash of all that tells where a process id means
something: the machine's whole name, its boot and the namespace of process ids, where the system has
them. (A namespace's number alone is the same on all machines.) START is random, so that a process
that has got the id of another one is not taken for it. Of a process elsewhere nothing can be known
from here, and only the age of its calls counts.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from pathlib import Path

__all__ = ["is_gone", "server_name"]

_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LONGEST_HOST = 30
_HASH_LENGTH = 20


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
    name = socket.gethostname()
    try:
        place = f"{_NAMESPACE.stat().st_ino} {_BOOT.read_text().strip()}"
    except OSError:  # a system without them
        place = ""
    digest = hashlib.sha256(f"{name} {place}".encode()).hexdigest()
    return f"{name[:_LONGEST_HOST]}~{digest[:_HASH_LENGTH]}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True
