"""Cameras that are not there: what FFmpeg would tell of them, and what they see, is a test's."""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import av
import numpy as np
import pytest

from utd_rx.devices import supervisor
from utd_rx.video import TestPattern, library

PATTERN = TestPattern(64, 36)
TIMEOUT = 10.0


class Packet:
    """What a camera sent: a picture, or what cannot be decoded."""

    def __init__(self, picture: av.VideoFrame | Exception) -> None:
        self._picture = picture

    def decode(self) -> list[av.VideoFrame]:
        if isinstance(self._picture, Exception):
            raise self._picture
        return [self._picture]


class Container:
    """An open camera, as PyAV's container is one; it sees what `see` is told."""

    def __init__(self, path: str, options: dict[str, str]) -> None:
        self.path = path
        self.options = options
        self.is_closed = False
        self.closed_on = ""
        self.still: int | None = None  # what it sees all the time, 30 times a second
        self._seen: queue.Queue[Packet | Exception] = queue.Queue()

    def see(self, number: int = 0, size: tuple[int, int] = (64, 36)) -> None:
        """Take a picture of the pattern."""
        picture = np.resize(PATTERN.picture(number), (size[1], size[0], 3))
        self._seen.put(Packet(av.VideoFrame.from_ndarray(picture, format="rgb24")))

    def tear(self) -> None:
        """Send a picture that is torn."""
        self._seen.put(Packet(av.error.InvalidDataError(1, "torn")))

    def unplug(self) -> None:
        """Be gone."""
        self._seen.put(OSError(errno.ENODEV, "No such device"))

    def starve(self) -> None:
        """Have no picture yet, and say so instead of waiting."""
        self._seen.put(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))

    def demux(self, *, video: int) -> Iterator[Packet]:
        while True:
            try:
                seen = self._seen.get(timeout=0.03)
            except queue.Empty:
                if self.still is not None:
                    self.see(self.still)
                    continue
                if self.is_closed:
                    return
                raise BlockingIOError(errno.EAGAIN, "as of a camera that does not wait") from None
            if isinstance(seen, Exception):
                raise seen
            yield seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True
        self.closed_on = threading.current_thread().name


class Cameras:
    """The cameras of a machine: `there` by their paths, with their names; `views` what they see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there: dict[str, str] = {}
        self.views: dict[str, int] = {}
        self.opened: list[Container] = []
        self.refusals: list[Exception] = []
        self.is_listable = True
        fake = SimpleNamespace(
            enumerate_input_devices=self._enumerate, open=self._open, error=av.error
        )
        monkeypatch.setattr(library, "load", lambda purpose: fake)
        monkeypatch.setattr(supervisor, "RETRY", 0.0)

    def _enumerate(self, system: str) -> list[Any]:
        if not self.is_listable:
            raise ValueError(f"no such input format: {system!r}")
        return [av.DeviceInfo(path, name, False, ["video"]) for path, name in self.there.items()]

    def _open(self, path: str, *, format: str, options: dict[str, str], timeout: Any) -> Container:  # noqa: A002
        if path not in self.there and str(Path(path).resolve()) not in self.there:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        if self.refusals:
            raise self.refusals.pop(0)
        self.opened.append(Container(path, options))
        self.opened[-1].still = self.views.get(path)
        return self.opened[-1]
