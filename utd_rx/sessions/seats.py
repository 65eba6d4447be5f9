"""What comes before and after a command about a seat: the turn, the microphone, the grid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TypeVar

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.ports.engine import EnginePort
from utd_rx.protocol import seating
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.seats import (
    FetchSeats,
    SeatGridFetched,
    SeatingEnded,
    SeatingStarted,
    SeatsNotFetched,
    SpeakingForgone,
    SpeakRequested,
)
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.runner import Handlers, Runner

R = TypeVar("R")


@frozen(eq=False)
class SeatTaking:
    """The seats of one session."""

    _runner: Runner[AudioRoomState]
    _engine: EnginePort
    _tracks: OwnTracks
    _room: str

    @property
    def handlers(self) -> Handlers:
        """What to do for the effects about the grid."""
        return {FetchSeats: self._fetch}

    async def fetched(self, ask: Callable[[], Awaitable[UTDSeatGrid]]) -> UTDSeatGrid:
        """Ask for a grid and let the state have it, as an answer to what was asked just now."""
        self._runner.require_joined()
        seats = self._runner.state.seats
        grid = await ask()
        self._runner.offer(SeatGridFetched(grid, seats.generation, seats.answers))
        return grid

    @contextmanager
    def forgoing(self) -> Iterator[None]:
        """Wait for no approval to speak any more; who fails takes back this word, too."""
        awaited = self._runner.state.speakers.request_id
        stated = self._runner.session.microphone.stated
        self._runner.offer(SpeakingForgone())
        try:
            yield
        except UTDStreamException:
            if awaited is not None and self._runner.state.seats.grid.is_pending(awaited):
                self._runner.offer(SpeakRequested(awaited, stated))
            raise

    @asynccontextmanager
    async def seating(self, speaks: bool | None) -> AsyncIterator[None]:
        """Wait for a seat, one command at a time, and open the microphone when it is there.

        Args:
            speaks: Whether to speak then; None leaves the microphone as it is.
        """
        self._runner.require_joined()
        if speaks:
            self._tracks.require_source(TrackSource.MICROPHONE)
        seating.require_free(self._runner.state.seating)
        self._runner.offer(SeatingStarted(speaks))
        begun = self._runner.state.seating
        try:
            # A request that is still pending was to open it, and this seat would answer it.
            with self.forgoing() if speaks is False else nullcontext():
                yield
        finally:
            self._runner.offer(SeatingEnded())
        if speaks:
            seating.require_unsaid(begun, self._runner.session.microphone)
            await self._tracks.switch(TrackSource.MICROPHONE, True)

    async def _fetch(self, effect: FetchSeats) -> None:
        try:
            grid = await self._engine.get_seats(self._room)
        except UTDStreamException as error:
            self._runner.offer(SeatsNotFetched(error, effect.wait_id))
        else:
            self._runner.offer(
                SeatGridFetched(grid, effect.generation, effect.answers, effect.wait_id)
            )
