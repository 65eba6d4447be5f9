"""A room: who owns it, who is in it, and what the SFU should let each of them do.

Facts come from the SFU and never raise; a session is known by LiveKit's sid, so the end of a
replaced session, which may be reported after its successor joined, is told apart.
"""

from __future__ import annotations

from functools import partial
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.engine.rules import grids, roles, stage_state
from utd_rx.engine.rules import seat_state as seat_rules
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    Effect,
    Effects,
    MuteTracks,
    PublishStage,
    Push,
    TellModerators,
    WriteRole,
)
from utd_rx.engine.rules.refusal import conflict, forbidden, not_found
from utd_rx.engine.rules.roles import Actor, Grant, Role
from utd_rx.engine.rules.seat_state import (
    ABSENCE_SECONDS,
    Reply,
    SeatCommand,
    SeatState,
    SetUpSeats,
)
from utd_rx.engine.rules.stage_state import HOST_SECONDS, StageState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.models.stage import Stage, UTDStageMember
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.seats import grid_to_rest

MAX_ENDED: Final = 64
"""How many ended sessions are remembered; reports overtake each other by a few at most."""


MAX_ABSENT: Final = 10_000
"""How many of those who minted and are not connected are remembered."""

_FORGOTTEN: Final = 1_000
"""How many are forgotten at once, when they are more."""


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
    `silenced` are those a backend forbade to publish: nobody of them sits or is on the stage,
    but the host. `metadata` is the app's own part of the room's metadata, JSON.
    """

    name: str
    type: UTDStreamType
    owner: str | None = None
    roles: FrozenMap[str, Role] = field(factory=FrozenMap)
    members: FrozenMap[str, Member] = field(factory=FrozenMap)
    sessions: FrozenMap[str, str] = field(factory=FrozenMap)
    ended: tuple[str, ...] = ()
    seats: SeatState = field(factory=SeatState)
    stage: StageState = field(factory=StageState)
    silenced: frozenset[str] = frozenset()
    are_comments_locked: bool = False
    metadata: str = field(default="{}", repr=False)


Done: TypeAlias = tuple[RoomState, Effects, Reply]
"""What a command makes of a room, what the SFU has to be told, and what is answered."""


def fresh(
    name: str, type_: UTDStreamType, serial: int, host_grace: float = HOST_SECONDS
) -> RoomState:
    """Return a new room; its revisions begin with a serial, which grows from run to run.

    Whoever was in an earlier room of the name must not take the new grid or stage for an old one.
    `host_grace` is for how many seconds a broadcast waits for its host.
    """
    seats = SeatState(UTDSeatGrid(revision=serial))
    stage = StageState(revision=serial, host_grace=host_grace)
    return RoomState(name, type_, seats=seats, stage=stage)


def admit(
    room: RoomState, asked: Admission, serial: int, now: float
) -> tuple[RoomState, Member, Effects]:
    """Admit somebody with a fresh mint.

    Who claims `host` first, and may, owns it from then on (docs/contract.md, "Owner and host").
    """
    before = room
    if room.type is not asked.type:
        raise conflict(f"the room is of type {room.type.value}")
    if room.owner is None and (owner := _owner_of(asked)) is not None:
        stage = stage_state.owned(room.stage, owner, is_connected=owner in room.sessions)
        room = evolve(room, owner=owner, seats=evolve(room.seats, host=owner), stage=stage)
    stored, is_owner = room.roles.get(asked.identity), asked.identity == room.owner
    role = roles.clamp(asked.role, stored=stored, is_owner=is_owner, is_proven=asked.is_proven)
    if asked.is_proven and role in roles.VOUCHED_ROLES:
        room = evolve(room, roles=room.roles.set(asked.identity, role))
    override = asked.override
    # Only a backend gives permissions, so only a backend's mint takes them away.
    if not asked.is_proven and (known := room.members.get(asked.identity)) is not None:
        override = known.override
    member = Member(asked.identity, role, serial, asked.name, asked.image, override)
    room = _bounded(evolve(room, members=room.members.set(asked.identity, member)))
    corrected = _corrections(before, room, {asked.identity, room.owner or asked.identity})
    may_seed = role is Role.HOST and room.type is UTDStreamType.AUDIO_ROOM
    if asked.seats is not None and may_seed and room.seats.grid.count == 0:
        set_up = partial(seat_rules.set_up, asked=asked.seats)
        room, effects, _ = command_seats(room, Actor(asked.identity, role), now, set_up)
        return room, member, (*corrected, *effects)
    room, corrected = restaged(before, room, corrected, now)
    return room, member, corrected


def _bounded(room: RoomState) -> RoomState:
    """Forget who minted the longest ago and never came, or went, when they are too many.

    Nobody of whom anything depends on it: a seat, a hand, what a backend said of them. Who comes
    after all is admitted again, by the token.
    """
    if len(room.members) - len(room.sessions) <= MAX_ABSENT:
        return room
    needed = room.seats.involved | room.stage.involved | {room.owner}
    absent = [
        (one.serial, who)
        for who, one in room.members.items()
        if one.override is None
        and who not in room.sessions
        and who not in room.roles
        and who not in needed
    ]
    gone = {who for _, who in sorted(absent)[:_FORGOTTEN]}
    kept = {who: one for who, one in room.members.items() if who not in gone}
    return evolve(room, members=FrozenMap(kept))


def _corrections(before: RoomState, after: RoomState, identities: set[str]) -> Effects:
    """Return what a mint changed for those who are connected while it is made."""
    effects: Effects = ()
    for identity in sorted(who for who in identities if who in after.sessions):
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
        is_on_stage = identity in room.stage.members
        publishes = base.can_publish or is_on_stage or role_of(room, identity) is Role.HOST
    publishing = roles.PUBLISHING[room.type] if publishes else roles.LISTEN
    # A product's sources are never widened; and none at all would be all of them.
    narrowed = tuple(source for source in publishing.sources if source in base.sources)
    return evolve(
        publishing,
        can_subscribe=base.can_subscribe,
        can_publish_data=base.can_publish_data,
        sources=narrowed or publishing.sources,
    )


def stage_of(room: RoomState) -> Stage:
    """Return the stage as everybody is shown it."""
    members = []
    for identity in room.stage.members:
        member, role = room.members.get(identity), role_of(room, identity)
        name = None if member is None else member.name
        members.append(UTDStageMember(identity, name, None if role is None else role.value))
    return Stage(tuple(members), room.stage.revision, room.stage.is_live)


def restaged(
    before: RoomState, after: RoomState, effects: Effects, now: float
) -> tuple[RoomState, Effects]:
    """Settle what a change of a room means for its stage; its effects come after `effects`.

    Who came on or off gets or loses the right to publish; any difference that is shown raises
    `rev` by one and is published; the end of a broadcast and hands that went down are told of.
    """
    if after.type is not UTDStreamType.LIVE_STREAM:
        return evolve(after, stage=before.stage), effects
    old, stage = before.stage, after.stage
    waiting = {
        identity: stage.frees_at.get(identity, now + ABSENCE_SECONDS)
        for identity in stage.involved
        if identity not in after.sessions
    }
    stage = evolve(stage, frees_at=FrozenMap(waiting))
    # Sorted, because the order of a set is not the same in two runs.
    grants = [ApplyGrant(who) for who in sorted(old.promoted ^ stage.promoted)]
    told: list[Effect] = [grant for grant in grants if grant not in effects]
    if stage_of(before) != stage_of(after):
        stage = evolve(stage, revision=stage.revision + 1)
        told.append(PublishStage())
    if old.is_live and not stage.is_live:  # the end of all hands, too
        told.append(Push("_live_ended"))
    else:
        lowered = [hand.asked.identity for hand in old.hands]
        for who in (who for who in lowered if stage.hand_of(who) is None):
            closed = FrozenMap[str, object]({"identity": who})
            told.append(TellModerators("_stage_request_closed", closed, (who,)))
    return evolve(after, stage=stage), (*effects, *told)


def joined(room: RoomState, session: Session, now: float) -> tuple[RoomState, Effects]:
    """A connection came up; its token may be older than its seat and its role
    (docs/contract.md, "Joining on an older token")."""
    if session.sid in room.ended:
        return room, ()
    before, identity = room, session.identity
    room = evolve(
        room,
        sessions=room.sessions.set(identity, session.sid),
        seats=seat_rules.joined(room.seats, identity),
        stage=stage_state.joined(room.stage, identity),
    )
    effects: Effects = ()
    if session.grant != grant_of(room, identity):
        effects = (ApplyGrant(identity),)
    if session.role is not None and session.role is not role_of(room, identity):
        effects = (*effects, WriteRole(identity))
    return restaged(before, room, effects, now)


def published(room: RoomState, identity: str, now: float) -> tuple[RoomState, Effects]:
    """A connection has a new track: one of somebody who is muted is muted as well, and a host's
    makes a live stream live."""
    effects: Effects = (MuteTracks(identity, True),) if identity in room.seats.muted else ()
    if identity not in room.sessions:  # a late report
        return room, effects
    live = evolve(room, stage=stage_state.published(room.stage, identity))
    return restaged(room, live, effects, now)


def opened(room: RoomState, identity: str) -> RoomState:
    """A microphone that was muted is open: its occupant unmuted it, for the next track as well."""
    return evolve(room, seats=seat_rules.with_muted(room.seats, identity, is_muted=False))


def left(room: RoomState, session: Session, now: float, grace: float) -> tuple[RoomState, Effects]:
    """A connection ended; its seat waits unless the identity has a newer connection."""
    room = evolve(room, ended=(*room.ended, session.sid)[-MAX_ENDED:])
    if room.sessions.get(session.identity) != session.sid:
        return room, ()
    identity = session.identity
    found, effects = seat_rules.left(room.seats, identity, now, grace)
    stage = stage_state.left(room.stage, identity, now, grace)
    gone = evolve(room, sessions=room.sessions.remove(identity), seats=found, stage=stage)
    return restaged(room, gone, effects, now)


def next_deadline(room: RoomState) -> float | None:
    """When `time_passed` has something to do, None for never."""
    dues = (room.seats.next_deadline, room.stage.next_deadline)
    return min((due for due in dues if due is not None), default=None)


def time_passed(room: RoomState, now: float) -> tuple[RoomState, Effects]:
    """Do what is due: from `next_deadline` on."""
    found, effects = seat_rules.time_passed(room.seats, now)
    passed = evolve(room, seats=found, stage=stage_state.time_passed(room.stage, now))
    return restaged(room, passed, effects, now)


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
