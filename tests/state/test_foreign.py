"""What somebody else wrote ends in its own task: all that comes out of it is an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from utd_rx.state.foreign import foreign_work
from utd_rx.testing import run_virtual


async def ends_its_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def awaits_what_was_cancelled() -> None:
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other


async def raises_no_exception() -> None:
    raise BaseException("odd")


@pytest.mark.parametrize("work", [ends_its_task, awaits_what_was_cancelled, raises_no_exception])
async def test_what_would_end_our_task_is_an_error(work: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(RuntimeError, match=r"it ended by (CancelledError|BaseException)"):
        await foreign_work(work())


async def test_results_and_errors_are_passed_on() -> None:
    async def fails() -> None:
        raise KeyError("why")

    assert await foreign_work(asyncio.sleep(0, "well")) == "well"
    with pytest.raises(KeyError, match="why"):
        await foreign_work(fails())


async def test_cancelled_it_cancels_the_work_and_waits_for_its_end() -> None:
    ended = False

    async def lasts() -> None:
        nonlocal ended
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            ended = True

    task = asyncio.create_task(foreign_work(lasts()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


def test_what_is_meant_for_the_whole_program_ends_it() -> None:
    async def exits() -> None:
        raise SystemExit(3)

    async def main() -> None:
        await foreign_work(exits())

    with pytest.raises(SystemExit):
        run_virtual(main())
