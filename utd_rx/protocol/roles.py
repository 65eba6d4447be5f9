"""Who has which role (docs/contract.md, "Roles").

A role stands in the participant's own metadata, which only the engine writes. A push `_role_change`
is a hint, as every message without a sender is: where it says something else, the engine is asked
about this participant, one at a time.

| | |
| --- | --- |
| metadata of a participant | counts |
| answer of the engine | counts when no metadata changed since it was asked |
| push | asks |
| snapshot of a reconnect, or of another room | replaces all |
| participant leaves | forgotten |
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from utd_rx.models import events as e
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.role import UTDRole
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.people import FetchRole, RoleFetched, RoleHinted, RoleNotFetched
from utd_rx.protocol.roster import Roster
from utd_rx.protocol.wire.reading import parse_object

ROLES: Final = {role.value: role for role in UTDRole}

MAX_WANTED: Final = 32
"""Questions that wait for their turn; what hints beyond these speak of, metadata tells anyway."""


@frozen
class Roles:
    """The roles of everybody in the room, this client included; who has none is not in `known`.

    `wanted` are whom to ask about next, `asked` is about whom the engine is being asked, and
    `generation` counts what metadata said about them. `disproved` counts pushes that the engine
    did not bear out.
    """

    known: FrozenMap[str, UTDRole] = field(factory=FrozenMap)
    wanted: tuple[str, ...] = ()
    asked: str | None = None
    generation: int = 0
    disproved: int = 0


def step(roles: Roles, fact: object, roster: Roster) -> Roles:
    """Return the roles after `fact`, which left the roster as it is here; total."""
    match fact:
        case JoinSucceeded() | e.Reconnected() | e.RoomMoved():
            return _from_roster(roles, roster)
        case e.ParticipantConnected(participant=who):
            return _told(roles, who.identity, who.metadata)
        case e.ParticipantMetadataChanged(identity=identity, metadata=metadata):
            return _told(roles, identity, metadata) if roster.find(identity) is not None else roles
        case e.ParticipantDisconnected(identity=identity):
            if roster.find(identity) is not None:  # held back: the connection is being restored
                return roles
            return evolve(roles, known=roles.known.remove(identity))
        case RoleHinted(identity=identity, role=role):
            is_news = roster.find(identity) is not None and roles.known.get(identity) is not role
            if not is_news or identity in roles.wanted or len(roles.wanted) >= MAX_WANTED:
                return roles
            return evolve(roles, wanted=(*roles.wanted, identity))
        case RoleFetched(identity=identity, role=role, generation=generation):
            roles = _answered(roles, identity)
            is_late = generation != roles.generation
            if is_late or role is None or roster.find(identity) is None:
                return roles
            if roles.known.get(identity) is role:
                return evolve(roles, disproved=roles.disproved + 1)
            return evolve(roles, known=roles.known.set(identity, role))
        case RoleNotFetched(identity=identity):
            return _answered(roles, identity)
    return roles


def follow_up(roles: Roles) -> tuple[Roles, Effects]:
    """Ask about the next one when nothing is under way."""
    if roles.asked is not None or not roles.wanted:
        return roles, ()
    identity, *rest = roles.wanted
    asked = evolve(roles, asked=identity, wanted=tuple(rest))
    return asked, (FetchRole(identity, roles.generation),)


def forgotten(roles: Roles) -> Roles:
    """Return the roles of a connection that is over; an answer under way is late."""
    return Roles(asked=roles.asked, generation=roles.generation + 1, disproved=roles.disproved)


def role_in(metadata: str) -> UTDRole | None:
    """Return the role that a participant's metadata carries, None when it carries none."""
    wire = parse_object(metadata) if '"role"' in metadata else None
    role = None if wire is None else wire.get("role")
    return ROLES.get(role) if isinstance(role, str) else None


def _from_roster(roles: Roles, roster: Roster) -> Roles:
    local = () if roster.local is None else (roster.local,)
    listed = ((who.identity, role_in(who.metadata)) for who in (*local, *roster.participants))
    known = FrozenMap((identity, role) for identity, role in listed if role is not None)
    return evolve(forgotten(roles), known=known)


def _told(roles: Roles, identity: str, metadata: str) -> Roles:
    role = role_in(metadata)
    known = roles.known.remove(identity) if role is None else roles.known.set(identity, role)
    return evolve(roles, known=known, generation=roles.generation + (roles.asked == identity))


def _answered(roles: Roles, identity: str) -> Roles:
    return evolve(roles, asked=None) if roles.asked == identity else roles
