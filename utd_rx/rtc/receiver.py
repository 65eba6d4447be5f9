"""Remote audio: the frames of subscribed tracks, delivered until somebody closes or they end.

A reception belongs to a track's sid, not to LiveKit's track object: a full reconnect replaces the
object under the same sid, and the reception goes on with the new one. Frames go from LiveKit's
thread straight into a speaker's mix, or into a box that the loop empties once a turn. They are
stamped by the machine's clock, as those of microphones are: two are compared, and no deadline is.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackKind
from utd_rx.ports import living
from utd_rx.ports.crossing import FrameBox
from utd_rx.ports.room import FramesSink
from utd_rx.rtc import ffi

if TYPE_CHECKING:
    from livekit import rtc

RECEIVE_FORMAT: Final = AudioFormat(48_000, 1)
"""What remote audio is converted to: Opus's own rate, and one channel, as voice is."""

_numbers: Final = count(1)
"""Of receptions, one sequence for the process: what was over stays over in the next connection."""


class Reception:
    """The frames of one remote track, in `RECEIVE_FORMAT`, for a sink on LiveKit's threads."""

    def __init__(self, sid: str, sink: FrameSink) -> None:
        self.sid = sid
        self.has_ended = False
        self._sink = sink
        self.track: rtc.Track | None = None  # whose frames come now, by this native stream:
        self._stream = 0
        self._stopping: set[asyncio.Task[None]] = set()

    def attach(self, track: rtc.Track) -> None:
        if self.track is track or self.has_ended:
            return
        self._detach()
        gone = partial(self.track_gone, track)
        self._stream = ffi.exchange().open(track, RECEIVE_FORMAT, self._take, gone)
        self.track = track

    def end(self) -> None:
        """No more sound ever comes: the track is gone. Idempotent."""
        self._detach()
        self.has_ended = True

    async def aclose(self) -> None:
        """End; after it returns the sink is not called any more. Cancelling is safe."""
        self.end()
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _detach(self) -> None:
        if self.track is not None:
            self.track = None
            closing = ffi.exchange().close(self._stream)
            task = asyncio.create_task(closing, name=f"utd_rx.rtc: close stream {self.sid}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def track_gone(self, track: rtc.Track) -> None:
        """The native stream of `track` has ended."""
        # The room's events decide whether the reception ends or goes on with another track; that
        # one may be attached already.
        if self.track is track:
            self._detach()

    def _take(self, samples: Samples) -> None:
        self._sink(AudioFrame(samples, RECEIVE_FORMAT.sample_rate, time.monotonic()))


class Hearing(Reception):
    """Frames for this loop, in batches."""

    def __init__(self, sid: str, sink: FramesSink) -> None:
        self._box = FrameBox(asyncio.get_running_loop(), sink)
        super().__init__(sid, self._box.post)

    async def aclose(self) -> None:
        self._box.close()
        await super().aclose()


class Route(Reception):
    """Frames for a speaker's mix, which the voice leaves at the end."""

    def __init__(self, sid: str, voice: living.Voice) -> None:
        super().__init__(sid, voice)
        self.voice = voice

    def end(self) -> None:
        super().end()
        self.voice.close()


class Receiver:
    """The receptions of one connection, by number."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._receptions: dict[int, Reception] = {}
        self._is_closed = False

    def hear(self, track_sid: str, sink: FramesSink) -> int:
        """See `RoomPort.hear`."""
        return self._begin(self._find(track_sid), Hearing(track_sid, sink))

    def route(self, track_sid: str, speaker: DeviceKey, name: str, gain: float) -> int:
        """See `RoomPort.route`."""
        track = self._find(track_sid)
        voice = living.find(speaker).voice(name, gain=gain)
        return self._begin(track, Route(track_sid, voice))

    def set_gain(self, number: int, gain: float) -> None:
        """Play a route louder or softer; nothing when it is over."""
        reception = self._receptions.get(number)
        if isinstance(reception, Route) and not reception.has_ended:
            reception.voice.gain = gain

    async def close(self, number: int) -> None:
        """End one reception; nothing when it is over. Cancelling lets it go on."""
        reception = self._receptions.get(number)
        if reception is not None:
            await reception.aclose()

    def subscribed(self, track: rtc.Track) -> None:
        """`track` arrives from now on, perhaps under a sid that is being received."""
        for reception in self._receptions.values():
            if reception.sid == track.sid:
                reception.attach(track)

    def gone(self, track_sid: str) -> None:
        """The track will not come back under this sid."""
        for reception in self._receptions.values():
            if reception.sid == track_sid:
                reception.end()

    def reconcile(self, snapshot: RoomSnapshot) -> None:
        """End what a reconnect did not bring back."""
        present = {track.sid for remote in snapshot.remotes for track in remote.tracks}
        for reception in self._receptions.values():
            if reception.sid not in present:
                reception.end()

    async def aclose(self) -> None:
        """End all receptions. Idempotent."""
        self._is_closed = True
        await asyncio.gather(*(reception.aclose() for reception in self._receptions.values()))

    def _begin(self, track: rtc.Track, reception: Reception) -> int:
        try:
            reception.attach(track)
        except BaseException:
            reception.end()
            raise
        number = next(_numbers)
        going_on = {n: known for n, known in self._receptions.items() if not known.has_ended}
        self._receptions = {**going_on, number: reception}
        return number

    def _find(self, track_sid: str) -> rtc.Track:
        for participant in () if self._is_closed else self._room.remote_participants.values():
            found = participant.track_publications.get(track_sid)
            if found is not None and found.kind == TrackKind.AUDIO.value and found.track:
                return found.track
        raise UTDStreamException(
            f"No audio track {track_sid!r} is subscribed.", code=UTDErrorCode.NOT_FOUND
        )
