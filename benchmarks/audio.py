"""Mouth to ear: this path, `rtc.PlatformAudio` and `rtc.MediaDevices`, side by side.

`python -m benchmarks.audio [--rounds N] [--sfu livekit|embedded] [--only PART …]`. The other parts
are modules of their own with options of their own: `tracks` (many remote tracks), `barge_in` (time
to silence), `mixer` (what a voice costs). For `ear`, this one: a talker records virtual cable A
and a listener plays to cable B, each in a process of its own, joined by a real SFU. This process
plays looped speech into A, and records A and B by the same means, so its own delay cancels out:
the figure is the time from card to card.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
from livekit import api

from benchmarks import barge_in, mixer, tracks
from benchmarks.support import cpu_seconds, inline, print_table, ratio, spread
from tests.support.pulse import CABLE_A, CABLE_B, Bench, missing_audio
from tests.support.sfu import RunningSfu, fresh_options, running_sfu
from utd_rx.audio import WavSource, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.testing.sound import AudioComparison, compare

PARTS: Final = ("mixer", "tracks", "barge_in", "ear")
PATHS: Final = ("utd_rx", "PlatformAudio", "MediaDevices", "utd_rx platform")
RATE: Final = 48_000
WINDOW: Final = 4.0
"""Seconds per measurement: the shipped speech once, so that no lag fits twice."""

SETTLE: Final = 4.0
AFTER_STALL: Final = 10.0
MAX_DELAY: Final = 1.9
WINDOWS: Final = 3


class Recording:
    """What went into A and what came out of B meanwhile."""

    def __init__(self, sent: list[AudioFrame], heard: list[AudioFrame]) -> None:
        self._sent, self._heard = sent, heard

    @property
    def sent_samples(self) -> Samples:
        """What went into A."""
        return np.concatenate([frame.samples for frame in self._sent])

    @property
    def heard_samples(self) -> Samples:
        """What came out of B."""
        return np.concatenate([frame.samples for frame in self._heard])

    def compare(self) -> AudioComparison:
        """Compare them."""
        if not self._sent or not self._heard:
            raise RuntimeError("a virtual cable is dead")
        return compare(
            self.sent_samples,
            self.heard_samples,
            RATE,
            sent_started_at=self._sent[0].at,
            heard_started_at=self._heard[0].at,
            min_delay=0.0,
            max_delay=MAX_DELAY,
        )


class Ears:
    """What sounds on both cables, recorded by the same means."""

    def __init__(self) -> None:
        self.sides: tuple[list[AudioFrame], list[AudioFrame]] = ([], [])

    async def hear(self, seconds: float) -> Recording:
        """Record that long; the sound out of B is compared later, as it would stall this loop."""
        for frames in self.sides:
            frames.clear()
        await asyncio.sleep(seconds + MAX_DELAY)
        sent, heard = (list(frames) for frames in self.sides)
        return Recording(sent[: round(seconds * 100)], heard)


class Round:
    """What was recorded of one path in one round, and the CPU its two processes used."""

    def __init__(self) -> None:
        self.calm: list[Recording] = []
        self.stalled: list[Recording] = []
        self.spun: list[Recording] = []
        self.cpu = 0.0


class Figures:
    """The results of one path; delays in ms, losses and CPU in %."""

    def __init__(self, rounds: list[Round]) -> None:
        calm = [[window.compare() for window in one.calm] for one in rounds]
        stalled = [[window.compare() for window in one.stalled] for one in rounds]
        spun = [window.compare() for one in rounds for window in one.spun]
        self.calm = [delay for one in calm for delay in _delays(one)]
        # Of each window the segment of 0.2 s that was heard latest, less the usual delay.
        usual = statistics.median(self.calm) if self.calm else 0.0
        self.latest = [
            1000 * window.delay_max - usual
            for one in calm
            for window in one
            if window.delay_max is not None
        ]
        self.calm_lost = [lost for one in calm for lost in _lost(one)]
        self.spun, self.spun_lost = _delays(spun), _lost(spun)
        self.cpu = [one.cpu for one in rounds]
        self.left = [
            delay - statistics.median(_delays(before))
            for before, after in zip(calm, stalled, strict=True)
            for delay in _delays(after)
            if _delays(before)
        ]


async def measure(path: str, sfu: RunningSfu, ears: Ears) -> Round:
    """Take one round of one path."""
    one = Round()
    async with peer(f"{path} listener", sfu) as listener, peer(f"{path} talker", sfu) as talker:
        await asyncio.sleep(SETTLE)
        before = cpu_seconds(listener.pid) + cpu_seconds(talker.pid)
        one.calm = [await ears.hear(WINDOW) for _ in range(WINDOWS)]
        used = cpu_seconds(listener.pid) + cpu_seconds(talker.pid) - before
        one.cpu = 100 * used / (WINDOWS * (WINDOW + MAX_DELAY))
        for process in (listener, talker):
            tell(process, "stall")
        await asyncio.sleep(AFTER_STALL)
        one.stalled = [await ears.hear(WINDOW)]
        for process in (listener, talker):
            tell(process, "spin")
        await asyncio.sleep(SETTLE)
        one.spun = [await ears.hear(WINDOW) for _ in range(WINDOWS)]
    return one


@asynccontextmanager
async def peer(name: str, sfu: RunningSfu) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program of `audio_peers` for the length of the block."""
    grants = api.VideoGrants(room_join=True, room="audio")
    token = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity(name.replace(" ", "-"))
    jwt = token.with_grants(grants).with_ttl(timedelta(hours=1)).to_jwt()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.audio_peers"),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tell(process, json.dumps({"peer": name, "url": sfu.url, "token": jwt}))
    try:
        if not await asyncio.wait_for(process.stdout.readline(), 60):
            raise RuntimeError(f"{name} did not start")
        yield process
    finally:
        tell(process, "stop")
        try:
            await asyncio.wait_for(process.wait(), 8)
        except TimeoutError:
            process.kill()
            await process.wait()


def tell(process: asyncio.subprocess.Process, line: str) -> None:
    """Give a peer a command."""
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(line.encode() + b"\n")


def _delays(windows: list[AudioComparison]) -> list[float]:
    return [
        1000 * window.delay for window in windows if window.is_match and window.delay is not None
    ]


def _lost(windows: list[AudioComparison]) -> list[float]:
    return [
        100 * window.lost_seconds / window.compared_seconds if window.compared_seconds else 100.0
        for window in windows
    ]


async def run(rounds: int, sfu_kind: str, paths: tuple[str, ...]) -> None:
    """Measure every path in turn, every other round backwards."""
    taken: dict[str, list[Round]] = {path: [] for path in paths}
    ears = Ears()
    print("load before:", os.getloadavg())
    async with running_sfu(
        "livekit" if sfu_kind == "livekit" else "embedded", fresh_options()
    ) as sfu:
        microphones = [Microphone(cable, block=0.01) for cable in (CABLE_A, CABLE_B)]
        for microphone, frames in zip(microphones, ears.sides, strict=True):
            await microphone.open(frames.append)
        async with Speaker(CABLE_A, block=0.005) as speaker:
            source = await WavSource(speech_path(), loop=True).open(speaker.voice("speech"))
            for number in range(rounds):
                for path in paths if number % 2 == 0 else paths[::-1]:
                    taken[path].append(await measure(path, sfu, ears))
                    print(f"round {number + 1}, {path}: load {os.getloadavg()[0]:.1f}", flush=True)
            await source.aclose()
        for microphone in microphones:
            await microphone.aclose()
    report({path: Figures(rounds) for path, rounds in taken.items()})


def report(figures: dict[str, Figures]) -> None:
    """Print the table and the ratios."""
    rows = [
        (
            "path", "calm, ms", "latest 0.2 s", "lost, %", "left of a 300 ms stall",
            "spinning thread, ms", "lost, %", "CPU of both, %",
        )
    ]  # fmt: skip
    for path, figure in figures.items():
        rows.append(
            (
                path, spread(figure.calm, 1), spread(figure.latest, 1), spread(figure.calm_lost, 1),
                spread(figure.left, 1), spread(figure.spun), spread(figure.spun_lost, 1),
                spread(figure.cpu, 1),
            )
        )  # fmt: skip
    print_table(rows)
    ours = figures.get("utd_rx")
    if ours is None:
        return
    for rival, target in (("PlatformAudio", 1.0), ("MediaDevices", 0.2)):
        if rival in figures:
            value = ratio(ours.calm, figures[rival].calm)
            told = "-" if value is None else f"{value:.2f}"
            print(f"calm, to {rival}: {told} (target <= {target})")
            lost, theirs = (statistics.median(f.spun_lost) for f in (ours, figures[rival]))
            print(f"lost beside a spinning thread: {lost:.1f} %, {rival} {theirs:.1f} %")
    # A segment later than 99 % of all is at most as late as the latest.
    print(f"latest segment less the median: {max(ours.latest):.1f} ms (target for p99 <= 15)")
    print(f"left of a stall after 10 s: {max(ours.left):.1f} ms at most (target <= 10)")


def main() -> None:
    """Parse, prepare the cables, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sfu", choices=("livekit", "embedded"), default="livekit")
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    if "mixer" in args.only:
        mixer.run(args.rounds)
    if set(args.only) == {"mixer"}:
        return
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    inline()
    bench = Bench()
    bench.start()
    try:
        # The rivals take the defaults: the talker hears A, the listener plays to B.
        bench.pactl("set-default-source", f"{CABLE_A}.monitor")
        bench.pactl("set-default-sink", CABLE_B)
        if "tracks" in args.only:
            asyncio.run(tracks.run(args.sfu, tracks.COUNTS, args.rounds, tracks.PATHS))
        if "barge_in" in args.only:
            asyncio.run(barge_in.run(args.sfu, barge_in.TRIALS))
        if "ear" in args.only:
            # Two busy threads on two cores must slow down the paths, not whoever measures them;
            # the peers take it back. Threads started from here on inherit it.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, 0, -15)
            asyncio.run(run(args.rounds, args.sfu, tuple(args.paths)))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
