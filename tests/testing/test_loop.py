"""A virtual loop: time passes when there is nothing left to do, and never otherwise."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_rx.testing import StandstillError, VirtualLoop, run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


def virtual() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def test_a_day_takes_no_time() -> None:
    async def main() -> float:
        async with asyncio.timeout(100_000):
            await asyncio.sleep(86_400)
        return now()

    began = time.monotonic()
    assert run_virtual(main()) == 86_400
    assert time.monotonic() - began < 1.0


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 1e6), max_size=20))
def test_everything_due_happens_in_order_and_exactly_when_it_is_due(delays: list[float]) -> None:
    async def main() -> list[tuple[float, float]]:
        happened: list[tuple[float, float]] = []

        def note(at: float) -> None:
            happened.append((at, now()))

        for at in delays:
            virtual().call_at(at, note, at)
        virtual().call_at(0.5, lambda: None).cancel()
        await asyncio.sleep(2e6)
        return happened

    happened = run_virtual(main())
    assert [at for at, _ in happened] == pytest.approx(sorted(delays), abs=1e-9)
    # Within a loop's resolution they are called together.
    assert all(seen == at or abs(at - seen) < 2e-9 for at, seen in happened)


def test_time_stands_while_a_thread_of_the_executor_works() -> None:
    async def main() -> tuple[str, float]:
        goes_on = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(None, goes_on.wait, 10.0)
        timer = asyncio.create_task(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(goes_on.set)
        done, _ = await asyncio.wait((work, timer), return_when=asyncio.FIRST_COMPLETED)
        assert done == {work}
        at = now()
        await timer
        return "thread first", at

    assert run_virtual(main()) == ("thread first", 0.0)


def test_what_another_thread_calls_is_heard_in_a_standstill() -> None:
    async def main() -> str:
        told = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        thread = threading.Thread(
            target=lambda: loop.call_soon_threadsafe(told.set_result, "heard")
        )
        loop.call_soon(thread.start)
        answer = await told
        thread.join()
        return str(answer)

    assert run_virtual(main()) == "heard"


def test_waiting_for_what_cannot_happen_says_so() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StandstillError, match="cannot happen any more"):
        run_virtual(main())


def test_going_round_and_round_says_so() -> None:
    async def main() -> None:
        while now() < 1.0:  # noqa: ASYNC110 - what it does wrong
            await asyncio.sleep(0)

    with pytest.raises(StandstillError, match="round and round at 0 s"):
        run_virtual(main())


def test_sockets_are_served_before_time_passes() -> None:
    async def main() -> tuple[bytes, float]:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            async with asyncio.timeout(5.0):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"ping")
                answer = await reader.read(100)
            writer.close()
            await writer.wait_closed()
        return answer, now()

    assert run_virtual(main()) == (b"ping", 0.0)


def test_settled_is_when_what_comes_next_needs_time() -> None:
    async def main() -> list[str]:
        happened: list[str] = []

        async def chain() -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            happened.append("now")
            await asyncio.sleep(1e-6)
            happened.append("later")

        task = asyncio.create_task(chain())
        await virtual().settled()
        seen = list(happened)
        await task
        return seen

    assert run_virtual(main()) == ["now"]


def test_its_end_waits_for_threads_and_takes_no_time() -> None:
    ended = threading.Event()

    def work() -> None:
        time.sleep(0.02)
        ended.set()

    async def main() -> VirtualLoop:
        virtual().run_in_executor(None, work)
        return virtual()

    loop = run_virtual(main())
    assert ended.is_set()
    assert (loop.time(), loop.is_closed()) == (0.0, True)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
