"""Frames of the process, between LiveKit's native threads and whose they are.

`livekit.rtc` moves each frame through the event loop, and each of its streams looks at every frame
of the process (docs/livekit.md, "Every stream sees every frame"). Here one subscriber sorts frames
by their stream's handle on the native thread they arrive on, and a microphone's frame is one
request from whatever thread has it, so a busy event loop delays neither.

Threads: `FrameExchange` calls its sinks on LiveKit's native threads, one call at a time, under
LiveKit's lock; only what came while a stream was being opened is handed over where it was. So
whoever holds a lock that a sink takes must never wait for LiveKit's, not even in a finalizer that
the collector happens to run there: `ffi.spare_finalizers`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import define

from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.faults import Faults
from utd_rx.rtc import ffi

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

SampleSink: TypeAlias = Callable[[Samples], None]
PictureSink: TypeAlias = Callable[[ffi.NativePicture], None]

EOS_TIMEOUT: Final = 1.0
"""Seconds to wait for the native end of a stream that was closed; it comes within milliseconds."""

EARLY: Final = 64
"""Frames of streams not opened here that are kept; between LiveKit's making one and the handle's
being known there are at most a few, of all streams of the process together."""


@define(eq=False)
class _Stream:
    handle: Any
    read: Callable[[Any], Any]
    sink: Callable[[Any], None] | None
    ended: asyncio.Event
    loop: asyncio.AbstractEventLoop
    on_end: Callable[[], None] | None

    def end(self) -> None:
        self.ended.set()
        if self.on_end is not None:
            self.on_end()


class FrameExchange:
    """The process's one subscriber to native frames, and to the answers to frames; subscribed
    while there is a stream or somebody who sends."""

    def __init__(self) -> None:
        self._users = 0
        self._users_lock = threading.Lock()
        self._unwatch: Callable[[], None] = lambda: None
        self._expected: dict[int, Callable[[], None]] = {}
        self._streams: dict[int, _Stream] = {}
        # Of a stream that is being opened, whose handle is not known yet; others' fall out.
        self._early: deque[Any] = deque(maxlen=EARLY)
        # LiveKit calls `hear` under its own lock, so this one is never held while calling LiveKit.
        # It is held while a sink runs, so that after `close` no call is under way.
        self._lock = threading.RLock()
        self._faults = Faults(logger, "a frame was lost")

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def acquire(self) -> None:
        """Be subscribed from now on."""
        with self._users_lock:
            self._users += 1
            if self._users == 1:
                self._unwatch = ffi.watch(self.hear)

    def release(self) -> None:
        """Be so no more, once for each `acquire`."""
        with self._users_lock:
            self._users -= 1
            if not self._users:
                self._unwatch()

    # -- out ------------------------------------------------------------------------------------

    def capture(
        self,
        source: rtc.AudioSource,
        samples: bytes,
        audio_format: AudioFormat,
        on_answer: Callable[[], None],
    ) -> bool:
        """Hand a valid frame of 10 ms to a `queue_size_ms=0` source, on any thread; returns whether
        `on_answer` is called, on a native one: not when the source is gone."""
        handle = ffi.handle_of(source)
        if handle.disposed:
            return False
        number = next(ffi.numbers)
        request = ffi.frame_request(handle.handle, samples, audio_format, number)
        self._expected[number] = on_answer
        try:
            ffi.client().request(request)
        except BaseException:
            self._expected.pop(number, None)
            raise
        return True

    # -- in -------------------------------------------------------------------------------------

    def open(
        self,
        track: rtc.Track,
        audio_format: AudioFormat,
        sink: SampleSink,
        on_end: Callable[[], None],
    ) -> int:
        """Open a native stream of a subscribed audio `track`; returns its handle. `sink` takes 10
        ms of int16 `(samples, channels)` on a native thread, `on_end` is called on this loop."""
        request = ffi.sound_request(track, audio_format)
        return self._open("new_audio_stream", request, ffi.samples_of, sink, on_end)

    def open_video(self, track: rtc.Track, sink: PictureSink, on_end: Callable[[], None]) -> int:
        """The same of a video `track`. Of what comes while `sink` is busy the newest is kept."""
        request = ffi.picture_request(track)
        return self._open("new_video_stream", request, ffi.NativePicture, sink, on_end)

    def _open(
        self,
        kind: str,
        request: Any,
        read: Callable[[Any], Any],
        sink: Callable[[Any], None],
        on_end: Callable[[], None],
    ) -> int:
        loop = asyncio.get_running_loop()
        self.acquire()
        try:
            answer = ffi.client().request(request)
            handle = ffi.owned(getattr(answer, kind).stream.handle.id)
        except BaseException:
            self.release()
            raise
        stream = _Stream(handle, read, sink, asyncio.Event(), loop, on_end)
        number: int = handle.handle
        with self._lock:
            self._streams[number] = stream
            for event in [each for each in self._early if each.stream_handle == number]:
                self._take(stream, event)
        return number

    async def close(self, handle: int) -> None:
        """End the stream, whose sink is silent at once. Idempotent; cancelling is safe."""
        with self._lock:
            stream = self._streams.get(handle)
            if stream is None:
                return
            stream.sink = stream.on_end = None
        stream.handle.dispose()
        try:
            async with asyncio.timeout(EOS_TIMEOUT):
                await stream.ended.wait()
        except TimeoutError:
            logger.warning("LiveKit did not confirm the end of a stream")
        finally:
            if self._streams.pop(handle, None) is not None:
                self.release()

    # -- events ---------------------------------------------------------------------------------

    def hear(self, event: Any) -> None:
        """Sort one native event; under a lock of LiveKit's."""
        kind = event.WhichOneof("message")
        if kind == "capture_audio_frame":
            self._expected.pop(event.capture_audio_frame.async_id, lambda: None)()
        elif kind in ("audio_stream_event", "video_stream_event"):
            self._take_event(getattr(event, kind))

    def _take_event(self, event: Any) -> None:
        with self._lock:
            stream = self._streams.get(event.stream_handle)
            if stream is None:
                self._early.append(event)
            else:
                self._take(stream, event)

    def _take(self, stream: _Stream, event: Any) -> None:
        if event.HasField("frame_received"):
            try:
                frame = stream.read(event.frame_received)
                if stream.sink is not None:
                    stream.sink(frame)
            except Exception:  # noqa: BLE001 - logged by `note`
                self._faults.note()
        elif event.HasField("eos"):
            stream.loop.call_soon_threadsafe(stream.end)


@cache
def exchange() -> FrameExchange:
    return FrameExchange()
