"""Both ends of a media process on one loop, with ports that a test makes behind them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from utd_rx.errors import ConflictReason, conflict
from utd_rx.media.far import FarEnd
from utd_rx.media.near import Near, NearEnd

N = TypeVar("N", bound=Near)


@asynccontextmanager
async def ends(near: Callable[..., N], shape: type, make: Callable[[], Any]) -> AsyncIterator[N]:
    """Give what stands for a port of that shape, which `make` makes at the other end."""
    ours, theirs = socket.socketpair()
    far = FarEnd(theirs, lambda error: None, lambda name: make)
    end = NearEnd(ours, lambda error: None)
    far.pipe.attach()
    try:
        yield end.make(near, shape, "the port of a test")
    finally:
        end.fail(lambda: conflict(ConflictReason.CLOSED, "it is over"))
        await far.aclose()
