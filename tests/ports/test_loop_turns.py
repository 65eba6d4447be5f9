"""What one turn of the loop brought is one delivery, and an end takes along what waits."""

from __future__ import annotations

import asyncio

from utd_rx.ports.loop_turns import LoopTurns


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
