"""What the page shows of a room and of a call, as JSON: no token, no metadata, nothing that a
screen obeys. `id` is an identity as it is, to be compared and never shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from utd_rx.engine.rules.calls import Call
from utd_rx.engine.rules.room_state import RoomState, role_of
from utd_rx.models.secrets import foreign_text

MAX_PEOPLE: Final = 60
"""Of a room; the rest is a number."""


def room_shown(room: RoomState) -> dict[str, object]:
    """Return a room."""
    grid, stage = room.seats.grid, room.stage
    seats = [
        {
            "index": seat.index,
            "who": None if seat.identity is None else _person(room, seat.identity),
            "is_locked": seat.is_locked,
            "is_reserved": seat.reserved_for is not None,
            "is_muted": seat.identity in room.seats.muted,
        }
        for seat in grid.seats
    ]
    return {
        "name": room.name,
        "type": room.type.value,
        "is_by_request": grid.mode.value == "request",
        "seats": seats,
        "stage": _people(room, stage.members),
        "is_live": stage.is_live,
        "asking": _people(room, [one.identity for one in grid.requests]),
        "hands": _people(room, [hand.asked.identity for hand in stage.hands]),
        "people": _people(room, islice(room.sessions, MAX_PEOPLE)),
        "count": len(room.sessions),
        "is_chat_locked": room.are_comments_locked,
    }


def call_shown(call: Call) -> dict[str, object]:
    """Return a call."""
    told = call.told
    return {
        "id": told.call_id,
        "type": told.type.value,
        "status": told.status.value,
        "caller": foreign_text(told.caller_name or "") or foreign_text(call.caller.identity),
        "callee": foreign_text(told.callee_name or "") or foreign_text(call.callee.identity),
        "is_over": call.over_at is not None,
        "seconds": told.duration_seconds,
        "reason": None if told.end_reason is None else told.end_reason.value,
    }


def _people(room: RoomState, identities: Iterable[str]) -> list[dict[str, object]]:
    return [_person(room, identity) for identity in identities]


def _person(room: RoomState, identity: str) -> dict[str, object]:
    member, role = room.members.get(identity), role_of(room, identity)
    name = None if member is None else member.name
    return {
        "id": identity,
        # A name of spaces alone is none.
        "name": foreign_text(name or "") or foreign_text(identity),
        "identity": foreign_text(identity),
        "role": None if role is None else role.value,
        "is_here": identity in room.sessions,
    }
