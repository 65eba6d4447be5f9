"""LiveKit's native interface, which is private ground: `check` looks for all that is used of it.

`livekit.rtc` moves each frame through the event loop, and each `AudioStream` looks at every frame
of the process (docs/livekit.md, "Every stream sees every frame"). Here one subscriber sorts frames
by their stream's handle on the native thread they arrive on, and a microphone's frame is one
request from whatever thread has it, so a busy event loop delays neither.

Threads: `AudioExchange` calls its sinks on LiveKit's native threads, one call at a time, under
LiveKit's lock. So whoever holds a lock that a sink takes must never wait for LiveKit's, not even in
a finalizer that the collector happens to run there: `spare_finalizers`.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from attrs import define

from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.faults import Faults

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

SampleSink: TypeAlias = Callable[[Samples], None]

EOS_TIMEOUT: Final = 1.0
"""Seconds to wait for the native end of a stream that was closed; it comes within milliseconds."""

NATIVE_QUEUE: Final = 100
"""Frames (1 s) a stream may wait for the thread that brings them; beyond it the oldest are dropped.
LiveKit's default of 10 loses 5 % of one track's on a busy machine (`benchmarks.tracks`). What comes
late comes at once, so it is no delay to who bounds theirs."""

EARLY: Final = 64
"""Frames of streams not opened here that are kept; between LiveKit's making one and the handle's
being known there are at most a few, of all streams of the process together."""


def check() -> None:
    """Raise `ImportError` or `AttributeError` if this livekit lacks a private name used here, in
    `native` or in `last_resort`.

    What objects of it have is not there yet: that their code names it is all that can be known.
    """
    from livekit.rtc import AudioSource, AudioStream, Room, Track, VideoStream
    from livekit.rtc._ffi_client import FfiClient, FfiHandle, FfiQueue
    from livekit.rtc._proto import ffi_pb2

    event, request = ffi_pb2.FfiEvent(), ffi_pb2.FfiRequest()
    _ = FfiClient.request, FfiClient.queue, FfiClient._dispose, FfiHandle.dispose
    _ = FfiHandle.disposed, FfiQueue.subscribe, FfiQueue.unsubscribe, Room._on_room_event
    _ = event.connect, event.disconnect, event.audio_stream_event, event.capture_audio_frame
    _ = request.disconnect.request_async_id, request.ready_for_room_event.room_handle
    _stream_request(0, AudioFormat())
    _frame_request(0, b"", AudioFormat(), 0)
    for code, name in (
        *((each.__init__, "_ffi_handle") for each in (Room, Track, AudioSource)),
        (Room.__init__, "_token"),
        (Room.connect, "_ffi_queue"),
        *((each.__init__, "_ffi_queue") for each in (AudioStream, VideoStream)),
        *((each.__init__, "_loop") for each in (Room, AudioStream, VideoStream)),
    ):
        if name not in code.__code__.co_names:
            raise AttributeError(f"{code.__qualname__} knows no {name}")


def client() -> Any:
    """Return LiveKit's end of its native interface."""
    from livekit.rtc._ffi_client import FfiClient

    return FfiClient.instance


numbers: Final = count(2**62)
"""Of requests, as this side gives them: so who waits for an answer knows before it asks. LiveKit's
own begin at 1."""


def watch(hear: Callable[[Any], None]) -> Callable[[], None]:
    """Show every native event to `hear`, on LiveKit's threads and under its lock; call to stop."""

    def keep_nothing(event: Any) -> bool:
        hear(event)
        return False

    events = client().queue
    no_loop: Any = object()  # nothing is handed to it
    return partial(events.unsubscribe, events.subscribe(no_loop, filter_fn=keep_nothing))


def spare_finalizers(*types: type[Any]) -> None:
    """Make finalizers of LiveKit's that unsubscribe wait for no lock: waiting there stopped the
    process for good (docs/livekit.md, "Finalizers that wait")."""
    for each in types:
        each.__del__ = _unsubscribe_later


_orphans: Final[deque[Any]] = deque()
"""Subscriptions whose loop had ended before they were given up."""


def _unsubscribe_later(owner: Any) -> None:
    subscribed = getattr(owner, "_ffi_queue", None)
    if subscribed is None:
        return
    try:
        owner._loop.call_soon_threadsafe(_unsubscribe, subscribed)  # takes no lock
    except RuntimeError:  # its loop is closed
        _orphans.append(subscribed)


def _unsubscribe(subscribed: Any) -> None:
    client().queue.unsubscribe(subscribed)


def sweep() -> None:
    """Give up the subscriptions of rooms and streams that outlived their loop."""
    with suppress(IndexError):
        while True:
            _unsubscribe(_orphans.popleft())


@define(eq=False)
class _Stream:
    handle: Any
    sink: SampleSink | None
    ended: asyncio.Event
    loop: asyncio.AbstractEventLoop
    on_end: Callable[[], None] | None

    def end(self) -> None:
        self.ended.set()
        if self.on_end is not None:
            self.on_end()


class AudioExchange:
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
        self._faults = Faults(logger, "an audio frame was lost")

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def acquire(self) -> None:
        """Be subscribed from now on."""
        with self._users_lock:
            self._users += 1
            if self._users == 1:
                self._unwatch = watch(self.hear)

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
        handle = source._ffi_handle
        if handle.disposed:
            return False
        number = next(numbers)
        request = _frame_request(handle.handle, samples, audio_format, number)
        self._expected[number] = on_answer
        try:
            client().request(request)
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
        """Open a native stream of a subscribed `track`; returns its handle. `sink` takes 10 ms of
        int16 `(samples, channels)` on a native thread, `on_end` is called on this loop."""
        from livekit.rtc._ffi_client import FfiHandle

        loop = asyncio.get_running_loop()
        request = _stream_request(track._ffi_handle.handle, audio_format)
        self.acquire()
        try:
            made = client().request(request).new_audio_stream.stream
            handle = FfiHandle(made.handle.id)
        except BaseException:
            self.release()
            raise
        stream = _Stream(handle, sink, asyncio.Event(), loop, on_end)
        with self._lock:
            self._streams[handle.handle] = stream
            for event in [each for each in self._early if each.stream_handle == handle.handle]:
                self._take(stream, event)
        return handle.handle

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
            logger.warning("LiveKit did not confirm the end of an audio stream")
        finally:
            if self._streams.pop(handle, None) is not None:
                self.release()

    # -- events ---------------------------------------------------------------------------------

    def hear(self, event: Any) -> None:
        """Sort one native event; under a lock of LiveKit's."""
        kind = event.WhichOneof("message")
        if kind == "capture_audio_frame":
            self._expected.pop(event.capture_audio_frame.async_id, lambda: None)()
        elif kind == "audio_stream_event":
            self._take_event(event.audio_stream_event)

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
                samples = _take_samples(event.frame_received.frame)
                if stream.sink is not None:
                    stream.sink(samples)
            except Exception:  # noqa: BLE001 - logged by `note`
                self._faults.note()
        elif event.HasField("eos"):
            stream.loop.call_soon_threadsafe(stream.end)


def _take_samples(owned: Any) -> Samples:
    """Copy a native buffer and give it back; the copy is read-only."""
    from livekit.rtc._ffi_client import FfiHandle

    channels, count = owned.info.num_channels, owned.info.samples_per_channel
    data = ctypes.string_at(owned.info.data_ptr, 2 * channels * count)
    FfiHandle(owned.handle.id).dispose()
    return np.frombuffer(data, np.int16).reshape(count, channels)


def _stream_request(track: int, audio_format: AudioFormat) -> Any:
    from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

    request = ffi_pb2.FfiRequest()
    new = request.new_audio_stream
    new.track_handle = track
    new.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
    new.sample_rate = audio_format.sample_rate
    new.num_channels = audio_format.channels
    new.frame_size_ms = 10
    new.queue_size_frames = NATIVE_QUEUE
    return request


def _frame_request(source: int, samples: bytes, audio_format: AudioFormat, number: int) -> Any:
    from livekit.rtc._proto import ffi_pb2

    request = ffi_pb2.FfiRequest()
    frame = request.capture_audio_frame
    frame.source_handle, frame.request_async_id = source, number
    # The native side copies before the request returns, so `samples` outlives its pointer.
    frame.buffer.data_ptr = ctypes.cast(ctypes.c_char_p(samples), ctypes.c_void_p).value or 0
    frame.buffer.sample_rate = audio_format.sample_rate
    frame.buffer.num_channels = audio_format.channels
    frame.buffer.samples_per_channel = audio_format.samples_per_frame
    return request


@cache
def exchange() -> AudioExchange:
    return AudioExchange()
