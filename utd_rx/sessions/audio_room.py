"""`UTDAudioRoomSession`: speakers sit on seats, everybody else listens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.protocol import promises
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.waiting import Promise
from utd_rx.sessions.commands import command
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.speaking import SeatTaking, Speaking
from utd_rx.sessions.views import AudioRoomView


class UTDAudioRoomSession(UTDSession[AudioRoomState], AudioRoomView):
    """An audio room; publishing is sitting on a seat, and the engine seats.

    A command returns when the session's own state shows what the engine said yes to. It raises
    what the engine refuses it with, `CONFLICT` when not joined or when it was taken back before
    that, `TIMEOUT` when neither is to be found out; what is special is said with each.
    Cancelling any of them is safe: the engine may have done it, as the streams then tell.
    """

    call = UTDSession.call_method

    def _collaborate(self) -> tuple[Handlers, ...]:
        works_with = self._runner, self._engine, self._tracks
        self._seats = SeatTaking(*works_with, self.room_name)
        self._speaking = Speaking(*works_with, self._seats, self.room_name)
        return self._seats.handlers, self._speaking.handlers

    async def _complete_join(self, epoch: int) -> None:
        await self._runner.wait(promises.SeatsAreKnown(), epoch)

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
        """Ask the engine for the grid; `seats` follows unless something newer came meanwhile."""
        return await self._seats.fetched(lambda: self._engine.get_seats(self.room_name))

    @command
    async def take_seat(self, index: int, *, microphone: bool = True) -> None:
        """Sit down, or stay, wait for the grant, then switch the microphone on.

        Args:
            index: Which seat.
            microphone: Whether to speak at once; if not, a pending request opens it no more.

        Raises:
            UTDStreamException: `CONFLICT` taken, seated elsewhere, left or lost meanwhile, another
                command is waiting for a grant, or the microphone was switched off meanwhile;
                `FORBIDDEN` locked, reserved or not approved; `NOT_FOUND`/`VALIDATION` no such
                seat; `VALIDATION` also without a microphone to speak with; `TIMEOUT` when the
                grant does not come; or why publishing failed.
        """
        async with self._seats.seating(microphone):
            await self._ask(promises.IsSitting(self.identity, index), self._engine.take_seat, index)

    @command
    async def move_seat(self, index: int) -> None:
        """Change to another seat; what is published stays published.

        Raises:
            UTDStreamException: As `take_seat`; `CONFLICT` without a seat to move from.
        """
        async with self._seats.seating(None):
            await self._ask(promises.IsSitting(self.identity, index), self._engine.move_seat, index)

    @command
    async def leave_seat(self) -> None:
        """Stand up: the engine takes the permission back and the microphone is closed."""
        await self._ask(promises.IsStanding(self.identity), self._engine.leave_seat)

    @command
    async def lock_seat(self, index: int) -> None:
        """Close a seat, which first kicks its occupant; hosts and admins only.

        Raises:
            UTDStreamException: `FORBIDDEN` for others, against the host and for a reserved seat.
        """
        await self._ask(promises.SeatIsLocked(index, True), self._engine.lock_seat, index)

    @command
    async def unlock_seat(self, index: int) -> None:
        """Open a seat again; hosts and admins only."""
        await self._ask(promises.SeatIsLocked(index, False), self._engine.unlock_seat, index)

    @command
    async def kick_seat(self, index: int) -> None:
        """Make the occupant of a seat stand up; hosts and admins only, never against the host."""
        occupant = self._runner.state.seats.grid.occupant_of(index)
        await self._ask(promises.SeatIsVacated(index, occupant), self._engine.kick_seat, index)

    @command
    async def mute_seat(self, index: int) -> None:
        """Mute the occupant's microphone at the media server; hosts and admins only.

        The occupant may unmute it.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, `FORBIDDEN`, …
        """
        await self._ask(self._is_muted(index, True), self._engine.mute_seat, index)

    @command
    async def unmute_seat(self, index: int) -> None:
        """Unmute the occupant's microphone at the media server; hosts and admins only.

        Raises:
            UTDStreamException: `CONFLICT` when nobody sits there, or the media server forbids
                unmuting others; `FORBIDDEN`, …
        """
        await self._ask(self._is_muted(index, False), self._engine.unmute_seat, index)

    def _is_muted(
        self, index: int, is_muted: bool
    ) -> Callable[[UTDSeatGrid | None], Promise | None]:
        known = self._runner.state.seats.grid
        return partial(promises.occupant_is_muted, known, index, is_muted)

    # --- requests to speak and invitations -------------------------------------------------------

    @command
    async def request_to_speak(self, *, microphone: bool = True) -> int | None:
        """Ask for a seat, in request mode; returns the request's id once it is in the queue, or
        that of the one that is pending. Who is seated already has what it asks for: None.

        Args:
            microphone: Whether to speak as soon as a host approves and the grant is there.

        Raises:
            UTDStreamException: `CONFLICT` seats are free to take, or answered at once with a no;
                `VALIDATION` without a microphone; …
        """
        return await self._speaking.request(speaks=microphone)

    @command
    async def cancel_request(self) -> None:
        """Withdraw one's own request; without one nothing happens."""
        with self._seats.forgoing():
            await self._ask(promises.IsSilent(self.identity), self._engine.cancel_request)

    @command
    async def approve_speaker(self, request_id: int) -> int | None:
        """Seat whoever asked; returns the seat's index. Hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `CONFLICT` all seats are
                taken, the request stays; `FORBIDDEN`.
        """
        return await self._ask(
            promises.IsAnswered(request_id), self._engine.approve_speaker, request_id
        )

    @command
    async def reject_speaker(self, request_id: int) -> None:
        """Refuse a request; hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `FORBIDDEN`.
        """
        await self._ask(promises.IsAnswered(request_id), self._engine.reject_speaker, request_id)

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
            UTDStreamException: `NOT_FOUND` the engine knows no such offer, or it is over, unless
                it seated this client; otherwise as `take_seat`.
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
