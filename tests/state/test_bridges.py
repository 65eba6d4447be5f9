"""`until` and `changes`: from a stream to asyncio and back out without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable

import pytest

from tests.state.virtual import run
from utd_rx.errors import UTDStreamException
from utd_rx.state import (
    AsyncObserverError,
    StateSubject,
    Store,
    StreamCompletedError,
    combine_state,
)


def counter() -> tuple[Store[int, int], StateSubject[int]]:
    store: Store[int, int] = Store(0, lambda _, item: item)
    return store, store.select(lambda n: n, name="n")


def observers(subject: StateSubject[int]) -> int:
    return int(repr(subject).split()[-2])


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def odd(value: int) -> bool:
    return value % 2 == 1


@pytest.mark.parametrize(("wanted", "found"), [(0, 0), (2, 2), (odd, 3)])
def test_until_returns_the_matching_value(wanted: int | Callable[[int], bool], found: int) -> None:
    async def main() -> None:
        store, n = counter()
        task = asyncio.ensure_future(n.until(wanted, timeout=1))
        await turns()
        store.dispatch_all([9, 4])  # nobody ever sees the 9
        store.dispatch(2)
        store.dispatch(3)
        store.dispatch(5)
        assert await task == found
        assert observers(n) == 0

    run(main())


def test_until_sees_a_value_that_is_over_before_the_task_runs() -> None:
    async def main() -> None:
        store, n = counter()
        task = asyncio.ensure_future(n.until(1))
        await turns()
        store.dispatch(1)
        store.dispatch(2)
        assert await task == 1

    run(main())


def test_until_times_out_and_lets_go() -> None:
    async def main() -> None:
        _, n = counter()
        start = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError, match=r"'n' .* 5 s"):
            await n.until(1, timeout=5)
        assert asyncio.get_running_loop().time() - start == pytest.approx(5)
        assert observers(n) == 0
        assert await n.until(0, timeout=0) == 0
        with pytest.raises(TimeoutError):
            await n.until(1, timeout=0)

    run(main())


def test_until_ends_with_a_clear_error_when_the_store_closes() -> None:
    async def main() -> None:
        store, n = counter()
        task = asyncio.ensure_future(n.until(1))
        await turns()
        store.close()
        with pytest.raises(StreamCompletedError, match="'n'"):
            await task
        with pytest.raises(StreamCompletedError):
            await n.until(1)
        assert await n.until(0) == 0

    run(main())


def test_until_raises_what_the_predicate_raises_and_stops_asking() -> None:
    async def main() -> None:
        store, n = counter()
        asked: list[int] = []

        def predicate(value: int) -> bool:
            asked.append(value)
            return 1 // (1 - value) > 1

        task = asyncio.ensure_future(n.until(predicate))
        await turns()
        store.dispatch(1)
        store.dispatch(2)
        with pytest.raises(ZeroDivisionError):
            await task
        assert asked == [0, 1]

    run(main())


@pytest.mark.parametrize("match_first", [False, True])
def test_cancelling_until_lets_go(match_first: bool) -> None:
    async def main() -> None:
        store, n = counter()
        task = asyncio.ensure_future(n.until(1))
        await turns()
        assert observers(n) == 1
        if match_first:
            store.dispatch(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert observers(n) == 0

    run(main())


def test_until_is_fed_by_another_thread() -> None:
    async def main() -> None:
        store, n = counter()
        task = asyncio.ensure_future(n.until(5))
        await turns()
        thread = threading.Thread(target=lambda: deque(map(store.dispatch, range(10))))
        thread.start()
        assert await task == 5
        thread.join()

    asyncio.run(main())


def test_changes_gives_the_current_value_then_the_newest() -> None:
    async def main() -> None:
        store, n = counter()
        changes = n.changes()
        store.dispatch(1)
        assert await anext(changes) == 1
        for item in (2, 3, 4):
            store.dispatch(item)
        assert await anext(changes) == 4
        store.dispatch(5)
        store.dispatch(4)  # what the reader knows already
        waiting = asyncio.ensure_future(anext(changes))
        await turns()
        assert not waiting.done()
        store.dispatch(6)
        assert await waiting == 6
        store.dispatch(7)
        store.close()
        assert [value async for value in changes] == [7]
        assert [value async for value in n.changes()] == [7]

    run(main())


def test_changes_ends_for_a_waiting_reader_when_the_store_closes() -> None:
    async def main() -> None:
        store, n = counter()
        seen: list[int] = []

        async def read() -> None:
            async for value in n.changes():
                seen.append(value)

        task = asyncio.ensure_future(read())
        await turns()
        store.dispatch(1)
        await turns()
        store.close()
        await task
        assert seen == [0, 1]

    run(main())


def test_a_reader_that_does_not_wait_observes_nothing() -> None:
    async def main() -> None:
        store, n = counter()
        changes = n.changes()
        assert await anext(changes) == 0
        assert observers(n) == 0
        waiting = asyncio.ensure_future(anext(changes))
        await turns()
        assert observers(n) == 1
        store.dispatch(1)
        assert await waiting == 1
        assert observers(n) == 0

    run(main())


def test_cancelling_a_reader_releases_the_subscription() -> None:
    async def main() -> None:
        _, n = counter()

        async def read() -> None:
            async for _ in n.changes():
                pass

        task = asyncio.ensure_future(read())
        await turns()
        assert observers(n) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert observers(n) == 0

    run(main())


def test_a_cancelled_anext_loses_nothing_and_repeats_nothing() -> None:
    async def main() -> None:
        store, n = counter()
        changes = n.changes()
        assert await anext(changes) == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 1)
        assert observers(n) == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(changes), 1)
        store.dispatch(1)
        assert await anext(changes) == 1
        task = asyncio.ensure_future(anext(changes))
        await turns()
        store.dispatch(2)
        task.cancel()  # after the value has come, before the task has run
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await anext(changes) == 2

    run(main())


def test_aclose_ends_it_for_good_also_for_a_waiting_task() -> None:
    async def main() -> None:
        _, n = counter()
        async with contextlib.aclosing(n.changes()) as changes:
            assert await anext(changes) == 0
            waiting = asyncio.ensure_future(anext(changes, -1))
            await turns()
            with pytest.raises(RuntimeError, match="another task"):
                await anext(changes)
        assert await waiting == -1
        assert observers(n) == 0
        await changes.aclose()
        assert [value async for value in changes] == []

    run(main())


def test_changes_is_fed_by_another_thread_and_never_misses_the_last_value() -> None:
    async def main() -> None:
        for _ in range(20):
            store, n = counter()

            def feed(store: Store[int, int] = store) -> None:
                for item in (1, 2, 1, 2, 3):
                    store.dispatch(item)
                store.close()

            thread = threading.Thread(target=feed)
            seen: list[int] = []
            async for value in n.changes():
                seen.append(value)
                if value == 0:
                    thread.start()
            thread.join()
            assert seen[0] == 0
            assert seen[-1] == 3
            assert all(a != b for a, b in itertools.pairwise(seen))

    asyncio.run(main())


def test_bridges_of_a_combination_across_stores_let_go_of_both() -> None:
    async def main() -> None:
        (one, _), (two, _) = counter(), counter()
        computed: list[int] = []

        def select(state: int) -> int:
            computed.append(state)
            return state

        n, m = one.select(select), two.select(select)
        task = asyncio.ensure_future(combine_state(n, m).until((1, 2)))
        await turns()
        one.dispatch(1)
        two.dispatch(2)
        assert await task == (1, 2)
        del computed[:]
        one.dispatch(3)
        two.dispatch(4)
        assert computed == []

    run(main())


async def test_another_thread_wakes_the_loop_in_the_way_that_loops_allow() -> None:
    asyncio.get_running_loop().set_debug(True)  # then any other way raises
    store, n = counter()
    waiting = asyncio.ensure_future(n.until(1, timeout=10))
    await turns()
    await asyncio.to_thread(store.dispatch, 1)
    assert await waiting == 1


async def test_an_async_predicate_is_refused_rather_than_taken_for_true() -> None:
    _, n = counter()

    async def predicate(value: int) -> bool:
        return False

    with pytest.raises(AsyncObserverError, match="predicate is not awaited"):
        await n.until(predicate)  # type: ignore[arg-type] # what the test is about
    with pytest.raises(UTDStreamException, match="predicate is not awaited"):
        await n.until(lambda value: predicate(value))  # type: ignore[arg-type,return-value] # likewise
    assert observers(n) == 0


async def test_a_predicate_that_raises_a_cancellation_raises_it_to_its_author() -> None:
    _, n = counter()
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await n.until(lambda _: bool(cancelled.result()), timeout=10)
    assert observers(n) == 0
