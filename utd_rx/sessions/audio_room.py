"""`UTDAudioRoomSession`: speakers sit on seats, everybody else listens."""

from __future__ import annotations

from collections.abc import Callable

from utd_rx.models.audio import AudioInput
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.engine import EnginePort
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.protocol.promises import (
    IsAnswered,
    IsSilent,
    IsSitting,
    IsStanding,
    SeatIsLocked,
    SeatIsVacated,
    SeatsAreKnown,
    occupant_is_muted,
)
from utd_rx.sessions.seats import SeatTaking
from utd_rx.sessions.session import UTDSession, command
from utd_rx.sessions.speaking import Speaking
from utd_rx.sessions.views import AudioRoomView


class UTDAudioRoomSession(UTDSession[AudioRoomState], AudioRoomView):
    """An audio room; publishing is sitting on a seat, and the engine seats.

    A command returns when the session's own state shows what the engine said yes to, and raises
    `CONFLICT` when it was taken back before that, `TIMEOUT` when neither is to be found out.
    Cancelling any of them is safe: the engine may have done it, as the streams then tell.

    Args:
        identity: Who joins.
        room_name: The un-prefixed name.
        is_host: Whether each join claims the host's role.
        room: The media room.
        engine: The engine, as this participant may ask it.
        microphone: What is published once seated.
        clock: Of deadlines and of what is sent.
        on_joined: Called after each join.
    """

    def __init__(
        self,
        identity: str,
        room_name: str,
        *,
        is_host: bool,
        room: RoomPort,
        engine: EnginePort,
        microphone: AudioInput | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_joined: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            AUDIO_ROOM.begin(identity, is_host),
            room_name,
            room=room,
            engine=engine,
            microphone=microphone,
            clock=clock,
            on_joined=on_joined,
        )
        self._seats = SeatTaking(self._runner, engine, self._tracks, room_name)
        self._speaking = Speaking(self._runner, engine, self._tracks, self._seats, room_name)
        self._start(self._seats.handlers, self._speaking.handlers)

    async def _complete_join(self, epoch: int) -> None:
        await self._runner.wait(SeatsAreKnown(), epoch)

    # --- seats ----------------------------------------------------------------------------------

    @command
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
        return await self._seats.fetched(
            lambda: self._engine.setup_seats(
                self.room_name, seat_count=seat_count, seat_mode=seat_mode, mode_id=mode_id
            )
        )

    @command
    async def get_seats(self) -> UTDSeatGrid:
        """Ask the engine for the grid; `seats` follows unless something newer came meanwhile.

        Raises:
            UTDStreamException: `CONFLICT` not joined; `NETWORK`, `TIMEOUT`, … of the engine.
        """
        return await self._seats.fetched(lambda: self._engine.get_seats(self.room_name))

    @command
    async def take_seat(self, index: int, *, microphone: bool = True) -> None:
        """Sit down, wait for the grant, then switch the microphone on.

        Args:
            index: Which seat.
            microphone: Whether to speak at once; if not, a pending request opens it no more.

        Raises:
            UTDStreamException: `CONFLICT` taken, already seated, left or lost meanwhile, another
                command is waiting for a grant, or the microphone was switched off meanwhile;
                `FORBIDDEN` locked, reserved or not approved; `NOT_FOUND`/`VALIDATION` no such
                seat; `TIMEOUT` when the grant does not come; or why publishing failed.
        """
        async with self._seats.seating(microphone):
            await self._runner.do(
                lambda: self._engine.take_seat(self.room_name, index),
                IsSitting(self.identity, index),
            )

    @command
    async def move_seat(self, index: int) -> None:
        """Change to another seat; what is published stays published.

        Raises:
            UTDStreamException: As `take_seat`; `CONFLICT` without a seat to move from.
        """
        async with self._seats.seating(None):
            await self._runner.do(
                lambda: self._engine.move_seat(self.room_name, index),
                IsSitting(self.identity, index),
            )

    @command
    async def leave_seat(self) -> None:
        """Stand up: the engine takes the permission back and the microphone is closed.

        Raises:
            UTDStreamException: `NETWORK`, `TIMEOUT`, … of the engine.
        """
        await self._runner.do(
            lambda: self._engine.leave_seat(self.room_name), IsStanding(self.identity)
        )

    @command
    async def lock_seat(self, index: int) -> None:
        """Close a seat, which first kicks its occupant; hosts and admins only.

        Raises:
            UTDStreamException: `FORBIDDEN` for others, against the host and for a reserved seat.
        """
        await self._runner.do(
            lambda: self._engine.lock_seat(self.room_name, index), SeatIsLocked(index, True)
        )

    @command
    async def unlock_seat(self, index: int) -> None:
        """Open a seat again; hosts and admins only."""
        await self._runner.do(
            lambda: self._engine.unlock_seat(self.room_name, index), SeatIsLocked(index, False)
        )

    @command
    async def kick_seat(self, index: int) -> None:
        """Make the occupant of a seat stand up; hosts and admins only, never against the host."""
        occupant = self._runner.state.seats.grid.occupant_of(index)
        await self._runner.do(
            lambda: self._engine.kick_seat(self.room_name, index), SeatIsVacated(index, occupant)
        )

    @command
    async def mute_seat(self, index: int) -> None:
        """Mute the occupant's microphone at the media server; hosts and admins only.

        The occupant may unmute it.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, `FORBIDDEN`, …
        """
        known = self._runner.state.seats.grid
        await self._runner.do(
            lambda: self._engine.mute_seat(self.room_name, index),
            lambda grid: occupant_is_muted(grid or known, index, True),
        )

    @command
    async def unmute_seat(self, index: int) -> None:
        """Unmute the occupant's microphone at the media server; hosts and admins only.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, or the media server forbids
                unmuting others; `FORBIDDEN`, …
        """
        known = self._runner.state.seats.grid
        await self._runner.do(
            lambda: self._engine.unmute_seat(self.room_name, index),
            lambda grid: occupant_is_muted(grid or known, index, False),
        )

    # --- requests to speak and invitations -------------------------------------------------------

    @command
    async def request_to_speak(self, *, microphone: bool = True) -> int | None:
        """Ask for a seat, in request mode; returns the request's id once it is in the queue.

        Args:
            microphone: Whether to speak as soon as a host approves and the grant is there.

        Raises:
            UTDStreamException: `CONFLICT` pending already, seated, seats are free to take, or
                answered at once with a no; `VALIDATION` without a microphone; …
        """
        return await self._speaking.request(speaks=microphone)

    @command
    async def cancel_request(self) -> None:
        """Withdraw one's own request; without one nothing happens."""
        self._runner.require_joined()
        with self._seats.forgoing():
            await self._runner.do(
                lambda: self._engine.cancel_request(self.room_name), IsSilent(self.identity)
            )

    @command
    async def approve_speaker(self, request_id: int) -> int | None:
        """Seat whoever asked; returns the seat's index. Hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `CONFLICT` all seats are
                taken, the request stays; `FORBIDDEN`.
        """
        return await self._runner.do(
            lambda: self._engine.approve_speaker(self.room_name, request_id),
            IsAnswered(request_id),
        )

    @command
    async def reject_speaker(self, request_id: int) -> None:
        """Refuse a request; hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `FORBIDDEN`.
        """
        await self._runner.do(
            lambda: self._engine.reject_speaker(self.room_name, request_id), IsAnswered(request_id)
        )

    @command
    async def invite_to_speak(self, identity: str, *, seat_index: int | None = None) -> int | None:
        """Offer a listener a seat, in either mode; returns the invitation's id.

        `invitation_answers` tells what becomes of it. The seat is not held, and the offer lasts
        60 s. Hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` not in the room; `CONFLICT` seated or invited already;
                `FORBIDDEN`.
        """
        self._runner.require_joined()
        return await self._engine.invite_to_speak(self.room_name, identity, seat_index=seat_index)

    @command
    async def accept_invitation(self, invitation_id: int, *, microphone: bool = True) -> None:
        """Take the seat that was offered, wait for the grant, then switch the microphone on.

        Args:
            invitation_id: One of `invitations`.
            microphone: Whether to speak at once; if not, a pending request opens it no more.

        Raises:
            UTDStreamException: `NOT_FOUND` the engine knows no such offer, or it is over;
                otherwise as `take_seat`.
        """
        await self._speaking.accept(invitation_id, speaks=microphone)

    @command
    async def decline_invitation(self, invitation_id: int) -> None:
        """Refuse the offer; whoever made it is told.

        Raises:
            UTDStreamException: `NOT_FOUND` the engine knows no such offer, or it is over.
        """
        self._runner.require_joined()
        await self._speaking.answer(
            invitation_id, self._engine.decline_invitation(self.room_name, invitation_id)
        )
