"""A call: from dialling to ringing, and from the answer to sound both ways.

    python -m benchmarks.calls [--sfu embedded|livekit|both] [--rounds N]

Pairs of two kinds call each other in turn, each with fresh identities, rooms and connections:

* bare: `POST /calls` and an authenticated WebSocket, by aiohttp. Then two bare `livekit` clients
  that know the room already: the caller is in it, and at the clock's start publishes a tone while
  the callee connects and publishes one, until each has a frame with the other's.
* utd_rx: `session.start` until `client.incoming_calls` tells the callee; `session.accept` until
  `session.audio` has handed each a frame with the other's tone.

The bare pair's answer is timed apart, since `accept` asks the engine before it can connect. Engine
and SFU are one more process. The first call of each kind is not counted: it loads LiveKit's native
library. Exit status 0 when it ran, whatever the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
from attrs import field, frozen

from benchmarks import bare
from benchmarks.support import (
    TARGET,
    child,
    is_livekit_there,
    print_machine,
    print_table,
    quiet_livekit,
    ratio,
    spread,
    status_of,
    untargeted,
    verdict,
)
from utd_rx import (
    AudioFrame,
    IncomingCall,
    ToneSource,
    UTDCallSession,
    UTDStreamClient,
    UTDStreamType,
)

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

    rang: float
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


async def bare_call(engine: Engine, number: int) -> Times:
    """Call by aiohttp and bare `livekit`."""
    async with AsyncExitStack() as stack:
        anna = await Phone.sign_in(stack, engine, f"anna-{number}")
        ben = await Phone.sign_in(stack, engine, f"ben-{number}")
        socket = await ben.socket(stack)
        begin = time.perf_counter()
        dialling = asyncio.create_task(anna.post("", callee_identity=f"ben-{number}"))
        incoming = await bare.soon(socket.receive_json())
        rang = time.perf_counter() - begin
        call_id = incoming["call"]["call_id"]
        dialled = await dialling
        caller = await bare.Member.join(stack, dialled["url"], dialled["token"])
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
        return Times(rang, to_callee - known_at, to_caller - known_at, known_at - answered_at)


async def _ear(stack: AsyncExitStack, member: bare.Member) -> float:
    track, _ = await bare.soon(member.subscribed.get())
    ear = bare.Ear(track)
    stack.push_async_callback(ear.aclose)
    return await ear.until(loud=True)


async def sdk_call(engine: Engine, number: int) -> Times:
    """Call by this SDK."""
    async with AsyncExitStack() as stack:

        async def sign_in(identity: str) -> tuple[UTDStreamClient, UTDCallSession]:
            client = UTDStreamClient(
                engine.app_id,
                engine.app_key,
                base_url=engine.base_url,
                token_base_url=engine.base_url,
            )
            await stack.enter_async_context(client)
            await client.authenticate(identity)
            tone = ToneSource(400.0, level_dbfs=-15.0)
            session = client.call_session(UTDStreamType.AUDIO_CALL, microphone=tone)
            await client.signal_connected.until(True, timeout=bare.PATIENCE)
            return client, await stack.enter_async_context(session)

        _, anna = await sign_in(f"anna-{number}")
        client, ben = await sign_in(f"ben-{number}")
        rings: asyncio.Future[tuple[IncomingCall, float]] = _future()
        client.incoming_calls.subscribe(lambda call: rings.set_result((call, time.perf_counter())))
        heard = tuple(map(_hear, (ben, anna), (anna.identity, ben.identity)))
        begin = time.perf_counter()
        dialling = asyncio.create_task(anna.start(ben.identity))
        incoming, rang_at = await bare.soon(rings)
        await dialling

        answered_at = time.perf_counter()
        await ben.accept(incoming.call_id)
        to_callee, to_caller = [await bare.soon(one) for one in heard]
        await anna.end()
        return Times(rang_at - begin, to_callee - answered_at, to_caller - answered_at)


def _hear(session: UTDCallSession, speaker: str) -> asyncio.Future[float]:
    heard: asyncio.Future[float] = _future()

    def on_frame(frame: AudioFrame) -> None:
        if not heard.done() and bare.is_sound(frame.samples):
            heard.set_result(time.perf_counter())

    session.audio(speaker).subscribe(on_frame)
    return heard


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


Part = Callable[[Times], float]
Call = Callable[[Engine, int], Awaitable[Times]]
KINDS: Final[tuple[tuple[str, Call], ...]] = (("bare", bare_call), ("utd_rx", sdk_call))


async def measure(sfu: str, rounds: int) -> dict[str, list[Times]]:
    """Call in turn, `rounds` times of each kind."""
    samples: dict[str, list[Times]] = {name: [] for name, _ in KINDS}
    async with child("engine", sfu=sfu) as served:
        engine = Engine(*(served.ready[name] for name in ("base_url", "app_id", "app_key")))
        for number in range(-1, rounds):
            # Every other round backwards, so that no kind always follows the same one.
            for name, call in KINDS if number % 2 else reversed(KINDS):
                times = await call(engine, number + 1)
                if number >= 0:
                    samples[name].append(times)
                await asyncio.sleep(PAUSE)
    return samples


def rows(samples: dict[str, list[Times]]) -> Iterator[tuple[str, str, str, str]]:
    """Tell what was measured, ms, median (min-max)."""
    yield ("ms, median (min-max)", "bare", "utd_rx", "ratio")
    parts: tuple[tuple[str, Part, Part, bool], ...] = (
        ("start -> the callee is told", lambda t: t.rang, lambda t: t.rang, True),
        ("accept -> callee hears", lambda t: t.to_callee, lambda t: t.to_callee, False),
        ("accept -> caller hears", lambda t: t.to_caller, lambda t: t.to_caller, False),
        ("accept -> sound both ways", lambda t: t.both, lambda t: t.both, True),
        ("..., bare asks to accept, too", lambda t: t.asked + t.both, lambda t: t.both, False),
    )
    for name, of_theirs, of_ours, is_judged in parts:
        theirs = [of_theirs(times) * 1000 for times in samples["bare"]]
        ours = [of_ours(times) * 1000 for times in samples["utd_rx"]]
        value = ratio(ours, theirs)
        judged = verdict(value) if is_judged else untargeted(value)
        yield (name, spread(theirs), spread(ours), judged)


async def run(kinds: list[str], rounds: int) -> None:
    """Measure and print each SFU."""
    for sfu in kinds:
        print_machine(f"\n{sfu}, before")
        samples = await measure(sfu, rounds)
        print_table(list(rows(samples)))
        print_machine(f"n = {rounds} of each kind; after")


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="a call's ring and first sound: utd_rx over bare")
    parser.add_argument("--sfu", choices=("embedded", "livekit", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=15, help="calls per kind (default 15)")
    args = parser.parse_args()
    kinds = ["embedded", "livekit"] if args.sfu == "both" else [args.sfu]
    if "livekit" in kinds and not is_livekit_there():
        kinds.remove("livekit")
    if args.rounds < 1 or not kinds:
        print("nothing to measure", file=sys.stderr)
        return 1
    print(f"a call, target ratio <= {TARGET:g}")
    quiet_livekit()
    return status_of(run(kinds, args.rounds))


if __name__ == "__main__":
    sys.exit(main())
