"""What `sfu.py` does to one SFU, with the bare `livekit` client of `bare.py` and nothing else.

Every scenario has a room of its own and leaves it when it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import field, frozen
from livekit import api, rtc

from benchmarks.bare import Ear, Member, Mouth, soon
from benchmarks.support import cpu_seconds

ONSETS: Final = 3
SILENCE: Final = 0.6
"""Seconds between tones: Opus needs 0.2 s of silence to fall into discontinuous transmission."""

SETTLE: Final = 0.7
"""Seconds after the last frame until its packet has been counted everywhere."""

MESSAGES: Final = 2_000
MESSAGE_BYTES: Final = 200


@frozen
class Server:
    """An SFU in a process of its own."""

    name: str
    url: str
    pid: int
    api_key: str
    api_secret: str = field(repr=False)

    def token(self, identity: str, room: str, *, can_publish: bool = True) -> str:
        """Mint a LiveKit token for `room`."""
        grants = api.VideoGrants(room_join=True, room=room, can_publish=can_publish)
        minted = api.AccessToken(self.api_key, self.api_secret).with_identity(identity)
        return minted.with_grants(grants).to_jwt()


@frozen
class Latencies:
    """Seconds, of one room."""

    connect: tuple[float, ...]
    subscribed: float
    onset: tuple[float, ...]
    late: float
    """From the connect of a listener who comes later until the track is subscribed."""


@frozen
class Load:
    """What came of a time of speaking."""

    sent: int
    """Packets that had to arrive: those sent, times their listeners."""
    arrived: int
    lost: int
    """Holes in the sequence numbers, as the listeners' own statistics count them."""
    seconds: float
    cpu: float
    """CPU of the SFU's process, of one core."""

    @property
    def missing(self) -> int:
        """Packets that did not arrive, by either way of counting."""
        return max(self.sent - self.arrived, self.lost)


@frozen
class Messages:
    """What came of sending `MESSAGES` reliable messages."""

    seconds: float
    cpu_seconds: float
    missing: int
    duplicates: int
    is_in_order: bool

    @property
    def is_right(self) -> bool:
        """Complete, in order, each once."""
        return self.is_in_order and not self.missing and not self.duplicates


async def join(stack: AsyncExitStack, server: Server, names: Iterable[str]) -> list[Member]:
    """Let everybody join one fresh room, one after the other."""
    room = fresh_room()
    return [await Member.join(stack, server.url, server.token(name, room)) for name in names]


def fresh_room() -> str:
    """Return a name that no room had before."""
    return f"room-{secrets.token_hex(4)}"


async def latencies(server: Server) -> Latencies:
    """Two join, one publishes, the other listens: tones out of silence; a third one comes."""
    room = fresh_room()
    async with AsyncExitStack() as stack:
        talker, listener = [
            await Member.join(stack, server.url, server.token(name, room))
            for name in ("talker", "listener")
        ]
        mouth = Mouth()
        stack.push_async_callback(mouth.aclose)
        begin = time.perf_counter()
        await talker.publish(mouth.source)
        track, subscribed = await soon(listener.subscribed.get())
        ear = Ear(track)
        stack.push_async_callback(ear.aclose)
        # Media right after a subscription is promised by neither SFU
        # (docs/livekit.md, "News of the silent").
        mouth.open(loud=True)
        await ear.until(loud=True)
        onsets = []
        for _ in range(ONSETS):
            mouth.hush()
            await ear.until(loud=False)
            # Not always the same phase of the two 10 ms clocks.
            await asyncio.sleep(SILENCE + random.uniform(0, 0.02))
            spoken = await mouth.onset()
            onsets.append(await ear.until(loud=True) - spoken)
        # The audience of an audio room: it comes to what is already said, and may not speak.
        token = server.token("late", room, can_publish=False)
        late_begin = time.perf_counter()
        late = await Member.join(stack, server.url, token)
        _, late_subscribed = await soon(late.subscribed.get())
        return Latencies(
            connect=tuple(one.connect_seconds for one in (talker, listener, late)),
            subscribed=subscribed - begin,
            onset=tuple(onsets),
            late=late_subscribed - late_begin,
        )


async def load(server: Server, talkers: int, listeners: int, seconds: float) -> Load:
    """Let some speak and others listen; with as many of both, everybody does both.

    One source feeds all tracks, so that the client's own work is small. It is silent without
    packets until everything is subscribed, so packets sent and arrived can be compared exactly.
    """
    everybody = talkers if talkers == listeners else talkers + listeners
    heard = talkers * listeners - (talkers if talkers == listeners else 0)
    async with AsyncExitStack() as stack:
        members = await join(stack, server, (f"member-{n}" for n in range(everybody)))
        speaking, listening = members[:talkers], members[-listeners:]
        mouth = Mouth()
        stack.push_async_callback(mouth.aclose)
        for member in speaking:
            await member.publish(mouth.source)
        for member in listening:
            for _ in range(heard // listeners):
                await soon(member.subscribed.get())
        mouth.open(loud=True)  # codecs, jitter buffers and the SFU warm up
        await asyncio.sleep(1.0)
        await mouth.close()
        await asyncio.sleep(SETTLE)
        before = await _packets(members)
        cpu, begin = cpu_seconds(server.pid), time.perf_counter()
        mouth.open(loud=True)
        await asyncio.sleep(seconds)
        await mouth.close()
        cpu, took = cpu_seconds(server.pid) - cpu, time.perf_counter() - begin
        await asyncio.sleep(SETTLE)
        after = await _packets(members)
        sent, arrived, lost = (b - a for a, b in zip(before, after, strict=True))
        return Load(sent * heard // talkers, arrived, lost, took, cpu / took)


async def _packets(members: Sequence[Member]) -> tuple[int, int, int]:
    """Return the packets sent, arrived and lost so far, of all audio of all members."""
    sent = arrived = lost = 0
    for member in members:
        told = await soon(member.room.get_rtc_stats())
        # One transport carries both directions, so a stream may be told twice.
        streams = {_key(one): one for one in (*told.publisher_stats, *told.subscriber_stats)}
        for one in streams.values():
            if one.HasField("outbound_rtp"):
                sent += one.outbound_rtp.sent.packets_sent
            elif one.HasField("inbound_rtp"):
                arrived += one.inbound_rtp.received.packets_received
                lost += one.inbound_rtp.received.packets_lost
    return sent, arrived, lost


def _key(one: Any) -> tuple[str, str]:
    kind: str = one.WhichOneof("stats")
    return kind, getattr(one, kind).rtc.id


async def messages(server: Server) -> Messages:
    """Send reliable messages, one after the other, to one listener."""
    async with AsyncExitStack() as stack:
        sender, listener = await join(stack, server, ("sender", "listener"))
        numbers: list[int] = []
        last = asyncio.Event()

        def on_data(packet: rtc.DataPacket) -> None:
            numbers.append(int(packet.data[:8]))
            if len(numbers) >= MESSAGES:
                last.set()

        listener.room.on("data_received", on_data)
        cpu, begin = cpu_seconds(server.pid), time.perf_counter()
        for number in range(MESSAGES):
            payload = f"{number:08d}".encode().ljust(MESSAGE_BYTES, b".")
            await sender.room.local_participant.publish_data(payload, reliable=True)
        with contextlib.suppress(TimeoutError):  # what is missing is the result
            await soon(last.wait())
        took, cpu = time.perf_counter() - begin, cpu_seconds(server.pid) - cpu
        await asyncio.sleep(0.3)  # a duplicate would come late
        different = set(numbers)
        return Messages(
            seconds=took,
            cpu_seconds=cpu,
            missing=MESSAGES - len(different),
            duplicates=len(numbers) - len(different),
            is_in_order=numbers == sorted(numbers),
        )
