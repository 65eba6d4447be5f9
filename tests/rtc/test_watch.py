"""Who looks at a track shares one native stream, sees the newest frame, and stops at once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from livekit import rtc

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import LocalParticipant
from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.rtc import streams
from utd_rx.rtc.receiver import Receiver


class Exchange:
    """LiveKit's native streams: the test lets pictures arrive."""

    def __init__(self) -> None:
        self.takes: dict[Any, Any] = {}
        self.opened = 0

    def open_video(self, track: Any, take: Any, gone: Any) -> Any:
        self.opened += 1
        self.takes[track] = take
        return track

    async def close(self, handle: Any) -> None:
        self.takes.pop(handle, None)


class Bench:
    """A receiver of a room in which somebody shows something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exchange = Exchange()
        monkeypatch.setattr(streams, "exchange", lambda: self.exchange)
        self.track = SimpleTrack()
        self.publication = SimpleNamespace(kind=2, track=self.track, encryption_type=0)
        remote = SimpleNamespace(track_publications={"TR": self.publication})
        room = cast("rtc.Room", SimpleNamespace(remote_participants={"ann": remote}))
        self.receiver = Receiver(room, adaptive_stream=False)
        self.seen: list[int] = []

    def look(self, seen: list[int] | None = None) -> int:
        seen = self.seen if seen is None else seen
        return self.receiver.look("TR", lambda frame: seen.append(value(frame)), None)

    def show(self, value: int, rotation: int = 0, side: int = 16) -> None:
        """Let a picture arrive on the stream of the track, as if on a thread of LiveKit's."""
        pixels: Pixels = np.full((side, side, 3), value, np.uint8)
        picture = SimpleNamespace(pixels=lambda: pixels, rotation=rotation)
        self.exchange.takes[self.track](picture)


class SimpleTrack:
    """A remote video; another one under the same sid is another object."""

    sid, kind = "TR", 2


def value(frame: VideoFrame) -> int:
    return int(frame.pixels[0, 0, 0])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_however_many_look_there_is_one_stream_until_the_last_has_gone(bench: Bench) -> None:
    other: list[int] = []
    first, second = bench.look(), bench.look(other)
    assert bench.exchange.opened == 1
    bench.show(1)
    await asyncio.sleep(0)
    await bench.receiver.close(first)
    bench.show(2)
    await asyncio.sleep(0)
    assert (bench.seen, other) == ([1], [1, 2])
    await bench.receiver.close(first)
    assert bench.exchange.takes
    await bench.receiver.close(second)
    assert bench.exchange.takes == {}
    bench.look()
    assert bench.exchange.opened == 2
    await bench.receiver.aclose()


async def test_who_is_slow_sees_the_newest_and_nothing_else(bench: Bench) -> None:
    bench.look()
    await asyncio.to_thread(bench.show, 1)
    await asyncio.sleep(0)
    assert bench.seen == [1]
    for number in (2, 3, 4):  # while the loop is busy
        bench.show(number)
    await asyncio.sleep(0)
    assert bench.seen == [1, 4]
    await bench.receiver.aclose()


async def test_who_is_told_to_look_away_by_another_sees_no_more_of_that_frame(
    bench: Bench,
) -> None:
    closing: list[asyncio.Task[None]] = []

    def stop_other(frame: VideoFrame) -> None:
        closing.append(asyncio.get_running_loop().create_task(bench.receiver.close(other)))

    bench.receiver.look("TR", stop_other, None)
    other = bench.look()
    bench.show(1)
    await asyncio.sleep(0)
    await asyncio.gather(*closing)
    bench.show(2)
    await asyncio.sleep(0)
    assert bench.seen == [1]
    await bench.receiver.aclose()


async def test_who_looks_no_more_is_shown_nothing_that_waited(bench: Bench) -> None:
    number = bench.look()
    bench.show(1)
    await bench.receiver.close(number)
    await asyncio.sleep(0)
    assert bench.seen == []


async def test_a_picture_that_is_none_disturbs_nobody(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.look()
    bench.show(1, side=8)  # livekit-server's own, of a camera that was muted
    await asyncio.sleep(0)
    assert caplog.messages == []
    bench.show(1, rotation=9)
    await asyncio.sleep(0)
    bench.show(2)
    await asyncio.sleep(0)
    assert bench.seen == [2]
    assert caplog.messages == ["a picture was lost (1 times so far)"]
    await bench.receiver.aclose()


async def test_a_frame_says_when_it_came_and_how_it_is_turned(bench: Bench) -> None:
    frames: list[VideoFrame] = []
    bench.receiver.look("TR", frames.append, None)
    bench.show(1, rotation=3)
    await asyncio.sleep(0)
    bench.show(1)
    await asyncio.sleep(0)
    assert [frame.rotation for frame in frames] == [270, 0]
    assert frames[0].timestamp < frames[1].timestamp
    await bench.receiver.aclose()


async def test_it_goes_on_with_the_track_that_replaces_its_own_and_ends_with_it(
    bench: Bench,
) -> None:
    bench.look()
    bench.track = SimpleTrack()
    bench.receiver.subscribed(cast("rtc.Track", bench.track))
    bench.show(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.seen == [1]
    assert list(bench.exchange.takes) == [bench.track]
    bench.receiver.reconcile(RoomSnapshot("room", LocalParticipant("me")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.exchange.takes == {}
    await bench.receiver.aclose()


async def test_sound_is_not_looked_at_nor_a_picture_heard(bench: Bench) -> None:
    with pytest.raises(UTDStreamException) as caught:
        bench.receiver.hear("TR", lambda frames: None)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    bench.publication.kind = 1
    with pytest.raises(UTDStreamException) as caught:
        bench.look()
    assert caught.value.code is UTDErrorCode.NOT_FOUND
