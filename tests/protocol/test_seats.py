"""One writer of the grid: nothing older ever replaces something newer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.protocol import seats as rules
from utd_rx.protocol.facts.seats import (
    FetchSeats,
    SeatGridFetched,
    SeatGridReceived,
    SeatsNotFetched,
)
from utd_rx.protocol.seats import Seats


def grid(*identities: str | None, rev: int | None = None) -> UTDSeatGrid:
    return UTDSeatGrid(
        tuple(UTDSeat(i, identity) for i, identity in enumerate(identities)), revision=rev
    )


def after(*facts: object) -> Seats:
    seats = Seats()
    for fact in facts:
        seats = rules.step(seats, fact)
    return seats


def test_a_push_replaces_the_grid_and_begins_a_generation() -> None:
    seats = after(SeatGridReceived(grid("ana")))
    assert (seats.grid, seats.is_known, seats.generation) == (grid("ana"), True, 1)
    seat = seats.grid.seat_of("ana")
    assert seat is not None
    assert seat.index == 0


def test_a_fetch_counts_only_in_the_generation_it_was_asked_in() -> None:
    assert after(SeatGridFetched(grid("ana"), 0)).grid == grid("ana")
    late = after(SeatGridReceived(grid("bob")), SeatGridFetched(grid("ana"), 0))
    assert (late.grid, late.late) == (grid("bob"), 1)


def test_without_revisions_every_push_is_news() -> None:
    assert after(SeatGridReceived(grid("a")), SeatGridReceived(grid("b"))).grid == grid("b")


def test_an_older_revision_never_replaces_a_newer_one() -> None:
    seats = after(SeatGridReceived(grid("b", rev=2)), SeatGridReceived(grid("a", rev=1)))
    assert (seats.grid, seats.late) == (grid("b", rev=2), 1)


def test_the_echo_of_a_push_in_the_metadata_makes_no_fetch_late() -> None:
    push = SeatGridReceived(grid("a", rev=1))
    seats = after(push, push, SeatGridFetched(grid("b", rev=2), 1))
    assert (seats.grid, seats.late) == (grid("b", rev=2), 0)


def test_a_failed_fetch_is_told_and_not_repeated_at_once() -> None:
    failed = UTDStreamException("no", code=UTDErrorCode.NETWORK)
    asked, effects = rules.follow_up(rules.stale(Seats()))
    assert effects == (FetchSeats(0),)
    told = rules.step(asked, SeatsNotFetched(failed))
    assert told.failure is failed
    assert rules.follow_up(told) == (told, ())
    assert rules.step(told, SeatGridFetched(grid("ana"), 0)).failure is None


def test_of_two_fetches_that_overlap_the_first_answer_counts_and_a_different_one_asks_again() -> (
    None
):
    seats = after(SeatGridReceived(grid(None)), SeatGridFetched(grid("me"), 1, 0))
    late = rules.step(seats, SeatGridFetched(grid(None), 1, 0))
    assert (late.grid, late.late) == (grid("me"), 1)
    _, [question] = rules.follow_up(late)
    assert question == FetchSeats(1, 1)
    assert rules.step(late, SeatGridFetched(grid("ana"), 1, 1)).grid == grid("ana")
    same = rules.step(seats, SeatGridFetched(grid("me"), 1, 0))
    assert rules.follow_up(same) == (same, ())


def test_of_two_fetches_that_overlap_the_newer_revision_counts() -> None:
    seats = after(SeatGridReceived(grid(None, rev=1)), SeatGridFetched(grid("me", rev=3), 1, 0))
    assert rules.step(seats, SeatGridFetched(grid(None, rev=2), 1, 0)).grid == grid("me", rev=3)
    assert rules.step(seats, SeatGridFetched(grid("ana", rev=4), 1, 0)).grid == grid("ana", rev=4)


def test_a_fetch_without_attributes_keeps_those_of_the_same_occupants() -> None:
    avatar = FrozenMap({"avatar": "a.png"})
    seats = after(SeatGridReceived(UTDSeatGrid((UTDSeat(0, "ana", attributes=avatar), UTDSeat(1)))))
    for identity, kept in (("ana", avatar), ("bob", FrozenMap[str, str]())):
        fetched = rules.step(seats, SeatGridFetched(grid(identity, identity), 1))
        assert [seat.attributes for seat in fetched.grid.seats] == [kept, FrozenMap()]


def test_after_the_connection_every_fetch_of_before_is_late() -> None:
    over = rules.forgotten(after(SeatGridReceived(grid("ana"))))
    assert (over.is_known, over.grid) == (False, UTDSeatGrid())
    assert rules.step(over, SeatGridFetched(grid("ana"), 1)).late == 1


@given(st.permutations(range(1, 8)), st.data())
def test_reordered_and_repeated_pushes_end_on_the_newest(
    order: list[int], data: st.DataObject
) -> None:
    seats = Seats()
    for rev in order:
        repeats = data.draw(st.integers(1, 2))
        for _ in range(repeats):
            seats = rules.step(seats, SeatGridReceived(grid(f"u{rev}", rev=rev)))
    assert seats.grid.revision == 7
