"""A voice agent, from a message to the card and from the card to a message; and what it costs.

`python -m benchmarks.agent [--trials N] [--only speak listen cost]`. A local agent speaks to a
client in a process of its own, by two ways in turn: `utd_rx`, and `plain`, a straightforward client
written as the vendor's guide has it (`benchmarks.agent_peers`).

* *speak*: from the moment the agent sends the first sound of a turn until the card plays it, at
  four times real time; and how often a turn breaks off whose sound comes in real time over an
  uneven network, each message up to 30 ms late, in order.
* *listen*: from the moment a click is on the card until the agent has the message with it.
* *cost*: CPU of a client process with 1 and with 20 sessions, everybody speaking without end.

The cards are virtual cables; this process records them, so both ways have its own delay in their
figures alike.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import numpy as np

from benchmarks.agent_peers import RATE, WAYS
from benchmarks.support import (
    cpu_seconds,
    inline,
    print_machine,
    print_table,
    ratio,
    spread,
    untargeted,
    verdict,
)
from benchmarks.tracks import Child, peer
from tests.support.pulse import CABLE_A, CABLE_B, Bench, missing_audio
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.engine.agent import AgentCall, LocalAgent
from utd_rx.engine.agent.messages import SoundSent
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

PARTS: Final = ("speak", "listen", "cost")
TRIALS: Final = 20
TARGET: Final = 0.5
SESSIONS: Final = (1, 20)
WINDOW: Final = 10.0
"""Seconds in which CPU is counted."""

SPEED: Final = 4.0
TURN: Final = 1.0
LATE: Final = 0.03
"""Seconds by which a message is late at most."""

GAP: Final = 0.003
"""Seconds of silence within a turn that are a break."""

LOUD: Final = 1_000
PIECE: Final = RATE // 50
RNG: Final = np.random.default_rng(3)


def loud_noise(seconds: float, rate: int = RATE) -> Samples:
    """Return sound that is never quiet for long."""
    return (RNG.choice((-1, 1), round(seconds * rate)) * 9_000).astype(np.int16)


class Heard:
    """What a card plays: where it is loud, in seconds of the machine's clock."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []

    def loud(self) -> list[float]:
        """Return the time of each loud sample since the last `clear`."""
        times: list[float] = []
        for frame in self.frames:
            above = np.flatnonzero(np.abs(frame.samples[:, 0].astype(np.int32)) > LOUD)
            times += (frame.at + above / frame.sample_rate).tolist()
        return times


async def speak(call: AgentCall, heard: Heard, *, speed: float, late: float) -> tuple[float, int]:
    """Say a turn; return the delay of its first sound in ms, and how often it broke off."""
    sound = loud_noise(TURN)
    await call.send("agent_start_talking")
    heard.frames.clear()
    begin = time.monotonic()
    sent_at = begin
    for at in range(0, len(sound), PIECE):
        by = random.random() * late if at else 0.0
        sent_at = max(sent_at, begin + at / RATE / speed + by)
        await asyncio.sleep(sent_at - time.monotonic())
        await call.sound(sound[at : at + PIECE])
    await call.send("agent_stop_talking")
    await asyncio.sleep(TURN + 1.0 - TURN / speed)
    times = heard.loud()
    if not times:
        return float("nan"), 0
    breaks = int(np.count_nonzero(np.diff(times) > GAP))
    return 1000 * (times[0] - begin), breaks


async def measure_speaking(
    agent: LocalAgent, trials: int, heard: Heard
) -> dict[str, tuple[list[float], list[int]]]:
    """Let both ways play turns, calm ones for the delay and uneven ones for the breaks."""
    figures: dict[str, tuple[list[float], list[int]]] = {way: ([], []) for way in WAYS}
    for way in WAYS:
        async with client(agent, way) as (call, _):
            for _ in range(trials):
                delay, _ = await speak(call, heard, speed=SPEED, late=0.0)
                figures[way][0].append(delay)
                await asyncio.sleep(0.1 * random.random())  # not always one phase of a block
            for _ in range(trials):
                _, broken = await speak(call, heard, speed=1.0, late=LATE)
                figures[way][1].append(broken)
    return figures


async def measure_listening(agent: LocalAgent, trials: int) -> dict[str, list[float]]:
    """Play clicks into the microphones of both ways; return the delays in ms."""
    figures: dict[str, list[float]] = {way: [] for way in WAYS}
    clicks = Heard()
    async with AsyncExitStack() as stack:
        reference = Microphone(CABLE_A, format=AudioFormat(48_000), block=0.01)
        stack.push_async_callback(reference.aclose)
        await reference.open(clicks.frames.append)
        speaker = await stack.enter_async_context(Speaker(CABLE_A, block=0.005))
        voice = speaker.voice("clicks")
        for way in WAYS:
            async with client(agent, way) as (call, _):
                arrivals: list[float] = []
                listening = asyncio.create_task(note_loud(call, arrivals))
                for _ in range(trials):
                    clicks.frames.clear()
                    arrivals.clear()
                    click = loud_noise(0.03, 48_000)[:, np.newaxis]
                    voice(AudioFrame(click, 48_000))
                    await asyncio.sleep(0.7 + 0.1 * random.random())
                    at = clicks.loud()
                    if at and arrivals:
                        figures[way].append(1000 * (arrivals[0] - at[0]))
                listening.cancel()
    return figures


async def note_loud(call: AgentCall, arrivals: list[float]) -> None:
    """Note when a message with something loud in it has arrived."""
    async for message in call.messages():
        if isinstance(message, SoundSent):
            samples = np.frombuffer(message.pcm, "<i2").astype(np.int32)
            if np.any(np.abs(samples) > LOUD):
                arrivals.append(time.monotonic())


async def measure_cost(agent: LocalAgent) -> dict[tuple[str, int], list[float]]:
    """Return the CPU of a client process in % of a core, by way and sessions."""
    figures: dict[tuple[str, int], list[float]] = {}
    for sessions in SESSIONS:
        for way in (*WAYS, *reversed(WAYS)):
            async with peer(
                "benchmarks.agent_peers",
                way=way,
                url=agent.base_url,
                key=agent.api_key,
                sessions=sessions,
                cards=None,
            ) as child:
                calls = [await agent.next_call() for _ in range(sessions)]
                talking = [asyncio.create_task(talk_on(call)) for call in calls]
                await asyncio.sleep(2.0)
                before, begin = cpu_seconds(child.pid), time.monotonic()
                await asyncio.sleep(WINDOW)
                used = (cpu_seconds(child.pid) - before) / (time.monotonic() - begin)
                for task in talking:
                    task.cancel()
            figures.setdefault((way, sessions), []).append(100 * used)
    return figures


async def talk_on(call: AgentCall) -> None:
    """Say one thing after another, in real time."""
    while call.is_open:
        await call.say("and so on", loud_noise(2.0), speed=1.0)


class client:  # noqa: N801 - used as `peer` is
    """One client with cards, and its call."""

    def __init__(self, agent: LocalAgent, way: str) -> None:
        self._agent = agent
        self._peer = peer(
            "benchmarks.agent_peers",
            way=way,
            url=agent.base_url,
            key=agent.api_key,
            sessions=1,
            cards=(CABLE_A, CABLE_B),
        )

    async def __aenter__(self) -> tuple[AgentCall, Child]:
        child = await self._peer.__aenter__()
        call = await self._agent.next_call()
        await asyncio.sleep(2.5)  # a virtual card settles in its first two seconds
        return call, child

    async def __aexit__(self, *why: object) -> None:
        await self._peer.__aexit__(None, None, None)


async def create_only(call: AgentCall) -> None:
    """Be an agent that does nothing by itself."""
    await call.create()


async def run(parts: Sequence[str], trials: int) -> None:
    """Measure the parts, and print their tables."""
    print_machine("before")
    async with LocalAgent(create_only) as agent:
        if "speak" in parts:
            heard = Heard()
            recorder = Microphone(CABLE_B, format=AudioFormat(48_000), block=0.01)
            await recorder.open(lambda frame: heard.frames.append(frame))
            spoken = await measure_speaking(agent, trials, heard)
            await recorder.aclose()
            rows = [("message to card", "ms", "breaks in a turn of an uneven network")]
            for way, (delays, breaks) in spoken.items():
                rows.append((way, spread(delays, 1), f"{sum(breaks)} in {len(breaks)} turns"))
            print_table(rows)
            print("  ratio", verdict(ratio(spoken["utd_rx"][0], spoken["plain"][0]), TARGET))
        if "listen" in parts:
            told = await measure_listening(agent, trials)
            print_table([("card to message", "ms"), *((way, spread(told[way], 1)) for way in told)])
            print("  ratio", verdict(ratio(told["utd_rx"], told["plain"]), TARGET))
        if "cost" in parts:
            cost = await measure_cost(agent)
            print_table(
                [
                    ("sessions", "way", "CPU, %"),
                    *(
                        (str(many), way, spread(cost[way, many], 1))
                        for many in SESSIONS
                        for way in WAYS
                    ),
                ]
            )
            for many in SESSIONS:
                value = ratio(cost["utd_rx", many], cost["plain", many])
                print(f"  ratio at {many}: {untargeted(value)}")
    print_machine("after")


def main() -> None:
    """Parse, prepare the cables, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    args = parser.parse_args()
    missing = missing_audio()
    if missing is not None:
        sys.exit(missing)
    inline()
    bench = Bench()
    bench.start()
    try:
        asyncio.run(run(args.only, args.trials))
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
