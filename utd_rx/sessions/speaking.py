"""How one comes by a seat in an audio room: by taking it, by asking to speak, by invitation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TypeVar

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol import seating, speakers
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import seats as facts
from utd_rx.protocol.promises import IsAsking, IsSitting
from utd_rx.protocol.waiting import is_clash
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner

R = TypeVar("R")


@frozen(eq=False)
class SeatTaking:
    """What comes before and after a command about a seat: the turn, the microphone, the grid."""

    _runner: Runner[AudioRoomState]
    _engine: EnginePort
    _tracks: OwnTracks
    _room: str

    @property
    def handlers(self) -> Handlers:
        return {facts.FetchSeats: self._fetch}

    async def fetched(self, ask: Callable[[], Awaitable[UTDSeatGrid]]) -> UTDSeatGrid:
        """Ask for a grid and let the state have it, as an answer to what was asked just now."""
        self._runner.require_joined()
        seats = self._runner.state.seats
        grid = await ask()
        self._runner.offer(facts.SeatGridFetched(grid, seats.generation, seats.answers))
        return grid

    @contextmanager
    def forgoing(self) -> Iterator[None]:
        """Wait for no approval to speak any more; who fails, or is cancelled, takes that back."""
        epoch = self._runner.require_joined()
        awaited = self._runner.state.speakers.request_id
        stated = self._runner.session.microphone.stated
        self._runner.offer(facts.SpeakingForgone())
        try:
            yield
        except BaseException:
            is_here = self._runner.session.connection.epoch == epoch
            if is_here and awaited and self._runner.state.seats.grid.is_pending(awaited):
                self._runner.offer(facts.SpeakRequested(awaited, stated))
            raise

    @asynccontextmanager
    async def seating(self, speaks: bool | None) -> AsyncIterator[None]:
        """Wait for a seat, one command at a time, then speak or not; None: the microphone stays."""
        epoch = self._runner.require_joined()
        if speaks:
            self._tracks.require_source(TrackSource.MICROPHONE, "microphone=False")
        seating.require_free(self._runner.state.seating)
        self._runner.offer(facts.SeatingStarted(speaks, epoch))
        begun = self._runner.state.seating
        try:
            # A request that is still pending was to open it, and this seat would answer it.
            with self.forgoing() if speaks is False else nullcontext():
                yield
        finally:
            self._runner.offer(facts.SeatingEnded(epoch))
        if speaks:
            seating.require_unsaid(begun, self._runner.session.microphone)
            await self._tracks.switch(TrackSource.MICROPHONE, True)

    async def _fetch(self, effect: facts.FetchSeats) -> None:
        try:
            grid = await self._engine.get_seats(self._room)
        except UTDStreamException as error:
            self._runner.offer(facts.SeatsNotFetched(error, effect.wait_id))
        else:
            told = facts.SeatGridFetched(grid, effect.generation, effect.answers, effect.wait_id)
            self._runner.offer(told)


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
        return {facts.FetchInvitations: self._fetch_invitations}

    async def request(self, *, speaks: bool) -> int | None:
        epoch = self._runner.require_joined()
        if speaks:
            self._tracks.require_source(TrackSource.MICROPHONE, "microphone=False")
        stated = self._runner.session.microphone.stated
        me = self._runner.state.identity

        def speak_by(request_id: int) -> None:
            if speaks:
                self._runner.offer(facts.SpeakRequested(request_id, stated))

        async def ask() -> int | None:
            try:
                request_id = await self._engine.request_to_speak(self._room)
            except UTDStreamException as error:
                pending = self._runner.state.seats.grid.request_of(me)
                if not is_clash(error) or pending is None:
                    raise
                request_id = pending.id
            if request_id is not None:
                speak_by(request_id)
            return request_id

        try:
            request_id = await self._runner.do(ask, lambda answer: IsAsking(me, answer))
        except UTDStreamException as error:
            # Seated, which is what one asks for.
            seat = self._runner.state.seats.grid.seat_of(me)
            if not is_clash(error) or seat is None:
                raise
            async with self._seats.seating(speaks or None):
                await self._runner.wait(IsSitting(me, seat.index), epoch)
            return None
        if request_id is None and (asked := self._runner.state.seats.grid.request_of(me)):
            # The engine did not say which it is; its queue does.
            request_id = asked.id
            speak_by(request_id)
        return request_id

    async def accept(self, invitation_id: int, *, speaks: bool) -> None:
        me, epoch = self._runner.state.identity, self._runner.require_joined()

        async def sit() -> int | None:
            offered = self._runner.state.speakers.offered(invitation_id)
            accepting = self._engine.accept_invitation(self._room, invitation_id)
            try:
                index = await self.answer(invitation_id, accepting)
            except UTDStreamException as error:
                seat = self._runner.state.seats.grid.seat_of(me)
                if not seating.is_accepted_already(error, offered, seat):
                    raise
                return None
            in_doubt = seating.seat_in_doubt(index, offered)
            if in_doubt is None:
                return index
            self._runner.require_join(epoch)
            grid = await self._seats.fetched(lambda: self._engine.get_seats(self._room))
            index = seating.seat_to_take(in_doubt, grid, me)
            if index is not None:
                await self._engine.take_seat(self._room, index)
            return index

        async with self._seats.seating(speaks):
            await self._runner.do(sit, lambda index: IsSitting(me, index))

    async def answer(self, invitation_id: int, call: Awaitable[R]) -> R:
        """Await an answer to an offer, which is over then, or was never made."""
        try:
            answer = await call
        except UTDStreamException as error:
            if speakers.is_none(error):
                self._runner.offer(facts.InvitationAnswered(invitation_id))
            raise
        self._runner.offer(facts.InvitationAnswered(invitation_id))
        return answer

    async def _fetch_invitations(self, effect: facts.FetchInvitations) -> None:
        try:
            listed = await self._engine.speaker_invitations(self._room)
        except UTDStreamException as error:
            is_absent = speakers.is_no_list(error)
            self._runner.offer(facts.InvitationsNotListed(effect.epoch, is_absent))
        else:
            self._runner.offer(facts.InvitationsListed(effect.epoch, listed))
