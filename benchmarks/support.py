"""What `join`, `calls` and `sfu` share: child processes, figures with their spread, CPU, load."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from utd_rx import UTDStreamException
from utd_rx.engine.livekit_server import INSTALL_HINT, find_livekit_server

TARGET: Final = 1.3
START_TIMEOUT: Final = 60.0
STOP_TIMEOUT: Final = 15.0

_ROOT: Final = Path(__file__).resolve().parent.parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class BenchmarkFailedError(Exception):
    """The benchmark could not run; the message says why."""


class Child:
    """A running program of `children.py`: what it said when it was ready, and its process."""

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.pid = process.pid
        self.ready = ready


@asynccontextmanager
async def child(program: str, **arguments: object) -> AsyncIterator[Child]:
    """Run a program of `children.py` for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.children", program),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a terminal's Ctrl-C is for us, who then end it in order
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(arguments).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
        if not line:
            raise BenchmarkFailedError(f"the child process {program!r} did not start")
        yield Child(process, json.loads(line))
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            process.kill()
            await process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that the process has used so far."""
    # The name in parentheses may hold spaces; what follows it are fields 3 and on of proc(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def spread(samples: Sequence[float], digits: int = 0) -> str:
    """Return `median (min-max)`."""
    if not samples:
        return "-"
    low, middle, high = min(samples), statistics.median(samples), max(samples)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the ratio of the medians, None when a side is missing."""
    if not ours or not theirs or statistics.median(theirs) == 0:
        return None
    return statistics.median(ours) / statistics.median(theirs)


def verdict(value: float | None, target: float = TARGET) -> str:
    """Return the ratio against its target, in words."""
    if value is None:
        return "no ratio"
    return f"{value:5.2f}  {'met' if value <= target else 'MISSED'} (<= {target:g})"


def untargeted(value: float | None) -> str:
    """Return a ratio that has no target."""
    return "no ratio" if value is None else f"{value:5.2f}"


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the first of them as the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def inline() -> None:
    """Have media in the process that measures and in those that it starts: what they look into
    lives there, and what is compared is the path, not where it runs (`media_process`)."""
    os.environ["UTD_RX_MEDIA"] = "inline"


def print_machine(when: str) -> None:
    """Print what the figures depend on."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{when}: load average {load}, {os.cpu_count()} cores, Python {platform.python_version()}",
        flush=True,
    )


def quiet_livekit() -> None:
    """Keep LiveKit's log out of the tables.

    A client that leaves while it negotiates logs an error or two, and nothing is wrong; a join
    that really fails raises.
    """
    logging.getLogger("livekit").setLevel(logging.CRITICAL)


def run_on_each(
    run: Callable[[list[str], int], Coroutine[Any, Any, None]],
    *,
    title: str,
    heading: str,
    what: str,
    rounds: int,
    target: float = TARGET,
) -> int:
    """Parse `--sfu` and `--rounds`, so many `what` per kind, and run; return the exit status."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--sfu", choices=("embedded", "livekit", "both"), default="both")
    told = f"{what} per kind (default {rounds})"
    parser.add_argument("--rounds", type=int, default=rounds, help=told)
    args = parser.parse_args()
    kinds = ["embedded", "livekit"] if args.sfu == "both" else [args.sfu]
    if "livekit" in kinds and not is_livekit_there():
        kinds.remove("livekit")
    if args.rounds < 1 or not kinds:
        print("nothing to measure", file=sys.stderr)
        return 1
    print(f"{heading}, target ratio <= {target:g}")
    quiet_livekit()
    return status_of(run(kinds, args.rounds))


def status_of(benchmark: Coroutine[Any, Any, None]) -> int:
    """Run it; return the exit status, 0 when it ran, whatever it measured."""
    try:
        asyncio.run(benchmark)
    except (
        BenchmarkFailedError,
        UTDStreamException,
        aiohttp.ClientError,
        rtc.ConnectError,
        PublishTrackError,
        TimeoutError,
    ) as error:
        print(f"the benchmark failed: {error!r}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def is_livekit_there() -> bool:
    """Whether livekit-server can be measured; says how to get it when it cannot."""
    try:
        is_there = find_livekit_server() is not None
    except UTDStreamException as error:  # the variable that names it names no program
        print(error.message, file=sys.stderr)
        return False
    if not is_there:
        print(f"livekit-server not found; {INSTALL_HINT}", file=sys.stderr)
    return is_there
