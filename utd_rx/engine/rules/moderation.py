"""What hosts, admins and backends do to others (docs/contract.md, "Participants").

Beyond who may at all (`utd_rx.engine.authorization`): an admin never acts on the host, the host
stays the host, and nobody publishes against the rule of the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from utd_rx.engine.rules import grids, room_state, stage_state
from utd_rx.engine.rules import seat_state as seat_rules
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effects,
    MuteTracks,
    PublishMetadata,
    Push,
    Remove,
    WriteRole,
)
from utd_rx.engine.rules.refusal import conflict, forbidden, invalid, not_found
from utd_rx.engine.rules.roles import LISTEN, Actor, Role
from utd_rx.engine.rules.room_state import Done, RoomState
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.moderation import (
    COMMENT_LOCK_KEY,
    RoleChange,
    comment_lock_to_wire,
    role_change_to_wire,
)


def set_role(room: RoomState, actor: Actor, now: float, target: str, role: Role) -> Done:
    """Give `target` a role; the room remembers it, and so does the participant's metadata."""
    if role is Role.HOST:
        raise invalid("only the owner is the host; the role cannot be given away")
    if target in (room.owner, actor.identity):
        raise invalid("the owner's role cannot be changed")
    previous = room_state.role_of(room, target)
    if previous is None or target not in room.sessions:
        raise not_found(f"{target!r} is not in this room")
    if previous is role:
        raise conflict(f"{target!r} has the role {role.value} already")
    change = role_change_to_wire(RoleChange(target, role.value, previous.value))
    found = evolve(room, roles=room.roles.set(target, role))
    effects: Effects = (WriteRole(target), Push("_role_change", FrozenMap(change)))
    return *room_state.restaged(room, found, effects, now), change


def lock_comments(room: RoomState, actor: Actor, now: float, is_locked: bool) -> Done:
    """Lock or unlock the chat of the audience; it is the clients that keep to it."""
    wire = comment_lock_to_wire(is_locked)
    effects: Effects = (PublishMetadata(), Push(COMMENT_LOCK_KEY, FrozenMap(wire)))
    if room.are_comments_locked is is_locked:
        effects = ()
    return evolve(room, are_comments_locked=is_locked), effects, {"room_name": room.name, **wire}


def mute(
    room: RoomState,
    actor: Actor,
    now: float,
    target: str,
    *,
    is_muted: bool,
    kinds: tuple[str, ...],
    sid: str | None = None,
) -> Done:
    """Mute or unmute tracks; who sits stays so on the next one, as if the seat had been muted."""
    refuse_acting(room, actor, target)
    if target not in room.sessions:
        raise not_found(f"{target!r} is not connected to this room")
    if sid is None and not kinds:
        raise invalid("audio, video or track_sid must say what to mute")
    if sid is None and "audio" in kinds:
        room = evolve(room, seats=seat_rules.with_muted(room.seats, target, is_muted))
    reply: Reply = {"identity": target, "muted": is_muted}
    return room, (MuteTracks(target, is_muted, kinds, sid),), reply


def silence(room: RoomState, actor: Actor, now: float, target: str) -> Done:
    """Forbid `target` to publish, whoever would let them: no seat, nor a place on the stage."""
    refuse_acting(room, actor, target)
    before, room = room, evolve(room, silenced=room.silenced | {target})
    effects: Effects = (ApplyGrant(target),)
    if room.type is UTDStreamType.LIVE_STREAM and target != room.owner:
        room = evolve(room, stage=stage_state.without(room.stage, {target}))
        room, effects = room_state.restaged(before, room, effects, now)
    if room.type is UTDStreamType.AUDIO_ROOM:
        grid = grids.without_requests(grids.without_occupants(room.seats.grid, {target}), {target})
        found, effects = seat_rules.commit(room.seats, evolve(room.seats, grid=grid), now)
        room = evolve(room, seats=found)
    return room, effects, {"identity": target, "forbidden": True}


def unsilence(room: RoomState, actor: Actor, now: float, target: str) -> Done:
    """Let `target` publish again as far as seat, stage or role allow; a lost place stays lost."""
    refuse_acting(room, actor, target)
    room = evolve(room, silenced=room.silenced - {target})
    return room, (ApplyGrant(target),), {"identity": target, "forbidden": False}


def change_grant(
    room: RoomState, actor: Actor, now: float, target: str, given: Mapping[str, Any]
) -> Done:
    """Change what a backend grants beyond the role; lasts until its next mint for `target`.

    `given` are fields of `Grant`; what is not given stays as it is.
    """
    member = room.members.get(target)
    if member is None:
        raise not_found(f"{target!r} is not in this room")
    override = evolve(member.override or LISTEN, **given)
    room = evolve(room, members=room.members.set(target, evolve(member, override=override)))
    grant = room_state.grant_of(room, target)
    if given.get("can_publish") not in (None, grant.can_publish):
        raise conflict(
            "who publishes follows seat, stage and role here; use those, or forbid-stream"
        )
    return room, (ApplyGrant(target),), {"identity": target, "permission": grant.to_wire()}


def expel(room: RoomState, identity: str, now: float) -> tuple[RoomState, Effects]:
    """Throw somebody out: no seat, no place on the stage, no membership, no connection.

    The mint floor is raised apart.
    """
    sid = room.sessions.get(identity)
    found, effects = seat_rules.left(room.seats, identity, now, 0)
    members, sessions = room.members.remove(identity), room.sessions.remove(identity)
    stage = stage_state.expelled(room.stage, identity)
    gone = evolve(room, seats=found, stage=stage, members=members, sessions=sessions)
    room, effects = room_state.restaged(room, gone, effects, now)
    return room, effects if sid is None else (*effects, Remove(identity, sid))


def refuse_acting(room: RoomState, actor: Actor, target: str) -> None:
    """Refuse an admin who acts on the host (403), and anybody whose target is not there (404)."""
    if actor.is_admin and target == room.owner:
        raise forbidden("an admin cannot act on the host")
    if target not in room.members and target not in room.sessions:
        raise not_found(f"{target!r} is not in this room")
