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
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.video import VideoFrame
from utd_rx.ports.data import SelfDescription
from utd_rx.testing.contracts import PATIENCE, refusal
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


# --- receptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RECEPTIONS)
async def test_what_begins_to_be_received_as_it_dies_comes_from_its_successor(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, end, bring = RECEPTIONS[kind]
    stage, came = await peopled(), list[Any]()
    held = Held(monkeypatch, kind)
    beginning = asyncio.create_task(begin(stage.room, came.append))
    await held.begun()
    held.let_go()
    stage.die()
    await stage.again()
    number = await beginning
    bring(stage.now)
    assert len(came) == 1
    stage.die()
    await stage.again(1)
    bring(stage.now)
    assert len(came) == 2
    await getattr(stage.room, end)(number)
    bring(stage.now)
    assert len(came) == 2


@pytest.mark.parametrize("is_here", [False, True], ids=["there", "here"])
async def test_so_does_what_begins_to_be_played(
    is_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, speaker = Restored(), Loudspeaker()
    room = RestoringRoom(stage.succession, stage.serve_room, needs=lambda key: not is_here)
    await room.connect("wss://x", "token-1")
    held = Held(monkeypatch, "hear" if is_here else "route")
    beginning = asyncio.create_task(room.route(VOICE.sid, speaker.key, name="ben", gain=0.5))
    await held.begun()
    held.let_go()
    stage.die()
    route = await beginning
    stage.now.play(VOICE.sid, FRAME)
    voice = speaker.voices[-1]
    assert (voice.name, voice.gain, len(voice.frames)) == ("ben", 0.5, 1)
    await room.unroute(route)
    assert voice.is_closed
    await room.aclose()


async def test_it_begins_once_the_track_arrives_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, came = await peopled(), list[AudioFrame]()
    held = Held(monkeypatch, "hear")
    beginning = asyncio.create_task(stage.room.hear(VOICE.sid, came.extend))
    await held.begun()
    held.let_go()
    stage.remotes = (evolve(BEN, tracks=(evolve(VOICE, is_subscribed=False), FACE)),)
    stage.die()
    await turns(20)
    assert not beginning.done()
    stage.now.emit(ev.TrackSubscribed("ben", VOICE))
    await beginning
    stage.now.play(VOICE.sid, FRAME)
    assert len(came) == 1


async def test_of_a_track_that_is_gone_by_then_it_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, came = await peopled(), list[AudioFrame]()
    held = Held(monkeypatch, "hear")
    beginning = asyncio.create_task(stage.room.hear(VOICE.sid, came.extend))
    await held.begun()
    held.let_go()
    stage.remotes = (evolve(BEN, tracks=(FACE,)),)
    stage.die()
    assert (await refusal(beginning)).code is UTDErrorCode.NOT_FOUND
    stage.remotes = PEOPLE
    stage.die()
    await stage.again(1)
    stage.now.play(VOICE.sid, FRAME)
    assert came == []


async def test_it_ends_with_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: dict[str, tuple[Callable[[Restored], Coroutine[Any, Any, None]], ConflictReason]] = {
        "left": (lambda stage: stage.room.disconnect(), ConflictReason.NOT_JOINED),
        "closed": (lambda stage: stage.room.aclose(), ConflictReason.CLOSED),
    }
    held = Held(monkeypatch, "hear")
    for end, reason in ends.values():
        stage = await peopled()
        beginning = asyncio.create_task(stage.room.hear(VOICE.sid, print))
        await held.begun()
        held.let_go()
        stage.die()
        await turns(1)
        await end(stage)
        assert (await refusal(beginning)).reason is reason


async def test_where_there_is_no_successor_it_fails_with_the_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    held = Held(monkeypatch, "hear")
    beginning = asyncio.create_task(stage.room.hear(VOICE.sid, print))
    await held.begun()
    for seconds in (0.0, 1.0, 0.0):
        stage.die()
        await turns(4)
        stage.clock.advance(seconds)
        await turns(20)
    failed = await refusal(beginning)
    assert failed.code is UTDErrorCode.FEATURE_DISABLED
    assert "killed" in failed.message


@pytest.mark.parametrize("is_restoring", [False, True], ids=["joining", "beginning again"])
async def test_who_is_cancelled_meanwhile_receives_nothing_ever_after(
    is_restoring: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, came = await peopled(), list[AudioFrame]()
    held = Held(monkeypatch, "hear")
    joining = Held(monkeypatch, "connect")
    beginning = asyncio.create_task(stage.room.hear(VOICE.sid, came.extend))
    await held.begun()
    stage.die()
    await joining.begun()
    if is_restoring:
        joining.let_go()
        await held.begun(2)
    beginning.cancel()
    await asyncio.wait({beginning})
    assert beginning.cancelled()
    joining.let_go()
    held.let_go()
    await stage.until(lambda event: isinstance(event, ev.Reconnected))
    stage.now.play(VOICE.sid, FRAME)
    assert came == []


# --- the last word ------------------------------------------------------------------------------


async def test_what_is_being_said_of_oneself_is_said_by_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    held = Held(monkeypatch, "describe")
    saying = asyncio.create_task(stage.room.describe(SelfDescription(name="Me")))
    await held.begun()
    held.let_go()
    stage.die()
    await stage.again()
    await saying
    await turns()
    assert stage.now.snapshot.local.name == "Me"


async def test_what_is_being_unmuted_is_heard_from_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = await peopled()
    track = await stage.room.publish(tone := ToneSource())
    await stage.room.set_muted(track.sid, True)
    stage.die()
    await stage.again()
    held = Held(monkeypatch, "publish")
    unmuting = asyncio.create_task(stage.room.set_muted(track.sid, False))
    await held.begun()
    held.let_go()
    stage.die()
    await stage.again(1)
    await unmuting
    assert list(stage.now.sources.values()) == [tone]


async def test_what_is_done_once_fails_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    once: dict[str, Callable[[Restored], Coroutine[Any, Any, object]]] = {
        "publish": lambda stage: stage.room.publish(ToneSource()),
        "publish_data_track": lambda stage: stage.room.publish_data_track("mine"),
        "send_data": lambda stage: stage.room.send_data(b"x"),
        "statistics": lambda stage: stage.room.statistics(),
    }
    for method, ask in once.items():
        stage = await peopled()
        held = Held(monkeypatch, method)
        asking = asyncio.ensure_future(ask(stage))
        await held.begun()
        held.let_go()
        stage.die()
        assert (await refusal(asking)).code is UTDErrorCode.NETWORK
        await stage.again()
        assert stage.now.sources == {}
        assert stage.now.sent == []
        assert not stage.now.data_tracks.published


# --- what changes while it is restored ----------------------------------------------------------


async def muted_while_published_again(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Restored, Held, str]:
    """Return a stage on which a track was muted while it is published again, what holds that up,
    and the sid of the track."""
    stage = await peopled()
    track = await stage.room.publish(ToneSource())
    held = Held(monkeypatch, "publish")
    stage.die()
    await held.begun()
    await stage.room.set_muted(track.sid, True)
    return stage, held, track.sid


async def test_what_is_muted_while_it_is_published_again_is_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, held, sid = await muted_while_published_again(monkeypatch)
    held.let_go()
    back = await stage.until(lambda event: isinstance(event, ev.Reconnected))
    assert [one.is_muted for one in stage.now.tracks] == [True]
    assert [one.is_muted for one in back.snapshot.local.tracks] == [True]
    moved = next(one for one in stage.told if isinstance(one, ev.LocalTrackRepublished))
    assert moved.track.is_muted
    await stage.room.set_muted(sid, False)
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
    stage, held, _ = await muted_while_published_again(monkeypatch)

    async def refuse(track_sid: str, muted: bool) -> None:
        raise UTDStreamException("no", code=UTDErrorCode.SERVER)

    stage.now.set_muted = refuse  # type: ignore[method-assign] # a fake
    held.let_go()
    await stage.until(lambda event: isinstance(event, ev.Disconnected))
    await turns()
    assert not stage.now.is_connected
