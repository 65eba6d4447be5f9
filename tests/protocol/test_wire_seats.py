"""Both spellings of a grid mean the same, and no message can break the reader."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from tests.protocol.strategies import grid_objects, grids, invitation_objects, request_lists
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import Invitation, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.seats import (
    MAX_SEATS,
    grid_from_wire,
    grid_to_push,
    grid_to_rest,
    invitation_from_wire,
    keep_attributes,
    requests_from_wire,
)

REST, PUSH = wire_fixture("seats_rest"), wire_fixture("seats_push")


def test_the_golden_grids_are_one_grid() -> None:
    grid = grid_from_wire(REST)
    assert grid == grid_from_wire(PUSH)
    assert grid.count == 4
    assert grid.mode is UTDSeatMode.REQUEST
    assert (grid.mode_id, grid.revision) == ("grid-4", 12)
    assert [seat.identity for seat in grid.seats] == ["sara", "علي", None, None]
    assert [seat.is_locked for seat in grid.seats] == [False, False, True, False]
    assert [seat.reserved_for for seat in grid.seats] == ["sara", None, None, "omar"]
    assert grid.seats[1].attributes == {"name": "علي", "fr": "7"}
    assert [(request.id, request.identity) for request in grid.requests] == [
        (7, "mona"),
        (9, "李雷"),
    ]


def test_the_golden_grids_are_written_to_the_letter() -> None:
    grid = grid_from_wire(REST)
    # As text: 0 and false are equal in Python and different on the wire.
    assert json.dumps(grid_to_rest(grid), sort_keys=True) == json.dumps(REST, sort_keys=True)
    assert json.dumps(grid_to_push(grid), sort_keys=True) == json.dumps(PUSH, sort_keys=True)


@pytest.mark.parametrize("case", wire_fixture("seats_tolerated"), ids=lambda case: case["why"])
def test_what_is_tolerated(case: dict[str, dict[str, object]]) -> None:
    assert grid_to_rest(grid_from_wire(case["wire"])) == case["expected"]


@given(grids())
def test_a_grid_survives_either_spelling(grid: UTDSeatGrid) -> None:
    assert grid_from_wire(json.loads(json.dumps(grid_to_rest(grid)))) == grid
    assert grid_from_wire(json.loads(json.dumps(grid_to_push(grid)))) == grid


@given(grids())
def test_the_spellings_are_never_mixed(grid: UTDSeatGrid) -> None:
    rest, push = grid_to_rest(grid), grid_to_push(grid)
    assert not rest.keys() & {"count", "mode"}
    assert not push.keys() & {"seat_count", "seat_mode"}
    for seats, wrong, locked in (
        (rest["seats"], {"index", "identity"}, int),
        (push["seats"], {"seat_index", "occupant_identity"}, bool),
    ):
        assert isinstance(seats, list)
        for seat in seats:
            assert not seat.keys() & wrong
            assert type(seat["locked"]) is locked


@given(grid_objects, st.none() | grids())
def test_any_object_reads_as_a_grid(wire: dict[str, object], previous: UTDSeatGrid | None) -> None:
    grid = grid_from_wire(wire)
    grid = grid if previous is None else keep_attributes(grid, previous)
    assert [seat.index for seat in grid.seats] == list(range(grid.count))
    assert grid.count <= MAX_SEATS
    hash(grid)
    assert grid_from_wire(grid_to_rest(grid)) == grid


@given(request_lists, invitation_objects)
def test_requests_and_invitations_read_anything(value: object, wire: dict[str, object]) -> None:
    assert all(type(one.id) is int and one.identity for one in requests_from_wire(value))
    invitation = invitation_from_wire(wire)
    assert invitation is None or (invitation.inviter and invitation.target)


def test_a_deeply_nested_value_does_no_harm() -> None:
    nested: object = None
    for _ in range(50_000):
        nested = [nested]
    wire = {"seat_mode": nested, "mode_id": nested, "seats": [{"attributes": {"a": nested}}]}
    assert grid_from_wire(wire) == UTDSeatGrid(seats=(UTDSeat(0),))
    while isinstance(nested, list):  # or its destruction would recurse
        nested = nested.pop()


def test_a_grid_is_cut_at_the_engines_limit() -> None:
    assert grid_from_wire({"count": 10**9}).count == MAX_SEATS
    assert grid_from_wire({"count": -1}).count == 0
    assert grid_from_wire({"seats": [{"index": 10**9}]}).count == 1


class TestAttributes:
    """They stay with the person, not with the seat (docs/contract.md, "Seats")."""

    KNOWN = UTDSeatGrid(seats=(UTDSeat(0, "a", attributes=FrozenMap({"name": "Anna"})),))

    def _next(self, **seat: object) -> UTDSeat:
        wire = {"count": 1, "seats": [{"index": 0, **seat}]}
        return keep_attributes(grid_from_wire(wire), self.KNOWN).seats[0]

    def test_missing_ones_stay_while_the_same_user_sits(self) -> None:
        assert self._next(identity="a").attributes == {"name": "Anna"}
        assert self._next(identity="a", locked=1, attributes={}).attributes == {"name": "Anna"}

    def test_new_ones_replace_them(self) -> None:
        assert self._next(identity="a", attributes={"fr": 1}).attributes == {"fr": "1"}

    def test_nobody_inherits_those_of_a_previous_occupant(self) -> None:
        assert self._next(identity="b").attributes == {}
        assert self._next().attributes == {}


def test_the_golden_invitation() -> None:
    push = wire_fixture("speakers")["invitation_push"]
    assert invitation_from_wire(push) == Invitation(4, "sara", "علي", 2)
    for key in ("invitation_id", "inviter_identity", "target_identity"):
        assert invitation_from_wire({k: v for k, v in push.items() if k != key}) is None
    del push["seat_index"]
    assert invitation_from_wire(push) == Invitation(4, "sara", "علي", None)
