"""Frames of the process, between LiveKit's native threads and whose they are.

`livekit.rtc` moves each frame through the event loop, and each of its streams looks at every frame
of the process (docs/livekit.md, "Every stream sees every frame"). Here frames are sorted by their
stream's handle on the native thread they arrive on, before LiveKit hears of them
(`native_frames`), and a microphone's frame is one request from whatever thread has it, so a busy
event loop delays neither.

Threads: `FrameExchange` calls its sinks on LiveKit's native threads, those of one stream one at a
time, and under no lock of LiveKit's; only what came while a stream was being opened is handed over
where it was.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import define, field

from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.faults import Faults
from utd_rx.rtc import ffi, native_frames

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

SampleSink: TypeAlias = Callable[[Samples], None]
PictureSink: TypeAlias = Callable[[native_frames.NativePicture], None]

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
    # Held while the sink runs, so that after `close` no call is under way.
    lock: threading.RLock = field(init=False, factory=threading.RLock)

    def end(self) -> None:
        self.ended.set()
        if self.on_end is not None:
            self.on_end()


class FrameExchange:
    """Takes the native frames of its streams, and the answers to its frames."""

    def __init__(self, native: native_frames.Native) -> None:
        self._native = native
        self._expected: dict[int, Callable[[], None]] = {}
        self._streams: dict[int, _Stream] = {}
        # Of a stream that is being opened, whose handle is not known yet; others' fall out.
        self._early: deque[tuple[int, Any]] = deque(maxlen=EARLY)
        self._opening = threading.Lock()
        self._faults = Faults(logger, "a frame was lost")

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    @property
    def open_sounds(self) -> int:
        """Streams of sound that somebody takes."""
        streams = tuple(self._streams.values())
        return sum(one.read == self._native.samples_of and one.sink is not None for one in streams)

    # -- out ------------------------------------------------------------------------------------

    def capture(
        self, request: native_frames.SoundRequest, samples: bytes, on_answer: Callable[[], None]
    ) -> None:
        """Hand a valid frame of 10 ms to a `queue_size_ms=0` source, on any thread; `on_answer` is
        called on a native one."""
        number = next(ffi.numbers)
        asking = request.of(self._native.address(samples), number)
        self._expected[number] = on_answer
        try:
            self._native.send(asking)
        except BaseException:
            self._expected.pop(number, None)
            raise

    # -- in -------------------------------------------------------------------------------------

    def open(
        self,
        track: rtc.Track,
        audio_format: AudioFormat,
        sink: SampleSink,
        on_end: Callable[[], None],
        *,
        frames: int = 1,
    ) -> int:
        """Open a native stream of a subscribed audio `track`; returns its handle. `sink` takes so
        many `frames` of int16 `(samples, channels)` at once on a native thread, `on_end` is called
        on this loop."""
        request = native_frames.sound_request(track, audio_format, frames)
        return self._open("new_audio_stream", request, self._native.samples_of, sink, on_end)

    def open_video(self, track: rtc.Track, sink: PictureSink, on_end: Callable[[], None]) -> int:
        """The same of a video `track`. Of what comes while `sink` is busy the newest is kept."""
        request = native_frames.picture_request(track)
        return self._open("new_video_stream", request, native_frames.NativePicture, sink, on_end)

    def _open(
        self,
        kind: str,
        request: Any,
        read: Callable[[Any], Any],
        sink: Callable[[Any], None],
        on_end: Callable[[], None],
    ) -> int:
        answer = ffi.client().request(request)
        handle = ffi.owned(getattr(answer, kind).stream.handle.id)
        stream = _Stream(handle, read, sink, asyncio.Event(), asyncio.get_running_loop(), on_end)
        number: int = handle.handle
        with self._opening, stream.lock:
            self._streams[number] = stream
            for event in [each for whose, each in self._early if whose == number]:
                self._take(stream, event)
        return number

    async def close(self, handle: int) -> None:
        """End the stream, whose sink is silent at once. Idempotent; cancelling is safe."""
        stream = self._streams.get(handle)
        if stream is None:
            return
        with stream.lock:
            stream.sink = stream.on_end = None
        stream.handle.dispose()
        try:
            async with asyncio.timeout(EOS_TIMEOUT):
                await stream.ended.wait()
        except TimeoutError:
            logger.warning("LiveKit did not confirm the end of a stream")
        finally:
            self._streams.pop(handle, None)

    # -- events ---------------------------------------------------------------------------------

    def hear(self, kind: str, event: Any) -> bool:
        """Take one native event, by its kind; returns whether it was for here."""
        if kind == "capture_audio_frame":
            on_answer = self._expected.pop(event.async_id, None)
            if on_answer is None:
                return False
            on_answer()
            return True
        number = event.stream_handle
        stream = self._streams.get(number)
        if stream is None:
            with self._opening:
                stream = self._streams.get(number)
                if stream is None:
                    self._early.append((number, event))
                    return False
        with stream.lock:
            self._take(stream, event)
        return True

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


_MAKING: Final = threading.Lock()


def exchange() -> FrameExchange:
    """Return the process's; from the first call on it is the first to hear of frames."""
    with _MAKING:
        return _exchange()


@cache
def _exchange() -> FrameExchange:
    native = native_frames.native()
    made = FrameExchange(native)
    native.take_over(made.hear)
    return made
