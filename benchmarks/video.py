"""Remote videos as frames: how many arrive, how late, at what cost, and what is not pulled.

`python -m benchmarks.video [--counts 1 4 16] [--rounds N] [--fps N] [--sfu livekit|embedded]`. The
senders are one process, the SFU another; each viewer is a process of its own, one at a time. The
frames are 640×360, numbered, so a delay is from the frame's making to its number read by who looks.
Encoding is most of the work: there are `--senders` of them, and beyond that a viewer has several
connections, which is the same to its process. Before its window each viewer looks for a while. At
the beginning nobody does: what the senders cost then is what dynacast leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen
from livekit import api

from benchmarks.support import (
    cpu_seconds,
    print_machine,
    print_table,
    ratio,
    spread,
    status_of,
    untargeted,
    verdict,
)
from benchmarks.tracks import Child, peer
from benchmarks.video_peers import PEERS
from tests.support.sfu import RunningSfu, SfuKind, fresh_options, running_sfu

PROGRAM: Final = "benchmarks.video_peers"
PATHS: Final = tuple(name for name in PEERS if name != "senders")
COUNTS: Final = (1, 4, 16)
SENDERS: Final = 4
SETTLE: Final = 4.0
PAUSE: Final = 8.0
"""Seconds until nobody has looked for so long that nothing is encoded any more."""

WINDOW: Final = 8.0
TARGET: Final = 1.0
PATIENCE: Final = 30.0


@frozen
class Figure:
    """What one viewer did in one window.

    Args:
        delivered: Frames, in % of those that were made meanwhile.
        delay: Seconds from a frame's making to its number read, the median.
        cost: CPU of the viewer for each frame, in ms: receiving, decoding, converting, reading.
        senders: CPU of the senders, in % of a core.
        unseen: Bytes of the tracks that it does not look at, None when it is not known.
        load: Average of the last minute.
    """

    delivered: float
    delay: float
    cost: float
    senders: float
    unseen: int | None
    load: float


def token(sfu: RunningSfu, identity: str) -> str:
    """Mint a token for the room."""
    grants = api.VideoGrants(room_join=True, room="video")
    minted = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity(identity)
    return minted.with_grants(grants).with_ttl(timedelta(hours=3)).to_jwt()


async def measure(
    path: str, sfu: RunningSfu, senders: Child, looked_at: Sequence[str], connections: int
) -> Figure:
    """Let one viewer look for a window."""
    tokens = [token(sfu, f"viewer-{number}") for number in range(connections)]
    async with peer(PROGRAM, peer=path, url=sfu.url, tokens=tokens, looked_at=looked_at) as viewer:
        deadline = time.monotonic() + PATIENCE
        while len((await viewer.ask("count"))["frames"]) < len(looked_at) * connections:
            if time.monotonic() > deadline:
                break  # what never came counts as not delivered
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLE)
        unseen = await unseen_by(path, viewer)
        used, encoding = cpu_seconds(viewer.pid), cpu_seconds(senders.pid)
        made, seen = await frames(senders, looked_at), await frames(viewer)
        await asyncio.sleep(WINDOW)
        made, seen = await frames(senders, looked_at) - made, await frames(viewer) - seen
        used, encoding = cpu_seconds(viewer.pid) - used, cpu_seconds(senders.pid) - encoding
        delays = late(await senders.ask("times"), await viewer.ask("times"))
        more = await unseen_by(path, viewer)
    return Figure(
        delivered=100 * seen / max(1, made * connections),
        delay=statistics.median(delays) if delays else float("nan"),
        cost=1_000 * used / max(1, seen),
        senders=100 * encoding / WINDOW,
        unseen=None if more is None or unseen is None else more - unseen,
        load=os.getloadavg()[0],
    )


async def frames(child: Child, names: Sequence[str] | None = None) -> int:
    """Return how many frames a peer has counted, of some tracks or of all."""
    counts = (await child.ask("count"))["frames"]
    return sum(count for name, count in counts.items() if names is None or name in names)


async def unseen_by(path: str, viewer: Child) -> int | None:
    """Return the bytes of what a viewer does not look at, where it tells."""
    return sum((await viewer.ask("unseen")).values()) if path == "utd_rx" else None


def late(made: dict[str, Any], seen: dict[str, Any]) -> list[float]:
    """Return how much later each number was seen than made."""
    return [
        at - made[sender][number]
        for sender, times in seen.items()
        for number, at in times.items()
        if number in made.get(sender, {})
    ]


async def run(sfu_kind: SfuKind, counts: Sequence[int], rounds: int, fps: int, most: int) -> None:
    """Measure every path at every number of videos, every other round backwards."""
    figures: dict[tuple[int, str, int], list[Figure]] = {}
    names = [f"sender-{number}" for number in range(most)]
    print_machine("before")
    async with running_sfu(sfu_kind, fresh_options()) as sfu:
        tokens = [token(sfu, name) for name in names]
        values: dict[str, Any] = {"names": names, "tokens": tokens, "fps": fps, "url": sfu.url}
        async with peer(PROGRAM, peer="senders", **values) as senders:
            await asyncio.sleep(PAUSE)
            idle = cpu_seconds(senders.pid)
            await asyncio.sleep(WINDOW)
            idle = 100 * (cpu_seconds(senders.pid) - idle) / WINDOW
            for count in sorted(counts):
                looked_at = names[: min(count, most)]
                for number in range(rounds):
                    for path in PATHS[:: 1 if number % 2 == 0 else -1]:
                        connections = -(-count // most)
                        figure = await measure(path, sfu, senders, looked_at, connections)
                        key = (count, path, (most - len(looked_at)) * connections)
                        figures.setdefault(key, []).append(figure)
                        print(f"{count} videos, {path}: {figure}", flush=True)
    print_machine("after")
    report(figures)
    print(f"\nCPU of {most} senders while nobody looks: {idle:.0f} % of a core")


def report(figures: dict[tuple[int, str, int], list[Figure]]) -> None:
    """Print the table and the ratios."""
    rows = [
        (
            "videos", "path", "frames, %", "delay, ms", "CPU per frame, ms", "senders, %",
            "others, bytes",
        )
    ]  # fmt: skip
    for (count, path, others), taken in figures.items():
        unseen = [one.unseen for one in taken if one.unseen is not None]
        rows.append(
            (
                str(count), path, spread([one.delivered for one in taken], 1),
                spread([1_000 * one.delay for one in taken]),
                spread([one.cost for one in taken], 2),
                spread([one.senders for one in taken]),
                f"{max(unseen)} of {others}" if unseen and others else "-",
            )
        )  # fmt: skip
    print_table(rows)
    print(f"\nCPU per frame of utd_rx, against (target {TARGET:g}):")
    costs = {
        (count, path): [one.cost for one in taken] for (count, path, _), taken in figures.items()
    }
    for (count, path), theirs in costs.items():
        if path != PATHS[0]:
            value = ratio(costs[count, PATHS[0]], theirs)
            told = verdict(value, TARGET) if path == PATHS[1] else untargeted(value)
            print(f"  {count} videos, {path}: {told}")


def main() -> int:
    """Parse and measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sfu", choices=("livekit", "embedded"), default="livekit")
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--senders", type=int, default=SENDERS)
    args = parser.parse_args()
    return status_of(run(args.sfu, args.counts, args.rounds, args.fps, args.senders))


if __name__ == "__main__":
    raise SystemExit(main())
