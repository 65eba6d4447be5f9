"""What one turn of the loop brought is one delivery, and an end takes along what waits."""

from __future__ import annotations

import asyncio

import pytest

from utd_rx.ports.loop_turns import MAX_FRAME, MAX_FRAMES, LoopTurns


async def test_what_comes_in_one_turn_is_told_together_and_in_order() -> None:
    told: list[tuple[int, ...]] = []
    turns = LoopTurns(told.append)
    turns.post(1)
    turns.post(2)
    assert told == []
    await asyncio.sleep(0)
    turns.post(3)
    await asyncio.sleep(0)
    assert told == [(1, 2), (3,)]


async def test_an_end_takes_along_what_waits() -> None:
    told: list[tuple[int, ...]] = []
    turns = LoopTurns(told.append)
    turns.post(1)
    turns.end(2)
    assert told == [(1, 2)]
    await asyncio.sleep(0)
    assert told == [(1, 2)]


async def test_who_closes_it_hears_nothing_more() -> None:
    told: list[tuple[int, ...]] = []
    turns = LoopTurns(told.append)
    turns.post(1)
    turns.close()
    await asyncio.sleep(0)
    assert told == []


@pytest.mark.parametrize(
    ("size", "most"), [(0, MAX_FRAMES), (MAX_FRAME - 1, MAX_FRAMES), (MAX_FRAME, MAX_FRAMES // 2)]
)
async def test_a_turn_has_so_many_frames_and_others_run_in_between(size: int, most: int) -> None:
    told: list[tuple[int, ...]] = []
    turns = LoopTurns(told.append)
    ran = 0

    async def run() -> None:
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(run())
    for number in range(10 * most):
        await turns.give_way()
        turns.count(size)
        turns.post(number)
    assert [len(batch) for batch in told] == [most] * 9
    assert ran == 9
    turns.end(-1)
    assert [one for batch in told for one in batch] == [*range(10 * most), -1]
    other.cancel()


async def test_frames_that_are_no_events_count_and_a_turn_that_is_over_does_not() -> None:
    told: list[tuple[int, ...]] = []
    turns = LoopTurns(told.append)
    for _ in range(MAX_FRAMES - 1):
        turns.count(0)
    turns.post(1)
    await asyncio.sleep(0)
    turns.count(0)
    turns.post(2)
    await turns.give_way()
    assert told == [(1,)]
