"""Who may call what: one literal table, everything else is denied
(docs/contract.md, "Who may call what").

The table says which kind of caller reaches an endpoint. What a caller may do *there* (an admin
never acts on the host, a seat must be free) is a rule of `utd_rx.engine.rules`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.tokens import Bearer


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


_APP: Final = frozenset({Caller.APP_KEY, Caller.SECRET})
_SECRET: Final = frozenset({Caller.SECRET})
_OWNER: Final = frozenset({Caller.OWNER, Caller.SECRET})
_MODERATORS: Final = frozenset({Caller.ADMIN, Caller.HOST, Caller.OWNER, Caller.SECRET})
_MEMBERS: Final = _MODERATORS | {Caller.VISITOR, Caller.AUDIENCE, Caller.GUEST}


class Endpoint(Enum):
    """Everything the engine can be asked for: its name, and who may ask; nobody else may."""

    def __init__(self, label: str, allowed: frozenset[Caller]) -> None:
        self.label = label
        self.allowed = allowed

    MINT = "mint", _APP
    SESSION = "session", _APP
    SEATS_SETUP = "seats.setup", _MODERATORS
    SEATS_GET = "seats.get", _MEMBERS
    SEATS_TAKE = "seats.take", _MEMBERS
    SEATS_LEAVE = "seats.leave", _MEMBERS
    SEATS_MOVE = "seats.move", _MEMBERS
    SEATS_KICK = "seats.kick", _MODERATORS
    SEATS_LOCK = "seats.lock", _MODERATORS
    SEATS_UNLOCK = "seats.unlock", _MODERATORS
    SEATS_MUTE = "seats.mute", _MODERATORS
    SEATS_UNMUTE = "seats.unmute", _MODERATORS
    SPEAKERS_REQUEST = "speakers.request", _MEMBERS
    SPEAKERS_CANCEL = "speakers.cancel", _MEMBERS
    SPEAKERS_LIST = "speakers.list", _MEMBERS
    SPEAKERS_APPROVE = "speakers.approve", _MODERATORS
    SPEAKERS_REJECT = "speakers.reject", _MODERATORS
    SPEAKERS_INVITE = "speakers.invite", _MODERATORS
    SPEAKERS_INVITATIONS = "speakers.invitations", _MEMBERS
    SPEAKERS_ACCEPT = "speakers.accept", _MEMBERS
    SPEAKERS_DECLINE = "speakers.decline", _MEMBERS
    ROOMS_LIST = "rooms.list", _SECRET
    ROOM_GET = "room.get", _MEMBERS
    ROOM_DELETE = "room.delete", _OWNER
    ROOM_METADATA = "room.metadata", _SECRET
    ROOM_SEND_DATA = "room.send-data", _SECRET
    COMMENTS_LOCK = "comments.lock", _MODERATORS
    PARTICIPANTS_BY_ROLE = "participants.by-role", _MEMBERS
    PARTICIPANT_GET = "participant.get", _MEMBERS
    PARTICIPANT_KICK = "participant.kick", _MODERATORS
    PARTICIPANT_MUTE = "participant.mute", _MODERATORS
    PARTICIPANT_ROLE = "participant.role", _OWNER
    PARTICIPANT_METADATA_OWN = "participant.metadata.own", _MEMBERS - _SECRET
    PARTICIPANT_METADATA = "participant.metadata", _SECRET
    PARTICIPANT_PERMISSIONS = "participant.permissions", _SECRET
    PARTICIPANT_FORBID = "participant.forbid-stream", _SECRET
    PARTICIPANT_RESUME = "participant.resume-stream", _SECRET
    BAN_ROOM = "ban.room", _MODERATORS
    BAN_PROJECT = "ban.project", _SECRET
    UNBAN_ROOM = "unban.room", _MODERATORS
    UNBAN_PROJECT = "unban.project", _SECRET
    BANS_OF_ROOM = "bans.room", _MODERATORS
    BANS_OF_PROJECT = "bans.project", _SECRET
    PROJECT = "project", _SECRET


def caller_of(role: Role | None, *, is_owner: bool) -> Caller:
    """Return what a bearer is in a room; `role` None is no member."""
    if role is None:
        return Caller.STRANGER
    return Caller.OWNER if is_owner else Caller(role.value)


def authorize(endpoint: Endpoint, caller: Caller) -> None:
    """Let `caller` pass, or 403; 401 when the app key came where a user's bearer belongs."""
    if caller in endpoint.allowed:
        return
    is_for_users = bool(endpoint.allowed & _MEMBERS - _SECRET)
    if caller is Caller.APP_KEY and is_for_users:
        raise Refusal(Reason.UNAUTHORIZED, "this call needs a user's bearer; mint a token first")
    if caller is Caller.STRANGER and is_for_users:
        raise forbidden("you are not a member of this room; mint a token for it first")
    raise forbidden(f"{caller.value} does not allow this call")


@frozen
class Principal:
    """What the credentials of a request proved: an app, a backend, or one user."""

    is_server: bool = False
    bearer: Bearer | None = None

    @property
    def identity(self) -> str | None:
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
        """Return who acts, as the rules want it; a backend counts as the host."""
        actor = Actor(None) if self.identity is None else room_state.actor_of(room, self.identity)
        return evolve(actor, role=Role.HOST) if self.principal.is_server else actor
