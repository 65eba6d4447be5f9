"""An app: in a room where seats are by request, who asked first speaks first, each for a while."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from utd_rx import UTDAudioRoomSession, UTDSeatGrid, UTDStreamException


class QueueManager:
    """Gives a free seat to whoever waits longest, and takes it back while others wait.

    Args:
        room: Joined as its host, its seats in request mode.
        turn: Seconds that somebody may speak while others wait.
    """

    def __init__(self, room: UTDAudioRoomSession, turn: float = 60.0) -> None:
        self.room = room
        self.turn = turn
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Manage the queue until the room is left."""
        while self.room.connected.value:
            grid = self.room.seats.value
            self._look(grid)
            if not await self._act(grid):
                await self._news(grid)

    async def _news(self, grid: UTDSeatGrid) -> None:
        """Wait until the grid is another one, or somebody's turn is over."""
        with suppress(TimeoutError):
            await self.room.seats.until(lambda now: now != grid, timeout=self._left(grid))

    def _look(self, grid: UTDSeatGrid) -> None:
        """Note since when everybody has sat."""
        now = asyncio.get_running_loop().time()
        sitting = [seat.identity for seat in grid.seats if seat.identity is not None]
        self._since = {who: self._since.get(who, now) for who in sitting}

    async def _act(self, grid: UTDSeatGrid) -> bool:
        """Do what is due; say whether there was something."""
        if not grid.requests:
            return False
        now = asyncio.get_running_loop().time()
        first = grid.requests[0]
        with suppress(UTDStreamException):  # they have withdrawn, or left, in this very moment
            if any(seat.is_available_to(first.identity) for seat in grid.seats):
                await self.room.approve_speaker(first.id)
                return True
            for seat in grid.seats:
                if now >= self._since.get(seat.identity or "", now) + self.turn:
                    await self.room.kick_seat(seat.index)
                    return True
        return False

    def _left(self, grid: UTDSeatGrid) -> float | None:
        """Seconds until somebody's turn is over; None where nobody waits for it."""
        began = [self._since[one.identity] for one in grid.seats if one.identity in self._since]
        if not grid.requests or not began:
            return None
        return max(0.0, min(began) + self.turn - asyncio.get_running_loop().time())
