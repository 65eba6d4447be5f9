"""The witness of tests: `utd_rx.testing.witness`, which PortAudio calls back every 5 ms besides.

The cable is of the same kind as the tests', but a daemon's of its own, because tests count the
streams of theirs, unplug its cards and kill it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.pulse import CABLE_A, Bench, missing_audio
from utd_rx.audio import portaudio
from utd_rx.testing import witness
from utd_rx.testing.witness import Lateness, answer, begin

_BLOCK: Final = 240
_RATE: Final = 48_000
_SETTLE: Final = 1.0
"""Seconds in which a stream that was just opened comes in bursts."""


class SoundWitness(witness.Witness):
    """A process that has a sound card, too, and is started with the first look."""

    def __init__(self) -> None:
        super().__init__(__name__, Path(__file__).parents[2])


class _Callback:
    """What PortAudio calls with silence; it plays none, as a late player makes ALSA busy itself."""

    def __init__(self, late: Lateness) -> None:
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


def main() -> None:
    """Answer each line with what happened since the last one, until there is none."""
    kinds = begin()
    if missing_audio() is not None:
        answer(kinds)
        return
    kinds["callback"] = Lateness()
    callback = _Callback(kinds["callback"])
    with _streaming(callback):
        time.sleep(_SETTLE)
        for late in kinds.values():
            late.take()
        answer(kinds, callback.note)


if __name__ == "__main__":
    main()
