"""Seat commands take turns, the later word wins, and a seat in doubt is asked for."""

from __future__ import annotations

import pytest

from utd_rx.errors import ConflictReason, UTDStreamException
from utd_rx.models.seats import Invitation, UTDSeat, UTDSeatGrid
from utd_rx.protocol import seating
from utd_rx.protocol.facts.seats import SeatingEnded, SeatingStarted, SpeakRequested
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.seating import Seating

OFFER = Invitation(4, "sara", "me", 2)
ANY_SEAT = Invitation(4, "sara", "me")


def test_a_command_is_under_way_from_its_beginning_to_its_end() -> None:
    begun = seating.step(None, SeatingStarted(True, 1), Publishing(stated=3), 1)
    assert begun == Seating(speaks=True, stated=3, epoch=1)
    assert seating.step(begun, object(), Publishing(stated=4), 1) == begun
    assert seating.step(begun, SeatingEnded(1), Publishing(), 1) is None


def test_a_command_of_an_older_join_holds_up_nobody_and_its_end_ends_no_other() -> None:
    old = Seating(None, 0, epoch=1)
    assert seating.step(old, object(), Publishing(), 2) is None
    begun = seating.step(None, SeatingStarted(None, 2), Publishing(), 2)
    assert seating.step(begun, SeatingEnded(1), Publishing(), 2) == begun


def test_a_second_command_is_refused_while_one_waits() -> None:
    seating.require_free(None)
    with pytest.raises(UTDStreamException) as refused:
        seating.require_free(Seating(None, 0, 1))
    assert refused.value.reason is ConflictReason.BUSY


def test_who_switched_the_microphone_off_since_is_not_heard() -> None:
    begun = Seating(speaks=True, stated=3, epoch=1)
    seating.require_unsaid(begun, Publishing(stated=3))
    seating.require_unsaid(begun, Publishing(is_wanted=True, stated=4))
    with pytest.raises(UTDStreamException) as overtaken:
        seating.require_unsaid(begun, Publishing(stated=4))
    assert overtaken.value.reason is ConflictReason.OVERTAKEN
    assert seating.is_overtaken(SpeakRequested(7, stated=3), Publishing(stated=4))
    assert not seating.is_overtaken(SpeakRequested(7, stated=4), Publishing(stated=4))
    assert not seating.is_overtaken(object(), Publishing(stated=4))


@pytest.mark.parametrize(
    ("given", "offered", "in_doubt"),
    [
        (2, OFFER, None),
        (0, OFFER, None),
        (None, OFFER, 2),
        (None, ANY_SEAT, None),
        (None, None, None),
    ],
)
def test_a_yes_without_a_seat_leaves_the_offered_one_in_doubt(
    given: int | None, offered: Invitation | None, in_doubt: int | None
) -> None:
    assert seating.seat_in_doubt(given, offered) == in_doubt


def test_it_is_asked_for_by_who_sits_nowhere() -> None:
    seated = UTDSeatGrid(seats=(UTDSeat(0, "me"), UTDSeat(1), UTDSeat(2)))
    assert seating.seat_to_take(2, seated, "me") is None
    assert seating.seat_to_take(2, seated, "ana") == 2
    assert seating.seat_to_take(0, UTDSeatGrid(), "me") == 0
