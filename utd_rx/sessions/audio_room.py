"""`UTDAudioRoomSession`: speakers sit on seats, everybody else listens."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol import audio_room as rules
from utd_rx.protocol import promises
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import FetchInvitations, FetchSeats, SeatGridFetched, SeatsNotFetched
from utd_rx.protocol.speakers import GRANT_TIMEOUT
from utd_rx.rest.api import UTDApi
from utd_rx.rtc.port import RoomPort
from utd_rx.sessions.speaking import Speaking


class UTDAudioRoomSession(Speaking):
    """An audio room; publishing is sitting on a seat, and the engine seats.

    A command returns when the session's own state shows what the engine said yes to, and raises
    `CONFLICT` when it was taken back before that, `TIMEOUT` when neither is to be found out.

    Attributes:
        is_host: Whether this client is the host: a claim, until a join says what was granted.
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
        on_joined: Callable[[], None] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.room_name = room_name
        self.is_host = is_host
        self._claims_host = is_host
        super().__init__(
            AudioRoomState(identity),
            rules.step,
            room=room,
            api=api,
            mint=partial(self._minted, mint),
            microphone=microphone,
            on_joined=on_joined,
            next_deadline=rules.next_deadline,
            handlers={
                FetchSeats: self._fetch_seats,
                FetchInvitations: self._fetch_invitations,
            },
            now=now,
        )

    async def _minted(self, mint: Callable[[], Awaitable[UTDTokenResponse]]) -> UTDTokenResponse:
        reply = await mint()
        granted = reply.role == UTDRole.HOST.value
        self.is_host = self._claims_host if reply.role is None else granted
        return reply

    async def _complete_join(self) -> None:
        await self._until(self.state, _knows_seats, GRANT_TIMEOUT, "the engine told no seat grid")

    async def setup_seats(
        self,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Configure the grid; hosts and admins only, what is None stays as it is.

        Raises:
            UTDStreamException: `FORBIDDEN` for others, `VALIDATION`, `NETWORK`, …
        """
        self._require_joined()
        return await self._fetched(
            self._api.setup_seats(
                self.room_name, seat_count=seat_count, seat_mode=seat_mode, mode_id=mode_id
            )
        )

    async def take_seat(self, index: int, *, microphone: bool = True) -> None:
        """Sit down, wait for the grant, then switch the microphone on.

        Args:
            index: Which seat.
            microphone: Whether to speak at once; if not, a request that is pending opens it no more.

        Raises:
            UTDStreamException: `CONFLICT` taken, already seated, left or lost meanwhile, another
                command is waiting for a grant, or the microphone was switched off meanwhile;
                `FORBIDDEN` locked, reserved or not approved; `NOT_FOUND`/`VALIDATION` no such
                seat; `TIMEOUT` when the grant does not come; or why publishing failed.

        Cancelling is safe; the seat may have been taken, as `my_seat` then tells.
        """
        async with self._seating(microphone) as seating:
            await self._api.take_seat(self.room_name, index)
            await seating.confirm(promises.sitting(self.identity, index))

    async def move_seat(self, index: int) -> None:
        """Change to another seat; what is published stays published.

        Raises:
            UTDStreamException: As `take_seat`; `CONFLICT` without a seat to move from.

        Cancelling is safe; the seats may have been changed, as `my_seat` then tells.
        """
        async with self._seating(microphone=None) as seating:
            await self._api.move_seat(self.room_name, index)
            await seating.confirm(promises.sitting(self.identity, index))

    async def leave_seat(self) -> None:
        """Stand up: the engine takes the permission back and the microphone is closed.

        Raises:
            UTDStreamException: `NETWORK`, `TIMEOUT`, … of the engine.

        Cancelling is safe; the seat may have been left, as `my_seat` then tells.
        """
        confirmation = self._confirmation()
        await self._api.leave_seat(self.room_name)
        await confirmation.confirm(promises.standing(self.identity))

    async def lock_seat(self, index: int) -> None:
        """Close a seat, which first kicks its occupant; hosts and admins only.

        Raises:
            UTDStreamException: `FORBIDDEN` for others, against the host and for a reserved seat.

        Cancelling is safe here and in the commands below; the engine may have done it.
        """
        confirmation = self._confirmation()
        await self._api.lock_seat(self.room_name, index)
        await confirmation.confirm(promises.locked(index, True))

    async def unlock_seat(self, index: int) -> None:
        """Open a seat again; hosts and admins only."""
        confirmation = self._confirmation()
        await self._api.unlock_seat(self.room_name, index)
        await confirmation.confirm(promises.locked(index, False))

    async def kick_seat(self, index: int) -> None:
        """Make the occupant of a seat stand up; hosts and admins only, never against the host."""
        confirmation = self._confirmation()
        occupant = self.seats.value.occupant_of(index)
        await self._api.kick_seat(self.room_name, index)
        await confirmation.confirm(promises.vacated(index, occupant))

    async def mute_seat(self, index: int) -> None:
        """Mute the occupant's microphone at the media server; hosts and admins only.

        The occupant may unmute it.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, `FORBIDDEN`, …
        """
        await self._mute_seat(index, True)

    async def unmute_seat(self, index: int) -> None:
        """Unmute the occupant's microphone at the media server; hosts and admins only.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, or the media server forbids
                unmuting others (facts/utd-engine.md §7.2, 18); `FORBIDDEN`, …
        """
        await self._mute_seat(index, False)

    async def _mute_seat(self, index: int, is_muted: bool) -> None:
        confirmation = self._confirmation()
        known = self.seats.value
        command = self._api.mute_seat if is_muted else self._api.unmute_seat
        # The copy may be a change behind: whom the engine muted, its reply tells.
        occupant = (await command(self.room_name, index) or known).occupant_of(index)
        if occupant is not None:
            await confirmation.confirm(promises.muted(occupant, is_muted))

    async def _fetch_seats(self, effect: FetchSeats) -> None:
        try:
            grid = await self._api.get_seats(self.room_name)
        except UTDStreamException as error:
            self._offer(SeatsNotFetched(error))
        else:
            self._offer(SeatGridFetched(grid, effect.generation, effect.answers))


def _knows_seats(state: AudioRoomState) -> bool:
    """Whether the grid is known.

    Raises:
        UTDStreamException: The engine does not tell it, or the join is over.
    """
    connection = state.session.connection
    if not connection.is_joined:
        left = UTDStreamException("left while joining", code=UTDErrorCode.CONFLICT)
        raise connection.failure or left
    if state.seats.failure is not None and not state.seats.is_known:
        raise state.seats.failure
    return state.seats.is_known
