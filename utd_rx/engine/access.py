"""What carries from the routes to the core who asks for what, in which room."""

from __future__ import annotations

from attrs import evolve, frozen

from utd_rx.engine.authorization import Caller, Endpoint, caller_of
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.commands import Actor
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.tokens import Bearer


@frozen
class Principal:
    """What the credentials of a request proved: an app, a backend, or one user."""

    is_server: bool = False
    bearer: Bearer | None = None

    @property
    def identity(self) -> str | None:
        """Who the bearer speaks for."""
        return None if self.bearer is None else self.bearer.identity

    def caller_in(self, room: RoomState | None) -> Caller:
        """Return what it is in `room`; None is for what is about no room."""
        if self.is_server:
            return Caller.SECRET
        if self.bearer is None:
            return Caller.APP_KEY
        if room is None:
            return Caller.STRANGER
        identity = self.bearer.identity
        return caller_of(room_state.role_of(room, identity), is_owner=identity == room.owner)


@frozen
class RoomAccess:
    """A request about a room, let pass when it came: for what, who acts, and on whose word.

    `room` is as it was then, to read from. What changes a room waits for it first, so a command
    is let pass once more, by the room it finds (`EngineCore.permit`). `identity` is None only for
    a backend that acts for nobody.
    """

    endpoint: Endpoint
    principal: Principal
    room: RoomState
    identity: str | None

    def actor_in(self, room: RoomState) -> Actor:
        """Return who acts, as the rules want it; a backend counts as the host.

        Raises:
            Refusal: 404 for somebody who is no member.
        """
        actor = Actor(None) if self.identity is None else room_state.actor_of(room, self.identity)
        return evolve(actor, role=Role.HOST) if self.principal.is_server else actor
