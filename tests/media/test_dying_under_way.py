"""What is under way when a media process dies, and what changes while its successor restores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from tests.media.restored import BEN, FACE, VOICE, Restored, turns
from utd_rx.audio.sources import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.video import VideoFrame
from utd_rx.testing.contracts import PATIENCE
from utd_rx.testing.contracts.room_bench import Loudspeaker
from utd_rx.testing.room import FakeRoom

FRAME = AudioFrame(np.zeros((480, 1), np.int16), 48_000, 0.0)
SEEN = VideoFrame(np.zeros((16, 16, 3), np.uint8), 0.0)
POSE = DataTrackInfo("DTR_pose", "pose")
PEOPLE = (evolve(BEN, data_tracks=(POSE,)),)

Begin = Callable[[Any, Any], Coroutine[Any, Any, int]]

RECEPTIONS: dict[str, tuple[Begin, str, Callable[[FakeRoom], None]]] = {
    "hear": (
        lambda room, sink: room.hear(VOICE.sid, sink),
        "unhear",
        lambda room: room.play(VOICE.sid, FRAME),
    ),
    "look": (
        lambda room, sink: room.look(FACE.sid, sink),
        "unlook",
        lambda room: room.show(FACE.sid, SEEN),
    ),
    "read_data_track": (
        lambda room, sink: room.read_data_track(POSE.sid, sink),
        "unread_data_track",
        lambda room: room.data_tracks.play(POSE.sid, DataTrackFrame(b"pose")),
    ),
}
"""How it begins and ends, and what brings something."""


class Held:
    """Calls of a method of every room from now on, which are held until `let_go`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.count = 0
        self._news = asyncio.Event()
        self._gate = asyncio.Event()
        go_on = getattr(FakeRoom, method)

        async def hold(room: FakeRoom, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            self._news.set()
            await self._gate.wait()
            return await go_on(room, *args, **kwargs)

        monkeypatch.setattr(FakeRoom, method, hold)

    async def begun(self, count: int = 1) -> None:
        """Wait until so many calls are held."""
        async with asyncio.timeout(PATIENCE):
            while self.count < count:
                self._news.clear()
                await self._news.wait()

    def let_go(self) -> None:
        """Let them go on, and those to come."""
        self._gate.set()


async def peopled() -> Restored:
    stage = Restored()
    stage.remotes = PEOPLE
    return await stage.joined()


# --- what changes while it is restored ----------------------------------------------------------


async def test_what_is_muted_while_it_is_published_again_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    track = await stage.room.publish(ToneSource())
    held = Held(monkeypatch, "publish")
    stage.die()
    await held.begun()
    await stage.room.set_muted(track.sid, True)
    held.let_go()
    back = await stage.until(lambda event: isinstance(event, ev.Reconnected))
    assert [one.is_muted for one in stage.now.tracks] == [True]
    assert [one.is_muted for one in back.snapshot.local.tracks] == [True]
    moved = next(one for one in stage.told if isinstance(one, ev.LocalTrackRepublished))
    assert moved.track.is_muted
    await stage.room.set_muted(track.sid, False)
    assert [one.is_muted for one in stage.now.tracks] == [False]


async def test_what_is_taken_down_while_it_is_published_again_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    track = await stage.room.publish(ToneSource())
    number = await stage.room.publish_data_track("mine")
    held, held_data = Held(monkeypatch, "publish"), Held(monkeypatch, "publish_data_track")
    stage.die()
    await held.begun()
    await stage.room.unpublish(track.sid)
    held.let_go()
    await held_data.begun()
    await stage.room.unpublish_data_track(number)
    held_data.let_go()
    back = await stage.until(lambda event: isinstance(event, ev.Reconnected))
    assert stage.now.tracks == ()
    assert back.snapshot.local.tracks == ()
    assert ev.LocalTrackRepublished not in stage.kinds()
    assert not stage.now.data_tracks.published


@pytest.mark.parametrize("kind", RECEPTIONS)
async def test_what_is_received_no_more_while_it_begins_again_does_not_come(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, end, bring = RECEPTIONS[kind]
    stage, came = await peopled(), list[Any]()
    number = await begin(stage.room, came.append)
    held = Held(monkeypatch, kind)
    stage.die()
    await held.begun()
    await getattr(stage.room, end)(number)
    held.let_go()
    await stage.until(lambda event: isinstance(event, ev.Reconnected))
    bring(stage.now)
    assert came == []


async def test_a_gain_that_changes_while_it_is_played_again_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, speaker = await peopled(), Loudspeaker()
    route = await stage.room.route(VOICE.sid, speaker.key)
    held = Held(monkeypatch, "route")
    stage.die()
    await held.begun()
    await stage.room.set_gain(route, 0.25)
    held.let_go()
    await stage.until(lambda event: isinstance(event, ev.Reconnected))
    assert speaker.voices[-1].gain == 0.25


async def test_a_mute_that_cannot_be_told_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    track = await stage.room.publish(ToneSource())
    held = Held(monkeypatch, "publish")
    stage.die()
    await held.begun()
    await stage.room.set_muted(track.sid, True)

    async def refuse(track_sid: str, muted: bool) -> None:
        raise UTDStreamException("no", code=UTDErrorCode.SERVER)

    stage.now.set_muted = refuse  # type: ignore[method-assign] # a fake
    held.let_go()
    await stage.until(lambda event: isinstance(event, ev.Disconnected))
    await turns()
    assert not stage.now.is_connected
