"""What the machine itself did to real time, told by a process of its own beside a test.

A test that is bound to real time may fail because a neighbour was busy. Its witness does the same
seconds three things in which nothing of ours can go wrong: it sleeps 5 ms at a time, it computes
for some milliseconds now and then, and PortAudio calls it back every 5 ms for a cable of the same
kind as the tests'. How late each came at its worst is all it tells.

It is another process, so that no test can hurt it by holding the GIL; and the cable is a daemon's
of its own, because tests count the streams of theirs, unplug its cards and kill it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from tests.support.pulse import CABLE_A, Bench, missing_audio
from utd_rx.audio import portaudio

MAX_LATE: Final = 0.01
"""Seconds; a frame. What is later may be missing: a passage was torn beside a witness of 24 ms.
With no more to do than two cores can, all three stay below; a load of three makes 50 to 100 ms."""

TICK: Final = 0.005
_WORK_EVERY: Final = 0.25
_WORK: Final = bytes(16_000_000)
"""Hashing it takes 10 ms, some time slices; meanwhile the GIL is free."""

_BLOCK: Final = 240
_RATE: Final = 48_000
_SETTLE: Final = 1.0
"""Seconds in which a stream that was just opened comes in bursts."""


@frozen
class Witnessed:
    """The worst lateness of some seconds, in seconds; no callback where there is no sound card."""

    timer: float
    work: float
    callback: float | None = None

    @property
    def is_hurt(self) -> bool:
        """Whether the machine did something that may fail a test."""
        return max(self.timer, self.work, self.callback or 0.0) > MAX_LATE

    def __str__(self) -> str:
        told = {"timer": self.timer, "work": self.work, "callback": self.callback}
        return ", ".join(f"{k} {1000 * v:.0f} ms late" for k, v in told.items() if v is not None)


class Witness:
    """A process that is started with the first look, and asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def look(self) -> Witnessed:
        """Return what happened since the last look."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # it ends with its input, not by a key pressed here
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Witnessed(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


class _Lateness:
    """The worst of one kind since it was taken last."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._lock = threading.Lock()

    def note(self, seconds: float) -> None:
        with self._lock:
            self._worst = max(self._worst, seconds)

    def take(self) -> float:
        with self._lock:
            worst, self._worst = self._worst, 0.0
            return worst


def _sleep(late: _Lateness) -> None:
    due = time.monotonic()
    while True:
        due += TICK
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        late.note(now - due)
        due = max(due, now - TICK)  # a stall is one, not one for each tick in it


def _work(late: _Lateness) -> None:
    while True:
        began, computed = time.monotonic(), time.thread_time()
        hashlib.sha256(_WORK)
        late.note(time.monotonic() - began - (time.thread_time() - computed))
        time.sleep(_WORK_EVERY)


class _Callback:
    """What PortAudio calls with silence; it plays none, as a late player makes ALSA busy itself."""

    def __init__(self, late: _Lateness) -> None:
        self._late = late
        self._called_at = time.monotonic()

    def __call__(self, *_: object) -> None:
        self.note()
        self._called_at = time.monotonic()

    def note(self) -> None:
        """Tell how late the next call is; that two come at once is as usual."""
        self._late.note(time.monotonic() - self._called_at - 2 * _BLOCK / _RATE)


@contextmanager
def _streaming(callback: _Callback) -> Iterator[None]:
    bench = Bench()
    try:
        bench.start()
        portaudio.refresh()  # it looked around when it was loaded, before there was the cable
        with portaudio.load().RawInputStream(
            _RATE, _BLOCK, CABLE_A, channels=1, dtype="int16", callback=callback
        ):
            yield
    finally:
        bench.stop()


def _answer(kinds: dict[str, _Lateness], callback: _Callback | None) -> None:
    time.sleep(_SETTLE)
    for late in kinds.values():
        late.take()
    for _ in sys.stdin:
        if callback is not None:
            callback.note()
        told = Witnessed(**{kind: late.take() for kind, late in kinds.items()})
        print(json.dumps(asdict(told)), flush=True)


def main() -> None:
    """Answer each line with what happened since the last one, until there is none."""
    kinds = {"timer": _Lateness(), "work": _Lateness()}
    for kind, run in (("timer", _sleep), ("work", _work)):
        threading.Thread(target=run, args=(kinds[kind],), daemon=True).start()
    if missing_audio() is not None:
        _answer(kinds, None)
        return
    kinds["callback"] = _Lateness()
    callback = _Callback(kinds["callback"])
    with _streaming(callback):
        _answer(kinds, callback)


if __name__ == "__main__":
    main()
