"""How one comes by a seat in an audio room: requests to speak and invitations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.seats import (
    FetchInvitations,
    InvitationAnswered,
    InvitationsListed,
    InvitationsNotListed,
    SpeakRequested,
)
from utd_rx.protocol.promises import IsAsking, IsSitting
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.runner import Handlers, Runner
from utd_rx.sessions.seats import SeatTaking

R = TypeVar("R")


@frozen(eq=False)
class Speaking:
    """Requests and invitations of one session; `UTDAudioRoomSession` documents its commands."""

    _runner: Runner[AudioRoomState]
    _engine: EnginePort
    _tracks: OwnTracks
    _seats: SeatTaking
    _room: str

    @property
    def handlers(self) -> Handlers:
        """What to do for the effects about invitations."""
        return {FetchInvitations: self._fetch_invitations}

    async def request(self, *, speaks: bool) -> int | None:
        self._runner.require_joined()
        if speaks:
            self._tracks.require_source(TrackSource.MICROPHONE)
        stated = self._runner.session.microphone.stated
        me = self._runner.state.identity

        def speak_by(request_id: int) -> None:
            if speaks:
                self._runner.offer(SpeakRequested(request_id, stated))

        async def ask() -> int | None:
            request_id = await self._engine.request_to_speak(self._room)
            if request_id is not None:
                speak_by(request_id)
            return request_id

        request_id = await self._runner.do(ask, lambda answer: IsAsking(me, answer))
        if request_id is None and (asked := self._runner.state.seats.grid.request_of(me)):
            # The engine did not say which it is; its queue does.
            request_id = asked.id
            speak_by(request_id)
        return request_id

    async def accept(self, invitation_id: int, *, speaks: bool) -> None:
        me = self._runner.state.identity

        async def sit() -> int | None:
            offered = self._runner.state.speakers.offered(invitation_id)
            index = await self.answer(
                invitation_id, self._engine.accept_invitation(self._room, invitation_id)
            )
            if index is not None or offered is None or offered.seat_index is None:
                return index
            # An engine whose yes does not say which seat it gave may have seated nobody.
            grid = await self._seats.fetched(lambda: self._engine.get_seats(self._room))
            if grid.seat_of(me) is not None:
                return None
            await self._engine.take_seat(self._room, offered.seat_index)
            return offered.seat_index

        async with self._seats.seating(speaks):
            await self._runner.do(sit, lambda index: IsSitting(me, index))

    async def answer(self, invitation_id: int, call: Awaitable[R]) -> R:
        """Await an answer to an offer, which is over then, or was never made."""
        answered: Callable[[], None] = lambda: self._runner.offer(InvitationAnswered(invitation_id))  # noqa: E731
        try:
            answer = await call
        except UTDStreamException as error:
            if error.code in (UTDErrorCode.NOT_FOUND, UTDErrorCode.FORBIDDEN):
                answered()
            raise
        answered()
        return answer

    async def _fetch_invitations(self, effect: FetchInvitations) -> None:
        try:
            listed = await self._engine.speaker_invitations(self._room)
        except UTDStreamException as error:
            is_absent = error.code is UTDErrorCode.NOT_FOUND
            self._runner.offer(InvitationsNotListed(effect.epoch, is_absent))
        else:
            self._runner.offer(InvitationsListed(effect.epoch, listed))
