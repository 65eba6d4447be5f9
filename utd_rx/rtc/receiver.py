"""What is received of others: sound for an app or a speaker, and pictures for who looks.

Sound goes from LiveKit's thread straight into a speaker's mix, or into a box that the loop empties
once a turn. It is stamped by the machine's clock, as that of microphones is: two are compared, and
no deadline is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackKind
from utd_rx.ports import living
from utd_rx.ports.crossing import FrameBox
from utd_rx.ports.room import FramesSink, PicturesSink
from utd_rx.rtc import streams
from utd_rx.rtc.gates import TrackGates
from utd_rx.rtc.pulls import Pulls
from utd_rx.rtc.reception import Reception, publication
from utd_rx.rtc.watch import Watch

if TYPE_CHECKING:
    from livekit import rtc

RECEIVE_FORMAT: Final = AudioFormat(48_000, 1)
"""What remote audio is converted to: Opus's own rate, and one channel, as voice is."""

MANY: Final = 8
"""Streams of sound of the process for which a mix takes one frame at once; of each of the next as
many it takes two, and of others `MOST_FRAMES`: so threads are woken for half as much, at 10 ms of
delay for each frame more. With few streams that is little. It stays as it was when the stream was
opened."""

MOST_FRAMES: Final = 3

_numbers: Final = count(1)
"""Of receptions, one sequence for the process: what was over stays over in the next connection."""


class TrackSound(Reception):
    """The sound of one remote track, in `RECEIVE_FORMAT`, for a sink on LiveKit's threads."""

    _most_frames = 1  # that the sink takes at once

    def __init__(self, sid: str, sink: FrameSink) -> None:
        super().__init__(sid)
        self._sink = sink

    def _open(self, track: rtc.Track, on_end: Callable[[], None]) -> int:
        exchange = streams.exchange()
        frames = min(self._most_frames, 1 + exchange.open_sounds // MANY)
        return exchange.open(track, RECEIVE_FORMAT, self._take, on_end, frames=frames)

    def _take(self, samples: Samples) -> None:
        if not self.gate.is_open:
            samples = np.zeros_like(samples)
            samples.flags.writeable = False
        self._sink(AudioFrame(samples, RECEIVE_FORMAT.sample_rate, time.monotonic()))


class Hearing(TrackSound):
    """Frames for this loop, in batches."""

    def __init__(self, sid: str, sink: FramesSink) -> None:
        self._box = FrameBox(asyncio.get_running_loop(), sink)
        super().__init__(sid, self._box.post)

    async def aclose(self) -> None:
        self._box.close()
        await super().aclose()


class Route(TrackSound):
    """Frames for a speaker's mix, which the voice leaves at the end."""

    _most_frames = MOST_FRAMES

    def __init__(self, sid: str, voice: living.Voice) -> None:
        super().__init__(sid, voice)
        self.voice = voice

    def end(self) -> None:
        super().end()
        self.voice.close()


class Receiver:
    """The receptions of one connection, by number; with `adaptive_stream` a video that nobody looks
    at is not pulled, and unless this side `reads_encrypted` what is, is silence and no picture."""

    def __init__(
        self, room: rtc.Room, *, adaptive_stream: bool = True, reads_encrypted: bool = True
    ) -> None:
        self._room = room
        self.gates = TrackGates(room, reads_encrypted=reads_encrypted)
        self._receptions: dict[int, Reception] = {}
        self._pulls = Pulls(room, self._heights, is_adaptive=adaptive_stream)
        self._is_closed = False

    @property
    def has_pictures(self) -> bool:
        """Whether any may come: somebody looks, or all that there are come anyway."""
        return not self._pulls.is_adaptive or any(
            isinstance(reception, Watch) and not reception.has_ended
            for reception in self._receptions.values()
        )

    def hear(self, track_sid: str, sink: FramesSink) -> int:
        """See `RoomPort.hear`."""
        track = self._find(track_sid, TrackKind.AUDIO)
        return self._begin(track, Hearing(track_sid, sink))

    def route(self, track_sid: str, speaker: DeviceKey, name: str, gain: float) -> int:
        """See `RoomPort.route`."""
        track = self._find(track_sid, TrackKind.AUDIO)
        voice = living.find(speaker).voice(name, gain=gain)
        return self._begin(track, Route(track_sid, voice))

    def look(self, track_sid: str, sink: PicturesSink, max_height: int | None) -> int:
        """See `RoomPort.look`."""
        track = self._find(track_sid, TrackKind.VIDEO)
        watch = next(self._watches(track_sid), None) or Watch(track_sid)
        number = self._begin(track, watch)
        watch.add(number, sink, max_height)
        self._pulls.adjust(track_sid)
        return number

    def set_gain(self, number: int, gain: float) -> None:
        """Play a route louder or softer; nothing when it is over."""
        reception = self._receptions.get(number)
        if isinstance(reception, Route) and not reception.has_ended:
            reception.voice.gain = gain

    async def close(self, number: int) -> None:
        """End one reception; nothing when it is over. Cancelling lets it go on."""
        reception = self._receptions.get(number)
        if reception is not None:
            try:
                await reception.leave(number)
                # Whoever it was for may have much memory that waits for nobody to be left.
                self._receptions.pop(number, None)
            finally:
                self._pulls.adjust(reception.sid)

    def subscribed(self, track: rtc.Track) -> None:
        """`track` arrives from now on, perhaps under a sid that is being received."""
        if track.kind == TrackKind.VIDEO.value:
            self._pulls.begin(track.sid)
        self.gates.begin(track)
        for reception in self._receptions.values():
            if reception.sid == track.sid:
                reception.gate = self.gates.of(track.sid)
                reception.attach(track)

    def gone(self, track_sid: str) -> None:
        """The track will not come back under this sid."""
        self._pulls.end(track_sid)
        self.gates.end(track_sid)
        for reception in self._receptions.values():
            if reception.sid == track_sid:
                reception.end()

    def reconcile(self, snapshot: RoomSnapshot) -> None:
        """End what a reconnect did not bring back."""
        present = {track.sid for remote in snapshot.remotes for track in remote.tracks}
        self._pulls.keep(present)
        self.gates.keep(present)
        for reception in self._receptions.values():
            if reception.sid not in present:
                reception.end()

    async def aclose(self) -> None:
        """End all receptions. Idempotent."""
        self._is_closed = True
        self.gates.close()
        self._pulls.keep(())
        await asyncio.gather(*(reception.aclose() for reception in self._receptions.values()))

    def _begin(self, track: rtc.Track, reception: Reception) -> int:
        reception.gate = self.gates.of(reception.sid)
        try:
            reception.attach(track)
        except BaseException:
            reception.end()
            raise
        number = next(_numbers)
        going_on = {n: known for n, known in self._receptions.items() if not known.has_ended}
        self._receptions = {**going_on, number: reception}
        return number

    def _find(self, track_sid: str, kind: TrackKind) -> rtc.Track:
        found = None if self._is_closed else publication(self._room, track_sid)
        if found is not None and found.kind == kind.value and found.track:
            return found.track
        raise UTDStreamException(
            f"No {kind.name.lower()} track {track_sid!r} is subscribed.",
            code=UTDErrorCode.NOT_FOUND,
        )

    # -- who looks ------------------------------------------------------------------------------

    def _watches(self, sid: str) -> Iterator[Watch]:
        for reception in self._receptions.values():
            if reception.sid == sid and isinstance(reception, Watch) and not reception.has_ended:
                yield reception

    def _heights(self, sid: str) -> tuple[int | None, ...]:
        return next((watch.heights for watch in self._watches(sid)), ())
