"""A plain LiveKit room: this SDK over a bare `livekit` client that does the same.

    python -m benchmarks.any_room [--sfu embedded|livekit|both] [--rounds N]

* join -> first sound: a talker, bare, sends a tone without end; listeners of both kinds join in
  turn, by `Room.connect` and an `AudioStream`, and by `open_room` and `audio`;
* 1,000 changes of an attribute, one after the other, to 50 others, until the last has been told:
  who says it and one who hears it are of the kind that is measured, by `set_attributes` with a
  listener, and by `set_attributes` with a stream. The other 49 are bare, in a process of their own;
* RPC round trip: 50 calls of a method one after the other, by `perform_rpc`, and by `call`;
* a file of 10 MB: until its receiver has the whole of it in memory, by `send_file` and a handler,
  and by `send_file` and `files`.

The media server is a process of its own, everything else is this one. The first join of each kind
is not counted: it loads LiveKit's native library. Exit status 0 when it ran, whatever the ratio.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import field, frozen
from livekit import api, rtc

from benchmarks import bare
from benchmarks.support import (
    child,
    print_machine,
    print_table,
    ratio,
    run_on_each,
    spread,
    verdict,
)
from utd_rx import AudioFrame, IncomingFile, MethodInvocation, open_room
from utd_rx.engine.livekit_server import LiveKitServer
from utd_rx.engine.sfu.options import SfuOptions

TALKER: Final = "talker"
TARGET: Final = 1.2
CHANGES: Final = 1_000
OTHERS: Final = 50
CALLS: Final = 50
FILE: Final = 10_000_000
LONGEST: Final = 120.0
"""Seconds for one sample, whatever else the machine does."""

PAIR: Final = ("caller", "called")
PAYLOAD: Final = "x" * 100
PAUSE: Final = 0.2
"""Seconds between two joins: the one before has left when the next begins."""


@frozen
class Server:
    """Where to join, and what makes tokens."""

    url: str
    key: str
    secret: str = field(repr=False)

    def token(self, identity: str, room: str) -> str:
        """Return a token that grants everything."""
        grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
        minted = api.AccessToken(self.key, self.secret).with_identity(identity)
        return minted.with_grants(grants).to_jwt()


@asynccontextmanager
async def served(sfu: str) -> AsyncIterator[Server]:
    """Run a media server."""
    key, secret = "key", secrets.token_urlsafe(32)
    if sfu == "embedded":
        async with child("sfu", api_key=key, api_secret=secret) as running:
            yield Server(running.ready["url"], key, secret)
        return
    server = LiveKitServer(SfuOptions(api_key=key, api_secret=secret))
    await server.start()
    try:
        yield Server(server.url, key, secret)
    finally:
        await server.aclose()


# --- join -> first sound -----------------------------------------------------------------------


async def bare_join(server: Server, identity: str) -> float:
    """Join by bare `livekit`, and return the seconds until the talker is heard."""
    async with AsyncExitStack() as stack:
        begin = time.perf_counter()
        member = await bare.Member.join(stack, server.url, server.token(identity, "sound"))
        track, _ = await bare.soon(member.subscribed.get())
        ear = bare.Ear(track)
        stack.push_async_callback(ear.aclose)
        return await ear.until(loud=True) - begin


async def sdk_join(server: Server, identity: str) -> float:
    """The same by this SDK."""
    heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_frame(frame: AudioFrame) -> None:
        if not heard.done() and bare.is_sound(frame.samples):
            heard.set_result(time.perf_counter())

    begin = time.perf_counter()
    async with open_room(server.url, server.token(identity, "sound")) as room:
        with room.audio(TALKER).subscribe(on_frame):
            return await bare.soon(heard) - begin


# --- attributes ----------------------------------------------------------------------------------


async def bare_changes(server: Server, room: str) -> float:
    """Change an attribute by bare `livekit`, and return the seconds until the last was told."""
    told = asyncio.Event()

    def on_changed(changed: dict[str, str], *_: object) -> None:
        if changed.get("count") == str(CHANGES):
            told.set()

    async with AsyncExitStack() as stack:
        speaker = await bare.Member.join(stack, server.url, server.token("speaker", room))
        other = await bare.Member.join(stack, server.url, server.token("other", room))
        other.room.on("participant_attributes_changed", on_changed)
        begin = await crowded(server, room, stack)
        for count in range(1, CHANGES + 1):
            await speaker.room.local_participant.set_attributes({"count": str(count)})
        await bare.soon(told.wait())
        return time.perf_counter() - begin


async def sdk_changes(server: Server, room: str) -> float:
    """The same by this SDK."""
    async with AsyncExitStack() as stack:
        joining = (open_room(server.url, server.token(who, room)) for who in ("speaker", "other"))
        speaker, other = [await stack.enter_async_context(one) for one in joining]
        told = other.attribute("count", "speaker")
        stack.callback(told.subscribe(lambda _: None).dispose)
        begin = await crowded(server, room, stack)
        for count in range(1, CHANGES + 1):
            await speaker.set_attributes({"count": str(count)})
        await told.until(str(CHANGES), timeout=bare.PATIENCE)
        return time.perf_counter() - begin


async def crowded(server: Server, room: str, stack: AsyncExitStack) -> float:
    """Have the others join, in a process of their own, and return when all are known."""
    tokens = [server.token(f"crowd-{number}", room) for number in range(OTHERS - 1)]
    await stack.enter_async_context(child("attend", url=server.url, tokens=tokens))
    await asyncio.sleep(4)  # a media server collects news of who says nothing for 3 s
    return time.perf_counter()


# --- methods and files ---------------------------------------------------------------------------


async def bare_calls(server: Server, room: str) -> AsyncIterator[float]:
    """Call a method by bare `livekit`; yields the milliseconds of a call, of so many."""
    async with AsyncExitStack() as stack:
        ours, theirs = [
            await bare.Member.join(stack, server.url, server.token(who, room)) for who in PAIR
        ]
        theirs.room.local_participant.register_rpc_method("echo", lambda asked: asked.payload)
        local = ours.room.local_participant
        while True:
            begin = time.perf_counter()
            for _ in range(CALLS):
                await local.perform_rpc(
                    destination_identity=PAIR[1], method="echo", payload=PAYLOAD
                )
            yield 1000 * (time.perf_counter() - begin) / CALLS


async def sdk_calls(server: Server, room: str) -> AsyncIterator[float]:
    """The same by this SDK."""

    async def echo(asked: MethodInvocation) -> str:
        return asked.payload

    async with AsyncExitStack() as stack:
        joining = (open_room(server.url, server.token(who, room)) for who in PAIR)
        ours, theirs = [await stack.enter_async_context(one) for one in joining]
        theirs.serve("echo", echo)
        await ours.remote_participants.until(bool, timeout=bare.PATIENCE)
        while True:
            begin = time.perf_counter()
            for _ in range(CALLS):
                await ours.call("echo", PAYLOAD, to=PAIR[1])
            yield 1000 * (time.perf_counter() - begin) / CALLS


async def bare_files(server: Server, room: str) -> AsyncIterator[float]:
    """Send a file by bare `livekit`; yields the milliseconds until the whole has come."""
    came = asyncio.Queue[rtc.ByteStreamReader]()
    async with AsyncExitStack() as stack:
        path = stack.enter_context(sent_file())
        ours, theirs = [
            await bare.Member.join(stack, server.url, server.token(who, room)) for who in PAIR
        ]
        theirs.room.register_byte_stream_handler("t", lambda one, _: came.put_nowait(one))
        while True:
            begin = time.perf_counter()
            sending = asyncio.create_task(
                ours.room.local_participant.send_file(str(path), topic="t")
            )
            whole = b"".join([part async for part in await bare.soon(came.get())])
            assert len(whole) == FILE
            yield 1000 * (time.perf_counter() - begin)
            await sending


async def sdk_files(server: Server, room: str) -> AsyncIterator[float]:
    """The same by this SDK."""
    came = asyncio.Queue[IncomingFile]()
    async with AsyncExitStack() as stack:
        path = stack.enter_context(sent_file())
        joining = (open_room(server.url, server.token(who, room)) for who in PAIR)
        ours, theirs = [await stack.enter_async_context(one) for one in joining]
        stack.callback(theirs.files("t").subscribe(came.put_nowait).dispose)
        while True:
            begin = time.perf_counter()
            sending = ours.send_file(path, topic="t")
            whole = await (await bare.soon(came.get())).read()
            assert len(whole) == FILE
            yield 1000 * (time.perf_counter() - begin)
            await sending


@contextmanager
def sent_file() -> Iterator[Path]:
    """A file to send."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file.bin"
        path.write_bytes(secrets.token_bytes(FILE))
        yield path


# --- both ----------------------------------------------------------------------------------------

Measured = dict[str, list[float]]
JOINS: Final[dict[str, Callable[[Server, str], Awaitable[float]]]] = {
    "bare": bare_join,
    "utd_rx": sdk_join,
}
SAYS: Final[dict[str, Callable[[Server, str], Awaitable[float]]]] = {
    "bare": bare_changes,
    "utd_rx": sdk_changes,
}


CALLED: Final = {"bare": bare_calls, "utd_rx": sdk_calls}
SENT: Final = {"bare": bare_files, "utd_rx": sdk_files}


async def in_turn(
    server: Server, kinds: Mapping[str, Callable[[Server, str], AsyncIterator[float]]], rounds: int
) -> Measured:
    """Measure in turn, with a pair of each kind that stays; the first round is not counted."""
    samples: Measured = {kind: [] for kind in kinds}
    running = {kind: make(server, f"{make.__name__}") for kind, make in kinds.items()}
    try:
        for number in range(-1, rounds):
            for kind in running if number % 2 else reversed(running):
                value = await asyncio.wait_for(anext(running[kind]), LONGEST)
                if number >= 0:
                    samples[kind].append(value)
    finally:
        for one in running.values():
            await one.aclose()  # type: ignore[attr-defined] # of a generator
    return samples


async def joins(server: Server, rounds: int) -> Measured:
    """Join in turn."""
    samples: Measured = {kind: [] for kind in JOINS}
    async with AsyncExitStack() as stack:
        talker = await bare.Member.join(stack, server.url, server.token(TALKER, "sound"))
        mouth = bare.Mouth()
        stack.push_async_callback(mouth.aclose)
        await talker.publish(mouth.source)
        mouth.open(loud=True)
        for number in range(-1, rounds):
            # Every other round backwards, so that no kind always follows the same one.
            for kind in JOINS if number % 2 else reversed(JOINS):
                seconds = await JOINS[kind](server, f"{kind}-{number}")
                if number >= 0:
                    samples[kind].append(1000 * seconds)
                await asyncio.sleep(PAUSE)
    return samples


async def changes(server: Server, rounds: int) -> Measured:
    """Change attributes in turn."""
    samples: Measured = {kind: [] for kind in SAYS}
    for number in range(rounds):
        for kind in SAYS if number % 2 else reversed(SAYS):
            samples[kind].append(1000 * await SAYS[kind](server, f"{kind}-{number}"))
    return samples


def row(what: str, samples: dict[str, Any], digits: int = 0) -> Iterator[str]:
    """Tell what was measured, ms, median (min-max)."""
    value, (theirs, ours) = ratio(samples["utd_rx"], samples["bare"]), samples.values()
    yield from (what, spread(theirs, digits), spread(ours, digits), verdict(value, TARGET))


async def run(kinds: list[str], rounds: int) -> None:
    """Measure and print each SFU."""
    for sfu in kinds:
        print_machine(f"\n{sfu}, before")
        async with served(sfu) as server:
            heard = await joins(server, rounds)
            said = await changes(server, max(2, rounds // 5))
            called = await in_turn(server, CALLED, rounds)
            sent = await in_turn(server, SENT, max(2, rounds // 3))
        head = ("ms, median (min-max)", "bare livekit", "utd_rx", "ratio")
        rows = (
            row("join -> first sound", heard),
            row(f"{CHANGES} attribute changes to {OTHERS}", said),
            row("RPC round trip", called, 1),
            row("a file of 10 MB", sent),
        )
        print_table([head, *(tuple(one) for one in rows)])
        print_machine(f"n = {rounds} of each kind; after")


def main() -> int:
    """Parse the command line and run."""
    return run_on_each(
        run,
        title="a plain room: utd_rx over livekit",
        heading="any LiveKit room",
        what="joins",
        rounds=10,
        target=TARGET,
    )


if __name__ == "__main__":
    sys.exit(main())
