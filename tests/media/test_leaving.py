"""Whoever leaves as the media process dies is left in no room: the next one joins, and leaves."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from tests.media.restored import ALL, Restored, turns
from utd_rx.errors import UTDStreamException
from utd_rx.media.leaving import LEAVE_WITHIN, LEAVING
from utd_rx.models import events as ev
from utd_rx.testing.loop import run_virtual
from utd_rx.testing.room import FakeRoom


@pytest.mark.parametrize("seen", [0, 1], ids=["as it dies", "before the next one is there"])
async def test_the_next_process_takes_the_place_of_who_has_died_and_leaves(seen: int) -> None:
    stage = await Restored().joined()
    stage.die()
    await turns(seen)
    await stage.room.disconnect()
    ghost = stage.now
    assert (len(stage.hosts), ghost.tokens) == (2, ["token-1"])
    assert not ghost.is_connected
    assert stage.kinds().count(ev.Disconnected) == 1
    assert ev.Reconnected not in stage.kinds()


async def test_so_it_does_where_it_was_about_to_join_again() -> None:
    stage = await Restored().joined()
    stage.closed = True
    stage.die()
    await turns()
    again, stage.closed = stage.now, False
    await stage.room.disconnect()
    assert stage.now is not again
    assert (stage.now.tokens, stage.now.is_connected) == (["token-1"], False)
    again.gate.set()
    assert not again.is_connected
    assert len(stage.hosts) == 2


async def test_it_publishes_something_so_that_others_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, published = await Restored().joined(), list[str]()

    async def publish(room: FakeRoom, name: str) -> int:
        published.append(name)
        return 1

    monkeypatch.setattr(FakeRoom, "publish_data_track", publish)
    stage.die()
    await stage.room.disconnect()
    assert published == [LEAVING]


async def test_who_may_not_publish_leaves_without() -> None:
    stage = await Restored().joined()
    stage.permission = evolve(ALL, can_publish_data=False)
    stage.die()
    await stage.room.disconnect()
    assert stage.now.data_tracks.published == {}
    assert (len(stage.hosts), stage.now.is_connected) == (2, False)


def test_it_takes_no_longer_than_it_may() -> None:
    async def main() -> None:
        stage, loop = await Restored().joined(), asyncio.get_running_loop()
        stage.closed = True
        stage.die()
        began = loop.time()
        await stage.room.disconnect()
        assert loop.time() - began == LEAVE_WITHIN
        assert stage.now.tokens == []

    run_virtual(main())


async def test_where_it_is_refused_the_server_misses_them_later() -> None:
    stage = await Restored().joined()
    stage.refusal = UTDStreamException("no")
    stage.die()
    await stage.room.aclose()
    assert not stage.now.is_connected


async def test_after_three_deaths_nobody_is_there_to_do_it() -> None:
    stage = await Restored().joined()
    for _ in range(2):
        stage.die()
        await stage.again(1)
    stage.die()
    await stage.room.disconnect()
    assert len(stage.hosts) == 3


async def test_who_closes_meanwhile_waits_for_it() -> None:
    stage = await Restored().joined()
    stage.closed = True
    stage.die()
    leaving = asyncio.ensure_future(stage.room.disconnect())
    await turns()
    leaving.cancel()
    closing = asyncio.ensure_future(stage.room.aclose())
    await turns()
    assert not closing.done()
    stage.now.gate.set()
    await closing
    assert (stage.now.tokens, stage.now.is_connected) == (["token-1"], False)


async def test_who_joins_meanwhile_joins_behind_it() -> None:
    stage = await Restored().joined()
    stage.closed = True
    stage.die()
    leaving = asyncio.ensure_future(stage.room.disconnect())
    await turns()
    ghost = stage.now
    joining = asyncio.ensure_future(stage.room.connect("wss://x", "token-2"))
    await turns()
    mine = next(room for room in stage.rooms[1:] if room is not ghost)
    mine.gate.set()
    await turns()
    assert mine.tokens == []
    ghost.gate.set()
    await leaving
    await joining
    assert (mine.tokens, mine.is_connected, ghost.is_connected) == (["token-2"], True, False)


async def test_who_has_left_is_left_in_no_next_one() -> None:
    stage = await Restored().joined()
    await stage.room.disconnect()
    stage.die()
    await stage.room.aclose()
    assert len(stage.hosts) == 1


async def test_nor_who_was_left_in_none_as_the_process_was_told_to_end() -> None:
    stage = await Restored().joined()
    stage.hosts[-1].has_left = True
    stage.die()
    await stage.room.aclose()
    assert len(stage.hosts) == 1
