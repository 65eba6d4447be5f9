"""Many remote tracks for `benchmarks.media_process`: frames to the app, and into the mix.

As in `benchmarks.tracks` the talkers are one process and a listener has several connections beyond
16 of them, as sessions of one client, so that they share a media process. What is in the mix the
speaker's own statistics tell: of what is due, all but what was made up, dropped, or not there when
the device asked.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import aiohttp
from attrs import frozen
from livekit import api

from benchmarks.children import mint
from benchmarks.media_machine import Tree
from benchmarks.support import print_table, spread
from benchmarks.tracks import Child, peer
from tests.support.sfu import RunningSfu
from utd_rx.engine import EngineOptions, LocalEngine

COUNTS: Final = (1, 8, 32, 64)
TALKERS: Final = 16
ROOM: Final = "tracks"
RATE: Final = 48_000
SETTLE: Final = 8.0
WINDOW: Final = 10.0
LOOK: Final = 0.5
"""Seconds between two looks at the statistics of a speaker, which come as often."""

LOAD: Final = 4
TARGET: Final = 99.5
"""% of the frames in the mix."""

ALL_OF: Final = {"play": TARGET, "frames": 95.0}
"""% of a `LOOK` in which nothing is missing: frames come to an app in batches."""


@frozen
class Figure:
    """One window; % of the frames due, and % of a core."""

    frames: float | None
    worst: float | None
    cpu: float
    memory: float


@frozen
class Overload:
    """A listener beside `LOAD` busy processes: % of the frames in its mix, or that it got, the
    worst track by itself where they are told apart, and seconds until all are there again."""

    during: float
    worst: float | None
    recovered: float | None


class Hall:
    """An engine on the SFU, with talkers in a room of it.

    Args:
        engine: Its base URL and keys.
        identities: Who listens.
        tokens: What they would join with by themselves.
        url: The media server's.
    """

    def __init__(
        self, engine: dict[str, str], identities: list[str], tokens: list[str], url: str
    ) -> None:
        self._values = {"engine": engine, "room": ROOM, "url": url}
        self._identities, self._tokens = identities, tokens

    @asynccontextmanager
    async def listener(self, program: str, path: str, connections: int) -> AsyncIterator[Child]:
        """Run a listener with so many connections."""
        async with peer(
            "benchmarks.media_peers",
            program=program,
            path=path,
            identities=self._identities[:connections],
            tokens=self._tokens[:connections],
            **self._values,
        ) as child:
            yield child


@asynccontextmanager
async def hall(sfu: RunningSfu, connections: int) -> AsyncIterator[tuple[Hall, Child]]:
    """Open a room with as many talkers as are asked for later."""
    options = EngineOptions(
        sfu="livekit",
        livekit_url=sfu.url,
        livekit_api_key=sfu.api_key,
        livekit_api_secret=sfu.api_secret,
    )
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(LocalEngine(options))
        headers = {"X-App-Id": engine.app_id, "X-App-Key": engine.app_key}
        site = await stack.enter_async_context(
            aiohttp.ClientSession(engine.base_url, headers=headers)
        )
        owner = await mint(site, "owner", ROOM, "host", seat_count=1)
        claims = api.TokenVerifier(sfu.api_key, sfu.api_secret).verify(owner["token"])
        assert claims.video is not None
        room = claims.video.room

        def token(identity: str) -> str:
            grants = api.VideoGrants(room_join=True, room=room)
            minted = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity(identity)
            return minted.with_grants(grants).with_ttl(timedelta(hours=3)).to_jwt()

        talkers = await stack.enter_async_context(
            peer(
                peer="talkers",
                url=sfu.url,
                tokens=[token(f"talker-{number}") for number in range(TALKERS)],
            )
        )
        identities = [f"listener-{number}" for number in range(connections)]
        keys = {
            "base_url": engine.base_url, "app_id": engine.app_id, "app_key": engine.app_key,
        }  # fmt: skip
        yield Hall(keys, identities, [token(one) for one in identities], sfu.url), talkers


async def run(sfu: RunningSfu, paths: Sequence[str], counts: Sequence[int], rounds: int) -> None:
    """Measure every path at every number of tracks, and print the table."""
    figures: dict[tuple[str, str, int], list[Figure]] = {}
    overloads: dict[tuple[str, str], list[Overload]] = {}
    async with hall(sfu, -(-max(counts) // TALKERS)) as (there, talkers):
        for tracks in sorted(counts):
            connections = -(-tracks // TALKERS)
            await talkers.ask(f"grow {tracks // connections}")
            for number in range(rounds):
                for path in paths[:: 1 if number % 2 == 0 else -1]:
                    for program in ("frames", "play"):
                        if (path, program) == ("bare", "frames"):
                            continue  # it has none to give
                        async with there.listener(program, path, connections) as app:
                            figure = await _measure(app, program, path, tracks)
                            print(f"{tracks} tracks, {path}, {program}: {figure}", flush=True)
                            figures.setdefault((path, program, tracks), []).append(figure)
                            if path != "bare" and tracks == max(counts):
                                suffered = await _overload(app, program, tracks)
                                overloads.setdefault((path, program), []).append(suffered)
    report(figures, overloads)


async def _measure(app: Child, program: str, path: str, tracks: int) -> Figure:
    await asyncio.sleep(SETTLE)
    tree = Tree(app.pid)
    before, used, began = await app.ask("count"), tree.cpu(), time.monotonic()
    await asyncio.sleep(WINDOW)
    after, used, took = await app.ask("count"), tree.cpu() - used, time.monotonic() - began
    frames = worst = None
    if path != "bare":
        frames, worst = _share(program, before, after, tracks, took)
    return Figure(frames, worst, 100 * used / took, tree.memory())


def _share(
    program: str, before: dict[str, Any], after: dict[str, Any], tracks: int, took: float
) -> tuple[float, float | None]:
    """Return the frames of those due, in %, that were mixed or that it got, and of the worst
    track."""
    if program == "play":
        return in_the_mix(before, after, tracks, took), None
    counted = [after["frames"][name] - before["frames"].get(name, 0) for name in after["frames"]]
    counted += [0] * (tracks - len(counted))
    return sum(counted) / took / tracks, min(counted) / took


def in_the_mix(before: dict[str, Any], after: dict[str, Any], tracks: int, took: float) -> float:
    """Return the share of the frames due that were mixed and played, in %."""

    def grown(name: str) -> float:
        return float(after[name] - before[name])

    due = took * RATE * tracks
    lost = grown("concealed") + grown("dropped") + tracks * grown("underruns")
    voices = float(after["voices"]) / tracks
    return 100 * min(voices, 1.0) * max(0.0, 1 - lost / due)


async def _overload(app: Child, program: str, tracks: int) -> Overload:
    """Let busy processes run beside it, and look how long it takes until nothing is missing."""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])  # noqa: ASYNC220 - at once
        for _ in range(LOAD)
    ]
    try:
        await asyncio.sleep(2.0)
        before, began = await app.ask("count"), time.monotonic()
        await asyncio.sleep(WINDOW)
        after, ended = await app.ask("count"), time.monotonic()
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    during, worst = _share(program, before, after, tracks, ended - began)
    recovered = None
    last, last_at = await app.ask("count"), time.monotonic()
    calm = last_at
    while time.monotonic() - calm < WINDOW:
        await asyncio.sleep(LOOK)
        now, now_at = await app.ask("count"), time.monotonic()
        share, _ = _share(program, last, now, tracks, now_at - last_at)
        if share < ALL_OF[program]:
            recovered = None
        elif recovered is None:
            recovered = last_at - calm
        last, last_at = now, now_at
    return Overload(during, worst, recovered)


def report(
    figures: dict[tuple[str, str, int], list[Figure]],
    overloads: dict[tuple[str, str], list[Overload]],
) -> None:
    """Print the table."""
    rows = [("tracks", "path", "", "frames, %", "worst track, %", "CPU, %", "memory, MB")]
    for (path, program, tracks), taken in figures.items():
        rows.append(
            (
                f"{tracks}", path, "to the app" if program == "frames" else "played",
                spread([one.frames for one in taken if one.frames is not None], 1),
                spread([one.worst for one in taken if one.worst is not None], 1),
                spread([one.cpu for one in taken], 1), spread([one.memory for one in taken]),
            )
        )  # fmt: skip
    print_table(rows)
    for (path, program), suffered in overloads.items():
        during = statistics.median(one.during for one in suffered)
        worst = [one.worst for one in suffered if one.worst is not None]
        recovered = [one.recovered for one in suffered if one.recovered is not None]
        print(
            f"beside a load of {LOAD}, {path}: {during:.1f} % "
            + (
                "in the mix; "
                if program == "play"
                else f"to the app, {spread(worst, 1)} of the worst; "
            )
            + f"all again after {spread(recovered, 1)} s, {len(recovered)} of {len(suffered)} "
            "(target <= 1)"
        )
    played = [(path, n) for path, program, n in figures if program == "play" and path != "bare"]
    for path, most in [one for one in played if one[1] == max(n for _, n in played)]:
        taken = figures[path, "play", most]
        mixed = statistics.median(one.frames or 0.0 for one in taken)
        cpu = statistics.median(one.cpu for one in taken)
        is_met = mixed >= TARGET and cpu <= 50
        print(
            f"{most} mixed, {path}: {mixed:.1f} % at {cpu:.0f} % of a core "
            f"({'met' if is_met else 'MISSED'}: {TARGET:g} at 50)"
        )
