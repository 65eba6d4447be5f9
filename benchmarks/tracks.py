"""Many remote tracks: frames received as a share of frames due, and the CPU they cost.

`python -m benchmarks.tracks [--counts 1 8 32 64] [--rounds N] [--sfu livekit|embedded]`, also
`python -m benchmarks.audio --only tracks`. The talkers are one process, so that their encoders are
no part of the figures; the SFU is another; each listener is a process of its own, one at a time,
and plays, where it plays, to a virtual cable. Every encoder takes more than 1 % of a core, so that
64 of them fill half of a small machine: beyond `--talkers` a listener has several connections,
which all hear the same talkers. To its process that is the same work. What WebRTC itself had to
make up, because packets came late, is told beside: with that, a path can do nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from livekit import api

from benchmarks.support import cpu_seconds, inline, print_machine, print_table, spread
from benchmarks.tracks_peers import LISTENERS
from tests.support.pulse import Bench, missing_audio
from tests.support.sfu import RunningSfu, fresh_options, running_sfu

PEERS: Final = "benchmarks.tracks_peers"
COUNTS: Final = (1, 8, 32, 64)
PATHS: Final = tuple(LISTENERS)
TALKERS: Final = 16
SETTLE: Final = 8.0
WINDOW: Final = 10.0
FRAMES_PER_SECOND: Final = 100
PATIENCE: Final = 60.0


@frozen
class Figure:
    """What one listener did in one window.

    Args:
        received: Share of the frames due that were received, in %.
        worst: The same of the track that has least.
        made_up: Share of the sound that WebRTC made up for packets that came late, in %; None
            when it did not tell.
        played: Share of the frames due that went into the mix, None where nothing tells it.
        faults: Frames dropped, made up and not given to the device in time, per track and second.
        cpu: Of the listener, in % of a core.
        talkers: CPU of the talkers' process, in % of a core.
        load: Average of the last minute.
    """

    received: float
    worst: float
    made_up: float | None
    played: float | None
    faults: str
    cpu: float
    talkers: float
    load: float


class Child:
    """A peer that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, command: str) -> dict[str, Any]:
        """Give it a command and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return the next line it says."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)
        if not line:
            raise RuntimeError("a peer ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def peer(program: str = PEERS, /, **values: object) -> AsyncIterator[Child]:
    """Run a module as a peer for the length of the block, with `values` as its arguments."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", program, "--peer"),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if os.environ.get("UTD_RX_SHOW_PEERS") else asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(values).encode() + b"\n")
        child = Child(process)
        await child.answer()
        yield child
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 8)
        except TimeoutError:
            process.kill()
            await process.wait()


def token(sfu: RunningSfu, identity: str) -> str:
    """Mint a token for the room."""
    grants = api.VideoGrants(room_join=True, room="tracks")
    minted = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity(identity)
    return minted.with_grants(grants).with_ttl(timedelta(hours=3)).to_jwt()


async def measure(
    path: str, tracks: int, connections: int, sfu: RunningSfu, talkers: Child
) -> Figure:
    """Let one path listen to `tracks` for a window."""
    tokens = [token(sfu, f"listener-{number}") for number in range(connections)]
    async with peer(peer=path, url=sfu.url, tokens=tokens) as listener:
        deadline = time.monotonic() + 30.0
        while len((await listener.ask("count"))["frames"]) < tracks:
            if time.monotonic() > deadline:
                break  # what never came counts as nothing received
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLE)
        made_up_before = await listener.ask("made up")
        used, talked = cpu_seconds(listener.pid), cpu_seconds(talkers.pid)
        before, begin = await listener.ask("count"), time.monotonic()
        await asyncio.sleep(WINDOW)
        after, end = await listener.ask("count"), time.monotonic()
        used, talked = cpu_seconds(listener.pid) - used, cpu_seconds(talkers.pid) - talked
        made_up = await listener.ask("made up")
    seconds = end - begin
    due = seconds * FRAMES_PER_SECOND

    def grown(name: str) -> float:
        return float(after.get(name, 0) - before.get(name, 0))

    frames = [count - before["frames"].get(name, 0) for name, count in after["frames"].items()]
    frames += [0] * (tracks - len(frames))
    faults = [
        f"{what} {grown(what) / tracks / seconds:.2g}"
        for what in ("dropped", "late", "underruns")
        if what in after
    ]
    return Figure(
        received=100 * sum(frames) / due / tracks,
        worst=100 * min(frames) / due,
        made_up=_share(made_up_before, made_up),
        played=100 * grown("played") / due / tracks if "played" in after else None,
        faults=", ".join(faults),
        cpu=100 * used / seconds,
        talkers=100 * talked / seconds,
        load=os.getloadavg()[0],
    )


def _share(before: dict[str, Any], after: dict[str, Any]) -> float | None:
    if not before or not after:
        return None
    made_up, samples = (float(after[name] - before[name]) for name in ("made_up", "samples"))
    return 100 * made_up / max(1.0, samples)


async def run(
    sfu_kind: str,
    counts: Sequence[int],
    rounds: int,
    paths: Sequence[str],
    most: int = TALKERS,
) -> None:
    """Measure every path at every number of tracks, every other round backwards."""
    figures: dict[tuple[str, int], list[Figure]] = {}
    print_machine("before")
    options = fresh_options()
    async with running_sfu("livekit" if sfu_kind == "livekit" else "embedded", options) as sfu:
        tokens = [token(sfu, f"talker-{number}") for number in range(most)]
        async with peer(peer="talkers", url=sfu.url, tokens=tokens) as talkers:
            for tracks in sorted(counts):
                connections = -(-tracks // most)
                await talkers.ask(f"grow {tracks // connections}")
                for number in range(rounds):
                    for path in paths[:: 1 if number % 2 == 0 else -1]:
                        try:
                            figure = await measure(path, tracks, connections, sfu, talkers)
                        except TimeoutError:  # so busy with what it has that it joins no more
                            print(f"{tracks} tracks, {path}: did not join in {PATIENCE:g} s")
                            continue
                        figures.setdefault((path, tracks), []).append(figure)
                        print(f"{tracks} tracks, {path}: {figure}", flush=True)
    print_machine("after")
    report(figures, paths, sorted(counts))


def report(
    figures: dict[tuple[str, int], list[Figure]], paths: Sequence[str], counts: Sequence[int]
) -> None:
    """Print the table and the cost of a stream."""
    rows = [
        (
            "tracks", "path", "frames, %", "of the worst track", "in the mix, %",
            "made up by WebRTC, %", "CPU, %", "CPU of the talkers, %", "frames per track and s",
        )
    ]  # fmt: skip
    for tracks in counts:
        for path in paths:
            taken = figures.get((path, tracks), [])
            rows.append(
                (
                    str(tracks), path, spread([one.received for one in taken], 1),
                    spread([one.worst for one in taken], 1),
                    spread([one.played for one in taken if one.played is not None], 1),
                    spread([one.made_up for one in taken if one.made_up is not None], 1),
                    spread([one.cpu for one in taken], 1),
                    spread([one.talkers for one in taken]),
                    taken[-1].faults if taken else "did not join",
                )
            )  # fmt: skip
    print_table(rows)
    few, many = (8, max(counts)) if 8 in counts else (min(counts), max(counts))
    if few == many:
        return
    print(f"\none more stream, ms of CPU per second of sound, from {few} to {many} tracks:")
    slopes = {}
    for path in paths:
        if not all((path, tracks) in figures for tracks in (few, many)):
            continue
        low, high = (
            statistics.median(one.cpu for one in figures[path, tracks]) for tracks in (few, many)
        )
        slopes[path] = 10 * (high - low) / (many - few)
    for path, slope in slopes.items():
        ratio = f"{slope / slopes[paths[0]]:.2f}" if slopes.get(paths[0]) else "-"
        kept = statistics.median(one.received for one in figures[path, many])
        print(f"  {path}: {slope:.2f}, {ratio} of {paths[0]!r}, with {kept:.1f} % of the frames")


def main() -> None:
    """Parse, prepare the cables, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--sfu", choices=("livekit", "embedded"), default="livekit")
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS)
    parser.add_argument("--talkers", type=int, default=TALKERS)
    parser.add_argument("--listeners", nargs="+", choices=PATHS, default=PATHS)
    args = parser.parse_args()
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    inline()
    bench = Bench()
    bench.start()
    try:
        asyncio.run(run(args.sfu, args.counts, args.rounds, args.listeners, args.talkers))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
