"""Frames of a client's WebSocket, taken in turns: whoever sends many at once stops nobody's loop.

aiohttp gives what has come without giving way, and answers pings by itself, as many as there are.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import aiohttp

from utd_rx.ports.loop_turns import LoopTurns

IDLE: Final = (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG)
"""Kinds of frames that say nothing, of a socket that is opened with `autoping=False`."""


class SocketFrame(Protocol):
    """A frame of a socket, or its end: aiohttp's `WSMessage`."""

    @property
    def type(self) -> aiohttp.WSMsgType: ...
    @property
    def data(self) -> Any: ...
    @property
    def extra(self) -> str | None: ...


class ClientSocket(Protocol):
    """The client's end of a WebSocket: aiohttp's."""

    async def send_str(self, data: str) -> None: ...
    async def pong(self, message: bytes) -> None: ...
    async def receive(self) -> SocketFrame: ...


async def next_frame(socket: ClientSocket, told: LoopTurns[Any]) -> SocketFrame:
    """Return the next frame, of the next turn of the loop where this one had its share; a ping is
    answered."""
    await told.give_way()
    frame = await socket.receive()
    told.count(len(frame.data) if isinstance(frame.data, (str, bytes)) else 0)
    if frame.type is aiohttp.WSMsgType.PING:
        await socket.pong(frame.data)
    return frame
