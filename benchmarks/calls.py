"""A call: from dialling to ringing, and from the answer to sound both ways.

    python -m benchmarks.calls [--sfu embedded|livekit|both] [--rounds N]

Pairs of two kinds call each other in turn:

* ring, bare: `POST /calls` by aiohttp until the callee's WebSocket tells; utd_rx: `session.start`
  until `client.incoming_calls` tells. No media: its room is a fake.
* answer, bare: two `livekit` clients that know the room already. The caller is in it, and at the
  clock's start publishes a tone while the callee connects and publishes one, until each has a frame
  with the other's. utd_rx: `session.accept` until `session.audio` has handed each such a frame.
  Each call has fresh identities, rooms and connections.

The bare pair's own answer is timed apart, since `accept` asks the engine before it can connect.
Engine and SFU are one more process. The first call of each kind is not counted: it loads LiveKit's
native library. Exit status 0 when it ran, whatever the ratio.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

import aiohttp
from attrs import field, frozen

from benchmarks import bare
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
from utd_rx import (
    AudioFrame,
    ToneSource,
    UTDCallSession,
    UTDStreamClient,
    UTDStreamType,
)
from utd_rx.testing.room import FakeRoom

RINGS: Final = 4
"""For each answer: they take a few ms, of which a busy machine makes any number."""
RING_PAUSE: Final = 0.05
PAUSE: Final = 0.2
"""Seconds between two calls: the one before is over when the next begins."""


@frozen
class Engine:
    """Where to call."""

    base_url: str
    app_id: str
    app_key: str = field(repr=False)


@frozen
class Times:
    """Seconds; `asked` is from the answer to the room being known, 0 where that is inside."""

    to_callee: float
    to_caller: float
    asked: float = 0.0

    @property
    def both(self) -> float:
        return max(self.to_callee, self.to_caller)


class Phone:
    """Somebody with aiohttp alone: what an app without this SDK would write."""

    def __init__(self, site: aiohttp.ClientSession, bearer: str, ws_url: str) -> None:
        self._site = site
        self._headers = {"Authorization": f"Bearer {bearer}"}
        self._bearer = bearer
        self._ws_url = ws_url

    @classmethod
    async def sign_in(cls, stack: AsyncExitStack, engine: Engine, identity: str) -> Phone:
        headers = {"X-App-Id": engine.app_id, "X-App-Key": engine.app_key}
        site = aiohttp.ClientSession(engine.base_url, headers=headers)
        await stack.enter_async_context(site)
        body = {"identity": identity, "device_id": "1"}
        async with site.post("/api/v1/auth/session", json=body) as reply:
            reply.raise_for_status()
            minted = await reply.json()
        return cls(site, minted["user_token"], minted["ws_url"])

    async def post(self, path: str, **body: object) -> dict[str, Any]:
        url = f"/api/v1/calls{path}"
        async with self._site.post(url, json=body, headers=self._headers) as reply:
            reply.raise_for_status()
            call: dict[str, Any] = await reply.json()
        return call

    async def socket(self, stack: AsyncExitStack) -> aiohttp.ClientWebSocketResponse:
        socket = await stack.enter_async_context(self._site.ws_connect(self._ws_url))
        await socket.send_json({"type": "auth", "token": self._bearer})
        if (await socket.receive_json())["type"] != "auth_ok":
            raise aiohttp.ClientError("the signal socket refused its bearer")
        return socket


async def sign_in(
    stack: AsyncExitStack, engine: Engine, identity: str, **options: Any
) -> tuple[UTDStreamClient, UTDCallSession]:
    """Do the same by this SDK."""
    client = UTDStreamClient(
        engine.app_id,
        engine.app_key,
        base_url=engine.base_url,
        token_base_url=engine.base_url,
        **options,
    )
    await stack.enter_async_context(client)
    await client.authenticate(identity)
    tone = ToneSource(400.0, level_dbfs=-15.0)
    session = client.call_session(UTDStreamType.AUDIO_CALL, microphone=tone)
    await client.signal_connected.until(True, timeout=bare.PATIENCE)
    return client, await stack.enter_async_context(session)


async def rings(engine: Engine, hand: int, count: int) -> dict[str, list[float]]:
    """Ring in turn, without media; the first of each is not counted.

    `hand` names who they are: the engine lets nobody dial more than 60 times a minute.
    """
    callee, peer = f"ben-of-{hand}", f"bare-ben-of-{hand}"
    async with AsyncExitStack() as stack:
        anna = await Phone.sign_in(stack, engine, f"bare-anna-of-{hand}")
        ben = await Phone.sign_in(stack, engine, peer)
        socket = await ben.socket(stack)
        caller = f"anna-of-{hand}"
        no_media = partial(FakeRoom, caller)
        _, session = await sign_in(stack, engine, caller, make_room=no_media)
        client, _ = await sign_in(stack, engine, callee, make_room=no_media)
        told: asyncio.Queue[float] = asyncio.Queue()
        client.incoming_calls.subscribe(lambda _: told.put_nowait(time.perf_counter()))

        async def bare_ring() -> float:
            begin = time.perf_counter()
            dialling = asyncio.create_task(anna.post("", callee_identity=peer))
            while (await bare.soon(socket.receive_json()))["type"] != "call_incoming":
                continue
            seconds = time.perf_counter() - begin
            await anna.post(f"/{(await dialling)['call_id']}/end")
            return seconds

        async def sdk_ring() -> float:
            begin = time.perf_counter()
            dialling = asyncio.create_task(session.start(callee))
            seconds = await bare.soon(told.get()) - begin
            await dialling
            await session.end()
            return seconds

        samples: dict[str, list[float]] = {"bare": [], "utd_rx": []}
        for number in range(-1, count):
            for name, ring in (("bare", bare_ring), ("utd_rx", sdk_ring)):
                seconds = await ring()
                if number >= 0:
                    samples[name].append(seconds)
                await asyncio.sleep(RING_PAUSE)
        return samples


async def bare_call(engine: Engine, number: int) -> Times:
    """Call by aiohttp and bare `livekit`."""
    async with AsyncExitStack() as stack:
        anna = await Phone.sign_in(stack, engine, f"anna-{number}")
        ben = await Phone.sign_in(stack, engine, f"ben-{number}")
        call = await anna.post("", callee_identity=f"ben-{number}")
        call_id = call["call_id"]
        caller = await bare.Member.join(stack, call["url"], call["token"])
        mouths = (bare.Mouth(), bare.Mouth())
        for mouth in mouths:
            stack.push_async_callback(mouth.aclose)
            mouth.open(loud=True)

        answered_at = time.perf_counter()
        answered = await ben.post(f"/{call_id}/accept")
        known_at = time.perf_counter()

        async def answer() -> bare.Member:
            callee = await bare.Member.join(stack, answered["url"], answered["token"])
            await callee.publish(mouths[1].source)
            return callee

        _, callee = await asyncio.gather(caller.publish(mouths[0].source), answer())
        to_callee, to_caller = await asyncio.gather(_ear(stack, callee), _ear(stack, caller))
        await anna.post(f"/{call_id}/end")
        return Times(to_callee - known_at, to_caller - known_at, known_at - answered_at)


async def _ear(stack: AsyncExitStack, member: bare.Member) -> float:
    track, _ = await bare.soon(member.subscribed.get())
    ear = bare.Ear(track)
    stack.push_async_callback(ear.aclose)
    return await ear.until(loud=True)


async def sdk_call(engine: Engine, number: int) -> Times:
    """Call by this SDK."""
    async with AsyncExitStack() as stack:
        _, anna = await sign_in(stack, engine, f"anna-{number}")
        _, ben = await sign_in(stack, engine, f"ben-{number}")
        heard = (_hear(ben, anna.identity), _hear(anna, ben.identity))
        call = await anna.start(ben.identity)

        answered_at = time.perf_counter()
        await ben.accept(call.call_id)
        to_callee, to_caller = [await bare.soon(one) for one in heard]
        await anna.end()
        return Times(to_callee - answered_at, to_caller - answered_at)


def _hear(session: UTDCallSession, speaker: str) -> asyncio.Future[float]:
    heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_frame(frame: AudioFrame) -> None:
        if not heard.done() and bare.is_sound(frame.samples):
            heard.set_result(time.perf_counter())

    session.audio(speaker).subscribe(on_frame)
    return heard


Part = Callable[[Times], float]
Call = Callable[[Engine, int], Awaitable[Times]]
KINDS: Final[tuple[tuple[str, Call], ...]] = (("bare", bare_call), ("utd_rx", sdk_call))


async def measure(sfu: str, rounds: int) -> Iterator[tuple[str, str, str, str]]:
    """Call in turn, `rounds` times of each kind, and tell what was measured."""
    samples: dict[str, list[Times]] = {name: [] for name, _ in KINDS}
    async with child("engine", sfu=sfu) as served:
        engine = Engine(*(served.ready[name] for name in ("base_url", "app_id", "app_key")))
        hands = [await rings(engine, hand, RINGS) for hand in range(rounds)]
        rang = {name: [one for hand in hands for one in hand[name]] for name, _ in KINDS}
        for number in range(-1, rounds):
            # Every other round backwards, so that no kind always follows the same one.
            for name, call in KINDS if number % 2 else reversed(KINDS):
                times = await call(engine, number + 1)
                if number >= 0:
                    samples[name].append(times)
                await asyncio.sleep(PAUSE)
    return rows(rang, samples)


def rows(
    rang: dict[str, list[float]], samples: dict[str, list[Times]]
) -> Iterator[tuple[str, str, str, str]]:
    """Tell it in ms, median (min-max)."""
    yield ("ms, median (min-max)", "bare", "utd_rx", "ratio")
    yield row("start -> the callee is told", rang["bare"], rang["utd_rx"], verdict)
    parts: tuple[tuple[str, Part, Part, Callable[[float | None], str]], ...] = (
        ("accept -> callee hears", lambda t: t.to_callee, lambda t: t.to_callee, untargeted),
        ("accept -> caller hears", lambda t: t.to_caller, lambda t: t.to_caller, untargeted),
        ("accept -> sound both ways", lambda t: t.both, lambda t: t.both, verdict),
        ("..., bare asks to accept, too", lambda t: t.asked + t.both, lambda t: t.both, untargeted),
    )
    for name, of_theirs, of_ours, judge in parts:
        theirs, ours = samples["bare"], samples["utd_rx"]
        yield row(name, [of_theirs(times) for times in theirs], [of_ours(t) for t in ours], judge)


def row(
    name: str, theirs: list[float], ours: list[float], judge: Callable[[float | None], str]
) -> tuple[str, str, str, str]:
    ms = [[value * 1000 for value in values] for values in (theirs, ours)]
    return (name, spread(ms[0]), spread(ms[1]), judge(ratio(ours, theirs)))


async def run(kinds: list[str], rounds: int) -> None:
    """Measure and print each SFU."""
    for sfu in kinds:
        print_machine(f"\n{sfu}, before")
        print_table(list(await measure(sfu, rounds)))
        print_machine(f"n = {RINGS * rounds} rings, {rounds} answers of each kind; after")


def main() -> int:
    """Parse the command line and run."""
    return run_on_each(
        run,
        title="a call's ring and first sound: utd_rx over bare",
        heading="a call",
        what="calls",
        rounds=15,
    )


if __name__ == "__main__":
    sys.exit(main())
