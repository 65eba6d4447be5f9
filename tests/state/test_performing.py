"""`perform`: commands for values, one at a time, and no error of one stops the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.subject import Subject

from tests.state.virtual import run
from utd_rx.errors import UTDStreamException
from utd_rx.state import Store, perform
from utd_rx.state.performing import MAX_WAITING, Busy


class Command:
    """A command of one second; what begins and ends is logged."""

    def __init__(self) -> None:
        self.log: list[object] = []

    async def __call__(self, value: int) -> int:
        self.log.append(f"begin {value}")
        await asyncio.sleep(1)
        self.log.append(f"end {value}")
        return -value


WAYS: dict[Busy, list[int]] = {"queue": [0, -1, -2, -3], "latest": [0, -3], "drop": [0]}


@pytest.mark.parametrize("busy", WAYS)
def test_what_comes_while_one_is_under_way(busy: Busy) -> None:
    async def main() -> None:
        store: Store[int, int] = Store(0, lambda _, item: item)
        seen: list[object] = []
        performed = store.select(lambda n: n).pipe(perform(Command(), busy=busy))
        performed.subscribe(seen.append, on_completed=lambda: seen.append("end"))
        for item in (1, 2, 3):
            store.dispatch(item)
        store.close()
        await asyncio.sleep(10)
        assert seen == [*WAYS[busy], "end"]

    run(main())


async def fail(value: int) -> int:
    """Fail at 1, and let somebody else's future fail at 2."""
    if value == 1:
        raise ValueError("mine")
    if value == 2:
        cancelled: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled
    return value


def test_what_a_command_raises_is_reported_once_and_the_next_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        source: Subject[int] = Subject()
        seen: list[int] = []
        source.pipe(perform(fail)).subscribe(seen.append)
        for value in (1, 2, 3):
            source.on_next(value)
        await asyncio.sleep(1)
        assert seen == [3]

    run(main())
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        f"the command fail raised: {error} in {__name__}.fail"
        for error in ("ValueError", "CancelledError")
    ]


def test_what_is_no_command_is_said_and_so_is_an_observer_that_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(value: int) -> None:
        raise ValueError("mine")

    def plain(value: Any) -> Any:
        return None

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        source: Subject[int] = Subject()
        source.pipe(perform(plain)).subscribe()
        source.pipe(perform(Command())).subscribe(refuse)
        source.on_next(1)
        await asyncio.sleep(5)

    run(main())
    not_awaitable, observer = caplog.messages
    assert "plain raised: TypeError" in not_awaitable
    assert "it returned NoneType, which cannot be awaited" in caplog.text
    assert observer.startswith("an observer behind the command Command raised: ValueError in ")


def test_disposing_cancels_what_is_under_way_and_forgets_the_rest() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        command = Command()
        seen: list[object] = []
        subscription = source.pipe(perform(command)).subscribe(seen.append, seen.append)
        source.on_next(1)
        source.on_next(2)
        await asyncio.sleep(0.5)
        subscription.dispose()
        await asyncio.sleep(10)
        assert (command.log, seen) == (["begin 1"], [])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_an_error_of_the_source_ends_it_at_once() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        command = Command()
        errors: list[Exception] = []
        source.pipe(perform(command)).subscribe(None, errors.append)
        source.on_next(1)
        await asyncio.sleep(0.5)
        source.on_error(ValueError("mine"))
        await asyncio.sleep(10)
        assert command.log == ["begin 1"]
        assert [str(error) for error in errors] == ["mine"]

    run(main())


def test_one_that_ends_its_own_subscription_is_not_cancelled_for_it() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        seen: list[object] = []
        source.pipe(perform(Command()), ops.take(1)).subscribe(
            seen.append, on_completed=lambda: seen.append("end")
        )
        source.on_next(1)
        source.on_next(2)
        await asyncio.sleep(10)
        assert seen == [-1, "end"]

    run(main())


def test_a_queue_has_a_bound_and_says_once_that_it_is_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        seen: list[int] = []
        source.pipe(perform(Command())).subscribe(seen.append)
        for value in range(MAX_WAITING + 3):
            source.on_next(value)
        await asyncio.sleep(2 * MAX_WAITING)
        assert seen == [-value for value in range(MAX_WAITING + 1)]

    run(main())
    assert caplog.messages == ["Command is too slow: 1000 values wait, more are dropped"]


def test_values_of_another_thread_are_performed_on_the_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        source: Subject[int] = Subject()
        answered: asyncio.Future[int] = loop.create_future()

        async def here(value: int) -> int:
            assert asyncio.get_running_loop() is loop
            return value

        source.pipe(perform(here)).subscribe(answered.set_result)
        await asyncio.to_thread(source.on_next, 7)
        assert await asyncio.wait_for(answered, 10) == 7

    asyncio.run(main())


def test_a_wrong_policy_and_a_missing_loop_are_refused() -> None:
    with pytest.raises(UTDStreamException, match="'queue', 'latest' or 'drop'"):
        perform(fail, busy="last")  # type: ignore[arg-type] # what the test is about
    subscribe: Callable[[], object] = Subject[int]().pipe(perform(fail)).subscribe
    with pytest.raises(RuntimeError, match="event loop"):
        subscribe()
