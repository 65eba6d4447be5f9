"""The seat rules: one user a seat, one seat a user, publishing if and only if seated."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.engine.rules.asks import (
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    SeatCommand,
    SetUpSeats,
    TakeSeat,
    UnlockSeat,
    command,
)
from utd_rx.engine.rules import grids
from utd_rx.engine.rules import seat_state as rules
from utd_rx.engine.rules.effects import ApplyGrant, Effects, MuteTracks, PublishSeats, Push
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.seat_state import (
    ABSENCE_SECONDS,
    SeatState,
)
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import SpeakRequest, UTDSeatMode

HOST = Actor("sara", Role.HOST)
ADMIN = Actor("adam", Role.ADMIN)
MONA = Actor("mona")
OMAR = Actor("omar")


def grid_of(count: int = 4, *, host_seat: int | None = None, request: bool = False) -> SeatState:
    mode = UTDSeatMode.REQUEST if request else UTDSeatMode.FREE
    seats = SeatState(host="sara")
    seats, _ = command(seats, HOST, SetUpSeats(count, mode, None, host_seat), 0.0)
    for identity in ("sara", "adam", "mona", "omar"):
        seats = rules.joined(seats, identity)
    return seats


def after(seats: SeatState, *steps: tuple[Actor, SeatCommand]) -> SeatState:
    for actor, item in steps:
        seats, _ = command(seats, actor, item, 0.0)
    return seats


def refusal(seats: SeatState, actor: Actor, item: SeatCommand) -> int:
    with pytest.raises(Refusal) as caught:
        command(seats, actor, item, 0.0)
    return caught.value.status


def test_taking_a_seat_grants_and_publishes_once() -> None:
    seats, effects = command(grid_of(), MONA, TakeSeat(2), 0.0)
    assert effects == (ApplyGrant("mona"), PublishSeats())
    assert seats.grid.seats[2].identity == "mona"


@pytest.mark.parametrize(
    ("prepared", "actor", "item", "status"),
    [
        ((), MONA, TakeSeat(4), 422),
        ((), MONA, TakeSeat(-1), 422),
        (((OMAR, TakeSeat(1)),), MONA, TakeSeat(1), 409),
        (((MONA, TakeSeat(1)),), MONA, TakeSeat(2), 409),
        (((HOST, LockSeat(1)),), MONA, TakeSeat(1), 403),
        ((), MONA, TakeSeat(0), 403),
        ((), MONA, MoveSeat(1), 409),
        (((MONA, TakeSeat(1)),), MONA, MoveSeat(1), 409),
        (((MONA, TakeSeat(1)),), MONA, MoveSeat(0), 403),
        (((MONA, TakeSeat(1)), (HOST, LockSeat(2))), MONA, MoveSeat(2), 403),
        (((MONA, TakeSeat(1)),), MONA, MoveSeat(9), 422),
        ((), HOST, KickSeat(0), 403),
        ((), HOST, LockSeat(0), 403),
        ((), HOST, MuteSeat(1, is_muted=True), 409),
        ((), HOST, SetUpSeats(count=101), 422),
        ((), HOST, SetUpSeats(count=0), 422),
        ((), HOST, SetUpSeats(count=2, host_seat=2), 422),
        (((HOST, LockSeat(1)),), HOST, SetUpSeats(host_seat=1), 409),
    ],
)
def test_an_illegal_command_is_refused(
    prepared: tuple[tuple[Actor, SeatCommand], ...], actor: Actor, item: SeatCommand, status: int
) -> None:
    assert refusal(after(grid_of(host_seat=0), *prepared), actor, item) == status


def test_a_reserved_seat_is_its_holders() -> None:
    seats = after(grid_of(host_seat=0), (HOST, TakeSeat(0)))
    assert seats.grid.seats[0].identity == "sara"


def test_moving_never_takes_the_right_away() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(1)))
    named = evolve(seats.grid.seats[1], attributes=FrozenMap({"name": "Mona"}))
    seats = evolve(seats, grid=grids.replace(seats.grid, named))
    moved, effects = command(seats, MONA, MoveSeat(3), 0.0)
    assert effects == (PublishSeats(),)
    assert [seat.identity for seat in moved.grid.seats] == [None, None, None, "mona"]
    assert moved.grid.seats[3].attributes == {"name": "Mona"}


def test_standing_up_revokes_and_without_a_seat_does_nothing() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(1)))
    seats, effects = command(seats, MONA, LeaveSeat(), 0.0)
    assert effects == (ApplyGrant("mona"), PublishSeats())
    assert command(seats, MONA, LeaveSeat(), 0.0) == (seats, ())


def test_locking_first_kicks_and_unlocking_opens() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(1)))
    seats, effects = command(seats, ADMIN, LockSeat(1), 0.0)
    assert effects == (ApplyGrant("mona"), PublishSeats())
    assert seats.grid.seats[1].is_locked
    seats = after(seats, (ADMIN, UnlockSeat(1)), (MONA, TakeSeat(1)))
    assert seats.grid.seats[1].identity == "mona"


@pytest.mark.parametrize(
    "item",
    [
        KickSeat(2),
        LockSeat(2),
        MuteSeat(2, is_muted=True),
        SetUpSeats(count=2),
        SetUpSeats(host_seat=0),
        SetUpSeats(host_seat=2),
    ],
)
def test_an_admin_does_not_reach_the_host(item: SeatCommand) -> None:
    seats = after(grid_of(), (HOST, TakeSeat(2)))
    assert refusal(seats, ADMIN, item) == 403
    command(seats, HOST, item, 0.0)


@pytest.mark.parametrize("item", [SetUpSeats(count=2), SetUpSeats(host_seat=0)])
def test_nor_the_seat_reserved_for_the_host(item: SeatCommand) -> None:
    seats = grid_of(host_seat=2)
    assert refusal(seats, ADMIN, item) == 403
    kept = after(seats, (ADMIN, SetUpSeats(count=6, mode=UTDSeatMode.REQUEST, host_seat=2)))
    assert kept.grid.seats[2].reserved_for == "sara"
    command(seats, HOST, item, 0.0)


@pytest.mark.parametrize("moderator", [HOST, ADMIN])
def test_who_sat_on_a_seat_before_it_was_reserved_can_be_kicked(moderator: Actor) -> None:
    seats = after(grid_of(), (MONA, TakeSeat(0)), (HOST, SetUpSeats(host_seat=0)))
    assert seats.seated == {"mona"}, "what overlaps stays"
    assert after(seats, (moderator, KickSeat(0)), (HOST, TakeSeat(0))).seated == {"sara"}


def test_muting_names_the_occupant() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(2)))
    muted, effects = command(seats, ADMIN, MuteSeat(2, is_muted=True), 0.0)
    assert (muted.muted, muted.grid) == (frozenset({"mona"}), seats.grid)
    assert effects == (MuteTracks("mona", is_muted=True),)


def test_request_mode_seats_moderators_and_holders_of_a_reservation_only() -> None:
    seats = grid_of(request=True, host_seat=0)
    assert refusal(seats, MONA, TakeSeat(1)) == 403
    seats = after(seats, (ADMIN, TakeSeat(1)), (HOST, TakeSeat(0)))
    assert seats.seated == {"adam", "sara"}
    reserved = evolve(seats.grid.seats[2], reserved_for="mona")
    grid = evolve(seats.grid, seats=(*seats.grid.seats[:2], reserved, seats.grid.seats[3]))
    assert after(evolve(seats, grid=grid), (MONA, TakeSeat(2))).seated == {"adam", "sara", "mona"}


def test_setting_up_a_living_grid_keeps_what_overlaps() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(1)), (OMAR, TakeSeat(3)), (HOST, LockSeat(0)))
    changed, effects = command(seats, HOST, SetUpSeats(count=2, mode_id="pair"), 0.0)
    assert effects == (
        ApplyGrant("omar"),
        PublishSeats(),
        Push("_mode_change", FrozenMap({"mode_id": "pair", "seat_count": 2})),
    )
    assert [seat.identity for seat in changed.grid.seats] == [None, "mona"]
    assert changed.grid.seats[0].is_locked
    assert changed.grid.mode is UTDSeatMode.FREE


def test_setting_up_nothing_new_does_nothing() -> None:
    seats = grid_of()
    assert command(seats, HOST, SetUpSeats(count=4), 0.0) == (seats, ())


def test_switching_to_free_drops_the_requests() -> None:
    seats = grid_of(request=True)
    seats = evolve(seats, grid=evolve(seats.grid, requests=(SpeakRequest(1, "mona"),)))
    assert after(seats, (HOST, SetUpSeats(mode_id="x"))).grid.requests != ()
    assert after(seats, (HOST, SetUpSeats(mode=UTDSeatMode.FREE))).grid.requests == ()


def test_the_seat_of_somebody_who_is_not_connected_waits_and_is_freed() -> None:
    seats = evolve(grid_of(), connected=frozenset())
    seats, _ = command(seats, MONA, TakeSeat(1), 100.0)
    assert seats.next_deadline == 100.0 + ABSENCE_SECONDS
    assert rules.time_passed(seats, 119.0) == (seats, ())
    freed, effects = rules.time_passed(seats, 120.0)
    assert effects == (ApplyGrant("mona"), PublishSeats())
    assert freed.seated == frozenset()
    assert freed.next_deadline is None
    kept = rules.joined(seats, "mona")
    assert rules.time_passed(kept, 999.0) == (kept, ())


def test_who_leaves_and_comes_back_in_time_keeps_the_seat() -> None:
    seats = after(grid_of(), (MONA, TakeSeat(1)))
    seats, effects = rules.left(seats, "mona", 50.0, 2.0)
    assert effects == ()
    seats = rules.joined(seats, "mona")
    assert rules.time_passed(seats, 60.0) == (seats, ())
    gone, effects = rules.left(seats, "mona", 70.0, 0.0)
    assert effects == (ApplyGrant("mona"), PublishSeats())
    assert gone.seated == frozenset()


IDENTITIES = ("sara", "adam", "mona", "omar", "李雷")
ROLES = {"sara": Role.HOST, "adam": Role.ADMIN}
identities = st.sampled_from(IDENTITIES)
indices = st.integers(-1, 7)
commands = st.one_of(
    st.builds(
        SetUpSeats,
        count=st.none() | st.integers(0, 6),
        mode=st.none() | st.sampled_from(UTDSeatMode),
        mode_id=st.none() | st.sampled_from(["a", "b"]),
        host_seat=st.none() | st.integers(0, 6),
    ),
    st.builds(TakeSeat, indices),
    st.just(LeaveSeat()),
    st.builds(MoveSeat, indices),
    st.builds(KickSeat, indices),
    st.builds(LockSeat, indices),
    st.builds(UnlockSeat, indices),
    st.builds(MuteSeat, indices, is_muted=st.booleans()),
)


def _of_host(seats: SeatState) -> tuple[int | None, set[int]]:
    """Where the host sits, and what is reserved."""
    held = seats.grid.seat_of("sara")
    reserved = {seat.index for seat in seats.grid.seats if seat.reserved_for is not None}
    return None if held is None else held.index, reserved


class SeatMachine(RuleBasedStateMachine):
    """Any commands by anybody, joins, losses and time, in any order.

    `granted` is what an SFU would believe that only ever hears of effects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seats = SeatState()
        self.granted: set[str] = set()
        self.published = self.seats.grid
        self.now = 0.0

    @initialize(count=st.integers(1, 6))
    def open(self, count: int) -> None:
        self.seats = evolve(self.seats, host="sara")
        self._become(*command(self.seats, HOST, SetUpSeats(count), self.now))

    @rule(identity=identities, item=commands)
    def command(self, identity: str, item: SeatCommand) -> None:
        before = self.seats
        actor = Actor(identity, ROLES.get(identity, Role.AUDIENCE))
        try:
            seats, effects = command(before, actor, item, self.now)
        except Refusal as refusal:
            assert refusal.status in (403, 409, 422)
            assert self.seats is before
        else:
            if actor.is_admin:
                assert _of_host(seats) == _of_host(before)
            self._become(seats, effects)

    @rule(identity=identities)
    def join(self, identity: str) -> None:
        self._become(rules.joined(self.seats, identity), ())

    @rule(identity=identities, grace=st.sampled_from([0.0, 2.0, 20.0]))
    def leave(self, identity: str, grace: float) -> None:
        self._become(*rules.left(self.seats, identity, self.now, grace))

    @rule(seconds=st.floats(0.0, 30.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._become(*rules.time_passed(self.seats, self.now))

    def _become(self, seats: SeatState, effects: Effects) -> None:
        changed = seats.grid != self.seats.grid
        step = (seats.grid.revision or 0) - (self.seats.grid.revision or 0)
        assert step == int(changed), "rev grows by one with every change and only then"
        assert changed == (PublishSeats() in effects)
        self.seats = seats
        for effect in effects:
            if isinstance(effect, ApplyGrant):
                may = effect.identity in seats.seated
                (self.granted.add if may else self.granted.discard)(effect.identity)
            elif isinstance(effect, PublishSeats):
                self.published = seats.grid

    @invariant()
    def a_user_has_at_most_one_seat(self) -> None:
        seated = [seat.identity for seat in self.seats.grid.seats if seat.identity is not None]
        assert len(seated) == len(set(seated))

    @invariant()
    def who_may_publish_is_who_sits(self) -> None:
        assert self.granted == self.seats.seated

    @invariant()
    def everybody_was_told(self) -> None:
        assert self.published == self.seats.grid

    @invariant()
    def nobody_sits_on_a_locked_seat(self) -> None:
        assert not any(seat.is_locked and seat.is_occupied for seat in self.seats.grid.seats)

    @invariant()
    def indices_are_positions(self) -> None:
        assert [seat.index for seat in self.seats.grid.seats] == list(range(self.seats.grid.count))

    @invariant()
    def exactly_absent_holders_have_a_deadline(self) -> None:
        assert set(self.seats.frees_at) == self.seats.seated - self.seats.connected
        assert all(at > self.now for at in self.seats.frees_at.values())


TestSeatMachine = SeatMachine.TestCase
