"""The sides: a world without a network, and real engines that play many scripts at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import frozen

from tests.differential.playing import PATIENCE, Player
from tests.differential.scripts import Script
from tests.differential.watching import Moment
from tests.e2e.phones import SkippingClock
from tests.support.sfu import SfuKind
from utd_rx import UTDStreamClient
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.ports.clock import Cancel
from utd_rx.testing import FakeWorld, run_virtual

ENOUGH: Final = 4.0
"""Virtual seconds in which all comes of a step that comes without another one: an engine keeps the
place of who left for 2 s, and clients ask again after 3."""


@frozen
class AheadClock:
    """The clock of a client, set ahead with its engine's."""

    engine: SkippingClock

    def now(self) -> float:
        return self.engine.monotonic()

    def wall(self) -> float:
        return self.engine.wall()

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        timer = self.engine.call_at(at, lambda: due())

        def due() -> None:
            nonlocal timer
            if self.now() < at:  # a loop's timer may be early by its clock's resolution
                timer = self.engine.call_at(at, due)
            else:
                callback()

        return lambda: timer.cancel()

    def jitter(self) -> float:
        return 0.5


class RealSide:
    """A local engine whose time can be set ahead."""

    def __init__(self, engine: LocalEngine, clock: SkippingClock) -> None:
        self.clock = clock
        self._engine = engine

    def client(self, _: str) -> UTDStreamClient:
        """Return a client of it."""
        return UTDStreamClient(**self._engine.credentials, clock=AheadClock(self.clock))

    async def skip(self, seconds: float) -> None:
        """Let so much time pass, once the engine has heard who is there: it counts all others as
        away, and gives them up by then."""
        with suppress(TimeoutError):  # which shows in what comes of it
            async with asyncio.timeout(PATIENCE):
                while not await self._has_heard():
                    pass
        self.clock.skip(seconds)

    async def _has_heard(self) -> bool:
        core = self._engine.core
        known = {name: set(room.sessions) for name, room in core.rooms.all().items()}
        for call in core.calls.calls():
            known[call.id] = {one.identity for one in call.parties if one.sid is not None}
        for room in await core.media.list_rooms():
            listed = await core.media.list_participants(room.name)
            there = {who.identity for who in listed if who.state == "active"}
            if known.get(core.rooms.engine_name(room.name) or "", there) != there:
                return False
        return True


def imagined(
    script: Script, *, ring_timeout: float = 30.0, late: Mapping[str, float] | None = None
) -> tuple[Moment, ...]:
    """Return what comes of a script where everything is made up.

    Args:
        script: What is done.
        ring_timeout: Seconds for which a call rings.
        late: Seconds by which all reaches somebody later, and them others, from the first act on.
    """

    async def play() -> tuple[Moment, ...]:
        async with FakeWorld.on_loop(ring_timeout=ring_timeout) as world:
            player = Player(script, world.client, "room", quiet=lambda: world.advance(ENOUGH))
            try:
                await player.open()
                for who, seconds in (late or {}).items():
                    world.network.delay(who, seconds)
                for number in range(len(script.acts)):
                    if number:
                        await world.advance(script.play.gap)
                        await player.pause()
                    await player.act(number)
            finally:
                await player.aclose()
            return tuple(player.moments)

    return run_virtual(play())


@asynccontextmanager
async def real_side(kind: SfuKind) -> AsyncIterator[RealSide]:
    """Run an engine on that media server."""
    options, clock = EngineOptions(sfu=kind, silent_update_interval=0.1), SkippingClock()
    async with LocalEngine(options, clock=clock) as engine:
        yield RealSide(engine, clock)


async def played(
    side: RealSide, scripts: Sequence[Script], expected: Sequence[Sequence[Moment]]
) -> list[list[Moment]]:
    """Play scripts at once, act by act, since the engine's time is set ahead for all of them."""
    players = [
        Player(script, side.client, f"room-{number}", expected=other)
        for number, (script, other) in enumerate(zip(scripts, expected, strict=True))
    ]
    try:
        await asyncio.gather(*(player.open() for player in players))
        for number in range(max(len(script.acts) for script in scripts)):
            playing = [player for player in players if number < len(player.script.acts)]
            if number:
                await side.skip(scripts[0].play.gap)
                await asyncio.gather(*(player.pause() for player in playing))
            await asyncio.gather(*(player.act(number) for player in playing))
    finally:
        await asyncio.gather(*(player.aclose() for player in players))
    return [player.moments for player in players]
