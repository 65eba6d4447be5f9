"""The real-time side, way against way: from the card into a frame, and from a frame into LiveKit.

`python -m benchmarks.capture [--rounds N]`. Clicks are played into a virtual cable. Each way runs
in a process of its own and notes when the beginning of a click is in its hands; a plain callback in
another process, with priority and nothing else to do, says when that was possible. The second part
needs no card: how long a frame takes into LiveKit's source and out of a track of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.support import inline, print_machine, print_table, ratio, spread
from tests.support.pulse import Bench, missing_audio

TAKING: Final = ("callback", "callback, ring, thread", "blocking read", "rtmixer")
"""`rtmixer` only where it is installed: `pip install rtmixer`."""

HANDING_OVER: Final = ("native call", "event loop")
CONDITIONS: Final = ("calm", "busy", "spin")
WINDOW: Final = 12.0
SETTLE: Final = 2.0
EARLIEST, LATEST = -0.02, 0.6
"""Seconds after the reference's click in which it may be heard; clicks are 0.7 apart."""

Times = dict[str, list[float]]
Figures = dict[tuple[str, str], tuple[list[float], list[float]]]
"""By way and condition: delays in ms, and the share of clicks lost in %, a figure per round."""


class Way:
    """A program of `capture_ways` that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def tell(self, command: str) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        with suppress(ConnectionError):
            self._process.stdin.write(command.encode() + b"\n")

    async def report(self) -> Times:
        """Return the times noted since the last report."""
        assert self._process.stdout is not None
        self.tell("report")
        times: Times = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 60))
        return times


@asynccontextmanager
async def way(name: str) -> AsyncIterator[Way]:
    """Run a program of `capture_ways` for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.capture_ways", name),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        if not await asyncio.wait_for(process.stdout.readline(), 30):
            raise RuntimeError(f"{name!r} did not start")
        yield Way(process)
    finally:
        process.kill()
        await process.wait()


def delays(possible: list[float], taken: list[float]) -> list[float]:
    """Return how much later each click was taken than possible, in ms, without the lost ones."""
    found = []
    for at in possible:
        number = bisect_left(taken, at + EARLIEST)
        if number < len(taken) and taken[number] < at + LATEST:
            found.append(1000 * (taken[number] - at))
    return found


async def measure(name: str, reference: Way | None, figures: Figures) -> None:
    """Take one round of one way under every condition."""
    async with way(name) as one:
        for condition in CONDITIONS:
            if condition != "calm":
                one.tell(condition)
            await asyncio.sleep(SETTLE)
            await one.report()
            if reference is not None:
                await reference.report()
            await asyncio.sleep(WINDOW)
            possible = (await reference.report())["heard"] if reference is not None else None
            await asyncio.sleep(LATEST)
            times = await one.report()
            possible = times["sent"][:-1] if possible is None else possible
            found = delays(possible, times["heard"])
            all_delays, lost = figures.setdefault((name, condition), ([], []))
            all_delays += found
            lost.append(100 * (1 - len(found) / len(possible)))


async def run(rounds: int) -> None:
    """Measure every way in turn, every other round backwards."""
    figures: Figures = {}
    taking = [name for name in TAKING if name != "rtmixer" or find_spec("rtmixer")]
    print_machine("before")
    async with way("clicks"), way("reference") as reference:
        for number in range(rounds):
            for name in taking[:: 1 if number % 2 == 0 else -1]:
                await measure(name, reference, figures)
    for number in range(rounds):
        for name in HANDING_OVER[:: 1 if number % 2 == 0 else -1]:
            await measure(name, None, figures)
    print_machine("after")
    for title, names in (
        ("from the card to the frame, ms later than a plain callback could", taking),
        ("from the frame into LiveKit and out of a track, ms", HANDING_OVER),
    ):
        print(f"\n{title}: median (min-max), and clicks lost, %")
        rows = [
            ("way", *(f"{condition}{what}" for condition in CONDITIONS for what in ("", ", lost")))
        ]
        for name in names:
            cells = [
                cell
                for condition in CONDITIONS
                for cell in (
                    spread(figures[name, condition][0], 1), spread(figures[name, condition][1])
                )
            ]  # fmt: skip
            rows.append((name, *cells))
        print_table(rows)
    ours, theirs = (figures[name, "busy"][0] for name in HANDING_OVER)
    value = ratio(ours, theirs)
    print(f"\nnative call to event loop, busy loop: {'-' if value is None else f'{value:.2f}'}")


def main() -> None:
    """Parse, prepare the cable, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    # The clicks and the reference keep this; the ways give it back.
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    inline()
    bench = Bench()
    bench.start()
    try:
        asyncio.run(run(args.rounds))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
