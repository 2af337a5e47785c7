"""Small deterministic hashes: who a request is, and which way a seeded coin falls for it.

Everything that the fake provider decides is a function of these two, so the same seed and the
same requests give the same answers and the same faults in every process and on every machine.
"""

import hashlib
from collections.abc import Sequence

import orjson

__all__ = ["hash_text", "request_identity", "unit_interval"]

_IDENTITY_BYTES = 8


def hash_text(data: bytes) -> str:
    """Return 16 hexadecimal digits (BLAKE2b, 64 bits) that stand for `data`."""
    return hashlib.blake2b(data, digest_size=_IDENTITY_BYTES).hexdigest()


def request_identity(model: str, messages: Sequence[object]) -> str:
    """Return the identity of a chat request: a hash of its model and its messages.

    Parameters, headers and the streaming flag do not take part, so a harness that knows which
    messages a client will send can name the identity without knowing the rest of the body, and
    every retry of a request has the identity of its first attempt.

    Raises:
        TypeError: a message holds something that JSON cannot carry.
    """
    return hash_text(orjson.dumps([model, messages], option=orjson.OPT_SORT_KEYS))


def unit_interval(text: str) -> float:
    """Return a number in [0, 1) that `text` fixes, spread evenly over all texts."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # 53 bits, the precision of a float: dividing all 64 could round up to exactly 1.0.
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
