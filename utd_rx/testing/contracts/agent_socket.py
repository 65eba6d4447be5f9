"""What every agent's socket promises; a subclass has a fixture `bench`: an `AgentSocketBench`."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from utd_rx.errors import ConflictReason, UTDErrorCode
from utd_rx.ports.agent_socket import (
    MAX_FRAME,
    AgentSocketAddress,
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketEvent,
    AgentSocketNoise,
    AgentSocketOpened,
    AgentSocketPort,
    AgentSocketText,
)
from utd_rx.testing.contracts import PATIENCE, Batches, refusal


class AgentSocketBench(Protocol):
    """A port, and the agent at its other end.

    Attributes:
        port: The port.
        address: Where the agent is, with `secret` in a header and in the query.
        secret: What nobody may read.
    """

    port: AgentSocketPort
    address: AgentSocketAddress
    secret: str

    async def tell(self, *texts: str) -> None:
        """Send text frames to the socket that is open."""

    async def babble(self) -> None:
        """Send it a frame that is no text."""

    async def end(self, code: int) -> None:
        """Close it with a code."""

    async def cut(self) -> None:
        """Break its connection."""

    async def vanish(self) -> None:
        """Say and take nothing any more, and be missed soon."""

    async def refuse(self, status: int, retry_after: int) -> None:
        """Answer connections with an HTTP status."""

    async def be_nowhere(self) -> None:
        """Be unreachable from now on."""

    async def hang_on(self) -> None:
        """Answer no connection from now on."""

    async def reached(self) -> None:
        """Wait until there is a connection."""

    async def received(self, count: int) -> list[str]:
        """Wait for so many frames, of all sockets; return them."""

    async def deserted(self) -> int | None:
        """Wait until the agent has no socket any more; return the other side's close code."""


@pytest.mark.asyncio
class AgentSocketContract:
    """The suite; see the module."""

    async def test_what_is_told_comes_in_order_between_opening_and_end(
        self, bench: AgentSocketBench
    ) -> None:
        texts = [f'{{"number": {n}, "text": "äöü"}}' for n in range(50)]
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.tell(*texts)
            await told.until(lambda one: one == AgentSocketText(texts[-1]))
            await bench.babble()
            await told.until(lambda one: one == AgentSocketNoise())
            await bench.end(1000)
            await told.until(is_ended)
        assert told.told[0] == AgentSocketOpened()
        assert [one.text for one in told.told if isinstance(one, AgentSocketText)] == texts

    @pytest.mark.parametrize("code", [1000, 1001, 1011, 4000, 4401, 4403])
    async def test_a_close_frame_comes_with_its_code(
        self, bench: AgentSocketBench, code: int
    ) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.end(code)
            end = await told.until(is_ended)
        assert (end.end, end.code) == (AgentSocketEnd.CLOSED, code)

    async def test_a_connection_that_breaks_is_lost(self, bench: AgentSocketBench) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.cut()
            end = await told.until(is_ended)
        assert (end.end, end.code) == (AgentSocketEnd.LOST, None)

    @pytest.mark.parametrize("status", [401, 403, 404, 503])
    async def test_a_refusal_comes_with_its_status(
        self, bench: AgentSocketBench, status: int
    ) -> None:
        await bench.refuse(status, 7)
        async with running(bench) as told:
            end = await told.until(is_ended)
        assert told.told == [end]
        assert (end.end, end.code, end.retry_after) == (AgentSocketEnd.REFUSED, status, 7.0)

    async def test_who_cannot_be_reached_is_lost(self, bench: AgentSocketBench) -> None:
        await bench.be_nowhere()
        async with running(bench) as told:
            end = await told.until(is_ended)
        assert told.told == [end]
        assert (end.end, end.code) == (AgentSocketEnd.LOST, None)

    async def test_who_is_gone_without_a_word_is_missed_also_by_who_sends(
        self, bench: AgentSocketBench
    ) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            sending = asyncio.create_task(send_for_ever(bench.port))
            await bench.received(1)
            await bench.vanish()
            end = await told.until(is_ended)
            error = await refusal(sending)
        assert (end.end, end.code) == (AgentSocketEnd.SILENT, None)
        assert error.code is UTDErrorCode.NETWORK

    async def test_what_is_sent_comes_in_order(self, bench: AgentSocketBench) -> None:
        texts = [f"number {n}, äöü" for n in range(50)]
        async with running(bench) as told:
            await told.until(is_opened)
            for text in texts:
                await bench.port.send(text)
            assert await bench.received(len(texts)) == texts
            await bench.end(1000)

    async def test_a_frame_is_sent_whole_or_not_at_all(self, bench: AgentSocketBench) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            for turns in range(10):
                frame = f"{turns}" * 10_000
                sending = [asyncio.create_task(bench.port.send(frame)) for _ in range(2)]
                for _ in range(turns):
                    await asyncio.sleep(0)
                sending[0].cancel()
                await asyncio.wait(sending)
                assert not sending[1].cancelled()
            await bench.port.send("the last")
            received = await bench.received(11)
            while received[-1] != "the last":
                received = await bench.received(len(received) + 1)
            await bench.end(1000)
        assert {(len(frame), *set(frame)) for frame in received[:-1]} == {
            (10_000, f"{turns}") for turns in range(10)
        }

    async def test_nothing_is_sent_without_a_socket(self, bench: AgentSocketBench) -> None:
        assert (await refusal(bench.port.send("early"))).code is UTDErrorCode.NETWORK
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.end(1001)
        assert (await refusal(bench.port.send("late"))).code is UTDErrorCode.NETWORK

    @pytest.mark.parametrize("code", [1000, 4321])
    async def test_closing_says_goodbye_and_ends_the_run(
        self, bench: AgentSocketBench, code: int
    ) -> None:
        await bench.port.close()
        async with running(bench) as told:
            await told.until(is_opened)
            await asyncio.gather(bench.port.close(code), bench.port.close(code))
            end = await told.until(is_ended)
            assert await bench.deserted() == code
        assert end.end is AgentSocketEnd.CLOSED
        await bench.port.close()

    async def test_who_stops_waiting_for_the_goodbye_has_said_it(
        self, bench: AgentSocketBench
    ) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            closing = asyncio.create_task(bench.port.close(4321))
            await asyncio.sleep(0)
            closing.cancel()
            await told.until(is_ended)
            assert await bench.deserted() == 4321

    async def test_a_frame_without_end_ends_the_socket(self, bench: AgentSocketBench) -> None:
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.tell("x" * MAX_FRAME)
            await told.until(lambda one: isinstance(one, AgentSocketText))
            await bench.tell("x" * (MAX_FRAME + 1))
            end = await told.until(is_ended)
        assert (end.end, end.code) == (AgentSocketEnd.CLOSED, 1009)

    async def test_one_socket_follows_another_and_never_two_at_once(
        self, bench: AgentSocketBench
    ) -> None:
        for _ in range(3):
            async with running(bench) as told:
                await told.until(is_opened)
                error = await refusal(bench.port.run(bench.address, lambda _: None))
                assert (error.code, error.reason) == (UTDErrorCode.CONFLICT, ConflictReason.BUSY)
                await bench.end(1001)
            assert [type(event) for event in told.told] == [AgentSocketOpened, AgentSocketEnded]

    @pytest.mark.parametrize("is_up", [False, True])
    async def test_who_is_cancelled_drops_the_socket_and_tells_nothing_more(
        self, bench: AgentSocketBench, is_up: bool
    ) -> None:
        if not is_up:
            await bench.hang_on()
        told = Batches[AgentSocketEvent]()
        running_ = asyncio.create_task(bench.port.run(bench.address, told.take))
        await bench.reached()
        if is_up:
            await told.until(is_opened)
        running_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running_
        async with asyncio.timeout(PATIENCE):
            assert await bench.deserted() is None
        assert not any(is_ended(event) for event in told.told)

    async def test_no_secret_is_in_a_word_of_it_and_all_of_it_are_values(
        self, bench: AgentSocketBench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        async with running(bench) as told:
            await told.until(is_opened)
            await bench.tell("a text")
            await told.until(lambda one: one == AgentSocketText("a text"))
            await bench.end(4000)
            await told.until(is_ended)
        await bench.refuse(401, 1)
        async with running(bench) as refused:
            await refused.until(is_ended)
        for event in (*told.told, *refused.told):
            assert pickle.loads(pickle.dumps(event)) == event
            hash(event)
            assert bench.secret.encode() not in pickle.dumps(event)
        words = f"{bench.port!r} {bench.address!r} {told.told!r} {refused.told!r} {caplog.text}"
        assert bench.secret not in words


@asynccontextmanager
async def running(bench: AgentSocketBench) -> AsyncIterator[Batches[AgentSocketEvent]]:
    """Run a socket until it has ended; give what it tells."""
    told = Batches[AgentSocketEvent]()
    task = asyncio.create_task(bench.port.run(bench.address, told.take))
    try:
        yield told
        async with asyncio.timeout(PATIENCE):
            await task
            await told.until(is_ended)
    finally:
        task.cancel()
        await asyncio.wait((task,))
    assert [event for event in told.told if is_ended(event)] == [told.told[-1]]


async def send_for_ever(port: AgentSocketPort) -> None:
    """Send until that is refused; a peer that takes nothing is waited for."""
    while True:
        await port.send("x" * 100_000)
        await asyncio.sleep(0)


def is_opened(event: Any) -> bool:
    return isinstance(event, AgentSocketOpened)


def is_ended(event: Any) -> bool:
    return isinstance(event, AgentSocketEnded)
