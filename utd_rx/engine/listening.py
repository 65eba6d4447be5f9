"""Where a server of this package listens, and what its clients call that."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Final

from utd_rx.errors import ConflictReason, conflict

# Addresses to bind them all, with one on loopback, and one elsewhere that nothing is sent to.
_WILDCARDS: Final = {
    "0.0.0.0": ("127.0.0.1", "192.0.2.1"),  # noqa: S104 - compared, not bound
    "::": ("::1", "2001:db8::1"),
}


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
    name = reached_at(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def loopback_url_of(listener: socket.socket) -> str | None:
    """Return `http://host:port` for this machine itself, None where it is not to be reached so."""
    host, port = listener.getsockname()[:2]
    name = _WILDCARDS[host][0] if host in _WILDCARDS else host
    if not ip_address(name).is_loopback:
        return None
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def reached_at(host: str) -> str:
    """Return the address at which others reach who is bound to `host`: for a wildcard, that of
    this machine where it reaches others, and loopback's if it reaches none."""
    if host not in _WILDCARDS:
        return host
    loopback, elsewhere = _WILDCARDS[host]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))  # of UDP: finds the way, and sends nothing
        except OSError:
            return loopback
        return str(probe.getsockname()[0])
