"""Pictures and sound into one file, by when each was: H.264 and AAC through PyAV; one thread.

The file begins with whatever came first. A picture is shown from its moment on, at whatever pace
pictures come. Sound is one unbroken track: where it paused there is silence, and what comes earlier
than the track has got to, as from a second voice, is left out. So neither runs away from the other,
whatever the clock of a sound card says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.video.library import load

TICKS: Final = 90_000
"""Of a second: a clock of MPEG's, in which every usual frame rate is exact."""

RATE: Final = 48_000
"""Of the sound in the file, in Hz."""

TOLERANCE: Final = 0.1
"""Seconds that sound may be off before it is put right; less is how frames arrive."""

EARLY: Final = 10.0
"""Seconds of sound kept until there is a picture, without which the file cannot be begun."""

_OPTIONS: Final = {"preset": "veryfast", "crf": "23"}


class Muxer:
    """A file that is being written; PyAV's errors, `OSError` and `ValueError`, come through."""

    def __init__(self, path: Path, size: tuple[int, int] | None) -> None:
        self._av = load("a recording of video")
        self._container: Any = self._av.open(str(path), "w")
        self._size = size
        self._picture: Any = None  # the stream; not there before the first picture
        self._sound: Any = None
        self._resampler: Any = None
        self._source: tuple[int, str] | None = None  # what it was made for
        self._early: deque[AudioFrame] = deque()
        self._began_at = 0.0
        self._last_tick = -1
        self._samples = 0  # of sound written
        self.left_out = 0

    def add_picture(self, frame: VideoFrame) -> None:
        """Show this picture from its moment on; left out when a later one is shown already."""
        if self._picture is None:
            self._begin(frame)
        tick = round((frame.timestamp - self._began_at) * TICKS)
        if tick <= self._last_tick:
            self.left_out += 1
            return
        self._last_tick = tick
        pixels = self._shaped(frame.upright)
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        picture.pts, picture.time_base = tick, Fraction(1, TICKS)
        self._container.mux(self._picture.encode(picture))

    def add_sound(self, frame: AudioFrame) -> None:
        """Have this sound heard at its moment."""
        if not len(frame.samples):
            return
        if self._sound is not None:
            self._hear(frame)
            return
        self._early.append(frame)
        while self._early[0].at < frame.at - EARLY:
            self._early.popleft()
            self.left_out += 1

    def close(self) -> None:
        """Complete the file; of sound alone it is a file of sound, of nothing an empty one."""
        try:
            if self._picture is None and self._early:
                self._begin(None)
            for stream in filter(None, (self._picture, self._sound)):
                self._container.mux(stream.encode())
        finally:
            self._container.close()

    def _begin(self, first: VideoFrame | None) -> None:
        """Make the streams, which are in the file's head, and let in the sound that waited."""
        moments = [frame.at for frame in self._early] + ([first.timestamp] if first else [])
        self._began_at = min(moments)
        if first is not None:
            height, width = first.upright.shape[:2]
            self._size = self._size or (width, height)
            # An MKV has to name a rate; what counts is each picture's moment.
            stream = self._container.add_stream("h264", rate=30, options=_OPTIONS)
            self._picture = stream
            # Of a picture that is coded with half the colours each way.
            stream.width, stream.height = (side // 2 * 2 for side in self._size)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, TICKS)
        layout = "stereo" if self._early and self._early[0].samples.shape[1] == 2 else "mono"
        self._sound = self._container.add_stream("aac", rate=RATE, layout=layout)
        self._container.start_encoding()
        while self._early:
            self._hear(self._early.popleft())

    def _shaped(self, pixels: Pixels) -> Pixels:
        """Return a picture in the size of the file's; of another shape between black bars."""
        width, height = self._picture.width, self._picture.height
        over = pixels.shape[0] - height, pixels.shape[1] - width
        if all(side in (0, 1) for side in over):  # of an odd size
            return pixels[:height, :width]
        scale = min(height / pixels.shape[0], width / pixels.shape[1])
        rows, cols = (max(1, round(side * scale)) for side in pixels.shape[:2])
        source = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        left, top = (width - cols) // 2, (height - rows) // 2
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + rows, left : left + cols] = source.to_ndarray(width=cols, height=rows)
        return canvas

    def _hear(self, frame: AudioFrame) -> None:
        ahead = (frame.at - self._began_at) - self._samples / RATE
        if ahead < -TOLERANCE:
            self.left_out += 1
            return
        silent = round(ahead * RATE) if ahead > TOLERANCE else 0
        while silent:  # in pieces: it may be hours
            piece = min(silent, RATE)
            self._encode(np.zeros((piece, 1), np.int16), RATE)
            silent -= piece
        self._encode(frame.samples, frame.sample_rate)

    def _encode(self, samples: Samples, rate: int) -> None:
        for piece in self._converted(samples, rate):
            piece.pts, piece.time_base = self._samples, Fraction(1, RATE)
            self._samples += piece.samples
            self._container.mux(self._sound.encode(piece))

    def _converted(self, samples: Samples, rate: int) -> Iterator[Any]:
        packed = np.ascontiguousarray(samples).reshape(1, -1)
        layout = "stereo" if samples.shape[1] == 2 else "mono"
        frame = self._av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate
        if self._source != (rate, layout):
            self._source = rate, layout
            self._resampler = self._av.AudioResampler("s16", self._sound.layout.name, RATE)
        yield from self._resampler.resample(frame)
