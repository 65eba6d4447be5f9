"""From "join" to the first remote sound: this SDK over a bare `livekit` client's.

    python -m benchmarks.join [--sfu embedded|livekit|both] [--rounds N]

A talker, bare `livekit` in a process of its own, owns an audio room and sends a tone without end.
Listeners of two kinds join it in turn, each with a fresh identity, room and HTTP connection, and
are timed until the tone is in a frame that they were handed:

* bare: POST the mint with aiohttp, `Room.connect`, `track_subscribed`, `AudioStream`, a frame;
* utd_rx: `UTDStreamClient.join_audio_room`, `session.audio(talker).subscribe`, a frame.

Beside these, joins with a token minted before the clock starts, where both kinds save the same
request. Engine and SFU are one more process, the listeners are this one. The first join of each
kind is not counted: it loads LiveKit's native library. Exit status 0 when it ran, whatever the
ratio.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from attrs import field, frozen

from benchmarks import bare
from benchmarks.children import mint
from benchmarks.support import (
    child,
    print_machine,
    print_table,
    ratio,
    run_on_each,
    spread,
    untargeted,
    verdict,
)
from utd_rx import AudioFrame, UTDAudioRoomSession, UTDStreamClient
from utd_rx.models.events import RoomEvent, TrackSubscribed
from utd_rx.models.token import UTDTokenResponse
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.rtc.room import UTDRoom

ROOM: Final = "benchmark"
TALKER: Final = "talker"
PAUSE: Final = 0.2
"""Seconds between two joins: the one before has left when the next begins."""


@frozen
class Engine:
    """Where to mint and join."""

    base_url: str
    app_id: str
    app_key: str = field(repr=False)

    def site(self) -> aiohttp.ClientSession:
        """Return an HTTP session of its own, as a bare app would make it."""
        headers = {"X-App-Id": self.app_id, "X-App-Key": self.app_key}
        return aiohttp.ClientSession(self.base_url, headers=headers)

    async def mint(self, identity: str) -> dict[str, Any]:
        """Mint ahead of time."""
        async with self.site() as site:
            return await mint(site, identity, ROOM, "audience")


@frozen
class Times:
    """Seconds since the clock started, at which a listener had come so far."""

    joined: float
    subscribed: float
    sound: float


async def bare_join(engine: Engine, identity: str, minted: dict[str, Any] | None) -> Times:
    """Join by bare `livekit` and hear the talker."""
    async with AsyncExitStack() as stack:
        begin = time.perf_counter()
        if minted is None:
            site = await stack.enter_async_context(engine.site())
            minted = await mint(site, identity, ROOM, "audience")
        member = await bare.Member.join(stack, minted["url"], minted["token"])
        joined = time.perf_counter()
        track, subscribed = await bare.soon(member.subscribed.get())
        ear = bare.Ear(track)
        stack.push_async_callback(ear.aclose)
        sound = await ear.until(loud=True)
        return Times(joined - begin, subscribed - begin, sound - begin)


async def sdk_join(engine: Engine, identity: str, minted: dict[str, Any] | None) -> Times:
    """Join by this SDK and hear the talker."""
    async with AsyncExitStack() as stack:
        if minted is None:
            begin = time.perf_counter()
            client = await stack.enter_async_context(
                UTDStreamClient(
                    engine.app_id,
                    engine.app_key,
                    base_url=engine.base_url,
                    token_base_url=engine.base_url,
                )
            )
            session = await client.join_audio_room(identity, ROOM)
            await stack.enter_async_context(session)
        else:
            session = await stack.enter_async_context(minted_session(engine, identity, minted))
            begin = time.perf_counter()
            await session.join()
        joined = time.perf_counter()
        subscribed, sound = await hear(session, stack)
        return Times(joined - begin, subscribed - begin, sound - begin)


async def hear(session: UTDAudioRoomSession, stack: AsyncExitStack) -> tuple[float, float]:
    """Return when the talker's track was subscribed and when its tone was heard."""
    loop = asyncio.get_running_loop()
    subscribed: asyncio.Future[float] = loop.create_future()
    heard: asyncio.Future[float] = loop.create_future()

    def on_event(event: RoomEvent) -> None:
        if isinstance(event, TrackSubscribed) and not subscribed.done():
            subscribed.set_result(time.perf_counter())

    def on_frame(frame: AudioFrame) -> None:
        if not heard.done() and bare.is_sound(frame.samples):
            heard.set_result(time.perf_counter())

    stack.callback(session.events.subscribe(on_event).dispose)
    stack.callback(session.audio(TALKER).subscribe(on_frame).dispose)
    sound = await bare.soon(heard)
    return await bare.soon(subscribed), sound


def minted_session(engine: Engine, identity: str, minted: dict[str, Any]) -> UTDAudioRoomSession:
    """Return the session that `join_audio_room` would make, with its mint already answered."""
    reply = UTDTokenResponse(minted["token"], minted["url"], ROOM, minted["user_token"])

    class Minted(UTDApi):
        async def mint(self) -> UTDTokenResponse:
            return reply

    rest = UTDApiClient(engine.base_url, app_id=engine.app_id, app_key=engine.app_key)
    api = Minted(rest, rest, bearer=reply.user_token)
    return UTDAudioRoomSession(identity, ROOM, is_host=False, room=UTDRoom(), engine=api)


Join = Callable[[Engine, str, dict[str, Any] | None], Awaitable[Times]]
KINDS: Final[tuple[tuple[str, Join, bool], ...]] = (
    ("bare", bare_join, False),
    ("utd_rx", sdk_join, False),
    ("bare, minted", bare_join, True),
    ("utd_rx, minted", sdk_join, True),
)


async def measure(sfu: str, rounds: int) -> dict[str, list[Times]]:
    """Join in turn, `rounds` times of each kind."""
    samples: dict[str, list[Times]] = {name: [] for name, _, _ in KINDS}
    async with child("engine", sfu=sfu) as served:
        engine = Engine(*(served.ready[name] for name in ("base_url", "app_id", "app_key")))
        talker = {"base_url": engine.base_url, "app_id": engine.app_id, "app_key": engine.app_key}
        async with child("talker", room=ROOM, identity=TALKER, **talker):
            for number in range(-1, rounds):
                # Every other round backwards, so that no kind always follows the same one.
                for name, join, is_minted in KINDS if number % 2 else reversed(KINDS):
                    identity = f"{name.partition(',')[0]}-{number + 1}-{int(is_minted)}"
                    minted = await engine.mint(identity) if is_minted else None
                    times = await join(engine, identity, minted)
                    if number >= 0:
                        samples[name].append(times)
                    await asyncio.sleep(PAUSE)
    return samples


def rows(samples: dict[str, list[Times]]) -> Iterator[tuple[str, str, str, str]]:
    """Tell what was measured, ms, median (min-max)."""
    yield ("ms, median (min-max)", "bare livekit", "utd_rx", "ratio")
    for suffix, begin in (("", "join with mint"), (", minted", "join, token ready")):
        stages: tuple[tuple[str, Callable[[Times], float]], ...] = (
            ("joined", lambda times: times.joined * 1000),
            ("subscribed", lambda times: times.subscribed * 1000),
            ("first sound", lambda times: times.sound * 1000),
        )
        for name, stage in stages:
            theirs = [stage(times) for times in samples[f"bare{suffix}"]]
            ours = [stage(times) for times in samples[f"utd_rx{suffix}"]]
            value = ratio(ours, theirs)
            judged = verdict(value) if name == "first sound" else untargeted(value)
            yield (f"{begin} -> {name}", spread(theirs), spread(ours), judged)


async def run(kinds: list[str], rounds: int) -> None:
    """Measure and print each SFU."""
    for sfu in kinds:
        print_machine(f"\n{sfu}, before")
        samples = await measure(sfu, rounds)
        print_table(list(rows(samples)))
        print_machine(f"n = {rounds} of each kind; after")


def main() -> int:
    """Parse the command line and run."""
    return run_on_each(
        run,
        title="join to first remote sound: utd_rx over livekit",
        heading="join to first remote sound",
        what="joins",
        rounds=20,
    )


if __name__ == "__main__":
    sys.exit(main())
