"""`UTDAudioRoomSession`: speakers sit on seats, everybody else listens."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol import audio_room as rules
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import FetchSeats, SeatGridFetched, SeatsNotFetched
from utd_rx.rest.api import UTDApi
from utd_rx.rtc.port import RoomPort
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.streams import AudioRoomStreams

PUSH_TIMEOUT: Final = 2.0
"""Seconds to wait for the engine's push before asking it: a push behind a join may be lost
(facts/utd-engine.md §7.2, 12)."""

GRANT_TIMEOUT: Final = 10.0
"""Seconds to wait for seat and permission after the engine said yes (facts/utd-engine.md §4.2)."""


class UTDAudioRoomSession(UTDSession[AudioRoomState], AudioRoomStreams):
    """An audio room; publishing is sitting on a seat, and the engine seats.

    Attributes:
        is_host: Whether this client joined as the host.
    """

    def __init__(
        self,
        identity: str,
        room_name: str,
        *,
        is_host: bool,
        room: RoomPort,
        api: UTDApi,
        mint: Callable[[], Awaitable[UTDTokenResponse]],
        microphone: AudioInput | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.room_name = room_name
        self.is_host = is_host
        super().__init__(
            AudioRoomState(identity),
            rules.step,
            room=room,
            api=api,
            mint=mint,
            microphone=microphone,
            handlers={FetchSeats: self._fetch_seats},
            now=now,
        )

    async def join(self) -> None:
        """Join and wait until the grid is known; see `UTDSession.join`."""
        await super().join()
        await self._until(self.state, _knows_seats, GRANT_TIMEOUT, "the engine told no seat grid")

    async def setup_seats(
        self,
        *,
        seat_count: int | None = None,
        seat_mode: str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Configure the grid; hosts and admins only, what is None stays as it is.

        Raises:
            UTDStreamException: `FORBIDDEN` for others, `VALIDATION`, `NETWORK`, …
        """
        generation = self.state.value.seats.generation
        grid = await self._api.setup_seats(
            self.room_name, seat_count=seat_count, seat_mode=seat_mode, mode_id=mode_id
        )
        self._offer(SeatGridFetched(grid, generation))
        return grid

    async def get_seats(self) -> UTDSeatGrid:
        """Ask the engine for the grid; `seats` follows unless something newer came meanwhile."""
        generation = self.state.value.seats.generation
        grid = await self._api.get_seats(self.room_name)
        self._offer(SeatGridFetched(grid, generation))
        return grid

    async def take_seat(self, index: int, *, microphone: bool = True) -> None:
        """Sit down, wait for the grant, then switch the microphone on.

        Args:
            index: Which seat.
            microphone: Whether to speak at once.

        Raises:
            UTDStreamException: `CONFLICT` taken, already seated, left or lost meanwhile;
                `FORBIDDEN` locked, reserved or not approved; `NOT_FOUND`/`VALIDATION` no such
                seat; `TIMEOUT` when the grant does not come; or why publishing failed.

        Cancelling is safe; the seat may have been taken, as `my_seat` then tells.
        """
        self._require_joined()
        if microphone:
            self._microphone.require_source()
        epoch = self._shell.session.connection.epoch
        await self._api.take_seat(self.room_name, index)
        await self._confirm(lambda s: _seating(s, index, epoch), "the grant of the seat")
        if microphone:
            await self.set_microphone(True)

    async def leave_seat(self) -> None:
        """Stand up: the engine takes the permission back and the microphone is closed.

        Raises:
            UTDStreamException: `NETWORK`, `TIMEOUT`, … of the engine.

        Cancelling is safe; the seat may have been left, as `my_seat` then tells.
        """
        self._require_joined()
        await self._api.leave_seat(self.room_name)
        await self._confirm(
            lambda s: s.my_seat is None and s.session.microphone.track is None,
            "the end of the seat",
        )

    async def _confirm(self, is_done: Callable[[AudioRoomState], bool], what: str) -> None:
        """Wait until the server's state shows what it said yes to; ask when no push comes."""
        try:
            await self._until(self.state, is_done, PUSH_TIMEOUT, what)
        except UTDStreamException as error:
            if error.code is not UTDErrorCode.TIMEOUT:
                raise
            await self.get_seats()
            await self._until(self.state, is_done, GRANT_TIMEOUT, f"{what} did not arrive")

    async def _fetch_seats(self, effect: FetchSeats) -> None:
        try:
            grid = await self._api.get_seats(self.room_name)
        except UTDStreamException as error:
            self._offer(SeatsNotFetched(error))
        else:
            self._offer(SeatGridFetched(grid, effect.generation))


def _knows_seats(state: AudioRoomState) -> bool:
    """Whether the grid is known.

    Raises:
        UTDStreamException: The engine does not tell it.
    """
    if state.seats.failure is not None and not state.seats.is_known:
        raise state.seats.failure
    return state.seats.is_known


def _seating(state: AudioRoomState, index: int, epoch: int) -> bool:
    """Whether the seat is held and granted.

    Raises:
        UTDStreamException: `CONFLICT` when it cannot come any more.
    """
    connection = state.session.connection
    if connection.epoch != epoch or not connection.is_joined:
        raise UTDStreamException("left while waiting for the grant", code=UTDErrorCode.CONFLICT)
    seat = state.my_seat
    return seat is not None and seat.index == index and state.session.microphone.is_granted
