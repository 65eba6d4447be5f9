"""What happened, in words: by comparing a room with what it was, and of what a backend hears."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen

from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import SeatState
from utd_rx.engine.rules.stage_state import StageState
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.wire.reading import Json, read_int, read_object, read_text

MAX_PEOPLE: Final = 500
"""In a room of more nobody's coming and going is told: comparing takes as long as the room is."""


@frozen
class Happening:
    """One thing that happened.

    Args:
        at: Unix seconds.
        where: The room, or "calls"; "" for neither.
        text: What, with others' names in it as they are.
    """

    at: float
    where: str
    text: str


def in_room(before: RoomState | None, after: RoomState | None) -> Iterator[str]:
    """Tell in words how a room differs from what it was; None is none."""
    if before is None or after is None:
        if after is not None:
            yield f"the room begins, {after.type.value.replace('_', ' ')}"
            yield from in_room(RoomState(after.name, after.type), after)
        elif before is not None:
            yield "the room is over"
        return
    if after.owner != before.owner:
        yield f"{after.owner} is the host"
    yield from _people(before, after)
    yield from _seats(before.seats.grid, after.seats.grid)
    yield from _muted(before.seats, after.seats)
    yield from _stage(before.stage, after.stage)
    if after.roles is not before.roles:
        changed = {who: role for who, role in after.roles.items() if before.roles.get(who) != role}
        yield from (f"{who} becomes {role.value}" for who, role in changed.items())
    for who in sorted(after.silenced ^ before.silenced):
        yield f"{who} may {'not ' if who in after.silenced else ''}publish"
    if after.are_comments_locked is not before.are_comments_locked:
        yield f"the chat is {'locked' if after.are_comments_locked else 'open'}"


def _people(before: RoomState, after: RoomState) -> Iterator[str]:
    old, new = before.sessions, after.sessions
    if old is new or max(len(old), len(new)) > MAX_PEOPLE:
        return
    for who, sid in new.items():
        if who not in old:
            yield f"{who} comes"
        elif old[who] != sid:
            yield f"{who} comes anew"
    yield from (f"{who} goes" for who in old if who not in new)


def _seats(before: UTDSeatGrid, after: UTDSeatGrid) -> Iterator[str]:
    if before is after:
        return
    if after.count != before.count:
        yield f"there are {after.count} seats"
    if after.mode is not before.mode:
        yield f"seats are {'by request' if after.mode.value == 'request' else 'free'}"
    for seat in after.seats:
        known = before.seats[seat.index] if seat.index < before.count else None
        if seat.identity is not None and (known is None or known.identity != seat.identity):
            moved = before.seat_of(seat.identity) is not None
            yield f"{seat.identity} {'moves to' if moved else 'sits down on'} seat {seat.index}"
        if known is not None and known.is_locked is not seat.is_locked:
            yield f"seat {seat.index} is {'locked' if seat.is_locked else 'unlocked'}"
    for seat in before.seats:
        if seat.identity is not None and after.seat_of(seat.identity) is None:
            yield f"{seat.identity} leaves seat {seat.index}"
    for asked in after.requests:
        if not before.is_pending(asked.id):
            yield f"{asked.identity} asks to speak"
    for asked in before.requests:
        if not after.is_pending(asked.id) and after.seat_of(asked.identity) is None:
            yield f"{asked.identity} asks no longer"


def _muted(before: SeatState, after: SeatState) -> Iterator[str]:
    for who in sorted(after.muted - before.muted):
        yield f"{who} is muted"
    for who in sorted((before.muted - after.muted) & after.seated):
        yield f"{who} is unmuted"


def _stage(before: StageState, after: StageState) -> Iterator[str]:
    if before is after:
        return
    if after.is_live is not before.is_live:
        yield f"the broadcast {'begins' if after.is_live else 'is over'}"
    yield from (f"{who} comes on the stage" for who in after.members if who not in before.members)
    yield from (f"{who} leaves the stage" for who in before.members if who not in after.members)
    for hand in after.hands:
        if before.hand_of(hand.asked.identity) is None:
            yield f"{hand.asked.identity} raises a hand"
    for hand in before.hands:
        who = hand.asked.identity
        if after.hand_of(who) is None and who not in after.members:
            yield f"the hand of {who} is down"


_OF_CALLS: Final[Mapping[str, str]] = {
    "call_initiated": "{caller} calls {callee}",
    "call_ringing": "it rings at {callee}",
    "call_accepted": "{callee} answers {caller}",
    "call_rejected": "{callee} declines {caller}",
    "call_busy": "{callee} is busy for {caller}",
    "call_missed": "{callee} does not answer {caller}",
    "call_ended": "{caller} and {callee} have hung up",
}

_OF_PEOPLE: Final[Mapping[str, str]] = {
    "track_published": "{who} publishes {kind}",
    "track_unpublished": "{who} stops publishing {kind}",
    "user_online": "{who} can be called",
    "user_offline": "{who} cannot be called any more",
}

_KINDS: Final[Mapping[int | None, str]] = {0: "sound", 1: "video", 2: "data"}
"""Of tracks, by LiveKit's number."""


def posted(event: str, body: Json) -> tuple[str, str] | None:
    """Say where it was, and in words what a backend is told; None of what a room shows by itself
    (docs/contract.md, "Webhooks")."""
    if (words := _OF_CALLS.get(event)) is not None:
        call = read_object(body.get("call"))
        parties = {who: read_text(call.get(f"{who}_identity")) for who in ("caller", "callee")}
        return "calls", words.format(**parties)
    if (words := _OF_PEOPLE.get(event)) is not None:
        who = read_text(read_object(body.get("participant")).get("identity"))
        kind = _KINDS.get(read_int(read_object(body.get("track")).get("type")), "something")
        where = read_text(read_object(body.get("room")).get("name")) or ""
        return where, words.format(who=who, kind=kind)
    return None
