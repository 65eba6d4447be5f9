"""Remote audio: the frames of subscribed tracks, delivered until somebody closes or they end.

A reception belongs to a track's sid, not to LiveKit's track object: a full reconnect replaces the
object under the same sid, and the reception goes on with the new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.guarded_sink import GuardedSink
from utd_rx.models.participant import TrackKind
from utd_rx.rtc import ffi, native

if TYPE_CHECKING:
    from livekit import rtc

PUMP_CAPACITY: Final = 20
"""Frames (200 ms) an `rtc.AudioStream` may run behind before the oldest is dropped; its own
default is unbounded, which turns a stall into delay and memory."""

Stop = Callable[[], Awaitable[None]]


class Reception:
    """The frames of one remote track; an `AudioInputStream`."""

    def __init__(self, sid: str, sink: FrameSink, audio_format: AudioFormat) -> None:
        self.sid = sid
        self._sink = GuardedSink(sink)
        self._format = audio_format
        self._ended = asyncio.Event()
        self._stop: Stop | None = None
        self._track: rtc.Track | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    @property
    def has_ended(self) -> bool:
        """Whether no more sound ever comes."""
        return self._ended.is_set()

    def attach(self, track: rtc.Track) -> None:
        """Take the frames of `track` from now on."""
        if self._track is track or self.has_ended:
            return
        self.detach()
        self._track = track
        opener = _open_tap if ffi.is_available() else _open_pump
        self._stop = opener(track, self._format, self._take, partial(self._track_gone, track))

    def detach(self) -> None:
        """Take no more frames; the native stream is closed by a task of this reception."""
        stop, self._stop, self._track = self._stop, None, None
        if stop is not None:
            task = asyncio.create_task(_run(stop), name=f"utd_rx.rtc: close stream {self.sid}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def end(self) -> None:
        """No more sound ever comes: the track is gone."""
        self.detach()
        self._ended.set()

    async def wait_ended(self) -> None:
        """Wait until the track is gone. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Stop; after it returns the sink is not called any more. Idempotent.

        Cancelling is safe: the closing goes on.
        """
        self.end()
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _track_gone(self, track: rtc.Track) -> None:
        # The room's events decide whether the reception ends or goes on with another track; that
        # one may be attached already.
        if self._track is track:
            self.detach()

    def _take(self, samples: Samples) -> None:
        self._sink(AudioFrame(samples, self._format.sample_rate, time.monotonic()))


class Receiver:
    """The receptions of one connection."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._receptions: list[Reception] = []
        self._closed = False

    def open(self, track_sid: str, sink: FrameSink, audio_format: AudioFormat) -> Reception:
        """Deliver the frames of `track_sid` to `sink`.

        Raises:
            UTDStreamException: `NOT_FOUND` when no such audio track is subscribed.
        """
        track = self._find(track_sid)
        if track is None or self._closed:
            raise UTDStreamException(
                f"No audio track {track_sid!r} is subscribed.", code=UTDErrorCode.NOT_FOUND
            )
        self._receptions = [known for known in self._receptions if not known.has_ended]
        reception = Reception(track_sid, sink, audio_format)
        reception.attach(track)
        self._receptions.append(reception)
        return reception

    def subscribed(self, track: rtc.Track) -> None:
        """`track` arrives from now on, perhaps under a sid that is being received."""
        for reception in self._receptions:
            if reception.sid == track.sid:
                reception.attach(track)

    def gone(self, track_sid: str) -> None:
        """The track will not come back under this sid."""
        for reception in self._receptions:
            if reception.sid == track_sid:
                reception.end()

    def reconcile(self, snapshot: RoomSnapshot) -> None:
        """End what a reconnect did not bring back."""
        present = {track.sid for remote in snapshot.remotes for track in remote.tracks}
        for reception in self._receptions:
            if reception.sid not in present:
                reception.end()

    async def aclose(self) -> None:
        """End all receptions. Idempotent."""
        self._closed = True
        await asyncio.gather(*(reception.aclose() for reception in self._receptions))

    def _find(self, track_sid: str) -> rtc.Track | None:
        for participant in self._room.remote_participants.values():
            publication = participant.track_publications.get(track_sid)
            if publication is not None and publication.kind == TrackKind.AUDIO.value:
                return publication.track
        return None


async def _run(stop: Stop) -> None:
    await stop()


def _open_tap(
    track: rtc.Track,
    audio_format: AudioFormat,
    take: Callable[[Samples], None],
    gone: Callable[[], None],
) -> Stop:
    tap = ffi.frame_tap()
    handle = tap.open(track, audio_format, take, gone)

    async def stop() -> None:
        await tap.close(handle)

    return stop


def _open_pump(
    track: rtc.Track,
    audio_format: AudioFormat,
    take: Callable[[Samples], None],
    gone: Callable[[], None],
) -> Stop:
    """Receive by the public `rtc.AudioStream`; its last frames are lost at the end (defect D7)."""
    stream = native.sdk().AudioStream(
        track,
        capacity=PUMP_CAPACITY,
        sample_rate=audio_format.sample_rate,
        num_channels=audio_format.channels,
        frame_size_ms=10,
    )

    async def pump() -> None:
        async for event in stream:
            samples = np.frombuffer(bytes(event.frame.data.cast("B")), np.int16)
            take(samples.reshape(-1, audio_format.channels))
        gone()

    task = asyncio.create_task(pump(), name=f"utd_rx.rtc: receive {track.sid}")

    async def stop() -> None:
        # The order matters: a pump that still reads would be cancelled with frames in hand.
        await stream.aclose()
        task.cancel()
        await asyncio.wait([task])

    return stop
