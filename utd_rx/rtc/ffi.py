"""Audio straight over LiveKit's native interface, off the event loop, where that is possible.

`livekit.rtc` moves each frame through the event loop, and each `AudioStream` looks at every frame
of the process: 32 tracks saturate a core and lose a third of the frames
(docs/livekit.md, "Every stream sees every frame"). Here one subscriber sorts frames by their
stream's handle on the native thread they arrive on, and a microphone's frame is one request from
whatever thread has it, so a busy event loop delays neither.

This is private ground: `is_available` checks for it, and `receiver` and `feeder` fall back to
`rtc.AudioStream` and `rtc.AudioSource` without it.

Threads: `FrameTap` calls its sinks on LiveKit's native threads, one call at a time.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from attrs import define, field

from utd_rx.models.audio import AudioFormat, Samples

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

SampleSink: TypeAlias = Callable[[Samples], None]

EOS_TIMEOUT: Final = 1.0
"""Seconds to wait for the native end of a stream that was closed; it comes within milliseconds."""

NATIVE_QUEUE: Final = 100
"""Frames (1 s) a stream may wait for the thread that brings them; beyond it the oldest are dropped.

LiveKit's default of 10 is so short that a busy machine loses 5 % of the frames of a single track
(`benchmarks.tracks`). What comes late comes at once, so it is no delay to who bounds theirs."""


_NAMES: Final = {
    "FfiClient": {"instance", "queue", "request", "_dispose"},
    "FfiQueue": {"subscribe", "unsubscribe"},
    "FfiHandle": {"dispose", "disposed"},
}
_REQUESTS: Final = {
    "new_audio_stream": {"track_handle", "type", "sample_rate", "num_channels", "frame_size_ms",
                         "queue_size_frames"},
    "capture_audio_frame": {"source_handle", "buffer"},
    "disconnect": {"room_handle"},
    "ready_for_room_event": {"room_handle"},
}  # fmt: skip
_EVENTS: Final = {"audio_stream_event", "capture_audio_frame", "connect", "disconnect"}


@cache
def is_available() -> bool:
    """Whether this livekit has the private names used here and in `last_resort`."""
    try:
        from livekit.rtc import _ffi_client
        from livekit.rtc._proto import ffi_pb2
    except ImportError:
        return False
    requests = ffi_pb2.FfiRequest.DESCRIPTOR.fields_by_name
    return (
        all(names <= set(dir(getattr(_ffi_client, kind, None))) for kind, names in _NAMES.items())
        and all(
            name in requests
            and fields <= set(getattr(requests[name].message_type, "fields_by_name", ()))
            for name, fields in _REQUESTS.items()
        )
        and set(ffi_pb2.FfiEvent.DESCRIPTOR.fields_by_name) >= _EVENTS
    )


def watch(filter_fn: Callable[[Any], bool]) -> Callable[[], None]:
    """Show every native event to `filter_fn` on LiveKit's threads; returns how to stop it.

    It is called under a lock of LiveKit's. It does the work itself and returns False, so that
    nothing is kept for the loop.
    """
    from livekit.rtc._ffi_client import FfiClient

    events = FfiClient.instance.queue
    queue = events.subscribe(asyncio.get_running_loop(), filter_fn=filter_fn)
    return partial(events.unsubscribe, queue)


def capture(source: rtc.AudioSource, samples: bytes, audio_format: AudioFormat) -> int | None:
    """Hand one frame of exactly 10 ms to a `queue_size_ms=0` source; any thread.

    Returns the number under which LiveKit will answer, or None if the source is gone. The caller
    has validated the frame, and sends no other until the answer: they might overtake each other.
    """
    from livekit.rtc._ffi_client import FfiClient
    from livekit.rtc._proto import ffi_pb2

    handle = source._ffi_handle
    if handle.disposed:
        return None
    request = ffi_pb2.FfiRequest()
    request.capture_audio_frame.source_handle = handle.handle
    buffer = request.capture_audio_frame.buffer
    # The native side copies before the request returns, so `samples` outlives its pointer.
    buffer.data_ptr = ctypes.cast(ctypes.c_char_p(samples), ctypes.c_void_p).value or 0
    buffer.sample_rate = audio_format.sample_rate
    buffer.num_channels = audio_format.channels
    buffer.samples_per_channel = audio_format.samples_per_frame
    answer: int = FfiClient.instance.request(request).capture_audio_frame.async_id
    return answer


@define(eq=False)
class _Stream:
    handle: Any
    sink: SampleSink | None
    ended: asyncio.Event
    loop: asyncio.AbstractEventLoop
    channels: int
    on_end: Callable[[], None] | None


@define(eq=False)
class FrameTap:
    """The process's one subscriber to native audio frames."""

    _streams: dict[int, _Stream] = field(factory=dict)
    _unwatch: Callable[[], None] | None = None
    _opening: int = 0
    _early: list[Any] = field(factory=list)
    # LiveKit calls `_take` under its own lock, so this one is never held while calling LiveKit.
    # It is held while a sink runs, so that after `close` no call is under way.
    _lock: threading.RLock = field(factory=threading.RLock)

    def open(
        self,
        track: rtc.Track,
        audio_format: AudioFormat,
        sink: SampleSink,
        on_end: Callable[[], None],
    ) -> int:
        """Open a native stream of `track`; returns its handle.

        Args:
            track: A subscribed audio track.
            audio_format: What to convert to.
            sink: Takes 10 ms of int16 samples `(samples, channels)`; on a native thread.
            on_end: Called on the loop when the track is gone.
        """
        from livekit.rtc._ffi_client import FfiClient, FfiHandle
        from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

        request = ffi_pb2.FfiRequest()
        new = request.new_audio_stream
        new.track_handle = track._ffi_handle.handle
        new.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
        new.sample_rate = audio_format.sample_rate
        new.num_channels = audio_format.channels
        new.frame_size_ms = 10
        new.queue_size_frames = NATIVE_QUEUE
        loop = asyncio.get_running_loop()
        self._begin()
        try:
            handle = FfiHandle(
                FfiClient.instance.request(request).new_audio_stream.stream.handle.id
            )
            with self._lock:
                stream = _Stream(handle, sink, asyncio.Event(), loop, audio_format.channels, on_end)
                self._streams[handle.handle] = stream
                for event in self._early:
                    self._take(event)
        finally:
            self._finish()
        return handle.handle

    async def close(self, handle: int) -> None:
        """End the stream; after it returns its sink is not called any more. Idempotent.

        Cancelling is safe: the sink is silent at once, the native stream ends by itself.
        """
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
            logger.warning("LiveKit did not confirm the end of an audio stream")
        finally:
            with self._lock:
                self._streams.pop(handle, None)
            self._unwatch_if_idle()

    @property
    def open_streams(self) -> int:
        """How many native streams are open."""
        return len(self._streams)

    def _begin(self) -> None:
        with self._lock:
            self._opening += 1
            is_watching = self._unwatch is not None
        if not is_watching:
            self._unwatch = watch(self._filter)

    def _finish(self) -> None:
        with self._lock:
            self._opening -= 1
            if not self._opening:
                self._early.clear()
        self._unwatch_if_idle()

    def _unwatch_if_idle(self) -> None:
        with self._lock:
            if self._streams or self._opening:
                return
            unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()

    def _filter(self, event: Any) -> bool:
        if event.WhichOneof("message") == "audio_stream_event":
            try:
                with self._lock:
                    self._take(event.audio_stream_event)
            except Exception:
                logger.exception("an audio frame was lost")
        return False

    def _take(self, event: Any) -> None:
        """Sort one stream event; under the lock."""
        stream = self._streams.get(event.stream_handle)
        if stream is None:
            # Somebody else's `AudioStream`, or one being opened whose handle is not known yet.
            if self._opening:
                self._early.append(event)
        elif event.HasField("frame_received"):
            samples = _take_samples(event.frame_received.frame)
            if stream.sink is not None:
                stream.sink(samples.reshape(-1, stream.channels))
        elif event.HasField("eos"):
            stream.loop.call_soon_threadsafe(_ended, stream)


def _ended(stream: _Stream) -> None:
    stream.ended.set()
    if stream.on_end is not None:
        stream.on_end()


def _take_samples(owned: Any) -> Samples:
    """Copy a native buffer and give it back; the copy is read-only."""
    from livekit.rtc._ffi_client import FfiHandle

    size = owned.info.num_channels * owned.info.samples_per_channel * 2
    data = ctypes.string_at(owned.info.data_ptr, size)
    FfiHandle(owned.handle.id).dispose()
    return np.frombuffer(data, np.int16)


@cache
def frame_tap() -> FrameTap:
    """Return the process's tap; subscribed only while a stream is open."""
    return FrameTap()
