"""How one comes by a seat in an audio room: requests to speak and invitations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import Invitation, UTDSeatGrid
from utd_rx.protocol import promises
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import (
    FetchInvitations,
    InvitationAnswered,
    InvitationsListed,
    InvitationsNotListed,
    SeatGridFetched,
    SpeakRequested,
)
from utd_rx.sessions.confirming import Confirmation
from utd_rx.sessions.session import UTDSession
from utd_rx.sessions.streams import AudioRoomStreams

T = TypeVar("T")


class Speaking(UTDSession[AudioRoomState], AudioRoomStreams):
    """The part of `UTDAudioRoomSession` about requests and invitations."""

    _is_seating = False

    async def get_seats(self) -> UTDSeatGrid:
        """Ask the engine for the grid; `seats` follows unless something newer came meanwhile.

        Raises:
            UTDStreamException: `CONFLICT` not joined; `NETWORK`, `TIMEOUT`, … of the engine.

        Cancelling is safe.
        """
        self._require_joined()
        return await self._fetched(self._api.get_seats(self.room_name))

    async def request_to_speak(self, *, microphone: bool = True) -> int | None:
        """Ask for a seat, in request mode; returns the request's id once it is in the queue.

        Args:
            microphone: Whether to speak as soon as a host approves and the grant is there.

        Raises:
            UTDStreamException: `CONFLICT` pending already, seated, seats are free to take, or
                answered at once with a no; `VALIDATION` without a microphone; …

        Cancelling is safe; the request may have been made, as `pending_requests` then tells.
        """
        confirmation = self._confirmation()
        if microphone:
            self._microphone.require_source()
        stated = self._publishing.value.stated

        def speak_by(request_id: int | None) -> None:
            if microphone and self._publishing.value.stated == stated:
                self._offer(SpeakRequested(request_id))

        request_id = await self._api.request_to_speak(self.room_name)
        speak_by(request_id)
        try:
            await confirmation.confirm(promises.asking(self.identity, request_id))
        except UTDStreamException:
            self._offer(SpeakRequested(None))
            raise
        if request_id is None and (asked := self.seats.value.request_of(self.identity)):
            # The engine did not say which it is; its queue does.
            request_id = asked.id
            speak_by(request_id)
        return request_id

    async def cancel_request(self) -> None:
        """Withdraw one's own request; without one nothing happens.

        Cancelling is safe; the request may be withdrawn.
        """
        confirmation = self._confirmation()
        self._offer(SpeakRequested(None))
        await self._api.cancel_request(self.room_name)
        await confirmation.confirm(promises.silent(self.identity))

    async def approve_speaker(self, request_id: int) -> int | None:
        """Seat whoever asked; returns the seat's index. Hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `CONFLICT` all seats are
                taken, the request stays; `FORBIDDEN`.

        Cancelling is safe here and below; the engine may have done it.
        """
        confirmation = self._confirmation()
        index = await self._api.approve_speaker(self.room_name, request_id)
        await confirmation.confirm(promises.answered(request_id))
        return index

    async def reject_speaker(self, request_id: int) -> None:
        """Refuse a request; hosts and admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` no such request is pending; `FORBIDDEN`.
        """
        confirmation = self._confirmation()
        await self._api.reject_speaker(self.room_name, request_id)
        await confirmation.confirm(promises.answered(request_id))

    async def invite_to_speak(self, identity: str, *, seat_index: int | None = None) -> int | None:
        """Offer a listener a seat, in either mode; returns the invitation's id.

        `invitation_answers` tells what becomes of it.

        The seat is not held, and the offer lasts 60 s (facts/utd-engine.md §7.2, 14). Hosts and
        admins only.

        Raises:
            UTDStreamException: `NOT_FOUND` not in the room; `CONFLICT` seated or invited already;
                `FORBIDDEN`.
        """
        self._require_joined()
        return await self._api.invite_to_speak(self.room_name, identity, seat_index=seat_index)

    async def accept_invitation(self, invitation_id: int, *, microphone: bool = True) -> None:
        """Take the seat that was offered, wait for the grant, then switch the microphone on.

        Args:
            invitation_id: One of `invitations`.
            microphone: Whether to speak at once; if not, a request that is pending opens it no more.

        Raises:
            UTDStreamException: `NOT_FOUND` the engine knows no such offer, or it is over;
                otherwise as `take_seat`.
        """
        async with self._seating(microphone) as seating:
            offered = self._invitation(invitation_id)
            index = await self._answer(
                invitation_id, self._api.accept_invitation(self.room_name, invitation_id)
            )
            if index is None and offered is not None and offered.seat_index is not None:
                # An engine that does not say where may not have seated anybody (§4.2).
                index = offered.seat_index
                if (await self.get_seats()).seat_of(self.identity) is None:
                    await self._api.take_seat(self.room_name, index)
                else:
                    index = None
            await seating.confirm(promises.sitting(self.identity, index))

    async def decline_invitation(self, invitation_id: int) -> None:
        """Refuse the offer; whoever made it is told.

        Raises:
            UTDStreamException: `NOT_FOUND` the engine knows no such offer, or it is over.
        """
        self._require_joined()
        await self._answer(
            invitation_id, self._api.decline_invitation(self.room_name, invitation_id)
        )

    async def _fetched(self, question: Awaitable[UTDSeatGrid]) -> UTDSeatGrid:
        """Await a grid and let the state have it, as an answer to what was asked just now."""
        seats = self.state.value.seats
        grid = await question
        self._offer(SeatGridFetched(grid, seats.generation, seats.answers))
        return grid

    async def _fetch_invitations(self, effect: FetchInvitations) -> None:
        try:
            listed = await self._api.speaker_invitations(self.room_name)
        except UTDStreamException as error:
            is_absent = error.code is UTDErrorCode.NOT_FOUND
            self._offer(InvitationsNotListed(effect.epoch, is_absent))
        else:
            self._offer(InvitationsListed(effect.epoch, listed))

    @asynccontextmanager
    async def _seating(self, microphone: bool | None) -> AsyncIterator[Confirmation]:
        """Wait for a seat, one command at a time, and open the microphone when it is there.

        Args:
            microphone: Whether to speak; None leaves it as it is.
        """
        confirmation = self._confirmation()
        if microphone:
            self._microphone.require_source()
        if self._is_seating:
            raise UTDStreamException(
                "another command is waiting for a seat", code=UTDErrorCode.CONFLICT
            )
        if microphone is False:
            # A request that is still pending was to open it, and this seat would answer it.
            self._offer(SpeakRequested(None))
        stated = self._publishing.value.stated
        self._is_seating = True
        try:
            yield confirmation
        finally:
            self._is_seating = False
        if microphone:
            self._require_unsaid(stated)
            await self.set_microphone(True)

    def _require_unsaid(self, stated: int) -> None:
        """Check that the app did not switch the microphone off since `stated`.

        Raises:
            UTDStreamException: `CONFLICT`: the later word wins, as between two toggles.
        """
        now = self._publishing.value
        if now.stated != stated and not now.is_wanted:
            raise UTDStreamException("a later set_microphone won", code=UTDErrorCode.CONFLICT)

    def _confirmation(self) -> Confirmation:
        self._require_joined()
        return Confirmation(self.state, self.get_seats)

    def _invitation(self, invitation_id: int) -> Invitation | None:
        return next((one for one in self.invitations.value if one.id == invitation_id), None)

    async def _answer(self, invitation_id: int, call: Awaitable[T]) -> T:
        """Await an answer to an offer, which is over then, or was never made."""
        try:
            answer = await call
        except UTDStreamException as error:
            if error.code in (UTDErrorCode.NOT_FOUND, UTDErrorCode.FORBIDDEN):
                self._offer(InvitationAnswered(invitation_id))
            raise
        self._offer(InvitationAnswered(invitation_id))
        return answer
