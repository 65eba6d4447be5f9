"""An hour's call for `benchmarks.media_process`: a card 0.1 % off, and apps that compute.

The talker hears and the listener plays to one card whose two clocks are that far from each other
(`tests/support/skewed_card.py`), so that a delay that nobody works off grows by 60 ms a minute.
What the card said and heard is compared at the card itself, minute by minute.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from typing import Final

from attrs import frozen

from benchmarks.media_machine import Tree
from benchmarks.support import print_table
from benchmarks.tracks import peer
from tests.rtc.bench import token
from tests.support.pulse import Bench
from tests.support.sfu import RunningSfu
from tests.support.skewed_card import CARD, RATE, SkewedCard

OFF: Final = 0.001
MARK_EVERY: Final = 1.0
"""Seconds: ten times what is expected, so that no delay is told as a shorter one."""

EVERY: Final = 60.0
SETTLE: Final = 15.0
MAX_DELAY_GROWTH: Final = 0.01
"""Seconds by which the last quarter's median may be later than the first's: a block and more."""

MAX_MEMORY_GROWTH: Final = 0.03
"""Share by which the last quarter's memory may be more than the first's."""


@frozen
class Minute:
    """What was seen in a minute: seconds, and MB of memory of the talker's and the listener's own.

    Of the delay so much was `in_livekit`'s jitter buffer, which follows how evenly packets come,
    and `in_speaker`, the mix and its device.
    """

    at: float
    delay: float
    latest: float
    lost: int
    marks: int
    silent: float
    starved: float
    unheard: float
    talker: float
    listener: float
    in_livekit: float
    in_speaker: float


async def run(sfu: RunningSfu, bench: Bench, path: str, minutes: float) -> None:
    """Have a call of so many minutes, and print each, and what grew."""
    rates = (1 + OFF / 2) * RATE, (1 - OFF / 2) * RATE
    card = SkewedCard(bench, *rates, mark_every=MARK_EVERY)
    card.plug_in()
    taken: list[Minute] = []
    try:
        async with AsyncExitStack() as stack:
            apps = [
                await stack.enter_async_context(
                    peer(
                        "benchmarks.media_peers",
                        program=program,
                        path=path,
                        device=CARD,
                        url=sfu.url,
                        token=token(sfu, program),
                    )
                )
                for program in ("listen", "talk")
            ]
            listener, talker = (Tree(app.pid) for app in apps)
            for app in apps:
                await app.ask("compute")
            await asyncio.sleep(SETTLE)
            await asyncio.to_thread(card.report)
            await apps[0].ask("look")
            began = time.monotonic()
            while time.monotonic() - began < 60 * minutes:
                await asyncio.sleep(min(EVERY, 15 * minutes))
                seen, waits = await asyncio.to_thread(card.report), await apps[0].ask("look")
                taken.append(
                    Minute(
                        at=(time.monotonic() - began) / 60,
                        delay=statistics.median(seen.delays) if seen.delays else float("nan"),
                        latest=max(seen.delays, default=float("nan")),
                        lost=seen.lost,
                        marks=seen.lost + len(seen.delays),
                        silent=seen.silent,
                        starved=seen.starved,
                        unheard=seen.unheard,
                        talker=talker.own_memory(),
                        listener=listener.own_memory(),
                        **waits,
                    )
                )
                print(f"minute {taken[-1].at:.1f}: {taken[-1]}", flush=True)
    finally:
        card.unplug()
    report(path, taken)


def report(path: str, taken: list[Minute]) -> None:
    """Print what the first and the last quarter were like."""
    quarter = max(1, len(taken) // 4)
    ends = taken[:quarter], taken[-quarter:]
    rows = [("", "first quarter", "last quarter", "")]

    def row(name: str, field: str, scale: float, most: float, *, is_share: bool) -> None:
        first, last = (statistics.median(getattr(one, field) for one in end) for end in ends)
        grown = last / first - 1 if is_share else last - first
        told = "flat" if grown <= most else "GROWN"
        rows.append((name, f"{first * scale:.1f}", f"{last * scale:.1f}", told))

    row("delay, ms", "delay", 1000, MAX_DELAY_GROWTH, is_share=False)
    row("… in LiveKit's jitter buffer, ms", "in_livekit", 1000, MAX_DELAY_GROWTH, is_share=False)
    row("… in the speaker, ms", "in_speaker", 1000, MAX_DELAY_GROWTH, is_share=False)
    row("memory of the talker, MB", "talker", 1, MAX_MEMORY_GROWTH, is_share=True)
    row("memory of the listener, MB", "listener", 1, MAX_MEMORY_GROWTH, is_share=True)
    print_table(rows)
    lost, marks = sum(one.lost for one in taken), sum(one.marks for one in taken)
    silent, starved, unheard = (
        sum(getattr(one, what) for one in taken) for what in ("silent", "starved", "unheard")
    )
    print(
        f"{path}: {lost} of {marks} marks lost, latest {1000 * max(m.latest for m in taken):.0f} "
        f"ms, silent {silent:.2f} s; the sound server gave the card nothing for {starved:.2f} s "
        f"and took nothing from it for {unheard:.2f} s"
    )
