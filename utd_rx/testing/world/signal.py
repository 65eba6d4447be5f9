"""`WorldSignal`: the signal socket of a client in a world, to the genuine hub of its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from utd_rx.engine.web_socket import WebSocket
from utd_rx.errors import UTDStreamException
from utd_rx.ports.loop_turns import LoopTurns
from utd_rx.ports.signal import SignalEnded, SignalEvent, SignalSink
from utd_rx.rest.checks import checked_signal_url
from utd_rx.rest.failures import timed_out
from utd_rx.rest.signal import HEARTBEAT, OPEN_WITHIN, converse
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sockets import joined


class WorldSignal:
    """A `SignalPort` over `link`; `serve` begins to serve the engine's end of a socket."""

    def __init__(self, serve: Callable[[WebSocket], None], link: Link) -> None:
        self._serve = serve
        self._link = link

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        """See `SignalPort.run`."""
        told = LoopTurns[SignalEvent](sink)
        try:
            checked_signal_url(url)
            end = await self._talk(token, told)
        except UTDStreamException as error:
            end = SignalEnded(None, error)
        finally:
            told.close()
        told.end(end)

    async def _talk(self, token: str, told: LoopTurns[SignalEvent]) -> SignalEnded:
        near, far = joined(self._link, HEARTBEAT)
        try:
            async with asyncio.timeout(OPEN_WITHIN) as opening:
                await self._link.trip()
                self._serve(far)
                await self._link.trip()
                return await converse(near, token, told, opening)
        except TimeoutError:
            raise timed_out() from None
        finally:
            near.drop()
