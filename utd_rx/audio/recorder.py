"""Frames into a WAV file, while they come."""

from __future__ import annotations

import io
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import numpy as np

from utd_rx.audio.wav import wav_header
from utd_rx.errors import ConflictReason, UTDStreamException, conflict, invalid
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, is_pcm
from utd_rx.models.checks import number

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 2**32 - 2**16  # a WAV file has 32 bits for it: 12.4 hours of mono at 48 kHz
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
        dropped_frames: Frames that came as a sink or observer and were not written.
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
        self.is_closed = False
        try:
            self.path = Path(path)
            self._file = self.path.open("wb", buffering=_BUFFER_BYTES)
        except (OSError, TypeError, ValueError) as error:
            raise invalid(f"{path} cannot be written: {error}") from error

    def __repr__(self) -> str:
        stands = "failed" if self.failure else "closed" if self.is_closed else "open"
        return f"<WavRecorder {self.path.name!r}, {self.duration:.1f} s, {stands}>"

    @property
    def duration(self) -> float:
        """Seconds written."""
        if self.format is None:
            return 0.0
        return self._bytes / (2 * self.format.channels * self.format.sample_rate)

    def write(self, frame: AudioFrame) -> None:
        """Append one frame.

        Raises:
            UTDStreamException: `CONFLICT` closed; `VALIDATION` no frame of int16, another format
                than the first one's, or the file would become too big; `UNKNOWN` the disk refused.
        """
        with self._lock:
            self._write(frame)

    def on_next(self, frame: AudioFrame) -> None:
        """Append one frame; never raises."""
        with self._lock:
            if self.is_closed or self.failure is not None:
                self.dropped_frames += 1
                return
            try:
                self._write(frame)
            except Exception as error:  # noqa: BLE001 - kept, logged, and never the stream's
                self.dropped_frames += 1
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
            UTDStreamException: `UNKNOWN`, when the disk refused the rest; the file is closed.
        """
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            try:
                with self._file:
                    self._write_header()
            except OSError as error:
                raise self._disk_refused(error) from error

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
        try:
            if self.format is None:
                self.format, self.started_at = audio_format, frame.at
                self._write_header()
            self._file.write(data)
            self._bytes += len(data)
            self._frames += 1
            if self._frames % FRAMES_PER_SECOND == 0:
                self._write_header()
        except OSError as error:
            raise self._disk_refused(error) from error

    def _write_header(self) -> None:
        self._file.seek(0)
        self._file.write(wav_header(self.format or AudioFormat(), self._bytes))
        self._file.seek(0, io.SEEK_END)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
            logger.error("recording to %s stopped: %s", self.path, error)

    def _disk_refused(self, error: OSError) -> UTDStreamException:
        return UTDStreamException(f"{self.path} cannot be written: {error.strerror}")


def _format_of(frame: AudioFrame) -> AudioFormat:
    with suppress(Exception):  # whatever else was handed over
        if is_pcm(frame.samples) and isinstance(frame.sample_rate, int | np.integer):
            return frame.format
    raise invalid("a frame has samples of int16, shape (samples, 1 or 2), at 8,000 to 192,000 Hz")
