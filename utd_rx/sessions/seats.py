"""The seats of an audio room: sitting and standing, and what hosts do to seats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

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
)
from utd_rx.protocol.promises import (
    GridPromise,
    IsSitting,
    IsStanding,
    SeatIsLocked,
    SeatIsVacated,
    SeatsAreKnown,
    TrackIsMuted,
)
from utd_rx.protocol.speakers import GRANT_TIMEOUT
from utd_rx.protocol.waiting import Promise
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.runner import Handlers, Runner

R = TypeVar("R")

PUSH_TIMEOUT: Final = 2.0
"""Seconds to wait for the engine's push before asking it: a push behind a join may be lost."""


class Seats:
    """The seats of one session; `UTDAudioRoomSession` documents its commands."""

    def __init__(
        self,
        runner: Runner[AudioRoomState],
        engine: EnginePort,
        tracks: OwnTracks,
        room_name: str,
    ) -> None:
        self._runner = runner
        self._engine = engine
        self._tracks = tracks
        self._room = room_name

    @property
    def handlers(self) -> Handlers:
        """What to do for the effects about the grid."""
        return {FetchSeats: self._fetch}

    async def known(self, epoch: int) -> None:
        """Wait until the engine has told the grid to join `epoch`."""
        await self._runner.wait(SeatsAreKnown(), epoch, GRANT_TIMEOUT)

    async def get(self) -> UTDSeatGrid:
        return await self.fetched(lambda: self._engine.get_seats(self._room))

    async def fetched(self, ask: Callable[[], Awaitable[UTDSeatGrid]]) -> UTDSeatGrid:
        """Ask for a grid and let the state have it, as an answer to what was asked just now."""
        self._runner.require_joined()
        seats = self._runner.state.seats
        grid = await ask()
        self._runner.offer(SeatGridFetched(grid, seats.generation, seats.answers))
        return grid

    async def take(self, index: int, *, speaks: bool) -> None:
        async with self.seating(speaks):
            await self.do(
                lambda: self._engine.take_seat(self._room, index), IsSitting(self._me, index)
            )

    async def move(self, index: int) -> None:
        async with self.seating(None):
            await self.do(
                lambda: self._engine.move_seat(self._room, index), IsSitting(self._me, index)
            )

    async def leave(self) -> None:
        await self.do(lambda: self._engine.leave_seat(self._room), IsStanding(self._me))

    async def lock(self, index: int, is_locked: bool) -> None:
        ask = self._engine.lock_seat if is_locked else self._engine.unlock_seat
        await self.do(lambda: ask(self._room, index), SeatIsLocked(index, is_locked))

    async def kick(self, index: int) -> None:
        occupant = self._runner.state.seats.grid.occupant_of(index)
        await self.do(
            lambda: self._engine.kick_seat(self._room, index), SeatIsVacated(index, occupant)
        )

    async def mute(self, index: int, is_muted: bool) -> None:
        known = self._runner.state.seats.grid
        ask = self._engine.mute_seat if is_muted else self._engine.unmute_seat

        def shown(grid: UTDSeatGrid | None) -> TrackIsMuted | None:
            # The copy may be a change behind: whom the engine muted, its reply tells.
            occupant = (grid or known).occupant_of(index)
            sources = (TrackSource.MICROPHONE,)
            return None if occupant is None else TrackIsMuted(occupant, sources, is_muted)

        await self.do(lambda: ask(self._room, index), shown)

    async def do(
        self,
        ask: Callable[[], Awaitable[R]],
        promise: Promise | Callable[[R], Promise | None],
    ) -> R:
        """Ask the engine, then wait until the state shows it; without a push ask for the grid.

        Args:
            ask: Asks.
            promise: What a yes promises, or what makes that of the answer.
        """
        epoch = self._runner.require_joined()
        answer = await ask()
        shown = promise if isinstance(promise, Promise) else promise(answer)
        if shown is not None:
            asks_after = PUSH_TIMEOUT if isinstance(shown, GridPromise) else None
            await self._runner.wait(shown, epoch, GRANT_TIMEOUT, asks_after)
        return answer

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
        # A request that is still pending was to open it, and this seat would answer it.
        forgone = (SpeakingForgone(),) if speaks is False else ()
        self._runner.offer(SeatingStarted(speaks), *forgone)
        begun = self._runner.state.seating
        try:
            yield
        finally:
            self._runner.offer(SeatingEnded())
        if speaks:
            seating.require_unsaid(begun, self._runner.session.microphone)
            await self._tracks.switch(TrackSource.MICROPHONE, True)

    @property
    def _me(self) -> str:
        return self._runner.state.identity

    async def _fetch(self, effect: FetchSeats) -> None:
        try:
            grid = await self._engine.get_seats(self._room)
        except UTDStreamException as error:
            self._runner.offer(SeatsNotFetched(error, effect.wait_id))
        else:
            self._runner.offer(
                SeatGridFetched(grid, effect.generation, effect.answers, effect.wait_id)
            )
