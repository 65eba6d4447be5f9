"""What the machine itself did to real time, told by a process of its own beside something else.

What is bound to real time may fail because a neighbour was busy. A witness does the same seconds
things in which nothing of ours can go wrong: it sleeps 5 ms at a time, and it computes for some
milliseconds now and then. How late each came at its worst is all it tells. It is another process,
so that nothing can hurt it by holding the GIL.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

from attrs import asdict, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException

MAX_LATE: Final = 0.01
"""Seconds; a frame. What is later may be missing: a passage was torn beside a witness of 24 ms.
With no more to do than two cores can, all stay below; a load of three makes 50 to 100 ms."""

TICK: Final = 0.005
_WORK_EVERY: Final = 0.25
_WORK: Final = bytes(16_000_000)
"""Hashing it takes 10 ms, some time slices; meanwhile the GIL is free."""


@frozen
class Witnessed:
    """The worst lateness of some seconds, in seconds; no callback where no sound card is asked."""

    timer: float
    work: float
    callback: float | None = None

    @property
    def worst(self) -> float:
        """Of all three."""
        return max(self.timer, self.work, self.callback or 0.0)

    @property
    def is_hurt(self) -> bool:
        """Whether the machine did something that may fail what is bound to real time."""
        return self.worst > MAX_LATE

    def __str__(self) -> str:
        told = {"timer": self.timer, "work": self.work, "callback": self.callback}
        return ", ".join(f"{k} {1000 * v:.0f} ms late" for k, v in told.items() if v is not None)


class Witness:
    """A process that is started, and asked.

    Args:
        module: Which it runs.
        folder: Where, if that matters to find it.
    """

    def __init__(self, module: str = __name__, folder: Path | None = None) -> None:
        self._module = module
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Begin to look; it takes a moment until it does. Idempotent.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` in a frozen program, which is no Python and would
                start itself once more.
        """
        if getattr(sys, "frozen", False):
            message = "a frozen program has no Python to watch the machine with"
            raise UTDStreamException(message, code=UTDErrorCode.FEATURE_DISABLED)
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and a module of ours
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self._folder,
                start_new_session=True,  # it ends with its input, not by a key pressed here
            )

    def look(self) -> Witnessed:
        """Return what happened since the last look, or since it began."""
        self.start()
        assert self._process is not None
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

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Lateness:
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


def begin() -> dict[str, Lateness]:
    """Sleep and compute on threads of this process; return how late both are."""
    kinds = {"timer": Lateness(), "work": Lateness()}
    for kind, run in (("timer", _sleep), ("work", _work)):
        threading.Thread(target=run, args=(kinds[kind],), daemon=True).start()
    return kinds


def answer(kinds: Mapping[str, Lateness], look: Callable[[], None] = lambda: None) -> None:
    """Answer each line with what happened since the last one, until there is none; `look` first."""
    for _ in sys.stdin:
        look()
        told = Witnessed(**{kind: late.take() for kind, late in kinds.items()})
        sys.stdout.write(json.dumps(asdict(told)) + "\n")
        sys.stdout.flush()


def _sleep(late: Lateness) -> None:
    due = time.monotonic()
    while True:
        due += TICK
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()
        late.note(now - due)
        due = max(due, now - TICK)  # a stall is one, not one for each tick in it


def _work(late: Lateness) -> None:
    while True:
        began, computed = time.monotonic(), time.thread_time()
        hashlib.sha256(_WORK)
        late.note(time.monotonic() - began - (time.thread_time() - computed))
        time.sleep(_WORK_EVERY)


if __name__ == "__main__":
    answer(begin())
