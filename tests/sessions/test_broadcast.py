"""Going live and ending it: all or nothing, told to everybody, and bounded in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.sessions.live_stage import PATTERN, LiveStage
from tests.sessions.stage import TONE, LoopClock, code_of
from tests.sessions.watching import settle
from tests.state.virtual import run
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import DataReceived, ParticipantDisconnected
from utd_rx.models.participant import TrackSource
from utd_rx.ports.engine import StageReply
from utd_rx.sessions.live_stream import END_TIMEOUT

ENDED = {"type": "_live_ended"}


@pytest.fixture
async def host() -> AsyncIterator[LiveStage]:
    stage = LiveStage(is_host=True)
    await stage.session.join()
    await settle()
    yield stage
    stage.room.gate.set()
    await stage.session.aclose()


def told(stage: LiveStage) -> list[object]:
    """What was sent to everybody."""
    return [json.loads(payload) for payload, _, _ in stage.room.sent]


@pytest.mark.parametrize("with_video", [True, False])
async def test_going_live_switches_on_what_is_asked(host: LiveStage, with_video: bool) -> None:
    await host.session.go_live(with_video=with_video)
    assert host.published == ["microphone", "camera"][: 1 + with_video]
    await host.session.go_live(with_video=with_video)
    assert len(host.published) == 1 + with_video


async def test_a_viewer_does_not_go_live() -> None:
    stage = LiveStage()
    await stage.session.join()
    for command in (stage.session.go_live(), stage.session.stop_live()):
        with pytest.raises(UTDStreamException) as raised:
            await command
        assert code_of(raised) is UTDErrorCode.FORBIDDEN
    assert stage.engine.asked == []
    await stage.session.aclose()


@pytest.mark.parametrize(
    ("missing", "says"),
    [("microphone", "pass microphone="), ("camera", "or with_video=False to do without")],
)
async def test_without_a_source_nothing_is_switched_on(missing: str, says: str) -> None:
    given = {"microphone": TONE, "camera": PATTERN, missing: None}
    stage = LiveStage(is_host=True, **given)  # type: ignore[arg-type] # each its own
    await stage.session.join()
    with pytest.raises(UTDStreamException, match=says) as raised:
        await stage.session.go_live()
    assert (code_of(raised), stage.room.tracks) == (UTDErrorCode.VALIDATION, ())
    await stage.session.aclose()


@pytest.mark.parametrize("was_on", [False, True])
async def test_going_live_is_all_or_nothing(
    host: LiveStage, was_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.session.set_microphone(was_on)
    publish = host.room.publish
    failure = UTDStreamException("the camera is broken", code=UTDErrorCode.NOT_FOUND)

    async def fail(source: object, of: TrackSource = TrackSource.MICROPHONE) -> object:
        if of is TrackSource.CAMERA:
            raise failure
        return await publish(source, of)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(host.room, "publish", fail)
    with pytest.raises(UTDStreamException) as raised:
        await host.session.go_live()
    assert raised.value is failure
    await settle()
    assert host.published == ["microphone"][:was_on], "what was off before is off again"
    assert len(host.room.tracks) == was_on
    assert host.session.camera_failure.value is failure


async def test_cancelled_going_live_takes_it_back(host: LiveStage) -> None:
    host.room.gate.clear()
    going = asyncio.ensure_future(host.session.go_live())
    await settle()
    going.cancel()
    await asyncio.wait([going])
    host.room.gate.set()
    await settle()
    assert host.room.tracks == ()
    await host.session.go_live()
    assert host.published == ["microphone", "camera"]


async def test_a_source_that_is_switched_off_meanwhile_ends_going_live(host: LiveStage) -> None:
    host.room.gate.clear()
    going = asyncio.ensure_future(host.session.go_live())
    await settle()
    off = asyncio.ensure_future(host.session.set_camera(False))
    await settle()
    host.room.gate.set()
    with pytest.raises(UTDStreamException) as raised:
        await going
    assert raised.value.reason is ConflictReason.OVERTAKEN
    await off
    await settle()
    assert host.published == []


async def test_stopping_takes_down_tells_everybody_and_then_the_engine(host: LiveStage) -> None:
    await host.session.go_live()
    await host.session.set_screen_share(True)
    await host.session.set_camera(False)
    host.engine.turn(is_live=True)
    await settle()
    await host.session.stop_live()
    assert host.room.tracks == (), "taken down, and not only muted: the next are new ones"
    assert (told(host), host.engine.asked.count("end_live")) == ([ENDED], 1)
    assert (host.session.live_ended.value, host.session.connected.value) == (True, True)
    await host.session.go_live()
    assert not host.session.live_ended.value
    assert host.published == ["microphone", "camera"]


async def test_a_track_that_stays_up_keeps_nobody_from_hearing_of_the_end(
    host: LiveStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await host.session.go_live()
    failure = UTDStreamException("LiveKit did not answer", code=UTDErrorCode.TIMEOUT)

    async def fail(track_sid: str) -> None:
        raise failure

    monkeypatch.setattr(host.room, "unpublish", fail)
    with pytest.raises(UTDStreamException) as raised:
        await host.session.stop_live()
    assert raised.value.message == failure.message
    assert told(host) == [ENDED]


async def test_an_engine_that_cannot_be_told_does_not_keep_the_host_live(host: LiveStage) -> None:
    host.engine.ends = False
    await host.session.go_live()
    await host.session.stop_live()
    assert (told(host), host.session.live_ended.value) == ([ENDED], True)


async def test_what_the_engine_refuses_is_raised_and_the_viewers_are_told(host: LiveStage) -> None:
    await host.session.go_live()
    host.engine.error = UTDStreamException("down", code=UTDErrorCode.SERVER, status_code=503)
    with pytest.raises(UTDStreamException) as raised:
        await host.session.stop_live()
    assert raised.value is host.engine.error
    assert (told(host), host.room.tracks) == ([ENDED], ())


@pytest.mark.parametrize("how", ["leave", "aclose"])
async def test_a_host_who_leaves_ends_the_broadcast(host: LiveStage, how: str) -> None:
    await host.session.go_live()
    await getattr(host.session, how)()
    assert (told(host), host.engine.asked.count("end_live")) == ([ENDED], 1)
    assert not host.room.is_connected
    assert host.session.live_ended.value


@pytest.mark.parametrize("how", ["leave", "aclose"])
async def test_the_engine_hears_of_the_end_when_no_track_is_up(
    host: LiveStage, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, up = host.engine.end_live, []

    async def end_live(room: str) -> StageReply | None:
        up.append(host.published)
        return await end(room)

    monkeypatch.setattr(host.engine, "end_live", end_live)
    await host.session.go_live()
    await getattr(host.session, how)()
    assert up == [[]], "a late report of a track begins the next broadcast"


@pytest.mark.parametrize("how", ["leave", "aclose"])
async def test_a_host_who_leaves_while_going_live_ends_that_broadcast(
    host: LiveStage, how: str
) -> None:
    await host.session.stop_live()  # of the one before
    host.room.sent.clear()
    host.engine.asked.clear()
    host.room.gate.clear()
    going = asyncio.ensure_future(host.session.go_live())
    await settle()
    leaving = asyncio.ensure_future(getattr(host.session, how)())
    await settle()
    host.room.gate.set()
    await leaving
    assert (told(host), host.engine.asked.count("end_live")) == ([ENDED], 1)
    with pytest.raises(UTDStreamException):
        await going


@pytest.mark.parametrize("how", ["leave", "aclose"])
async def test_who_is_not_live_leaves_without_a_word(host: LiveStage, how: str) -> None:
    await getattr(host.session, how)()
    assert (told(host), "end_live" in host.engine.asked) == ([], False)


@pytest.mark.parametrize("how", ["leave", "aclose"])
def test_leaving_waits_for_no_engine_for_long(how: str) -> None:
    async def leave() -> None:
        loop = asyncio.get_running_loop()
        stage = LiveStage(is_host=True, clock=LoopClock(loop))
        await stage.session.join()
        await stage.session.go_live()
        stage.engine.gate.clear()
        began = loop.time()
        await getattr(stage.session, how)()
        assert loop.time() - began == pytest.approx(END_TIMEOUT)
        assert not stage.room.is_connected
        assert told(stage) == [ENDED]
        await stage.session.aclose()

    run(leave())


async def test_a_cancelled_leave_leaves_all_the_same(host: LiveStage) -> None:
    await host.session.go_live()
    host.engine.gate.clear()
    leaving = asyncio.ensure_future(host.session.leave())
    await settle()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert not host.room.is_connected
    host.engine.gate.set()


async def test_viewers_hear_of_the_end_from_the_host_or_the_engine() -> None:
    stage = LiveStage()
    stage.engine.turn(is_live=True)
    await stage.session.join()
    stage.come("eve")
    payload = json.dumps(ENDED).encode()
    stage.room.emit(DataReceived(payload, "eve"), DataReceived(payload, None))
    await settle()
    assert not stage.session.live_ended.value, "forged, or not borne out by the engine"
    assert stage.session.state.value.refused == 2
    stage.room.emit(DataReceived(payload, "sara"))
    await stage.session.live_ended.until(True)
    stage.engine.turn(is_live=False)
    stage.engine.turn(is_live=True)
    await stage.session.live_ended.until(False)
    stage.room.emit(ParticipantDisconnected("sara"))
    stage.engine.end()
    await stage.session.live_ended.until(True)
    await stage.session.aclose()
