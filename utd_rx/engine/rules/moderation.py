"""What hosts, admins and backends do to others (docs/contract.md, "Participants").

Beyond who may at all (`utd_rx.engine.authorization`): an admin never acts on the host, the host
stays the host, and nobody publishes against the rule of the product.
"""

from __future__ import annotations

from attrs import asdict, evolve, frozen

from utd_rx.engine.rules import grids, room_state
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
from utd_rx.engine.rules.roles import LISTEN, Actor, Grant, Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.moderation import (
    COMMENT_LOCK_KEY,
    RoleChange,
    comment_lock_to_wire,
    role_change_to_wire,
)


@frozen
class ChangeGrant:
    """What a backend changes about somebody's `Grant`; None stays as it is."""

    can_publish: bool | None = None
    can_subscribe: bool | None = None
    can_publish_data: bool | None = None
    sources: tuple[TrackSource, ...] | None = None


def set_role(
    room: RoomState, actor: Actor, target: str, role: Role
) -> tuple[RoomState, Effects, RoleChange]:
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
    change = RoleChange(target, role.value, previous.value)
    told = Push("_role_change", FrozenMap(role_change_to_wire(change)))
    room = evolve(room, roles=room.roles.set(target, role))
    return room, (WriteRole(target), told), change


def lock_comments(room: RoomState, is_locked: bool) -> tuple[RoomState, Effects]:
    """Lock or unlock the chat of the audience; it is the clients that keep to it."""
    if room.are_comments_locked is is_locked:
        return room, ()
    told = Push(COMMENT_LOCK_KEY, FrozenMap(comment_lock_to_wire(is_locked)))
    return evolve(room, are_comments_locked=is_locked), (PublishMetadata(), told)


def mute(
    room: RoomState,
    actor: Actor,
    target: str,
    *,
    is_muted: bool,
    kinds: tuple[str, ...],
    sid: str | None = None,
) -> tuple[RoomState, Effects]:
    """Mute or unmute tracks; who sits stays so on the next one, as if the seat had been muted."""
    refuse_acting(room, actor, target)
    if target not in room.sessions:
        raise not_found(f"{target!r} is not connected to this room")
    if sid is None and not kinds:
        raise invalid("audio, video or track_sid must say what to mute")
    if sid is None and "audio" in kinds:
        room = evolve(room, seats=seat_rules.with_muted(room.seats, target, is_muted))
    return room, (MuteTracks(target, is_muted, kinds, sid),)


def silence(room: RoomState, target: str, now: float) -> tuple[RoomState, Effects]:
    """Forbid `target` to publish, whoever would let them: in an audio room, no seat."""
    refuse_acting(room, Actor(None, Role.HOST), target)
    room = evolve(room, silenced=room.silenced | {target})
    if room.type is not UTDStreamType.AUDIO_ROOM:
        return room, (ApplyGrant(target),)
    grid = grids.without_requests(grids.without_occupants(room.seats.grid, {target}), {target})
    found, effects = seat_rules.commit(room.seats, evolve(room.seats, grid=grid), now)
    return evolve(room, seats=found), effects


def unsilence(room: RoomState, target: str) -> tuple[RoomState, Effects]:
    """Let `target` publish again as far as seat or role allow; a lost seat stays lost."""
    refuse_acting(room, Actor(None, Role.HOST), target)
    return evolve(room, silenced=room.silenced - {target}), (ApplyGrant(target),)


def change_grant(
    room: RoomState, target: str, change: ChangeGrant
) -> tuple[RoomState, Effects, Grant]:
    """Change what a backend grants beyond the role; lasts until its next mint for `target`."""
    member = room.members.get(target)
    if member is None:
        raise not_found(f"{target!r} is not in this room")
    given = asdict(change, recurse=False, filter=lambda _, value: value is not None)
    override = evolve(member.override or LISTEN, **given)
    room = evolve(room, members=room.members.set(target, evolve(member, override=override)))
    grant = room_state.grant_of(room, target)
    if change.can_publish is not None and grant.can_publish is not change.can_publish:
        raise conflict("who publishes follows seat and role here; use the seats, or forbid-stream")
    return room, (ApplyGrant(target),), grant


def expel(room: RoomState, identity: str, now: float) -> tuple[RoomState, Effects]:
    """Throw somebody out: no seat, no membership, no connection. The mint floor is raised apart."""
    sid = room.sessions.get(identity)
    found, effects = seat_rules.left(room.seats, identity, now, 0)
    members, sessions = room.members.remove(identity), room.sessions.remove(identity)
    room = evolve(room, seats=found, members=members, sessions=sessions)
    return room, effects if sid is None else (*effects, Remove(identity, sid))


def refuse_acting(room: RoomState, actor: Actor, target: str) -> None:
    """Refuse an admin who acts on the host (403), and anybody whose target is not there (404)."""
    if actor.is_admin and target == room.owner:
        raise forbidden("an admin cannot act on the host")
    if target not in room.members and target not in room.sessions:
        raise not_found(f"{target!r} is not in this room")
