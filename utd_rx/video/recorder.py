"""`VideoRecorder`: pictures and sound into a file, while they come."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final, Self, TypeAlias

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDStreamException, conflict, invalid
from utd_rx.models.audio import AudioFrame, is_pcm
from utd_rx.models.video import VideoFrame
from utd_rx.ports.threads import begin, in_thread
from utd_rx.video.library import load
from utd_rx.video.muxer import Muxer
from utd_rx.video.sources import to_size

logger: Final = logging.getLogger("utd_rx.video")

MAX_PICTURES: Final = 15
"""That wait for the encoder: half a second. A stream's next one is left out, as what falls behind
would fall behind for ever."""

MAX_SOUND: Final = 3_000
"""Frames of sound that wait: 30 s, as they cost little, and a gap in sound is heard."""

ANOTHER_CLOCK: Final = 10.0
"""Seconds before a first frame of 0.0 from which a moment is counted from that frame."""

SUFFIXES: Final = (".mp4", ".mkv", ".mov", ".m4v")

Frame: TypeAlias = VideoFrame | AudioFrame


class VideoRecorder:
    """A sink that writes pictures and sound to an MP4 or MKV file, in step by their timestamps.

    There are two ways in. `write` is strict: it raises. Handed over as a sink or subscribed as an
    observer (`session.video(who).subscribe(recorder)`, `session.audio(who).subscribe(recorder)`,
    `speaker.listen(recorder)`) it never raises, because a stream must not suffer from its recorder:
    the first failure is logged and kept in `failure`. All methods may be called on any thread;
    frames are encoded (H.264, AAC) on one of the recorder's. Needs PyAV
    (`pip install 'utd-rx[camera]'`).

    The file begins with the first frame; until there is a picture, up to 10 s of sound wait for it.
    Pictures are upright, in the size of the first one; those of another shape get black bars. There
    is one track of sound, so of several voices record their mix (`speaker.listen`). Where sound
    paused there is silence. A frame without a timestamp is of when it came; timestamps may as well
    be counted from 0.0, that of the first frame. The end of a stream
    does not close the file, as the other one goes on: `close` does, or the `with` block. What a
    crash cut off can be played if it is an MKV.

    Args:
        path: The file, `.mp4` or `.mkv`; an existing one is replaced. Its folder must exist.
        size: `(width, height)` of the pictures in it, instead of the first one's.

    Attributes:
        dropped_frames: Frames that came and are not in the file: late, unfit, or too many.
        failure: Why recording stopped before `close`, or an error of a stream; None when nothing.
        is_closed: The file is complete, or given up.

    Raises:
        UTDStreamException: `VALIDATION`, when the file cannot be made; `FEATURE_DISABLED` without
            PyAV.
    """

    def __init__(self, path: str | Path, *, size: tuple[int, int] | None = None) -> None:
        if not isinstance(path, str | Path) or Path(path).suffix.lower() not in SUFFIXES:
            raise invalid(f"video is recorded to a .mp4 or .mkv file, not to {path!r}")
        load("a recording of video")
        self.path, shape = Path(path), to_size(size, "VideoRecorder.size")
        try:
            self.path.write_bytes(b"")
        except (OSError, ValueError) as error:  # the latter of a name that no file can have
            told = getattr(error, "strerror", None) or error
            raise invalid(f"{str(path)!r} cannot be written: {told}") from error
        self._muxer = Muxer(self.path, shape)
        self._zero: float | None = None  # when a first frame came that said 0.0
        self._counted: set[type[Frame]] = set()  # what is counted from that one
        self.failure: Exception | None = None
        self.is_closed = False
        self._refused = 0
        self._broken: UTDStreamException | None = None
        self._waiting: deque[Frame] = deque()
        self._pictures = 0  # of those that wait
        self._news = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, name=f"utd_rx.video recorder {self.path.name}", daemon=True
        )
        begin(self._thread)

    def __repr__(self) -> str:
        stands = "failed" if self.failure else "closed" if self.is_closed else "open"
        return f"<VideoRecorder {self.path.name!r}, {stands}>"

    @property
    def dropped_frames(self) -> int:
        return self._refused + self._muxer.left_out

    def write(self, frame: Frame) -> None:
        """Append one frame, which is encoded later; blocks while so many wait that a sink's would
        be left out, so that pictures may be made as fast as they can be recorded.

        Raises:
            UTDStreamException: `CONFLICT` closed; `VALIDATION` no frame, or the disk
                refused an earlier one; `UNKNOWN` the encoder did.
        """
        taken = self._timed(frame)
        with self._news:
            while not self._has_room(taken) and self._broken is None and not self.is_closed:
                self._news.wait()
            self._append(taken)

    def on_next(self, frame: Frame) -> None:
        """Append one frame, or leave it out when too many wait; never raises nor blocks."""
        try:
            taken = self._timed(frame)
        except UTDStreamException as error:
            with self._news:
                self._refused += 1
                self._fail(error)
            return
        with self._news:
            if self.is_closed or self._broken is not None or not self._has_room(taken):
                self._refused += 1
            else:
                self._append(taken)

    __call__ = on_next

    def on_error(self, error: Exception) -> None:
        """Keep a stream's error in `failure`; never raises. The other stream goes on."""
        with self._news:
            self._fail(error)

    def on_completed(self) -> None:
        """A stream has ended, and the other one may go on; never raises."""

    def close(self) -> None:
        """Encode what waits and complete the file; idempotent. Blocks, mostly for 0.1 s.

        Raises:
            UTDStreamException: `VALIDATION`, when the disk refused, and `UNKNOWN`, when the
                encoder did; the file is closed.
        """
        with self._news:
            is_first, self.is_closed = not self.is_closed, True
            self._news.notify_all()
        self._thread.join()
        if is_first and self._broken is not None:
            raise self._broken

    async def aclose(self) -> None:
        """`close` without blocking the event loop. Cancelling is safe: it closes all the same."""
        await asyncio.shield(in_thread(self.close))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _run(self) -> None:
        try:
            while (frame := self._next()) is not None:
                if isinstance(frame, VideoFrame):
                    self._muxer.add_picture(frame)
                else:
                    self._muxer.add_sound(frame)
        except Exception as error:  # noqa: BLE001 - whatever FFmpeg raises
            self._break(error, lost=1)
        try:
            self._muxer.close()
        except Exception as error:  # noqa: BLE001
            self._break(error)

    def _has_room(self, frame: Frame) -> bool:
        if isinstance(frame, VideoFrame):
            return self._pictures < MAX_PICTURES
        return len(self._waiting) - self._pictures < MAX_SOUND

    def _append(self, frame: Frame) -> None:
        """Have it encoded, or raise why it is not; under the lock."""
        if self.is_closed:
            raise conflict(ConflictReason.CLOSED, f"{self.path} is closed")
        if self._broken is not None:
            raise self._broken
        self._pictures += isinstance(frame, VideoFrame)
        self._waiting.append(frame)
        self._news.notify_all()

    def _next(self) -> Frame | None:
        """Return the next frame, None when it was closed and there is none."""
        with self._news:
            while not self._waiting:
                if self.is_closed:
                    return None
                self._news.wait()
            frame = self._waiting.popleft()
            self._pictures -= isinstance(frame, VideoFrame)
            self._news.notify_all()
            return frame

    def _break(self, error: Exception, *, lost: int = 0) -> None:
        told = getattr(error, "strerror", None) or error
        message = f"{self.path} cannot be written: {told}"
        with self._news:
            if self._broken is None:
                is_disks = isinstance(error, OSError)  # FFmpeg's own of it are, too
                self._broken = invalid(message) if is_disks else UTDStreamException(message)
                self._broken.__cause__ = error
            self._refused += lost + len(self._waiting)
            self._waiting.clear()
            self._pictures = 0
            self._news.notify_all()
            self._fail(self._broken)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
            logger.error("recording to %s: %s", self.path, error)

    def _timed(self, frame: Frame) -> Frame:
        """Return a frame that can be written, with a moment."""
        if isinstance(frame, VideoFrame):
            return evolve(frame, timestamp=self._moment(frame.timestamp, VideoFrame))
        if isinstance(frame, AudioFrame) and is_pcm(frame.samples):
            return evolve(frame, at=self._moment(frame.at, AudioFrame))
        raise invalid(f"a recorder takes VideoFrame and AudioFrame, not {type(frame).__name__}")

    def _moment(self, told: float, kind: type[Frame]) -> float:
        if not math.isfinite(told):
            raise invalid(f"a frame's timestamp is a number of seconds, not {told}")
        with self._news:
            zero = self._zero
            if told and zero is not None and told < zero - ANOTHER_CLOCK:
                self._counted.add(kind)
            if zero is not None and (kind in self._counted if told else self._counted):
                return zero + told
            if told:
                return told
            now = time.monotonic()
            self._zero = now if zero is None else zero
            return now
