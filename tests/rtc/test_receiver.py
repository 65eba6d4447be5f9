"""Receptions belong to a sid: they outlive its track, end with it, and leave nothing behind."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc

from tests.rtc.bench import Loudspeaker, tone_frame
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import LocalParticipant
from utd_rx.rtc import streams
from utd_rx.rtc.receiver import MANY, MOST_FRAMES, RECEIVE_FORMAT, Receiver


class Exchange:
    """LiveKit's native streams: the test lets frames arrive."""

    def __init__(self) -> None:
        self.takes: dict[Any, Any] = {}
        self.frames: list[int] = []  # that each stream was to bring at once
        self.is_broken = False

    @property
    def open_sounds(self) -> int:
        return len(self.takes)

    def open(self, track: Any, audio_format: object, take: Any, gone: Any, *, frames: int) -> Any:
        if self.is_broken:
            raise RuntimeError("a handle that is gone")
        self.takes[track] = take
        self.frames.append(frames)
        return track

    async def close(self, handle: Any) -> None:
        self.takes.pop(handle, None)

    def play(self, track: Any) -> None:
        """Let a frame of it arrive."""
        self.takes[track](tone_frame(RECEIVE_FORMAT).samples)


def track(sid: str = "TR", kind: int = 1) -> Any:
    """Return a remote track, of sound unless told otherwise."""

    class Track:
        def __init__(self) -> None:
            self.sid, self.kind = sid, kind

    return Track()


class Bench:
    """A receiver of a room in which somebody publishes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.exchange = Exchange()
        monkeypatch.setattr(streams, "exchange", lambda: self.exchange)
        self.track = track()
        self.publication = SimpleNamespace(kind=1, track=self.track, encryption_type=0)
        remote = SimpleNamespace(track_publications={"TR": self.publication})
        self.room = cast("rtc.Room", SimpleNamespace(remote_participants={"ann": remote}))
        self.receiver = Receiver(self.room)
        self.heard: list[tuple[AudioFrame, ...]] = []


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_frames_are_delivered_in_batches_until_they_are_not_wanted(bench: Bench) -> None:
    number = bench.receiver.hear("TR", bench.heard.append)
    for _ in range(3):
        await asyncio.to_thread(bench.exchange.play, bench.track)
    await asyncio.sleep(0)
    assert sum(map(len, bench.heard)) == 3
    bench.exchange.play(bench.track)
    await bench.receiver.close(number)
    await bench.receiver.close(number)
    await asyncio.sleep(0)
    assert sum(map(len, bench.heard)) == 3  # what waited was dropped
    assert bench.exchange.takes == {}


async def test_a_reception_goes_on_with_the_track_that_replaces_its_own(bench: Bench) -> None:
    bench.receiver.hear("TR", bench.heard.append)
    again, other = track(), track("TR_other")
    bench.receiver.subscribed(other)
    bench.receiver.subscribed(again)
    bench.exchange.play(again)
    await asyncio.sleep(0)
    assert len(bench.heard) == 1
    await asyncio.sleep(0)
    assert list(bench.exchange.takes) == [again]  # the old stream is closed
    await bench.receiver.aclose()


async def test_of_many_a_mix_takes_several_frames_at_once_and_an_app_none(bench: Bench) -> None:
    speaker = Loudspeaker()
    for number in range(4 * MANY):
        bench.publication.track = track()
        bench.receiver.route("TR", speaker.key, str(number), 1.0)
    few, more, most = bench.exchange.frames[:MANY], bench.exchange.frames[MANY : 2 * MANY], 2 * MANY
    assert (set(few), set(more)) == ({1}, {2})
    assert set(bench.exchange.frames[most:]) == {MOST_FRAMES}
    bench.publication.track = track()
    bench.receiver.hear("TR", bench.heard.append)
    assert bench.exchange.frames[-1] == 1
    await bench.receiver.aclose()


async def test_the_end_of_a_track_ends_what_it_was_received_for(bench: Bench) -> None:
    speaker = Loudspeaker()
    route = bench.receiver.route("TR", speaker.key, "ann", 0.5)
    bench.receiver.hear("TR", bench.heard.append)
    bench.exchange.play(bench.track)
    bench.receiver.gone("TR_other")
    (voice,) = speaker.voices
    assert not voice.is_closed
    bench.receiver.gone("TR")
    assert voice.is_closed
    bench.receiver.subscribed(track())  # under the same sid, and too late
    bench.receiver.set_gain(route, 2.0)
    assert voice.gain == 0.5
    await bench.receiver.close(route)
    await asyncio.sleep(0)
    assert sum(map(len, bench.heard)) == 1  # its last frame is not lost
    assert bench.exchange.takes == {}


async def test_what_a_reconnect_does_not_bring_back_ends(bench: Bench) -> None:
    speaker = Loudspeaker()
    bench.receiver.route("TR", speaker.key, "", 1.0)
    bench.receiver.reconcile(RoomSnapshot("room", LocalParticipant("me")))
    assert speaker.voices[0].is_closed
    await bench.receiver.aclose()
    assert bench.exchange.takes == {}


async def test_what_cannot_be_received_leaves_no_voice_behind(bench: Bench) -> None:
    speaker = Loudspeaker()
    bench.exchange.is_broken = True
    with pytest.raises(RuntimeError):
        bench.receiver.route("TR", speaker.key, "", 1.0)
    assert [voice.is_closed for voice in speaker.voices] == [True]
    bench.exchange.is_broken = False
    for sid, key in (("TR_other", speaker.key), ("TR", DeviceKey("speaker"))):
        with pytest.raises(UTDStreamException) as caught:
            bench.receiver.route(sid, key, "", 1.0)
        assert caught.value.code is UTDErrorCode.NOT_FOUND
    bench.publication.kind = 2
    with pytest.raises(UTDStreamException):
        bench.receiver.hear("TR", bench.heard.append)
    assert len(speaker.voices) == 1


async def test_after_the_connection_nothing_begins_and_old_numbers_name_nothing_new(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = bench.receiver.hear("TR", bench.heard.append)
    await bench.receiver.aclose()
    with pytest.raises(UTDStreamException) as caught:
        bench.receiver.hear("TR", bench.heard.append)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    later = Receiver(bench.room)
    assert later.hear("TR", bench.heard.append) != number
    await later.close(number)
    assert bench.exchange.takes
    await later.aclose()
    assert bench.exchange.takes == {}
