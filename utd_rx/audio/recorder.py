"""Frames into a WAV file, while they come."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import numpy as np

from utd_rx.audio.wav import wav_header
from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, is_pcm
from utd_rx.models.checks import number

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 2**32 - 2**16  # a WAV file has 32 bits for it: 12.4 hours of mono at 48 kHz
_HEADER_BYTES: Final = len(wav_header(AudioFormat(), 0))
_BUFFER_BYTES: Final = 64 * 2**10  # held in memory: a write about every 0.7 s of mono at 48 kHz


class WavRecorder:
    """A sink that writes frames to a 16 bit WAV file; its format is that of the first frame.

    There are two ways in. `write` is strict: it raises. Handed over as a sink (`FrameSink`) or
    subscribed as an observer (`frames.subscribe(recorder)`) it never raises, because a stream
    must not suffer from its recorder: the first failure is logged and kept in `failure`, and
    frames that are not written are counted in `dropped_frames`.

    Samples are written as they come: time without frames is not filled with silence. Every
    second the file's header is brought up to date, so a recording that a crash cut off can be
    played. All methods may be called on any thread; the file is written on the caller's.

    Args:
        path: The file; an existing one is replaced. Its folder must exist.
        max_bytes: Stop recording, as a failure, before the file grows beyond this.

    Attributes:
        format: The format of the file, None before the first frame.
        started_at: `AudioFrame.at` of the first frame, None before it.
        dropped_frames: Frames that came as a sink or observer and were not written, and those that
            the disk did not take whole.
        failure: Why recording stopped before `close`, None when it did not.
        is_closed: The file is complete, or given up.

    Raises:
        UTDStreamException: `VALIDATION`, when the file cannot be made.
    """

    def __init__(self, path: str | Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = int(
            min(number(max_bytes, "max_bytes must not be negative", 0), MAX_BYTES)
        )
        self._lock = threading.Lock()
        self.format: AudioFormat | None = None
        self.started_at: float | None = None
        self.failure: Exception | None = None
        self._frames = self._bytes = self.dropped_frames = 0
        self._waiting = bytearray()  # the end of what was written: not yet on disk
        self._ends: list[int] = []  # of the frames in it: how many bytes there were with each
        self.is_closed = False
        try:
            self.path = Path(path)
            self._file = self.path.open("wb", buffering=0)
        except (OSError, TypeError, ValueError) as error:
            raise invalid(f"{path} cannot be written: {error}") from error

    def __repr__(self) -> str:
        stands = "failed" if self.failure else "closed" if self.is_closed else "open"
        return f"<WavRecorder {self.path.name!r}, {self.duration:.1f} s, {stands}>"

    @property
    def duration(self) -> float:
        """Seconds written; where the disk refused, what it has."""
        if self.format is None:
            return 0.0
        return self._bytes / (2 * self.format.channels * self.format.sample_rate)

    def write(self, frame: AudioFrame) -> None:
        """Append one frame.

        Raises:
            UTDStreamException: `CONFLICT` closed; `VALIDATION` no frame of int16, another format
                than the first one's, the file would become too big, or the disk refused: then what
                it did not take is gone, also of earlier frames (64 KiB), and counted.
        """
        with self._lock:
            self._write(frame)

    def on_next(self, frame: AudioFrame) -> None:
        """Append one frame; never raises."""
        with self._lock:
            if self.is_closed or self.failure is not None:
                self.dropped_frames += 1
                return
            dropped = self.dropped_frames
            try:
                self._write(frame)
            except Exception as error:  # noqa: BLE001 - kept, logged, and never the stream's
                self.dropped_frames = max(self.dropped_frames, dropped + 1)
                self._fail(error)

    __call__ = on_next

    def on_error(self, error: Exception) -> None:
        """Close the file, and keep the stream's error in `failure`; never raises."""
        with self._lock:
            self._fail(error)
        self.on_completed()

    def on_completed(self) -> None:
        """Close the file; never raises."""
        try:
            self.close()
        except Exception as error:  # noqa: BLE001 - as in `on_next`
            with self._lock:
                self._fail(error)

    def close(self) -> None:
        """Complete the file; idempotent.

        Raises:
            UTDStreamException: `VALIDATION`, when the disk refused the rest; the file is closed.
        """
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            with self._file:
                self._put_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, frame: AudioFrame) -> None:
        if self.is_closed:
            raise conflict(ConflictReason.CLOSED, f"{self.path} is closed")
        audio_format = _format_of(frame)
        if self.format is not None and audio_format != self.format:
            raise invalid(
                f"{self.path} is recorded as {self.format} and cannot take {audio_format}: "
                "record it to another file"
            )
        data = frame.samples.astype("<i2", copy=False).tobytes()
        if self._bytes + len(data) > self._max_bytes:
            raise invalid(
                f"{self.path} has reached its {self._max_bytes} bytes: go on in another file"
            )
        if self.format is None:
            self.format, self.started_at = audio_format, frame.at
            self._put_all()
        self._waiting += data
        self._bytes += len(data)
        self._frames += 1
        self._ends.append(self._bytes)
        if self._frames % FRAMES_PER_SECOND == 0 or len(self._waiting) >= _BUFFER_BYTES:
            self._put_all()

    def _put_all(self) -> None:
        """Write what waits, and the header that tells of it."""
        try:
            self._file.seek(_HEADER_BYTES + self._bytes - len(self._waiting))
            with memoryview(self._waiting) as data:
                written = 0
                while written < len(data):
                    written += self._file.write(data[written:])
            self._waiting.clear()
            self._ends.clear()
            self._write_header()
        except OSError as error:
            self._lose()
            raise invalid(
                f"{self.path} cannot be written: {error.strerror}; what is on disk can be played, "
                "go on in a file elsewhere"
            ) from error

    def _lose(self) -> None:
        """Be what is on disk, whole samples of it, and count the frames that are not."""
        block = 1 if self.format is None else 2 * self.format.channels
        with suppress(OSError):
            there = max(0, os.fstat(self._file.fileno()).st_size - _HEADER_BYTES)
            self._bytes = min(self._bytes, there - there % block)
            self.dropped_frames += sum(end > self._bytes for end in self._ends)
        self._waiting.clear()
        self._ends.clear()
        with suppress(OSError):  # to write over what is there takes no space
            self._file.truncate(_HEADER_BYTES + self._bytes)
            self._write_header()

    def _write_header(self) -> None:
        self._file.seek(0)
        self._file.write(wav_header(self.format or AudioFormat(), self._bytes))

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
            logger.error("recording to %s stopped: %s", self.path, error)


def _format_of(frame: AudioFrame) -> AudioFormat:
    with suppress(Exception):  # whatever else was handed over
        if is_pcm(frame.samples) and isinstance(frame.sample_rate, int | np.integer):
            return frame.format
    raise invalid("a frame has samples of int16, shape (samples, 1 or 2), at 8,000 to 192,000 Hz")
