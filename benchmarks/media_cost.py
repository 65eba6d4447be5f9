"""What a call costs for `benchmarks.media_process`: the CPU of both sides, calm, by turns.

A virtual machine takes up to a half more for the same from one minute to the next. So the paths
take turns, each turn is short, and what is told of a path is the median of its ratios to
`rtc.PlatformAudio` of the same turn.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from time import monotonic
from typing import Final, TypeAlias

from benchmarks.media_ear import SETTLE, Stage, Windows, stage
from benchmarks.media_machine import Tree
from benchmarks.support import print_table, spread, verdict
from tests.support.sfu import RunningSfu

TURNS: Final = 4
"""Of each path in a round."""

WINDOWS: Final = 2
"""Of mouth to ear, in a turn: as everywhere it is measured while sound is heard."""

SIDES: Final = ("talker", "listener")

MOST: Final = {False: 1.2, True: 1.5}
"""Times PlatformAudio's, with levels observed or not."""

Path: TypeAlias = tuple[str, bool]
"""A path, and whether levels are observed."""

Costs: TypeAlias = dict[Path, list[dict[str, float]]]
"""% of a core of each side, turn by turn."""


async def run(sfu: RunningSfu, paths: Sequence[str], rounds: int) -> None:
    """Measure every path in turn, every other turn backwards, and print the table."""
    ours = [path for path in paths if path != "bare"]
    each: list[Path] = [(path, False) for path in paths] + [(path, True) for path in ours]
    taken: Costs = {path: [] for path in each}
    async with stage(sfu) as on:
        for number in range(rounds * TURNS):
            for path in each if number % 2 == 0 else each[::-1]:
                taken[path].append(await _measure(on, *path))
    report(taken)


async def _measure(on: Stage, path: str, observed: bool) -> dict[str, float]:
    await on.mouth.say("speech")
    observing = {"observed": True} if observed else {}
    async with (
        on.app("listen", path, **observing) as listener,
        on.app("talk", path, **observing) as talker,
    ):
        await asyncio.sleep(SETTLE)
        trees = dict(zip(SIDES, (Tree(talker.pid), Tree(listener.pid)), strict=True))
        before, began = {side: tree.cpu() for side, tree in trees.items()}, monotonic()
        await Windows().take(on.ears, WINDOWS)
        took = monotonic() - began
        return {side: 100 * (tree.cpu() - before[side]) / took for side, tree in trees.items()}


def report(taken: Costs) -> None:
    """Print what each side costs, % of a core, and the ratios turn by turn."""
    rows: list[tuple[str, ...]] = [("CPU, % of a core", *SIDES)]
    for (path, observed), turns in taken.items():
        name = f"{path}{', levels observed' if observed else ''}"
        rows.append((name, *(spread([turn[side] for turn in turns], 1) for side in SIDES)))
    print_table(rows)
    bare = taken.get(("bare", False), [])
    for (path, observed), turns in taken.items():
        for side in SIDES if path != "bare" else ():
            ratios = [mine[side] / theirs[side] for mine, theirs in zip(turns, bare, strict=False)]
            middle = statistics.median(ratios) if ratios else None
            what = "levels observed " if observed else "nothing observed"
            words = f"{path}, {side}, {what}, to PlatformAudio"
            print(f"  {words:55} {verdict(middle, MOST[observed])}   {spread(ratios, 2)}")
