"""How many frames of a flood a client's socket takes in one turn of its loop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import ClientWebSocketResponse

from utd_rx.ports.loop_turns import MAX_FRAMES

FLOOD = 20 * MAX_FRAMES

PINGS = b"\x89\x00" * FLOOD
TEXTS = b"\x81\x00" * FLOOD


@contextmanager
def counted_pongs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[int]]:
    """Count the pings that clients answer in each turn of the loop."""
    loop, turn, answered = asyncio.get_running_loop(), 0, Counter[int]()
    handle: asyncio.Handle
    pong = ClientWebSocketResponse.pong

    def count() -> None:
        nonlocal turn, handle
        turn += 1
        handle = loop.call_soon(count)

    async def counted(socket: ClientWebSocketResponse, message: bytes = b"") -> None:
        answered[turn] += 1
        await pong(socket, message)

    handle = loop.call_soon(count)
    monkeypatch.setattr(ClientWebSocketResponse, "pong", counted)
    try:
        yield answered
    finally:
        handle.cancel()
