"""What is held back comes in order, and is bounded as what waits for a pipe."""

from __future__ import annotations

import pytest

from utd_rx.media.held_back import HeldBack, HeldEvents
from utd_rx.media.thinning import MAX_DATA
from utd_rx.media.wire import Delivery
from utd_rx.models import events as ev

DATA = [ev.DataReceived(b"%05d" % n * 200, "ana") for n in range(10_000)]


@pytest.mark.parametrize("is_afresh", [False, True])
def test_what_came_before_it_began_afresh_is_left_out(is_afresh: bool) -> None:
    held = HeldBack()
    told = [Delivery(1, "old"), Delivery(2, "old"), Delivery(1, "new")]
    for one in told[:2]:
        held.append(one)
    held.has_begun = True
    held.append(told[2])
    assert held.taken(is_afresh=is_afresh) == told[2 if is_afresh else 0 :]


def test_what_a_port_tells_meanwhile_is_bounded() -> None:
    held = HeldBack()
    for one in DATA:
        held.append(Delivery(1, (one,)))
    left = [event for told in held.taken(is_afresh=False) for event in told.batch]
    assert_bounded(left)


def test_what_a_room_tells_meanwhile_is_bounded_and_taken_once() -> None:
    held = HeldEvents()
    for one in DATA:
        held.add((one,))
    held.add(())
    assert_bounded(held.taken())
    assert held.taken() == []


def assert_bounded(left: list[ev.RoomEvent]) -> None:
    heard = [event for event in left if isinstance(event, ev.DataReceived)]
    missed = sum(event.count for event in left if isinstance(event, ev.DataMissed))
    assert sum(len(event.payload) for event in heard) <= 2 * MAX_DATA
    assert heard == DATA[missed:]
