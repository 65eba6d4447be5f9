"""Where a server of this package listens, and what its clients call that."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final

from utd_rx.errors import ConflictReason, conflict

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket: nobody else takes the port from here on.

    Raises:
        UTDStreamException: `CONFLICT` when it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise conflict(ConflictReason.BUSY, message) from error


def url_of(listener: socket.socket) -> str:
    """Return `http://host:port` with the address and not the name: an SFU takes no "localhost"."""
    host, port = listener.getsockname()[:2]
    name = _WILDCARDS.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def loopback_url_of(listener: socket.socket) -> str | None:
    """Return `http://host:port` for this machine itself, None where it is not to be reached so."""
    host, port = listener.getsockname()[:2]
    name = _WILDCARDS.get(host, host)
    if not ip_address(name).is_loopback:
        return None
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
