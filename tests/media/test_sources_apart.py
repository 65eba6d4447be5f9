"""What an app makes itself is heard and seen by others, with its room in a media process."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.rtc.bench import Ear, Frames, Tone, eventually, token
from tests.support.sfu import running_sfu
from utd_rx.media.house import House
from utd_rx.media.process import MediaProcess
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackKind, TrackSource
from utd_rx.models.video import VideoFrame
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import FrameSource, TestPattern
from utd_rx.video.pattern import read_counter

pytestmark = [pytest.mark.embedded, pytest.mark.long]


class Rooms:
    """Ann's room, in a media process, and Bob's, here."""

    def __init__(self, process: MediaProcess, bob: UTDRoom) -> None:
        self.ann, self.bob = process.room(), bob
        self.news: list[ev.RoomEvent] = []
        self.ann.listen(self.news.extend)
        self.ear = Ear(bob)

    async def subscribed(self, kind: TrackKind) -> str:
        """Return the sid of what Bob receives of Ann, once he does."""
        heard = await self.ear.wait(ev.TrackSubscribed, lambda event: event.track.kind is kind)
        return heard.track.sid


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    process, bob = MediaProcess(), UTDRoom()
    async with running_sfu("embedded") as sfu:
        rooms = Rooms(process, bob)
        await bob.connect(sfu.url, token(sfu, "bob"))
        await rooms.ann.connect(sfu.url, token(sfu, "ann"))
        yield rooms
        await bob.aclose()
        await process.aclose()


async def test_sound_of_the_apps_is_heard_and_its_end_is_told(rooms: Rooms) -> None:
    tone, came = Tone(), Frames()
    track = await rooms.ann.publish(tone)
    await rooms.bob.hear(await rooms.subscribed(TrackKind.AUDIO), came.take)
    await came.wait(lambda: came.peak > 1_000)
    assert tone.open_streams == 1
    await rooms.ann.unpublish(track.sid)
    assert tone.open_streams == 0
    short = await rooms.ann.publish(Tone(frames=20))
    await eventually(lambda: ev.LocalAudioEnded(short.sid) in rooms.news)


async def test_pictures_of_the_apps_are_seen_and_rest_while_they_are_muted(rooms: Rooms) -> None:
    pattern = TestPattern(320, 180, 20)
    pictures = itertools.cycle([pattern.picture(number) for number in range(20)])
    asked: list[int] = []

    def make(number: int) -> Any:
        asked.append(number)
        return next(pictures)

    seen: list[VideoFrame] = []
    source = FrameSource(make, 20, size=(320, 180))
    track = await rooms.ann.publish(source, TrackSource.CAMERA)
    await rooms.bob.look(await rooms.subscribed(TrackKind.VIDEO), seen.append)
    await eventually(lambda: any(read_counter(frame) is not None for frame in seen))
    assert asked[:2] == [0, 1]
    await rooms.ann.set_muted(track.sid, True)
    asked.clear()
    await rooms.ann.set_muted(track.sid, False)
    await eventually(lambda: asked[:1] == [0])  # opened anew
    await rooms.ann.replace(track.sid, pattern)
    await rooms.ann.unpublish(track.sid)


async def test_a_source_of_the_apps_that_fails_says_why(rooms: Rooms) -> None:
    def fail(number: int) -> Any:
        raise RuntimeError("out of paint")

    source = FrameSource(fail, size=(64, 36))
    track = await rooms.ann.publish(source, TrackSource.CAMERA)
    await eventually(lambda: any(isinstance(one, ev.LocalTrackFailed) for one in rooms.news))
    [failed] = [one for one in rooms.news if isinstance(one, ev.LocalTrackFailed)]
    assert failed.track_sid == track.sid
    assert failed.error.message == "the video input failed: RuntimeError"


async def test_what_the_app_makes_goes_on_in_the_process_that_follows() -> None:
    house, bob, tone, came = House(), UTDRoom(), Tone(), Frames()
    async with running_sfu("embedded") as sfu:
        ear = Ear(bob)
        await bob.connect(sfu.url, token(sfu, "bob"))
        ann = house.room(lambda key: False)
        await ann.connect(sfu.url, token(sfu, "ann"))
        await ann.publish(tone)
        await ear.wait(ev.TrackSubscribed)
        process = house.succession.current
        assert process is not None
        process.kill()
        await ear.wait(ev.ParticipantDisconnected)
        await eventually(lambda: len(ear.of(ev.TrackSubscribed)) == 2)
        await bob.hear(ear.of(ev.TrackSubscribed)[1].track.sid, came.take)
        await came.wait(lambda: came.peak > 1_000)
        assert tone.open_streams == 1
        await bob.aclose()
        await ann.aclose()
    assert tone.open_streams == 0
