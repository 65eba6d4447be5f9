"""What a media process costs a command and an event, calm and beside a busy thread.

A command is `send_data` until it returns; an event a message of a bare client's, from its sending
to the app's callback. Both cross the media server's ordinary way; the paths take turns.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Final

from livekit import rtc

from benchmarks.support import print_table, spread
from benchmarks.tracks import Child, peer
from tests.rtc.bench import token
from tests.support.sfu import RunningSfu

COUNT: Final = 150
EVERY: Final = 0.02
TOPIC: Final = "stamp"
SETTLE: Final = 2.0

Latencies = dict[tuple[str, str], list[float]]
"""In ms, by what and when."""


async def run(sfu: RunningSfu, paths: Sequence[str], rounds: int) -> None:
    """Measure every path in turn, and print the table."""
    sender = rtc.Room()
    await sender.connect(sfu.url, token(sfu, "sender"), rtc.RoomOptions(auto_subscribe=False))
    found: dict[str, Latencies] = {path: {} for path in paths}
    try:
        for number in range(rounds):
            for path in paths if number % 2 == 0 else paths[::-1]:
                minted = token(sfu, "chat")
                async with peer(
                    "benchmarks.media_peers", program="chat", path=path, url=sfu.url, token=minted
                ) as app:
                    for when, command in (("calm", "calm"), ("busy", "spin")):
                        await app.ask(command)
                        await asyncio.sleep(SETTLE)
                        for what, took in (await _measure(sender, app)).items():
                            found[path].setdefault((what, when), []).extend(took)
    finally:
        await sender.disconnect()
    report(found)


async def _measure(sender: rtc.Room, app: Child) -> dict[str, list[float]]:
    await app.ask("events")
    for _ in range(COUNT):
        stamp = repr(time.monotonic()).encode()
        await sender.local_participant.publish_data(stamp, topic=TOPIC)
        await asyncio.sleep(EVERY)
    await asyncio.sleep(1.0)
    answers = (await app.ask("events")) | (await app.ask(f"commands {COUNT}"))
    return {what: [1000 * one for one in took] for what, took in answers.items()}


def report(found: dict[str, Latencies]) -> None:
    """Print median, 99th percentile and the number of those that came."""
    rows = [("latency, ms", "median (min-max)", "p99", "of them")]
    for path, latencies in found.items():
        for (what, when), took in latencies.items():
            p99 = statistics.quantiles(took, n=100)[-1] if len(took) > 1 else float("nan")
            rows.append((f"{path}, {what}, {when}", spread(took, 2), f"{p99:.2f}", f"{len(took)}"))
    print_table(rows)
