"""The sockets of our servers: on this machine only."""

from __future__ import annotations

import ipaddress
import socket

from app.core.errors import ConfigurationError

__all__ = ["address_of", "listen"]


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Bind a loopback address and listen; whoever connects waits until somebody answers.

    Raises `ConfigurationError` for any other address, and if the port is taken; `option` is how
    another one is chosen.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ConfigurationError(f"{host!r} is no address; use 127.0.0.1.", path="host") from None
    if not address.is_loopback:
        raise ConfigurationError(
            f"{host} would be reachable from other machines, and this server speaks plain HTTP.",
            path="host",
            hint="Serve on 127.0.0.1 behind a proxy that speaks HTTPS, or use an SSH tunnel.",
        )
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((str(address), port))
        bound.listen()
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"{address}, port {port} cannot be used: {error.strerror}.",
            path="port",
            hint=f"Choose another with {option}.",
        ) from error
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of a bound socket as `http://127.0.0.1:8800`."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
