"""The stage of a live stream and its broadcast, for one session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.ports.engine import EnginePort, StageCalls, StageReply
from utd_rx.ports.room import RoomPort
from utd_rx.protocol import live_stream as rules
from utd_rx.protocol.data import LIVE_ENDED
from utd_rx.protocol.facts import media
from utd_rx.protocol.facts import stage as facts
from utd_rx.protocol.live_promises import IsOnAir, IsOnStage
from utd_rx.protocol.live_stream import LiveStreamState
from utd_rx.protocol.promises import Published
from utd_rx.protocol.publishing import require_granted
from utd_rx.protocol.waiting import Promise
from utd_rx.sessions.own_tracks import OwnTracks
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner

NO_ROUTE: Final = (404, 405)
"""What an engine answers that cannot be told that a broadcast is over."""

ENDED: Final = json.dumps({"type": LIVE_ENDED}).encode()


class StageEngine(EnginePort, StageCalls, Protocol):
    """The engine, as somebody in a live stream may ask it."""


@frozen(eq=False)
class Staging:
    """Stage and broadcast of one session; `UTDLiveStreamSession` documents its commands."""

    _runner: Runner[LiveStreamState]
    _engine: StageEngine
    _tracks: OwnTracks
    _room: RoomPort
    _raising: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @property
    def handlers(self) -> Handlers:
        return {facts.FetchStage: self._fetch}

    # --- the stage ------------------------------------------------------------------------------

    async def told(self, ask: Callable[[str], Awaitable[StageReply | None]]) -> None:
        """Ask the engine, and let the state have the stage that it answers with."""
        self._runner.require_joined()
        copy = self._runner.state.stage
        reply = await ask(self._runner.room_name)
        if reply is not None:
            told = reply.stage, reply.requests, copy.generation, copy.answers
            self._runner.offer(facts.StageFetched(*told))

    async def change(
        self, promise: Promise, ask: Callable[[str], Awaitable[StageReply | None]]
    ) -> None:
        """Ask for a change, and wait until the state shows it."""
        await self._runner.do(lambda: self.told(ask), promise)

    async def raise_hand(self, is_up: bool) -> None:
        async with self._raising:  # of two requests at once the second may overtake
            epoch = self._runner.require_joined()
            call = self._engine.request_stage if is_up else self._engine.cancel_stage_request
            try:
                await call(self._runner.room_name)
            except UTDStreamException as error:
                # What the hand asks for.
                if not IsOnStage(self._runner.state.identity).is_so_already(
                    error, self._runner.state
                ):
                    raise
            else:
                self._runner.offer(facts.HandChanged(is_up, epoch))

    async def leave(self, promise: Promise) -> None:
        async def step_down() -> None:
            await self.told(self._engine.leave_stage)
            self._tracks.closing()  # which the promise is about, too

        await self._runner.do(step_down, promise)

    # --- the broadcast --------------------------------------------------------------------------

    async def go_live(self, with_video: bool) -> None:
        epoch = self._runner.require_joined()
        rules.require_host(self._runner.session)
        sources = (TrackSource.MICROPHONE, TrackSource.CAMERA)[: 1 + with_video]
        own = self._runner.session.publications
        for source in sources:
            require_granted(own.of(source))
            is_picture = source is TrackSource.CAMERA
            self._tracks.require_source(source, "with_video=False" if is_picture else "")
        were_off = [source for source in sources if not own.of(source).is_on]
        self._runner.offer(*(media.PublishingWanted(source, True) for source in sources))
        own = self._runner.session.publications
        words = tuple(Published(source, True, own.of(source).stated) for source in sources)
        try:
            await self._runner.wait(IsOnAir(words), epoch)
        except BaseException:
            back = [one for one in words if one.source in were_off]
            self._runner.offer(
                *(media.PublishingWithdrawn(one.source, one.stated, closes=True) for one in back)
            )
            raise

    async def stop_live(self) -> None:
        self._runner.require_joined()
        rules.require_host(self._runner.session)
        failure: UTDStreamException | None = None
        try:
            await self._take_down()
        except UTDStreamException as error:
            failure = error  # a track that stays up keeps nobody from hearing of the end
        await self._end()
        if failure is not None:
            raise failure

    async def end_in_time(self, timeout: float) -> None:
        """End the broadcast that this client hosts, if any, as far as that is possible in time."""
        if not self._runner.state.is_broadcasting:
            return
        until = asyncio.get_running_loop().time() + timeout
        with suppress(TimeoutError, UTDStreamException):
            async with asyncio.timeout_at(until - timeout / 2):
                await self._take_down()
        with suppress(TimeoutError, UTDStreamException):
            async with asyncio.timeout_at(until):
                await self._end()

    async def _take_down(self) -> None:
        """Take the own tracks down: the engine may hear of one that is up later than of the end,
        and would take it for the next broadcast."""
        epoch = self._runner.require_joined()
        for promise in self._tracks.closing():
            await self._runner.wait(promise, epoch)

    async def _end(self) -> None:
        """Tell everybody, and the engine; that one of them is not to be told keeps no other."""
        telling = self._room.send_data(ENDED), self.told(self._end_at_engine)
        for failure in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(failure, BaseException):
                raise failure
        self._runner.offer(facts.LiveStopped())

    async def _end_at_engine(self, room: str) -> StageReply | None:
        try:
            return await self._engine.end_live(room)
        except UTDStreamException as error:
            if error.status_code in NO_ROUTE:
                return None
            raise

    async def _fetch(self, effect: facts.FetchStage) -> None:
        try:
            reply = await self._engine.get_stage(self._runner.room_name)
        except UTDStreamException as error:
            self._runner.offer(facts.StageNotFetched(error, effect.wait_id))
        else:
            asked = effect.generation, effect.answers, effect.wait_id
            self._runner.offer(facts.StageFetched(reply.stage, reply.requests, *asked))
