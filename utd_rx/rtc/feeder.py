"""Frames of an audio input on their way into LiveKit, from any thread past the event loop.

They are made into what LiveKit takes, 10 ms of one format (docs/livekit.md, "Native aborts"). Only
one is on its way at a time, since they may overtake each other
(docs/livekit.md, "Frames that overtake"); the next one leaves on the native thread that brings the
answer.

Delay is never a ratchet: after a stall an input may deliver all it missed at once, and sent in
full it would sit in the listeners' jitter buffers. What is further ahead of real time than `BURST`,
or than one frame of the input where that is longer, is therefore dropped and counted. Real time
is the machine's, whatever clock the client has: devices pace the sound, and it is heard elsewhere.

An answer comes on a native thread, which holds no lock of LiveKit's then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

import numpy as np

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.models.faults import Faults
from utd_rx.models.secrets import foreign_text
from utd_rx.rtc import native, native_frames, streams

if TYPE_CHECKING:
    from livekit import rtc

BURST: Final = 6
"""Frames (60 ms) that may come at once: the longest block of a device, and one for scheduling."""

REFILL: Final = FRAMES_PER_SECOND * 1.01
"""Frames a second: 1 % over real time, so that a device whose clock is fast loses nothing."""

RATES: Final = range(8_000, 192_001)
"""In Hz; of a rate that is none, such as 2**70, the native resampler ends the process."""


class Cutter:
    """Cuts frames of any length, and converts those of another rate; one thread at a time."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._shape = audio_format.samples_per_frame, audio_format.channels
        self._rest = np.zeros((0, audio_format.channels), np.int16)
        self._rate = audio_format.sample_rate
        self._resampler: rtc.AudioResampler | None = None

    def cut(self, frame: AudioFrame) -> list[bytes]:
        """Return what has become whole with this frame; `VALIDATION`, when it cannot be helped."""
        samples, rate = frame.samples, frame.sample_rate
        is_usual = rate == self._format.sample_rate and is_pcm(samples)
        if is_usual and samples.shape == self._shape and not len(self._rest):
            return [samples.tobytes()]
        if not is_pcm(samples) or samples.shape[1] != self._format.channels:
            raise self._wrong(frame, "samples are int16, of as many channels as the input has")
        if rate not in RATES:
            raise self._wrong(frame, "a rate is from 8,000 to 192,000 Hz")
        if len(samples) > rate:
            raise self._wrong(frame, "a frame has at most a second")
        if rate != self._format.sample_rate:
            try:
                return self._whole(self._convert(frame))
            except Exception as error:  # noqa: BLE001 - whatever it is, it cannot be helped
                told = foreign_text(str(error))
            raise self._wrong(frame, told)
        return self._whole(samples)

    def finish(self) -> list[bytes]:
        """Return what is left, filled up with silence."""
        left = [] if self._resampler is None else self._resampler.flush()
        pieces = self._whole(self._joined(left))
        rest, self._rest = self._rest, self._rest[:0]
        missing = self._format.samples_per_frame - len(rest)
        return [*pieces, np.pad(rest, ((0, missing), (0, 0))).tobytes()] if len(rest) else pieces

    def _whole(self, samples: Samples) -> list[bytes]:
        size = self._format.samples_per_frame
        sound = np.concatenate((self._rest, samples))
        end = len(sound) - len(sound) % size
        self._rest = sound[end:]
        return [sound[begin : begin + size].tobytes() for begin in range(0, end, size)]

    def _convert(self, frame: AudioFrame) -> Samples:
        if self._resampler is None or frame.sample_rate != self._rate:
            sdk, self._rate = native.sdk(), frame.sample_rate
            self._resampler = sdk.AudioResampler(
                self._rate,
                self._format.sample_rate,
                num_channels=self._format.channels,
                quality=sdk.AudioResamplerQuality.LOW,  # the default holds back 36 ms
            )
        return self._joined(self._resampler.push(bytearray(frame.samples.tobytes())))

    def _joined(self, frames: list[rtc.AudioFrame]) -> Samples:
        sound = b"".join(bytes(frame.data.cast("B")) for frame in frames)
        return np.frombuffer(sound, np.int16).reshape(-1, self._format.channels)

    def _wrong(self, frame: AudioFrame, why: str) -> UTDStreamException:
        samples = frame.samples
        what = f"{getattr(samples, 'dtype', type(samples).__name__)} of {np.shape(samples)}"
        return invalid(
            f"The audio input delivers {what} at {frame.sample_rate} Hz, which cannot be sent as "
            f"{self._format}: {why}."
        )


class FrameSender:
    """Sends int16 frames of exactly 10 ms to one `queue_size_ms=0` source, once it is started."""

    def __init__(self, source: rtc.AudioSource, audio_format: AudioFormat) -> None:
        self._handle = native_frames.handle_of(source)
        self._request = native_frames.SoundRequest(self._handle.handle, audio_format)
        self._exchange = streams.exchange()
        self._waiting: deque[bytes] = deque()
        self._is_started, self._is_busy, self._is_closed = False, False, False
        # Re-entrant: an answer that is there already comes within `_capture`.
        self._lock = threading.RLock()
        self._faults = Faults(logging.getLogger("utd_rx.rtc"), "LiveKit took no frame")

    def start(self) -> None:
        """Let frames through; what came before goes first."""
        with self._lock:
            self._is_started = True
            self._next()

    def send(self, samples: bytes, burst: int) -> int:
        """Send a valid frame, on any thread, while at most `burst` wait; returns how many of
        those were dropped for it."""
        with self._lock:
            if self._is_closed:
                return 1
            dropped = int(len(self._waiting) >= burst)
            if dropped:
                self._waiting.popleft()
            self._waiting.append(samples)
            if self._is_started and not self._is_busy:
                self._next()
            return dropped

    @property
    def is_idle(self) -> bool:
        """Whether LiveKit has answered to every frame."""
        return self._is_closed or not self._is_busy

    def close(self) -> None:
        """Send no more. Idempotent."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()

    def _next(self) -> None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._is_busy and not self._capture(self._waiting.popleft()):
                self._is_busy = False

    def _capture(self, samples: bytes) -> bool:
        """Return whether an answer will come; the next frame tries anew otherwise."""
        if self._handle.disposed:
            return False
        try:
            self._exchange.capture(self._request, samples, self._next)
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
            return False
        return True


class Feeder:
    """Takes frames on any thread and captures them, as `audio_format`, into one `AudioSource`.

    `failed` is called once, on this loop, when what comes cannot be sent; nothing is from then on.
    """

    def __init__(
        self, audio_format: AudioFormat, failed: Callable[[UTDStreamException], None]
    ) -> None:
        self.dropped = 0  # pieces of 10 ms, because they came in bursts
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        # A queue that is not a whole number of 10 ms aborts the process, and any but 0 keeps every
        # stall as delay for good.
        self.source: rtc.AudioSource = native.sdk().AudioSource(
            audio_format.sample_rate, audio_format.channels, queue_size_ms=0
        )
        self._sender = FrameSender(self.source, audio_format)
        self._cutter = Cutter(audio_format)
        self._lock = threading.Lock()
        self._burst = BURST
        self._credit, self._credited_at = float(BURST), monotonic()
        self._closed = False

    def put(self, frame: AudioFrame) -> None:
        """Take one frame; any thread, returns at once, never raises, whatever is handed over."""
        with self._lock:
            if self._closed:
                return
            try:
                self._take(self._cutter.cut(frame))
            except Exception as error:  # noqa: BLE001 - told: `failed` ends the publication
                self._closed = True
                failure = error if isinstance(error, UTDStreamException) else _no_frame(frame)
                with suppress(RuntimeError):  # the loop is closed, nobody looks any more
                    self._loop.call_soon_threadsafe(self._failed, failure)

    def start(self) -> None:
        """Let frames through; what came before is the beginning of the sound and goes first."""
        self._sender.start()

    async def drain(self) -> None:
        """Wait until all that was taken is with LiveKit, to the last sample. Cancelling is safe."""
        with self._lock:
            self._take(self._cutter.finish())
        while not self._sender.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)  # 0.1 ms at most; LiveKit answers on a thread of its own

    async def aclose(self) -> None:
        """Take no more frames and release the source. Idempotent."""
        with self._lock:
            self._closed = True
        self._sender.close()
        await self.source.aclose()

    def _take(self, pieces: list[bytes]) -> None:
        """Send pieces that are no burst; under the lock."""
        if len(pieces) >= self._burst:
            # An input of long frames is no burst: the next one has to wait as long.
            self._credit += len(pieces) + 1 - self._burst
            self._burst = len(pieces) + 1
        now = monotonic()
        credit = min(self._burst, self._credit + (now - self._credited_at) * REFILL)
        for piece in pieces:
            if credit >= 1:
                credit -= 1
                self.dropped += self._sender.send(piece, self._burst)
            else:
                self.dropped += 1
        self._credit, self._credited_at = credit, now


def _no_frame(handed: object) -> UTDStreamException:
    # By its kind alone: it may hold anything, and the failure is recorded.
    return invalid(f"The audio input delivers {type(handed).__name__}, which is no AudioFrame.")
