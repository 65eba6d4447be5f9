"""Camera and screen of a session: what is granted, switched, seen to fail, and said of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sessions.stage import TONE, code_of
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.statistics import RoomStatistics, TrackDirection, TrackStatistics
from utd_rx.models.video import VideoFormat, VideoSink
from utd_rx.protocol import audio_room
from utd_rx.protocol.publishing import SOURCES
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom
from utd_rx.video import TestPattern

PATTERN, PATTERN_2 = TestPattern(), TestPattern(320, 180)


class Studio:
    """A session that has a camera and a screen."""

    def __init__(self, *, camera: TestPattern | None = PATTERN) -> None:
        self.room = FakeRoom("me")
        self.session = UTDAudioRoomSession(
            "me",
            "room",
            is_host=False,
            room=self.room,
            engine=FakeEngine(self.room),
            microphone=TONE,
            camera=camera,
            screen=PATTERN,
            clock=FakeClock(100.0),
        )

    @property
    def published(self) -> list[tuple[str, bool]]:
        return [(track.name, track.is_muted) for track in self.room.tracks]


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    studio = Studio()
    await studio.session.join()
    yield studio
    studio.room.gate.set()
    await studio.session.aclose()


@pytest.fixture
async def granted(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A session on which everything may be published."""
    monkeypatch.setattr(audio_room, "SEATED", frozenset(SOURCES))
    await studio.session.take_seat(0, microphone=False)
    return studio


async def test_an_audio_room_grants_neither_camera_nor_screen_on_a_seat_or_off_it(
    studio: Studio,
) -> None:
    session = studio.session
    for _ in range(2):
        for switch in (session.set_camera, session.set_screen_share):
            with pytest.raises(UTDStreamException) as raised:
                await switch(True)
            assert code_of(raised) is UTDErrorCode.FORBIDDEN
            await switch(False)  # is so already
        await session.take_seat(0)
    assert studio.published == [("microphone", False)]
    assert not session.camera_enabled.value


async def test_a_camera_is_muted_when_it_is_off_and_a_screen_is_taken_down(
    granted: Studio,
) -> None:
    session, seen = granted.session, list[tuple[bool, bool]]()
    session.select(
        lambda s: (s.session.publications.camera.is_on, s.session.publications.screen.is_on)
    ).subscribe(seen.append)
    await session.set_camera(True)
    await session.set_screen_share(True)
    assert granted.published == [("camera", False), ("screen_share", False)]
    assert (session.camera_enabled.value, session.screen_share_enabled.value) == (True, True)
    assert not session.microphone_enabled.value
    await session.set_camera(False)
    await session.set_screen_share(False)
    assert granted.published == [("camera", True)]
    await session.set_camera(True)
    assert granted.published == [("camera", False)]
    assert seen == [
        (False, False), (True, False), (True, True), (False, True), (False, False), (True, False),
    ]  # fmt: skip


async def test_without_a_camera_the_room_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_room, "SEATED", frozenset(SOURCES))
    studio = Studio(camera=None)
    async with studio.session as session:
        await session.join()
        await session.take_seat(0, microphone=False)
        with pytest.raises(UTDStreamException, match="no camera: pass camera=") as raised:
            await session.set_camera(True)
        assert code_of(raised) is UTDErrorCode.VALIDATION
        assert studio.published == []


async def test_a_camera_that_fails_is_told_and_may_be_switched_on_again(granted: Studio) -> None:
    session = granted.session
    await session.set_camera(True)
    (track,) = granted.room.tracks
    broken = UTDStreamException("unplugged", code=UTDErrorCode.NOT_FOUND)
    granted.room.emit(ev.LocalTrackFailed(track.sid, broken), ev.LocalTrackUnpublished(track))
    await session.camera_failure.until(broken, timeout=0)
    assert not session.camera_enabled.value
    assert session.screen_share_failure.value is None
    await session.set_camera(True)
    assert session.camera_failure.value is None
    assert session.camera_enabled.value


async def test_a_camera_that_is_unplugged_is_told_until_it_is_back(granted: Studio) -> None:
    session, seen = granted.session, list[UTDStreamException | None]()
    await session.set_camera(True)
    session.camera_failure.subscribe(seen.append)
    (track,) = granted.room.tracks
    gone = UTDStreamException("unplugged", code=UTDErrorCode.NOT_FOUND)
    granted.room.emit(ev.LocalVideoInterrupted("TR_other", gone))
    granted.room.emit(ev.LocalVideoInterrupted(track.sid, gone))
    await session.camera_failure.until(gone, timeout=0)
    assert session.camera_enabled.value  # it stays published
    await session.set_camera(True)  # is so already, and is told as such
    assert session.camera_failure.value is gone
    granted.room.emit(ev.LocalVideoResumed("TR_other"), ev.LocalVideoResumed(track.sid))
    await session.camera_failure.until(None, timeout=0)
    assert seen == [None, gone, None]


async def test_a_camera_that_is_unplugged_is_nobodys_failure_once_it_is_off(
    granted: Studio,
) -> None:
    session = granted.session
    await session.set_screen_share(True)
    (track,) = granted.room.tracks
    gone = UTDStreamException("its X server ended", code=UTDErrorCode.NOT_FOUND)
    granted.room.emit(ev.LocalVideoInterrupted(track.sid, gone))
    await session.screen_share_failure.until(gone, timeout=0)
    await session.set_screen_share(False)
    assert session.screen_share_failure.value is None
    await session.set_screen_share(True)  # another track, of which nothing is known
    assert session.screen_share_failure.value is None


class Webcam:
    """A camera that knows another one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.format = VideoFormat()

    async def open(self, sink: VideoSink) -> Any:
        raise NotImplementedError

    async def other(self, choice: Any = None) -> Webcam:
        if choice == "gone":
            raise UTDStreamException("there is none", code=UTDErrorCode.NOT_FOUND)
        return Webcam(choice or f"{self.name}, next")


async def test_the_camera_is_switched_while_it_is_on_and_for_the_next_time(
    granted: Studio,
) -> None:
    session, room = granted.session, granted.room
    first = Webcam("front")
    assert await session.switch_camera(first) is first
    assert room.sources == {}
    await session.set_camera(True)
    (track,) = room.tracks
    assert room.sources[track.sid] is first
    second = await session.switch_camera()
    assert isinstance(second, Webcam)
    assert (second.name, room.sources[track.sid]) == ("front, next", second)
    third = await session.switch_camera("back")
    assert isinstance(third, Webcam)
    assert (third.name, room.sources[track.sid]) == ("back", third)
    assert room.tracks == (track,)


async def test_a_switch_while_a_camera_opens_waits_for_it(granted: Studio) -> None:
    granted.room.gate.clear()
    enabling = asyncio.ensure_future(granted.session.set_camera(True))
    await settle()
    switching = asyncio.ensure_future(granted.session.switch_camera(PATTERN_2))
    await settle()
    assert not switching.done()
    granted.room.gate.set()
    await asyncio.gather(enabling, switching)
    (track,) = granted.room.tracks
    assert granted.room.sources[track.sid] is PATTERN_2


async def test_a_switch_that_fails_changes_nothing(granted: Studio) -> None:
    session, first = granted.session, Webcam("front")
    await session.switch_camera(first)
    await session.set_camera(True)
    (track,) = granted.room.tracks
    wrong: Any = 7
    for to, code in (("gone", UTDErrorCode.NOT_FOUND), (wrong, UTDErrorCode.VALIDATION)):
        with pytest.raises(UTDStreamException) as raised:
            await session.switch_camera(to)
        assert code_of(raised) is code
    assert granted.room.sources[track.sid] is first
    assert session.camera_enabled.value
    assert session.camera_failure.value is None


async def test_what_knows_no_other_camera_is_not_switched_by_name(granted: Studio) -> None:
    with pytest.raises(UTDStreamException, match="pass a VideoInput") as raised:
        await granted.session.switch_camera()
    assert code_of(raised) is UTDErrorCode.VALIDATION


async def test_the_last_of_two_toggles_wins_and_the_other_is_told(granted: Studio) -> None:
    results = await asyncio.gather(
        granted.session.set_camera(True), granted.session.set_camera(False), return_exceptions=True
    )
    assert results[1] is None
    assert isinstance(results[0], UTDStreamException)
    assert results[0].reason is ConflictReason.OVERTAKEN
    assert "camera" in results[0].message
    assert not granted.session.camera_enabled.value


async def test_closing_while_a_camera_opens_ends_the_wait(granted: Studio) -> None:
    granted.room.gate.clear()
    switching = asyncio.ensure_future(granted.session.set_camera(True))
    await settle()
    granted.room.gate.set()
    await granted.session.aclose()
    with pytest.raises(UTDStreamException) as raised:
        await switching
    assert raised.value.reason in (ConflictReason.LEFT, ConflictReason.CLOSED)
    assert not granted.session.camera_enabled.value


async def test_a_cancelled_switch_leaves_the_intent_and_no_wait(granted: Studio) -> None:
    granted.room.gate.clear()
    switching = asyncio.ensure_future(granted.session.set_camera(True))
    await settle()
    switching.cancel()
    await asyncio.wait([switching])
    assert granted.session.state.value.waits == ()
    granted.room.gate.set()
    await granted.session.camera_enabled.until(True, timeout=0)


async def test_a_revoke_ends_camera_and_screen(granted: Studio) -> None:
    await granted.session.set_camera(True)
    await granted.session.set_screen_share(True)
    granted.room.grant(can_publish=False)
    await granted.session.camera_enabled.until(False, timeout=0)
    await settle()
    assert not granted.session.screen_share_enabled.value
    assert granted.published == []


async def test_statistics_are_those_of_the_room(studio: Studio) -> None:
    session = studio.session
    await session.take_seat(0)
    (track,) = studio.room.tracks
    figures = TrackStatistics(
        TrackDirection.SENT, "me", track.sid, track.source, round_trip=0.05, bit_rate=48_000.0
    )
    studio.room.figures[track.sid] = figures
    studio.room.round_trip = 0.04
    assert await session.statistics() == RoomStatistics((figures,), 0.04)
    await session.leave()
    with pytest.raises(UTDStreamException) as raised:
        await session.statistics()
    assert raised.value.reason is ConflictReason.NOT_JOINED
