"""Who may call what: a route names the callers it is for, everything else is denied
(docs/contract.md, "Who may call what").

What a caller may do *there* (an admin never acts on the host, a seat must be free) is a rule of
`utd_rx.engine.rules`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeAlias

from attrs import evolve, frozen

from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.tokens import UserClaims


class Caller(Enum):
    """What a request proved about its sender."""

    APP_KEY = "the app key"
    SECRET = "the app secret"  # noqa: S105 - a name of a kind of caller, no secret
    STRANGER = "a bearer, not a member of the room"
    VISITOR = "visitor"
    AUDIENCE = "audience"
    GUEST = "guest"
    ADMIN = "admin"
    HOST = "host"
    OWNER = "the room's owner"


Callers: TypeAlias = frozenset[Caller]

FOR_APPS: Final = frozenset({Caller.APP_KEY, Caller.SECRET})
FOR_SECRET: Final = frozenset({Caller.SECRET})
FOR_OWNER: Final = frozenset({Caller.OWNER, Caller.SECRET})
FOR_MODERATORS: Final = frozenset({Caller.ADMIN, Caller.HOST, Caller.OWNER, Caller.SECRET})
FOR_MEMBERS: Final = FOR_MODERATORS | {Caller.VISITOR, Caller.AUDIENCE, Caller.GUEST}
FOR_USERS: Final = FOR_MEMBERS - FOR_SECRET | {Caller.STRANGER}
"""Whoever has a bearer: a call is in no room, and its rules know the two who may."""


def authorize(allowed: Callers, caller: Caller) -> None:
    """Let `caller` pass, or 403; 401 when the app key came where a user's bearer belongs."""
    if caller in allowed:
        return
    is_for_users = bool(allowed & FOR_MEMBERS - FOR_SECRET)
    if caller is Caller.APP_KEY and is_for_users:
        raise Refusal(Reason.UNAUTHORIZED, "this call needs a user's bearer; mint a token first")
    if caller is Caller.STRANGER and is_for_users:
        raise forbidden("you are not a member of this room; mint a token for it first")
    raise forbidden(f"{caller.value} may not do this")


@frozen
class Principal:
    """What the credentials of a request proved: an app, a backend, or one user."""

    is_server: bool = False
    bearer: UserClaims | None = None

    @property
    def identity(self) -> str | None:
        return None if self.bearer is None else self.bearer.identity

    def caller_in(self, room: RoomState | None) -> Caller:
        """Return what it is in `room`; None is for what is about no room."""
        if self.is_server:
            return Caller.SECRET
        if self.bearer is None:
            return Caller.APP_KEY
        identity = self.bearer.identity
        if room is None or (role := room_state.role_of(room, identity)) is None:
            return Caller.STRANGER
        return Caller.OWNER if identity == room.owner else Caller(role.value)


@frozen
class RoomAccess:
    """A request about a room, let pass when it came: for whom it is, who acts, on whose word.

    `room` is as it was then, to read from. What changes a room waits for it first, so a command
    is let pass once more, by the room it finds (`EngineCore.permit`). `identity` is None only for
    a backend that acts for nobody.
    """

    allowed: Callers
    principal: Principal
    room: RoomState
    identity: str | None

    def actor_in(self, room: RoomState) -> Actor:
        """Return who acts, as the rules want it; a backend counts as the host."""
        actor = Actor(None) if self.identity is None else room_state.actor_of(room, self.identity)
        return evolve(actor, role=Role.HOST) if self.principal.is_server else actor
