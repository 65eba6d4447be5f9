"""The two SFUs every end-to-end test runs against, behind one value.

The embedded one is imported late: aiortc and OpenSSL are slow to load, and most tests need neither.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol

from attrs import field, frozen

from utd_rx.engine.livekit_server import INSTALL_HINT, LiveKitServer, find_livekit_server

if TYPE_CHECKING:
    from utd_rx.engine.sfu.options import SfuOptions

SfuKind = Literal["embedded", "livekit"]

MISSING_LIVEKIT: Final = f"livekit-server not found; {INSTALL_HINT}"


@frozen
class RunningSfu:
    """An SFU that answers, and the key that rules it."""

    kind: SfuKind
    url: str
    api_url: str
    api_key: str
    api_secret: str = field(repr=False)


class Sfu(Protocol):
    """What both SFUs offer to whoever runs them."""

    @property
    def url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


def free_port() -> int:
    """Return a port of loopback that is free for TCP and for UDP."""
    while True:
        with (
            socket.create_server(("127.0.0.1", 0)) as tcp,
            socket.socket(type=socket.SOCK_DGRAM) as udp,
        ):
            port: int = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


def is_livekit_missing() -> bool:
    """Say whether there is no livekit-server to test against."""
    return find_livekit_server() is None


def is_livekit_required() -> bool:
    """Say whether that is a failure, as in CI, and not a reason to skip."""
    return os.environ.get("UTD_RX_REQUIRE_LIVEKIT") == "1"


def fresh_options(silent_update_interval: float = 0.1) -> SfuOptions:
    """Return options with a key and secret of their own.

    The embedded SFU is told to spread the news of silent participants sooner than the real
    server's 3 s, so tests that wait for it end sooner; they must allow for 3 s all the same.
    """
    from utd_rx.engine.sfu.options import SfuOptions

    return SfuOptions(
        api_key=f"key-{secrets.token_hex(4)}",
        api_secret=secrets.token_urlsafe(32),
        silent_update_interval=silent_update_interval,
    )


def make_sfu(kind: SfuKind, options: SfuOptions) -> Sfu:
    """Return an SFU of that kind, not started."""
    if kind == "livekit":
        return LiveKitServer(options)
    from utd_rx.engine.sfu.server import EmbeddedSfu

    return EmbeddedSfu(options)


@asynccontextmanager
async def running_sfu(
    kind: SfuKind, options: SfuOptions | None = None
) -> AsyncIterator[RunningSfu]:
    """Run an SFU for the length of the block."""
    options = options or fresh_options()
    server = make_sfu(kind, options)
    try:
        await server.start()
        yield RunningSfu(kind, server.url, server.api_url, options.api_key, options.api_secret)
    finally:
        await server.aclose()
