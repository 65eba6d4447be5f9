"""What is said on a socket: whole, in order, messages before sound, as the peer takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from utd_rx import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.agent.outbox import MAX_WAITING, AgentOutbox
from utd_rx.ports.agent_socket import AgentSocketAddress, AgentSocketSink


class Peer:
    """A socket whose peer takes a message when the test says so."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_gone = False
        self._may_take = asyncio.Semaphore(0)
        self._took = asyncio.Event()

    async def run(self, address: AgentSocketAddress, sink: AgentSocketSink) -> None: ...

    async def close(self, code: int = 1000) -> None: ...

    async def send(self, text: str) -> None:
        await self._may_take.acquire()
        if self.is_gone:
            raise UTDStreamException("gone", code=UTDErrorCode.NETWORK)
        self.taken.append(text)
        self._took.set()

    async def take(self, count: int) -> list[str]:
        """Take so many messages; return all that were taken."""
        wanted = len(self.taken) + count
        for _ in range(count):
            self._may_take.release()
        while len(self.taken) < wanted:
            self._took.clear()
            await self._took.wait()
        return self.taken

    def leave(self) -> None:
        self.is_gone = True
        self._may_take.release()


@asynccontextmanager
async def sending(outbox: AgentOutbox) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(outbox.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_messages_go_before_sound_and_each_as_the_peer_takes_it() -> None:
    peer, sound = Peer(), ["s1", "s2"]
    outbox = AgentOutbox(peer, lambda: sound.pop(0) if sound else None)
    first, second = outbox.put("m1"), outbox.put("m2")
    async with sending(outbox):
        assert await peer.take(1) == ["m1"]
        await first
        assert not second.done()
        assert await peer.take(2) == ["m1", "m2", "s1"]
        third = outbox.put("m3")  # behind the sound that is being sent
        assert await peer.take(2) == ["m1", "m2", "s1", "s2", "m3"]
        await third


async def test_it_sleeps_until_there_is_more() -> None:
    peer = Peer()
    sound: list[str] = []
    outbox = AgentOutbox(peer, lambda: sound.pop(0) if sound else None)
    async with sending(outbox):
        await asyncio.sleep(0)
        sound.append("s1")
        outbox.wake()
        assert await peer.take(1) == ["s1"]


async def test_a_message_may_be_taken_back() -> None:
    peer = Peer()
    outbox = AgentOutbox(peer, lambda: None)
    outbox.put("m1").cancel()
    last = outbox.put("m2")
    async with sending(outbox):
        assert await peer.take(1) == ["m2"]
        await last


async def test_who_waits_is_told_that_the_socket_is_gone() -> None:
    peer = Peer()
    outbox = AgentOutbox(peer, lambda: None)
    lost = outbox.put("m1"), outbox.put("m2")
    async with sending(outbox) as task:
        peer.leave()
        await task
    for sent in (*lost, outbox.put("m3")):
        with pytest.raises(UTDStreamException) as gone:
            await sent
        assert gone.value.code is UTDErrorCode.NETWORK
    assert peer.taken == []


async def test_a_sender_that_is_cancelled_leaves_nobody_waiting() -> None:
    outbox = AgentOutbox(Peer(), lambda: None)
    sent = outbox.put("m1")
    async with sending(outbox):
        await asyncio.sleep(0)
    with pytest.raises(UTDStreamException):
        await sent


async def test_more_than_the_bound_is_refused() -> None:
    outbox = AgentOutbox(Peer(), lambda: None)
    for _ in range(MAX_WAITING):
        outbox.put("m")
    with pytest.raises(UTDStreamException) as busy:
        outbox.put("m")
    assert busy.value.reason is ConflictReason.BUSY
    outbox.close()
