"""A sound card whose clock is off: what drives the FIFOs of PulseAudio's pipe modules.

A pipe source hears what somebody writes into its FIFO and a pipe sink plays into one that somebody
reads; the clock of each is whoever does that. Here it is a process of its own with real-time
priority where that is allowed, so that nothing else in a test delays the card. `SkewedCard` runs
it; `python -m tests.support.skewed_card` is it.

The card says a sine with a mark in it, a shorter and higher one, now and then, and notes when each
mark went in and came out, in seconds of `time.monotonic()`, which all processes of a machine share.
So both the delay and the continuity of a path from its microphone to its speaker are measured at
the card itself.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tests.support.pulse import Bench

CARD: Final = "skewed_card"
SOURCE: Final = "skewed_source"
SINK: Final = "skewed_sink"
_PCM: Final = f"""\
pcm.{CARD} {{
    type asym
    playback.pcm {{ type pulse; device {SINK} }}
    capture.pcm {{ type pulse; device {SOURCE} }}
}}
"""
RATE: Final = 48_000
CHANNELS: Final = 8
"""PulseAudio moves 4096 bytes at a time; of 8 channels of float32 these are 2.7 ms."""

BYTES: Final = 4 * CHANNELS
PIPE: Final = 16_384
"""Bytes a FIFO holds: 10.7 ms, as much as a card's own buffer."""

TRIES: Final = 100
TURN: Final = 0.002
LEVEL: Final = 0.25
TONE: Final = 300.0
MARK_TONE: Final = 6_000.0
MARK_SAMPLES: Final = 480
MARK_EVERY: Final = 0.25
"""Seconds from mark to mark; as one looks like the other, what is as late as that is lost."""

MARK_BEND: Final = 0.05
"""Second difference that a mark has, also after a codec, and the tone never."""

MARK_SHARE: Final = 0.4
"""Of half a mark, that bends so: a click, where some sound is missing, does so for a moment."""

QUIET: Final = 0.002
"""Of full scale; a sine of `LEVEL` stays below it for a sample or two only."""

QUIET_SAMPLES: Final = 24
"""Samples below `QUIET` in a row that are a gap."""

Sound = npt.NDArray[np.float32]


@frozen
class CardReport:
    """What the card has seen since its first mark came out.

    Args:
        delays: Seconds from a mark's way in to its way out, in order, of those that came out.
        lost: Marks that went in and did not come out in time.
        heard: Seconds of sound that came out.
        silent: Seconds of them that were a gap.
        starved: Seconds in which the sound server gave the card nothing to play.
        unheard: Seconds that it did not take from the card.
    """

    delays: tuple[float, ...]
    lost: int
    heard: float
    silent: float
    starved: float
    unheard: float


class SkewedCard:
    """A source and a sink of a PulseAudio daemon, by FIFOs, with clocks of their own.

    PortAudio knows it as `CARD` after its next look around.

    Args:
        bench: The daemon.
        source_rate: Samples the card really hears in a second that it calls 48,000.
        sink_rate: Samples it really plays.
        mark_every: Seconds from mark to mark, more than any delay that has to be told.
    """

    def __init__(
        self,
        bench: Bench,
        source_rate: float,
        sink_rate: float,
        *,
        mark_every: float = MARK_EVERY,
    ) -> None:
        self._bench = bench
        self._fifos = [bench.folder / name for name in (SOURCE, SINK)]
        self._numbers = (source_rate, sink_rate, mark_every)
        self._config = bench.folder / "asound.conf"
        self._config_before = self._config.read_text()
        self._process: subprocess.Popen[str] | None = None
        self._modules: list[str] = []

    def plug_in(self) -> None:
        """Let the daemon have the card, and let it run."""
        self._config.write_text(self._config_before + _PCM)
        shape = f"format=float32le rate={RATE} channels={CHANNELS}"
        for kind, fifo in zip(("source", "sink"), self._fifos, strict=True):
            name = f"{kind}_name={fifo.name}"
            module = f"module-pipe-{kind} {name} file={fifo} {shape}"
            number = self._bench.pactl("load-module", *module.split()).strip()
            if not number:
                raise RuntimeError((self._bench.folder / "daemon.log").read_text())
            self._modules.append(number)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.skewed_card"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask(json.dumps([*map(str, self._fifos), *self._numbers]))

    def report(self) -> CardReport:
        """Return what was seen since the last report; what is under way is left to the next."""
        values = json.loads(self._ask("report"))
        return CardReport(tuple(values.pop("delays")), **values)

    def unplug(self) -> None:
        """Take it away."""
        self._config.write_text(self._config_before)
        for module in self._modules:
            self._bench.pactl("unload-module", module)
        if self._process is not None:
            with self._process:
                assert self._process.stdin is not None
                self._process.stdin.close()
                self._process.wait(10)
        for fifo in self._fifos:
            fifo.unlink(missing_ok=True)

    def _ask(self, line: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


class _Mouth:
    """What the card says, sample by sample, with a mark every so many."""

    def __init__(self, every: int) -> None:
        self._every = every
        self.position = 0
        self.marks: list[float] = []

    def say(self, count: int, now: float, rate: float) -> Sound:
        where = np.arange(self.position, self.position + count)
        since = where % self._every
        tone = np.sin(2 * np.pi * TONE * where / RATE)
        mark = np.sin(2 * np.pi * MARK_TONE * since / RATE)
        for start in np.flatnonzero(since == 0):
            # The last sample of this piece is said now.
            self.marks.append(now - (count - int(start)) / rate)
        self.position += count
        sound: Sound = (LEVEL * np.where(since < MARK_SAMPLES, mark, tone)).astype(np.float32)
        return sound


_HALF: Final = MARK_SAMPLES // 2
_LOOK_BACK: Final = _HALF + 1
"""Samples that are looked at once more, behind a piece: a mark is one when half of it is there."""


class _Ear:
    """What came out: when the marks did, and how much of it was silence."""

    def __init__(self, every: int) -> None:
        self._every = every
        self.position = self.silent = self._quiet = self._next = 0
        self.marks: list[float] = []
        self._line = np.zeros(_LOOK_BACK, np.float32)

    def hear(self, sound: Sound, now: float, rate: float) -> None:
        line = np.concatenate([self._line, sound])
        self._line = line[-_LOOK_BACK:]
        bends = np.abs(line[2:] - 2 * line[1:-1] + line[:-2]) > MARK_BEND
        so_far = np.concatenate([[0], np.cumsum(bends)])
        is_mark = so_far[_HALF:] - so_far[:-_HALF] >= MARK_SHARE * _HALF
        for index in np.flatnonzero(bends[: len(is_mark)] & is_mark):
            begins_at = len(sound) + _HALF - int(index)  # samples ago
            if self.position + len(sound) - begins_at >= self._next:
                self.marks.append(now - begins_at / rate)
                self._next = self.position + len(sound) - begins_at + self._every // 2
                break
        for is_quiet in (np.abs(sound) < QUIET).tolist():
            self._quiet = self._quiet + 1 if is_quiet else 0
            if self._quiet == QUIET_SAMPLES:
                self.silent += QUIET_SAMPLES
            elif self._quiet > QUIET_SAMPLES:
                self.silent += 1
        self.position += len(sound)


def _pair(said: Sequence[float], heard: Sequence[float], within: float) -> tuple[list[float], int]:
    """Return the delay of each mark that was heard in time, and how many were not."""
    delays, lost, index = [], 0, 0
    for at in said:
        while index < len(heard) and heard[index] < at:
            index += 1
        if index < len(heard) and heard[index] - at < within:
            delays.append(heard[index] - at)
        else:
            lost += 1
    return delays, lost


class _Card:
    def __init__(
        self, source: str, sink: str, source_rate: float, sink_rate: float, mark_every: float
    ) -> None:
        # Both ways at once, so that no end waits for the other, or ends with it.
        self._source = os.open(source, os.O_RDWR | os.O_NONBLOCK)
        self._sink = os.open(sink, os.O_RDWR | os.O_NONBLOCK)
        for fifo in (self._source, self._sink):
            _shrink(fifo)
        self._source_rate, self._sink_rate = source_rate, sink_rate
        every = round(mark_every * RATE)
        self._mouth, self._ear = _Mouth(every), _Ear(every)
        self._in_time = mark_every  # what is later was the next one
        self._started_at = time.monotonic()
        self._played = self._starved = self._unheard = 0
        self._rest = b""
        self._reported = (0, 0, 0, 0)

    def turn(self) -> None:
        """Hear and play what is due."""
        now = time.monotonic()
        due = int((now - self._started_at) * self._source_rate) - self._mouth.position
        if due > 0:
            sound = np.repeat(self._mouth.say(due, now, self._source_rate), CHANNELS)
            taken = 0
            with suppress(BlockingIOError):  # nobody hears: lost, as in a card
                taken = os.write(self._source, sound.tobytes())
            self._unheard += due - taken // BYTES
        due = int((now - self._started_at) * self._sink_rate) - self._played
        if due <= 0:
            return
        self._played += due
        data = self._rest
        with suppress(BlockingIOError):
            data += os.read(self._sink, due * BYTES - len(data))
        count = len(data) // BYTES
        self._rest = data[count * BYTES :]
        self._starved += due - count
        if count:
            frames = np.frombuffer(data[: count * BYTES], np.float32).reshape(-1, CHANNELS)
            self._ear.hear(frames[:, 0], now, self._sink_rate)

    def report(self) -> dict[str, object]:
        """Tell what was seen since the last time."""
        horizon = time.monotonic() - self._in_time
        mouth, ear = self._mouth, self._ear
        begin = ear.marks[0] - self._in_time if ear.marks else horizon
        said = [at for at in mouth.marks if begin <= at < horizon]
        delays, lost = _pair(said, ear.marks, self._in_time)
        counts = ear.position, ear.silent, self._starved, self._unheard
        before, self._reported = self._reported, counts
        mouth.marks = [at for at in mouth.marks if at >= horizon]
        ear.marks = [at for at in ear.marks if at >= horizon]
        seconds = [(now - then) / RATE for now, then in zip(counts, before, strict=True)]
        names = "heard", "silent", "starved", "unheard"
        return {"delays": delays, "lost": lost, **dict(zip(names, seconds, strict=True))}


def _shrink(fifo: int) -> None:
    """Let a FIFO hold no more than `PIPE`; it must not hold more at that moment."""
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            while os.read(fifo, 65_536):
                pass
        try:
            fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, PIPE)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        else:
            return
    raise RuntimeError("the sound server fills the FIFO faster than it can be shrunk")


def _listen(card: _Card, commands: int) -> None:
    """Run the card until standard input ends."""
    os.set_blocking(commands, False)
    turn_at = time.monotonic()
    while True:
        with suppress(BlockingIOError):
            command = os.read(commands, 1024)
            if not command:
                return
            for _ in range(command.count(b"\n")):
                sys.stdout.write(json.dumps(card.report()) + "\n")
                sys.stdout.flush()
        card.turn()
        turn_at = max(turn_at + TURN, time.monotonic() - 0.01)
        time.sleep(max(0.0, turn_at - time.monotonic()))


def main() -> None:
    """Be the card."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(6))
    line = b""
    while not line.endswith(b"\n"):  # unbuffered, so that no command stays behind in a buffer
        line += os.read(0, 1)
    card = _Card(*json.loads(line))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    _listen(card, 0)


if __name__ == "__main__":
    main()
