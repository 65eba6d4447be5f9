"""A room: who owns it, who is in it, and what the SFU should let each of them do.

Facts come from the SFU and never raise; a session is known by LiveKit's sid, so the end of a
replaced session, which may be reported after its successor joined, is told apart.
"""

from __future__ import annotations

from functools import partial
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.engine.rules import grids, roles
from utd_rx.engine.rules import seat_state as seat_rules
from utd_rx.engine.rules.effects import ApplyGrant, Effects, MuteTracks, WriteRole
from utd_rx.engine.rules.refusal import conflict, forbidden, not_found
from utd_rx.engine.rules.roles import Actor, Grant, Role
from utd_rx.engine.rules.seat_state import Reply, SeatCommand, SeatState, SetUpSeats
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.seats import grid_to_rest

MAX_ENDED: Final = 64
"""How many ended sessions are remembered; reports overtake each other by a few at most."""


@frozen
class Member:
    """Somebody who minted a token for the room and was not thrown out since.

    `override` is what a backend granted beyond the role (docs/contract.md, "Minting").
    """

    identity: str
    role: Role
    serial: int
    name: str | None = None
    image: str | None = None
    override: Grant | None = None


@frozen
class Admission:
    """What a mint asks for, already validated."""

    identity: str
    type: UTDStreamType
    role: Role
    owner: str | None = None
    is_proven: bool = False
    name: str | None = None
    image: str | None = None
    seats: SetUpSeats | None = None
    override: Grant | None = None


@frozen
class Session:
    """A connection as the SFU reports it; `role` is what its metadata says."""

    identity: str
    sid: str
    grant: Grant | None = None
    role: Role | None = None


@frozen
class RoomState:
    """One room.

    `sessions` maps who is connected to LiveKit's sid of the connection; `ended` are the sids of
    the last ones that ended, for a report of joining that comes after that of leaving.
    `silenced` are those a backend forbade to publish: nobody of them sits. `metadata` is the
    app's own part of the room's metadata, JSON.
    """

    name: str
    type: UTDStreamType
    owner: str | None = None
    roles: FrozenMap[str, Role] = field(factory=FrozenMap)
    members: FrozenMap[str, Member] = field(factory=FrozenMap)
    sessions: FrozenMap[str, str] = field(factory=FrozenMap)
    ended: tuple[str, ...] = ()
    seats: SeatState = field(factory=SeatState)
    silenced: frozenset[str] = frozenset()
    are_comments_locked: bool = False
    metadata: str = field(default="{}", repr=False)


Done: TypeAlias = tuple[RoomState, Effects, Reply]
"""What a command makes of a room, what the SFU has to be told, and what is answered."""


def fresh(name: str, type_: UTDStreamType, serial: int) -> RoomState:
    """Return a new room; its grid's revision begins with a serial, which grows from run to run.

    Whoever was in an earlier room of the name must not take the new grid for an old one.
    """
    return RoomState(name, type_, seats=SeatState(UTDSeatGrid(revision=serial)))


def admit(
    room: RoomState | None, name: str, asked: Admission, serial: int, now: float
) -> tuple[RoomState, Member, Effects]:
    """Admit somebody with a fresh mint; makes the room when there is none.

    Who claims `host` first, and may, owns it from then on (docs/contract.md, "Owner and host").
    """
    if room is None:
        room = fresh(name, asked.type, serial)
    before = room
    if room.type is not asked.type:
        raise conflict(f"the room is of type {room.type.value}")
    if room.owner is None and (owner := _owner_of(asked)) is not None:
        room = evolve(room, owner=owner, seats=evolve(room.seats, host=owner))
    stored, is_owner = room.roles.get(asked.identity), asked.identity == room.owner
    role = roles.clamp(asked.role, stored=stored, is_owner=is_owner, is_proven=asked.is_proven)
    if asked.is_proven and role in roles.VOUCHED_ROLES:
        room = evolve(room, roles=room.roles.set(asked.identity, role))
    override = asked.override
    # Only a backend gives permissions, so only a backend's mint takes them away.
    if not asked.is_proven and (known := room.members.get(asked.identity)) is not None:
        override = known.override
    member = Member(asked.identity, role, serial, asked.name, asked.image, override)
    room = evolve(room, members=room.members.set(asked.identity, member))
    corrected = _corrections(before, room, {asked.identity, room.owner or asked.identity})
    may_seed = role is Role.HOST and room.type is UTDStreamType.AUDIO_ROOM
    if asked.seats is not None and may_seed and room.seats.grid.count == 0:
        set_up = partial(seat_rules.set_up, asked=asked.seats)
        room, effects, _ = command_seats(room, Actor(asked.identity, role), now, set_up)
        return room, member, (*corrected, *effects)
    return room, member, corrected


def _corrections(before: RoomState, after: RoomState, identities: set[str]) -> Effects:
    """Return what a mint changed for those who are connected while it is made."""
    effects: Effects = ()
    for identity in sorted(identities & set(after.sessions)):
        if grant_of(before, identity) != grant_of(after, identity):
            effects = (*effects, ApplyGrant(identity))
        if role_of(before, identity) is not role_of(after, identity):
            effects = (*effects, WriteRole(identity))
    return effects


def _owner_of(asked: Admission) -> str | None:
    if asked.is_proven and asked.owner is not None:
        return asked.owner
    return asked.identity if asked.role is Role.HOST else None


def role_of(room: RoomState, identity: str) -> Role | None:
    """Return the role of a member, None for somebody who is none."""
    member = room.members.get(identity)
    if member is None:
        return None
    return Role.HOST if identity == room.owner else room.roles.get(identity, member.role)


def actor_of(room: RoomState, identity: str) -> Actor:
    """Return a member as somebody who commands; 404 for somebody who is none."""
    role = role_of(room, identity)
    if role is None:
        raise not_found(f"{identity!r} is not in this room")
    return Actor(identity, role)


def moderators_of(room: RoomState) -> tuple[str, ...]:
    """Return the hosts and admins who are connected, in the order they came."""
    return tuple(
        identity for identity in room.sessions if role_of(room, identity) in roles.MODERATORS
    )


def grant_of(room: RoomState, identity: str) -> Grant:
    """Return what the SFU shall let `identity` do: the only place that decides it."""
    member = room.members.get(identity)
    base = (member and member.override) or roles.LISTEN
    if identity in room.silenced:
        publishes = False
    elif room.type is UTDStreamType.AUDIO_ROOM:
        publishes = identity in room.seats.seated
    else:
        publishes = base.can_publish or role_of(room, identity) is Role.HOST
    publishing = roles.PUBLISHING[room.type] if publishes else roles.LISTEN
    return evolve(
        publishing,
        can_subscribe=base.can_subscribe,
        can_publish_data=base.can_publish_data,
        # A product that names its sources is never widened.
        sources=publishing.sources or (base.sources if publishes else ()),
    )


def joined(room: RoomState, session: Session) -> tuple[RoomState, Effects]:
    """A connection came up; its token may be older than its seat and its role
    (docs/contract.md, "Joining on an older token")."""
    if session.sid in room.ended:
        return room, ()
    sessions = room.sessions.set(session.identity, session.sid)
    room = evolve(room, sessions=sessions, seats=seat_rules.joined(room.seats, session.identity))
    effects: Effects = ()
    if session.grant != grant_of(room, session.identity):
        effects = (ApplyGrant(session.identity),)
    if session.role is not None and session.role is not role_of(room, session.identity):
        effects = (*effects, WriteRole(session.identity))
    return room, effects


def published(room: RoomState, identity: str) -> Effects:
    """A connection has a new track; one of somebody who is muted is muted as well."""
    return (MuteTracks(identity, True),) if identity in room.seats.muted else ()


def opened(room: RoomState, identity: str) -> RoomState:
    """A microphone that was muted is open: its occupant unmuted it, for the next track as well."""
    return evolve(room, seats=seat_rules.with_muted(room.seats, identity, is_muted=False))


def left(room: RoomState, session: Session, now: float, grace: float) -> tuple[RoomState, Effects]:
    """A connection ended; its seat waits unless the identity has a newer connection."""
    room = evolve(room, ended=(*room.ended, session.sid)[-MAX_ENDED:])
    if room.sessions.get(session.identity) != session.sid:
        return room, ()
    found, effects = seat_rules.left(room.seats, session.identity, now, grace)
    return evolve(room, sessions=room.sessions.remove(session.identity), seats=found), effects


def time_passed(room: RoomState, now: float) -> tuple[RoomState, Effects]:
    """Do what is due: from `seats.next_deadline` on."""
    found, effects = seat_rules.time_passed(room.seats, now)
    return evolve(room, seats=found), effects


def command_seats(room: RoomState, actor: Actor, now: float, item: SeatCommand) -> Done:
    """Carry out a command about seats or speaking; answers with the grid where it says nothing."""
    refuse_without_seats(room)
    found, effects, reply = seat_rules.command(room.seats, actor, now, item)
    grid = found.grid
    for identity in found.seated - room.seats.seated:
        if identity in room.silenced:
            raise forbidden("this user was forbidden to publish, and a seat is the right to")
        (seat,) = (seat for seat in grid.seats if seat.identity == identity)
        grid = grids.replace(grid, evolve(seat, attributes=_attributes_of(room, identity)))
    return evolve(room, seats=evolve(found, grid=grid)), effects, reply or grid_to_rest(grid)


def _attributes_of(room: RoomState, identity: str) -> FrozenMap[str, str]:
    """Return what the grid shows about a member; the kits' names of the keys."""
    member = room.members.get(identity)
    if member is None:
        raise not_found(f"{identity!r} is not in this room")
    known = {"name": member.name, "avatar": member.image}
    return FrozenMap({key: value for key, value in known.items() if value is not None})


def refuse_without_seats(room: RoomState) -> None:
    """Refuse seat calls on other products with 409."""
    if room.type is not UTDStreamType.AUDIO_ROOM:
        raise conflict(f"a room of type {room.type.value} has no seats")
