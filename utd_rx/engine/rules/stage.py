"""Commands about the stage of a live stream (docs/contract.md, "Stage").

| | by | |
| --- | --- | --- |
| add, remove | host, admin | promotion is immediate, and takes the hand down |
| leave | oneself, but not the host | |
| raise, lower | oneself, while not on the stage | |
| dismiss | host, admin | |
| end | host | everybody else is off the stage, and all hands down |

Publishing and moderating are separate: an admin publishes only on the stage. What follows for
permissions and pushes is derived by `room_state.restaged`.
"""

from __future__ import annotations

import json
from typing import Final

from attrs import evolve

from utd_rx.engine.rules import room_state, stage_state
from utd_rx.engine.rules.effects import Effects, TellModerators
from utd_rx.engine.rules.refusal import conflict, forbidden, not_found
from utd_rx.engine.rules.roles import MODERATORS, Actor
from utd_rx.engine.rules.room_state import Done, RoomState
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.engine.rules.stage_state import Hand, StageState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stage import StageRequest
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.reading import without_none
from utd_rx.protocol.wire.stage import (
    stage_request_to_rest,
    stage_request_to_wire,
    stage_to_wire,
)

MAX_MEMBERS: Final = 200
MAX_STAGE_BYTES: Final = 60_000
"""Every `_stage_update` carries the stage, and the SFU's messages end at 64,000 bytes."""

MAX_HANDS: Final = 200


def shown(room: RoomState, actor: Actor, now: float) -> Reply:
    """Return the stage as `GET` answers: the hands to host, admin and backend, else one's own."""
    sees_all = actor.role in MODERATORS
    hands = [
        stage_request_to_rest(hand.asked, age=now - hand.raised_at)
        for hand in room.stage.hands
        if sees_all or hand.asked.identity == actor.identity
    ]
    return {**stage_to_wire(room_state.stage_of(room)), "requests": hands}


def add(room: RoomState, actor: Actor, now: float, target: str) -> Done:
    """Promote `target`: granted to publish at once."""
    stage = room.stage
    if target == room.owner or target in stage.members:
        raise conflict(f"{target!r} is on the stage already")
    if target not in room.sessions or target not in room.members:
        raise not_found(f"{target!r} is not in this room")
    if target in room.silenced:
        raise forbidden("this user was forbidden to publish, and the stage is the right to")
    found = stage_state.without(stage, {target})
    done = _changed(room, actor, now, evolve(found, members=(*found.members, target)))
    written = json.dumps(stage_to_wire(room_state.stage_of(done[0])), ensure_ascii=False)
    if len(stage.members) >= MAX_MEMBERS or len(written.encode()) > MAX_STAGE_BYTES:
        raise conflict("the stage is full")
    return done


def remove(room: RoomState, actor: Actor, now: float, target: str) -> Done:
    """Take `target` off the stage; who is not on it stays so."""
    if target == room.owner:
        if actor.is_admin:
            raise forbidden("an admin cannot act on the host")
        raise conflict("the host cannot be taken off the stage")
    return _changed(room, actor, now, stage_state.off_stage(room.stage, target))


def leave(room: RoomState, actor: Actor, now: float) -> Done:
    """Step down; off the stage it does nothing."""
    identity = actor.somebody()
    if identity == room.owner:
        raise conflict("the host cannot leave the stage; end the broadcast instead")
    return _changed(room, actor, now, stage_state.off_stage(room.stage, identity))


def raise_hand(room: RoomState, actor: Actor, now: float, created_at: str) -> Done:
    """Ask to come on the stage; a hand that is up keeps its place, and is told of again.

    `created_at` is the time of asking, ISO 8601 UTC.
    """
    identity, stage = actor.somebody(), room.stage
    if identity == room.owner or identity in stage.members:
        raise conflict("you are on the stage already")
    hand = stage.hand_of(identity)
    if hand is None:
        if len(stage.hands) >= MAX_HANDS:
            raise conflict("too many hands are raised; try again later")
        member = room.members.get(identity)
        asked = StageRequest(identity, None if member is None else member.name, created_at)
        hand = Hand(asked, now)
        stage = evolve(stage, hands=(*stage.hands, hand))
    wire = stage_request_to_wire(hand.asked)
    told: Effects = (TellModerators("_stage_request", FrozenMap(wire)),)
    room, effects, _ = _changed(room, actor, now, stage)
    return room, (*effects, *told), wire


def lower_hand(room: RoomState, actor: Actor, now: float) -> Done:
    """Take one's own hand down; without one it does nothing."""
    identity, stage = actor.somebody(), room.stage
    hand = stage.hand_of(identity)
    room, effects, _ = _changed(room, actor, now, stage_state.hand_down(stage, identity))
    reply = {"identity": identity, "created_at": hand and hand.asked.created_at}
    return room, effects, without_none(**reply)


def dismiss(room: RoomState, actor: Actor, now: float, target: str) -> Done:
    """Take the hand of `target` down."""
    if room.stage.hand_of(target) is None:
        raise not_found(f"{target!r} has not raised a hand")
    return _changed(room, actor, now, stage_state.hand_down(room.stage, target))


def end(room: RoomState, actor: Actor, now: float) -> Done:
    """End the broadcast; the room stays."""
    return _changed(room, actor, now, stage_state.ended(room.stage))


def refuse_without_stage(room: RoomState) -> None:
    """Refuse stage calls on other products with 409."""
    if room.type is not UTDStreamType.LIVE_STREAM:
        raise conflict(f"a room of type {room.type.value} has no stage")


def _changed(room: RoomState, actor: Actor, now: float, stage: StageState) -> Done:
    refuse_without_stage(room)
    after, effects = room_state.restaged(room, evolve(room, stage=stage), (), now)
    return after, effects, shown(after, actor, now)
