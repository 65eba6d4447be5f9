"""Frames of LiveKit's native interface, past `livekit.rtc`: private ground, as `ffi`.

What `livekit.rtc` does with each frame of the process costs more than the frame: it parses it with
a thread state made for it, takes a lock, asks every subscriber, and for each answer to a captured
one wakes every room's loop. So its native callback is taken over (`take_over`): events of frames
are read here, and what nobody here wants is given to LiveKit's own. It is cffi's, which keeps the
state of a native thread. Lines of its log are shown to `overheard` and `unread` on the way, and go
on to LiveKit's own where it writes them: its sockets alone say 40 a second that it throws away.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.video import Pixels
from utd_rx.rtc import overheard, unread

if TYPE_CHECKING:
    from livekit import rtc

NATIVE_QUEUE: Final = 100
"""Native frames of 10 ms (1 s) a stream may wait for the thread that brings them, however many it
brings at once; beyond it the oldest are dropped. LiveKit's default of 10 loses 5 % of one track's
on a busy machine (`benchmarks.tracks`). What comes late comes at once, so it is no delay to who
bounds theirs."""

_DECLARED: Final[dict[str, Any]] = {
    "_version": 0x2601,
    "_types": (
        b"\x00\x00\x09\x0d\x00\x00\x18\x01\x00\x00\x00\x0f\x00\x00\x01\x0d\x00\x00\x0a\x03"
        b"\x00\x00\x1c\x01\x00\x00\x04\x03\x00\x00\x05\x03\x00\x00\x00\x0f\x00\x00\x01\x01"
        b"\x00\x00\x12\x01"
    ),
    "_globals": (
        *(b"\x00\x00\x00\x23livekit_ffi_drop_handle", 0),
        *(b"\x00\x00\x03\x23livekit_ffi_request", 0),
    ),
}
"""What cffi's `FFI.emit_python_code` makes of these, which takes a parser of C and 20 ms:

    uint64_t livekit_ffi_request(const uint8_t *, size_t, const uint8_t **, size_t *);
    bool livekit_ffi_drop_handle(uint64_t);
"""

_LOG: Final = logging.getLogger("livekit")

_KINDS: Final = "audio_stream_event", "video_stream_event", "capture_audio_frame"

Taker: TypeAlias = Callable[[str, Any], bool]
"""Takes an event of frames, by its kind, on a native thread; False for one of somebody else's."""


def check() -> None:
    """See `ffi.check`: the names that are used here."""
    from livekit.rtc import _ffi_client as private
    from livekit.rtc._proto import ffi_pb2

    _ = private.ffi_cb_fnc, private.ffi_event_callback
    _ = private.to_python_level
    library = private.FfiClient.instance._ffi_lib
    _ = library._name, library.livekit_ffi_initialize
    _ = library.livekit_ffi_request, library.livekit_ffi_drop_handle
    event = ffi_pb2.FfiEvent()
    _ = event.video_stream_event.frame_received.buffer.info
    _ = event.audio_stream_event.frame_received.frame.info.samples_per_channel
    _ = event.capture_audio_frame.async_id
    _ = event.logs.records.add().target, event.logs.records.add().message
    _ = event.logs.records.add().level
    _sound_request(0, AudioFormat(), 1)
    _picture_request(0)
    SoundRequest(0, AudioFormat())
    native()


class Native:
    """LiveKit's native library; `callers` are threads of its that keep their thread state."""

    def __init__(self) -> None:
        import _cffi_backend
        from livekit.rtc import __version__
        from livekit.rtc import _ffi_client as private

        self._private, self._version = private, __version__.encode("ascii")
        self._loaded = private.FfiClient.instance._ffi_lib
        self._ffi = _cffi_backend.FFI("utd_rx.rtc", **_DECLARED)
        self._library = self._ffi.dlopen(self._loaded._name)
        self._process = os.getpid()
        self.callers: set[int] = set()
        self._callbacks: list[Any] = []  # for good: native code may be on its way into one

    def take_over(self, take: Taker) -> None:
        """Show `take` the events of frames from now on; LiveKit hears of all others as before."""
        from livekit.rtc._proto import ffi_pb2

        ffi, callers, this_thread = self._ffi, self.callers, threading.get_ident
        parse, frames = ffi_pb2.FfiEvent.FromString, _first_bytes()
        a_batch = ffi_pb2.FfiEvent(logs=ffi_pb2.LogBatch()).SerializeToString()
        log_field = a_batch[:2]  # its number takes two bytes
        usual, pointer = self._private.ffi_event_callback, ctypes.POINTER(ctypes.c_uint8)

        def ffi_event_callback(data: Any, size: int) -> None:  # as LiveKit calls its own
            callers.add(this_thread())
            kind = frames.get(data[0])
            if kind is None and ffi.buffer(data, 2)[:] == log_field:
                records = parse(ffi.buffer(data, size)[:]).logs.records
                overheard.hear(records)
                unread.hear(records)
                if not any(map(self._is_written, records)):
                    return
            if kind is not None:
                event = parse(ffi.buffer(data, size)[:])
                if not take(kind, getattr(event, kind)):
                    self._private.FfiClient.instance.queue.put(event)
            else:
                usual(ctypes.cast(int(ffi.cast("uintptr_t", data)), pointer), size)

        callback = ffi.callback("void(uint8_t *, size_t)", ffi_event_callback)
        self._callbacks.append(callback)
        address = int(ffi.cast("uintptr_t", callback))
        self._initialize(self._private.ffi_cb_fnc(address))

    def _is_written(self, record: Any) -> bool:
        """Whether LiveKit may write a line into its log."""
        level = self._private.to_python_level(record.level)
        return level is not None and _LOG.isEnabledFor(level)

    def give_back(self) -> None:
        """Let LiveKit's own callback be called from now on."""
        self._initialize(self._private.ffi_event_callback)

    def _initialize(self, callback: Any) -> None:
        self._loaded.livekit_ffi_initialize(callback, True, b"python", self._version)

    def send(self, request: bytes) -> None:
        """Make a request whose answer says nothing; `RuntimeError`, when it is refused."""
        if os.getpid() != self._process:
            raise RuntimeError("LiveKit cannot be used across a fork")
        answer, size = self._ffi.new("const uint8_t *[1]"), self._ffi.new("size_t[1]")
        handle = self._library.livekit_ffi_request(request, len(request), answer, size)
        if not handle:
            raise RuntimeError("LiveKit refused a request")
        self.drop(handle)

    def drop(self, handle: int) -> None:
        """Give back something native."""
        self._library.livekit_ffi_drop_handle(handle)

    def address(self, samples: bytes) -> int:
        """Return where they lie."""
        return int(self._ffi.cast("uintptr_t", self._ffi.from_buffer(samples)))

    def samples_of(self, received: Any) -> Samples:
        """Copy a native frame of sound and give it back; the copy is read-only."""
        buffer = received.frame
        info = buffer.info
        channels, number = info.num_channels, info.samples_per_channel
        data = self._ffi.buffer(self._ffi.cast("char *", info.data_ptr), 2 * channels * number)[:]
        self.drop(buffer.handle.id)
        return np.frombuffer(data, np.int16).reshape(number, channels)


@cache
def native() -> Native:
    """Return the process's."""
    return Native()


def at_rest() -> set[int]:
    """Give LiveKit its callback back, for the end; returns the threads that were called on."""
    if not native.cache_info().currsize:
        return set()
    native().give_back()
    return native().callers


def _first_bytes() -> dict[int, str]:
    """Return by what the events of each kind begin: their field's number and its type."""
    from livekit.rtc._proto import ffi_pb2

    fields = ffi_pb2.FfiEvent.DESCRIPTOR.fields_by_name
    return {fields[kind].number << 3 | 2: kind for kind in _KINDS}


class NativePicture:
    """A native picture in RGB, given back when nobody holds it any more; `rotation` is LiveKit's
    number of it."""

    def __init__(self, received: Any) -> None:
        from livekit.rtc._ffi_client import FfiHandle

        self._info = received.buffer.info
        self._handle = FfiHandle(received.buffer.handle.id)  # its finalizer waits for nobody
        self.rotation: int = received.rotation

    def pixels(self) -> Pixels:
        """Return a copy, read-only."""
        width, height = self._info.width, self._info.height
        data = ctypes.string_at(self._info.data_ptr, 3 * width * height)
        return np.frombuffer(data, np.uint8).reshape(height, width, 3)


class SoundRequest:
    """What hands one frame after the other to a source, on one thread at a time."""

    def __init__(self, source: int, audio_format: AudioFormat) -> None:
        from livekit.rtc._proto import ffi_pb2

        self._request = ffi_pb2.FfiRequest()
        self._frame = self._request.capture_audio_frame
        self._buffer = self._frame.buffer
        self._frame.source_handle = source
        self._buffer.sample_rate = audio_format.sample_rate
        self._buffer.num_channels = audio_format.channels
        self._buffer.samples_per_channel = audio_format.samples_per_frame

    def of(self, address: int, number: int) -> bytes:
        """Return the request for what lies at `address`, to be answered by `number`."""
        self._frame.request_async_id = number
        # The native side copies before the request returns, so the samples outlive their pointer.
        self._buffer.data_ptr = address
        data: bytes = self._request.SerializeToString()
        return data


def handle_of(source: rtc.AudioSource) -> Any:
    return source._ffi_handle


def sound_request(track: rtc.Track, audio_format: AudioFormat, frames: int) -> Any:
    return _sound_request(track._ffi_handle.handle, audio_format, frames)


def picture_request(track: rtc.Track) -> Any:
    return _picture_request(track._ffi_handle.handle)


def _sound_request(track: int, audio_format: AudioFormat, frames: int) -> Any:
    from livekit.rtc._proto import audio_frame_pb2, ffi_pb2

    request = ffi_pb2.FfiRequest()
    new = request.new_audio_stream
    new.track_handle = track
    new.type = audio_frame_pb2.AudioStreamType.AUDIO_STREAM_NATIVE
    new.sample_rate = audio_format.sample_rate
    new.num_channels = audio_format.channels
    new.frame_size_ms = 10 * frames
    new.queue_size_frames = NATIVE_QUEUE
    return request


def _picture_request(track: int) -> Any:
    from livekit.rtc._proto import ffi_pb2, video_frame_pb2

    request = ffi_pb2.FfiRequest()
    new = request.new_video_stream
    new.track_handle = track
    new.type = video_frame_pb2.VideoStreamType.VIDEO_STREAM_NATIVE
    new.format = video_frame_pb2.VideoBufferType.RGB24  # converted before a thread of Python's
    new.normalize_stride = True
    new.queue_size_frames = 1  # the newest
    return request
