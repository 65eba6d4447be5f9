"""What is received of others in a world: sound every 10 ms, as a decoder gives it, and pictures.

Where nothing arrives silence is heard, as it is of LiveKit; a track that nobody listens to or looks
at costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Final

import numpy as np
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, FrameSink
from utd_rx.models.devices import DeviceKey
from utd_rx.models.participant import TrackKind
from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.ports import living
from utd_rx.ports.living import Voice
from utd_rx.ports.room import FramesSink, PicturesSink, height_asked
from utd_rx.testing.world.wire import Wire

FORMAT: Final = AudioFormat(48_000, 1)
"""What remote sound is, as of `UTDRoom`."""

MAX_WAITING: Final = 10
"""Frames of sound that wait to be heard, the oldest are dropped: a jitter buffer of 100 ms."""

LAYERED_FROM: Final = 960
"""Pixels of the longer side from which a picture comes in three sizes, as `UTDRoom` sends it."""

_SILENCE: Final = np.zeros((FORMAT.samples_per_frame, 1), np.int16)
_SILENCE.flags.writeable = False


class HeardTrack:
    """The sound of one remote track for a sink, a frame every 10 ms of the loop."""

    def __init__(self, sid: str, sink: FrameSink, voice: Voice | None = None) -> None:
        self.sid, self.voice = sid, voice
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_WAITING)
        self._began_at, self._heard = self._loop.time(), 0
        self._timer = self._loop.call_soon(self._tick)

    def take(self, frame: AudioFrame | VideoFrame) -> None:
        """Take a frame that arrived."""
        if isinstance(frame, AudioFrame):
            self._waiting.append(frame)

    def end(self) -> None:
        """Nothing more is heard. Idempotent."""
        self._timer.cancel()
        if self.voice is not None:
            self.voice.close()

    def _tick(self) -> None:
        samples = self._waiting.popleft().samples if self._waiting else _SILENCE
        self._heard += 1
        due = self._began_at + self._heard / FRAMES_PER_SECOND
        self._timer = self._loop.call_at(due, self._tick)
        self._sink(AudioFrame(samples, FORMAT.sample_rate, self._loop.time()))


class SeenTrack:
    """The pictures of one remote track for a sink."""

    voice = None

    def __init__(self, sid: str, sink: PicturesSink, max_height: int | None) -> None:
        self.sid, self.max_height = sid, max_height
        self._sink = sink

    def take(self, frame: AudioFrame | VideoFrame) -> None:
        """Take a picture that arrived."""
        if isinstance(frame, VideoFrame):
            self._sink(VideoFrame(frame.pixels, asyncio.get_running_loop().time(), frame.rotation))

    def end(self) -> None:
        """Nothing more is seen. Idempotent."""


class Receptions:
    """The receptions of one connection, by number; see `RoomPort.hear`, `route` and `look`."""

    def __init__(self, wire: Wire, numbers: Iterator[int]) -> None:
        self._wire = wire
        self._numbers = numbers
        self._going: dict[int, HeardTrack | SeenTrack] = {}

    def hear(self, sid: str, sink: FramesSink) -> int:
        self._require(sid, TrackKind.AUDIO)
        return self._begin(HeardTrack(sid, lambda frame: sink((frame,))))

    def route(self, sid: str, speaker: DeviceKey, name: str, gain: float) -> int:
        self._require(sid, TrackKind.AUDIO)
        voice: Voice = living.find(speaker).voice(name, gain=gain)
        return self._begin(HeardTrack(sid, voice, voice))

    def set_gain(self, number: int, gain: float) -> None:
        """Play a route louder or softer; nothing when it is over."""
        found = self._going.get(number)
        if found is not None and found.voice is not None:
            found.voice.gain = gain

    def look(self, sid: str, sink: PicturesSink, max_height: int | None) -> int:
        height = height_asked(max_height)
        self._require(sid, TrackKind.VIDEO)
        return self._begin(SeenTrack(sid, sink, height))

    def stop(self, number: int) -> None:
        """End one reception; nothing when it is over."""
        if (found := self._going.pop(number, None)) is not None:
            found.end()

    def take(self, sid: str, frame: AudioFrame | VideoFrame) -> None:
        """Take a frame of a track that arrived."""
        receptions = [one for one in self._going.values() if one.sid == sid]
        if isinstance(frame, VideoFrame):
            heights = [one.max_height for one in receptions if isinstance(one, SeenTrack)]
            frame = evolve(frame, pixels=_layer(frame.pixels, heights))
        for one in receptions:
            one.take(frame)

    def end(self, sid: str) -> None:
        """The track will not come back under this sid."""
        self._end_unless(lambda one: one != sid)

    def keep(self, sids: Collection[str]) -> None:
        """End what a reconnect did not bring back, and go on with the rest."""
        self._end_unless(lambda one: one in sids)
        for one in self._going.values():
            self._attend(one.sid)

    def close(self) -> None:
        """End all receptions. Idempotent."""
        self._end_unless(lambda one: False)

    def _begin(self, reception: HeardTrack | SeenTrack) -> int:
        number = next(self._numbers)
        self._going[number] = reception
        self._attend(reception.sid)
        return number

    def _attend(self, sid: str) -> None:
        self._wire.post(lambda room, who: room.media.attend(sid, who.client))

    def _end_unless(self, goes_on: Callable[[str], bool]) -> None:
        for number, one in tuple(self._going.items()):
            if not goes_on(one.sid):
                self.stop(number)

    def _require(self, sid: str, kind: TrackKind) -> None:
        track = self._wire.find(sid)
        if track is None or track.kind is not kind or not track.is_subscribed:
            raise UTDStreamException(
                f"No {kind.name.lower()} track {sid!r} is subscribed.",
                code=UTDErrorCode.NOT_FOUND,
            )


def _layer(pixels: Pixels, heights: Collection[int | None]) -> Pixels:
    """Return the smallest size of a picture that serves all who look, as LiveKit's layers are
    (docs/livekit.md, "Layers on demand")."""
    if max(pixels.shape[:2]) >= LAYERED_FROM and None not in heights:
        wanted = 0.9 * max((height or 0 for height in heights), default=0)
        for step in (4, 2):
            if len(pixels) // step >= wanted:
                return pixels[::step, ::step]
    return pixels
