"""Whatever is asked, and whenever processes die: in the end there is what is wished, once."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.restored import FACE, VOICE, Restored, turns
from utd_rx.audio.sources import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.ports.data import SelfDescription
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol.roster import Roster
from utd_rx.testing.loop import run_virtual
from utd_rx.video import TestPattern

FRAME = AudioFrame(np.zeros((480, 1), np.int16), 48_000, 0.0)

OPERATIONS = (
    "publish",
    "publish",
    "show",
    "mute",
    "unmute",
    "unpublish",
    "hear",
    "hear",
    "unhear",
    "serve",
    "describe",
    "ignore",
    "die",
    "die",
    "die at once",
    "turn",
    "settle",
)


class App:
    """Who asks, and what it believes then."""

    def __init__(self, stage: Restored) -> None:
        self.stage = stage
        self.tracks: dict[str, tuple[Any, bool]] = {}  # by the sid it was told: source, muted
        self.heard: dict[int, list[AudioFrame]] = {}
        self.over: list[list[AudioFrame]] = []
        self.served: set[str] = set()
        self.said: dict[str, str] = {}
        self.ignores: bool | None = None
        self.codes: list[UTDErrorCode] = []
        self.numbers = iter(range(10_000))

    async def do(self, operation: str) -> None:
        """Ask for something, and believe the answer."""
        name = operation.replace(" ", "_")
        try:
            await getattr(self, name)()
        except UTDStreamException as error:
            self.codes.append(error.code)

    async def publish(self) -> None:
        tone = ToneSource()
        track = await self.stage.room.publish(tone)
        self.tracks[track.sid] = tone, False

    async def show(self) -> None:
        pattern = TestPattern(64, 36, 10)
        track = await self.stage.room.publish(pattern, TrackSource.CAMERA)
        self.tracks[track.sid] = pattern, False

    async def mute(self) -> None:
        await self._set_muted(True)

    async def unmute(self) -> None:
        await self._set_muted(False)

    async def _set_muted(self, muted: bool) -> None:
        if self.tracks:
            sid, (source, _) = next(iter(self.tracks.items()))
            await self.stage.room.set_muted(sid, muted)
            if sid in self.tracks:
                self.tracks[sid] = source, muted

    async def unpublish(self) -> None:
        if self.tracks:
            sid = next(iter(self.tracks))
            del self.tracks[sid]
            await self.stage.room.unpublish(sid)

    async def hear(self) -> None:
        frames: list[AudioFrame] = []
        reception = await self.stage.room.hear(VOICE.sid, frames.extend)
        self.heard[reception] = frames

    async def unhear(self) -> None:
        if self.heard:
            reception = next(iter(self.heard))
            self.over.append(self.heard.pop(reception))
            await self.stage.room.unhear(reception)

    async def serve(self) -> None:
        method = f"method{next(self.numbers)}"
        self.stage.room.serve(method, lambda invocation: None)
        self.served.add(method)

    async def describe(self) -> None:
        key = f"key{next(self.numbers)}"
        await self.stage.room.describe(SelfDescription(attributes={key: "said"}))
        self.said[key] = "said"

    async def ignore(self) -> None:
        await self.stage.room.set_subscribed(FACE.sid, False)
        self.ignores = True

    async def die(self) -> None:
        self.stage.clock.advance(61)  # far apart, so that none is the third
        self.stage.die()

    async def turn(self) -> None:
        await turns(2)


async def check(operations: list[str]) -> None:
    stage = await Restored().joined()
    app = App(stage)
    # One after the other, as sessions ask of one track; deaths come in between.
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    async def work() -> None:
        while (operation := await queue.get()) is not None:
            await app.do(operation)

    working = asyncio.create_task(work())
    for operation in operations:
        if operation == "die at once":
            await app.die()
        elif operation == "die":
            await turns(1)
            await app.die()
        elif operation in ("turn", "settle"):
            await turns(2 if operation == "turn" else 40)
        else:
            queue.put_nowait(operation)
    queue.put_nowait(None)
    await asyncio.wait_for(working, 60)
    await turns(60)
    assert set(app.codes) <= {UTDErrorCode.NETWORK}
    there = stage.now
    assert there.is_connected
    believed = {id(source): muted for source, muted in app.tracks.values()}
    sources = [(id(there.sources[track.sid]), track.is_muted) for track in there.tracks]
    # What is muted may be there or not; what is not, is; nothing else is, and nothing twice.
    assert len({source for source, _ in sources}) == len(sources)
    assert all(believed.get(source) is muted for source, muted in sources)
    assert {source for source, muted in believed.items() if not muted} <= {s for s, _ in sources}
    there.play(VOICE.sid, FRAME)
    assert [len(frames) for frames in app.heard.values()] == [1] * len(app.heard)
    assert not any(app.over)
    for method in app.served:
        call = asyncio.ensure_future(there.methods.invoke(method))
        await turns(2)
        assert not call.done()
        call.cancel()
    assert app.said.items() <= dict(there.snapshot.local.attributes).items()
    told = folded(stage)
    assert [who.identity for who in told.participants] == ["ben"]
    assert told.local is not None
    known: tuple[TrackPublication, ...] = told.local.tracks
    assert len(known) == len(app.tracks)
    muted = sorted(is_muted for _, is_muted in app.tracks.values())
    assert sorted(track.is_muted for track in known) == muted
    await stage.room.aclose()
    await stage.succession.aclose()


def folded(stage: Restored) -> Roster:
    """Return the room as whoever listens knows it, in which nobody was ever missing."""
    roster = roster_rules.from_snapshot(stage.joined_to)
    is_reconnecting = False
    for event in stage.told:
        assert not isinstance(event, ev.ParticipantDisconnected | ev.Disconnected)
        is_reconnecting = isinstance(event, ev.Reconnecting) or (
            is_reconnecting and not isinstance(event, ev.Reconnected)
        )
        roster = roster_rules.step(roster, event, is_reconnecting=is_reconnecting)
        assert "ben" in roster.remotes
    assert not is_reconnecting
    return roster


@given(operations=st.lists(st.sampled_from(OPERATIONS), max_size=14))
@settings(max_examples=60)
def test_after_any_death_at_any_moment_there_is_what_is_wished(operations: list[str]) -> None:
    run_virtual(check(operations))
