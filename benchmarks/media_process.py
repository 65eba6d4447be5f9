"""What a media process is for: sound while the app is busy, stopped, dead; and what that costs.

`python -m benchmarks.media_process [--rounds N] [--sfu livekit|embedded] [--only PART …]`. Each
row has `rtc.PlatformAudio`, LiveKit's own client and WebRTC's devices, beside it, measured in the
same run; "inline" is this SDK with its media in the app's own process.

- `ear`: mouth to ear; `cost`: CPU of both sides; `latency`: commands and events; `tracks`: many
  remote tracks, to the app and into a mix, also beside a load of 4; `hour`: one call of
  `--minutes`, not run unless named.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Final

from benchmarks import media_cost, media_hour, media_latency, media_tracks
from benchmarks.media_ear import Ear, Windows, measure, stage
from benchmarks.support import (
    inline,
    print_machine,
    print_table,
    ratio,
    spread,
    untargeted,
    verdict,
)
from tests.support.pulse import CABLE_A, CABLE_B, Bench, missing_audio
from tests.support.sfu import RunningSfu, SfuKind, fresh_options, running_sfu

PARTS: Final = ("ear", "cost", "latency", "tracks")
PATHS: Final = ("process", "inline", "bare")
NAMES: Final = {"process": "process", "inline": "inline", "bare": "PlatformAudio"}

Rounds = dict[str, list[Ear]]


async def measure_ears(sfu: RunningSfu, paths: Sequence[str], rounds: int) -> Rounds:
    """Measure every path in turn, every other round backwards."""
    taken: Rounds = {path: [] for path in paths}
    async with stage(sfu) as on:
        for number in range(rounds):
            for path in paths if number % 2 == 0 else paths[::-1]:
                taken[path].append(await measure(on, path))
                print(f"round {number + 1}, {NAMES[path]}: load {os.getloadavg()[0]:.1f}")
    for one in chain.from_iterable(taken.values()):
        for windows in (one.calm, one.busy, one.blocked, one.stopped):
            windows.judge()
    return taken


def report_ears(taken: Rounds) -> None:
    """Print a row for each figure, with the ratios that have a target."""
    rows = [("mouth to ear", *(NAMES[path] for path in taken))]

    def row(name: str, figure: Callable[[list[Ear]], str]) -> None:
        rows.append((name, *(figure(rounds) for rounds in taken.values())))

    row("calm, ms", lambda rounds: spread(_delays(one.calm for one in rounds), 1))
    row("busy, ms", lambda rounds: spread(_delays(one.busy for one in rounds), 1))
    row("calm, words lost", lambda rounds: _words(one.calm for one in rounds))
    row("busy, words lost", lambda rounds: _words(one.busy for one in rounds))
    row("loop blocked for 5 s, lost s", lambda rounds: _lost(one.blocked for one in rounds))
    row("app stopped for 2 s, lost s", lambda rounds: _lost(one.stopped for one in rounds))
    row("child killed, heard again s", lambda rounds: _some([one.heard_again for one in rounds]))
    row("app killed, gone s", lambda rounds: _some([one.gone for one in rounds]))
    for side in ("talker", "listener"):
        row(f"memory, {side}, MB", partial(_memory, side))
    print_table(rows)
    bare = taken.get("bare", [])
    for path in taken:
        if path != "bare":
            _judge(NAMES[path], taken[path], bare)


def _judge(name: str, ours: list[Ear], bare: list[Ear]) -> None:
    calm, busy = (_delays(getattr(one, what) for one in ours) for what in ("calm", "busy"))
    print(f"\n{name}")
    print(f"  busy, to its own calm         {verdict(ratio(busy, calm), 1.1)}")
    for what, delays in (("calm", calm), ("busy", busy)):
        theirs = _delays(getattr(one, what) for one in bare)
        print(f"  {what}, to PlatformAudio       {verdict(ratio(delays, theirs), 1.05)}")
    for side in ("talker", "listener"):
        memory = ratio([one.memory[side] for one in ours], [one.memory[side] for one in bare])
        print(f"  memory of the {side}                 {untargeted(memory)}")


def _memory(side: str, rounds: list[Ear]) -> str:
    return spread([one.memory[side] for one in rounds], 1)


def _delays(windows: Iterable[Windows]) -> list[float]:
    return [delay for one in windows for delay in one.delays]


def _words(windows: Iterable[Windows]) -> str:
    taken = list(windows)
    return f"{sum(one.lost_words for one in taken)} of {sum(one.words for one in taken)}"


def _lost(windows: Iterable[Windows]) -> str:
    return spread([lost for one in windows for lost in one.lost], 2)


def _some(figures: Sequence[float | None]) -> str:
    """Tell figures that a path may not have, or never reach."""
    return spread([one for one in figures if one is not None], 2)


async def run(args: argparse.Namespace, bench: Bench) -> None:
    """Measure what was asked for."""
    print_machine("before")
    kind: SfuKind = "livekit" if args.sfu == "livekit" else "embedded"
    async with running_sfu(kind, fresh_options()) as sfu:
        if "ear" in args.only:
            report_ears(await measure_ears(sfu, args.paths, args.rounds))
        if "cost" in args.only:
            await media_cost.run(sfu, args.paths, args.rounds)
        if "latency" in args.only:
            await media_latency.run(sfu, args.paths, args.rounds)
        if "tracks" in args.only:
            await media_tracks.run(sfu, args.paths, args.counts, args.rounds)
        if "hour" in args.only:
            await media_hour.run(sfu, bench, args.paths[0], args.minutes)
    print_machine("after")


def main() -> None:
    """Parse, prepare the cables, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sfu", choices=("livekit", "embedded"), default="livekit")
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS)
    parser.add_argument("--only", nargs="+", choices=(*PARTS, "hour"), default=PARTS)
    parser.add_argument("--counts", nargs="+", type=int, default=media_tracks.COUNTS)
    parser.add_argument("--minutes", type=float, default=60)
    args = parser.parse_args()
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    inline()
    bench = Bench()
    bench.start()
    try:
        bench.pactl("set-default-source", f"{CABLE_A}.monitor")
        bench.pactl("set-default-sink", CABLE_B)
        # Busy threads must slow down the paths, not whoever measures them; the apps take it back.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -15)
        asyncio.run(run(args, bench))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
