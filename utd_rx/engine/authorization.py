"""Who may call what: one literal table, everything else is denied (facts/utd-engine.md §7.1, 7).

The table says which kind of caller reaches an endpoint. What a caller may do *there* (an admin
never acts on the host, a seat must be free) is a rule of `utd_rx.engine.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden
from utd_rx.engine.rules.roles import Role


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


class Endpoint(Enum):
    """Everything the engine can be asked for; `value` is how the router names it."""

    MINT = "mint"
    SESSION = "session"
    SEATS_SETUP = "seats.setup"
    SEATS_GET = "seats.get"
    SEATS_TAKE = "seats.take"
    SEATS_LEAVE = "seats.leave"
    SEATS_MOVE = "seats.move"
    SEATS_KICK = "seats.kick"
    SEATS_LOCK = "seats.lock"
    SEATS_UNLOCK = "seats.unlock"
    SEATS_MUTE = "seats.mute"
    SEATS_UNMUTE = "seats.unmute"
    SPEAKERS_REQUEST = "speakers.request"
    SPEAKERS_CANCEL = "speakers.cancel"
    SPEAKERS_LIST = "speakers.list"
    SPEAKERS_APPROVE = "speakers.approve"
    SPEAKERS_REJECT = "speakers.reject"
    SPEAKERS_INVITE = "speakers.invite"
    SPEAKERS_INVITATIONS = "speakers.invitations"
    SPEAKERS_ACCEPT = "speakers.accept"
    SPEAKERS_DECLINE = "speakers.decline"
    ROOMS_LIST = "rooms.list"
    ROOM_GET = "room.get"
    ROOM_DELETE = "room.delete"
    ROOM_METADATA = "room.metadata"
    ROOM_SEND_DATA = "room.send-data"
    COMMENTS_LOCK = "comments.lock"
    PARTICIPANTS_BY_ROLE = "participants.by-role"
    PARTICIPANT_GET = "participant.get"
    PARTICIPANT_KICK = "participant.kick"
    PARTICIPANT_MUTE = "participant.mute"
    PARTICIPANT_ROLE = "participant.role"
    PARTICIPANT_METADATA_OWN = "participant.metadata.own"
    PARTICIPANT_METADATA = "participant.metadata"
    PARTICIPANT_PERMISSIONS = "participant.permissions"
    PARTICIPANT_FORBID = "participant.forbid-stream"
    PARTICIPANT_RESUME = "participant.resume-stream"
    BAN_ROOM = "ban.room"
    BAN_PROJECT = "ban.project"
    UNBAN_ROOM = "unban.room"
    UNBAN_PROJECT = "unban.project"
    BANS_OF_ROOM = "bans.room"
    BANS_OF_PROJECT = "bans.project"
    PROJECT = "project"


_APP: Final = frozenset({Caller.APP_KEY, Caller.SECRET})
_SECRET: Final = frozenset({Caller.SECRET})
_OWNER: Final = frozenset({Caller.OWNER, Caller.SECRET})
_MODERATORS: Final = frozenset({Caller.ADMIN, Caller.HOST, Caller.OWNER, Caller.SECRET})
_MEMBERS: Final = _MODERATORS | {Caller.VISITOR, Caller.AUDIENCE, Caller.GUEST}

ALLOWED: Final[Mapping[Endpoint, frozenset[Caller]]] = {
    Endpoint.MINT: _APP,
    Endpoint.SESSION: _APP,
    Endpoint.SEATS_SETUP: _MODERATORS,
    Endpoint.SEATS_GET: _MEMBERS,
    Endpoint.SEATS_TAKE: _MEMBERS,
    Endpoint.SEATS_LEAVE: _MEMBERS,
    Endpoint.SEATS_MOVE: _MEMBERS,
    Endpoint.SEATS_KICK: _MODERATORS,
    Endpoint.SEATS_LOCK: _MODERATORS,
    Endpoint.SEATS_UNLOCK: _MODERATORS,
    Endpoint.SEATS_MUTE: _MODERATORS,
    Endpoint.SEATS_UNMUTE: _MODERATORS,
    Endpoint.SPEAKERS_REQUEST: _MEMBERS,
    Endpoint.SPEAKERS_CANCEL: _MEMBERS,
    Endpoint.SPEAKERS_LIST: _MEMBERS,
    Endpoint.SPEAKERS_APPROVE: _MODERATORS,
    Endpoint.SPEAKERS_REJECT: _MODERATORS,
    Endpoint.SPEAKERS_INVITE: _MODERATORS,
    Endpoint.SPEAKERS_INVITATIONS: _MEMBERS,
    Endpoint.SPEAKERS_ACCEPT: _MEMBERS,
    Endpoint.SPEAKERS_DECLINE: _MEMBERS,
    Endpoint.ROOMS_LIST: _SECRET,
    Endpoint.ROOM_GET: _MEMBERS,
    Endpoint.ROOM_DELETE: _OWNER,
    Endpoint.ROOM_METADATA: _SECRET,
    Endpoint.ROOM_SEND_DATA: _SECRET,
    Endpoint.COMMENTS_LOCK: _MODERATORS,
    Endpoint.PARTICIPANTS_BY_ROLE: _MEMBERS,
    Endpoint.PARTICIPANT_GET: _MEMBERS,
    Endpoint.PARTICIPANT_KICK: _MODERATORS,
    Endpoint.PARTICIPANT_MUTE: _MODERATORS,
    Endpoint.PARTICIPANT_ROLE: _OWNER,
    Endpoint.PARTICIPANT_METADATA_OWN: _MEMBERS - _SECRET,
    Endpoint.PARTICIPANT_METADATA: _SECRET,
    Endpoint.PARTICIPANT_PERMISSIONS: _SECRET,
    Endpoint.PARTICIPANT_FORBID: _SECRET,
    Endpoint.PARTICIPANT_RESUME: _SECRET,
    Endpoint.BAN_ROOM: _MODERATORS,
    Endpoint.BAN_PROJECT: _SECRET,
    Endpoint.UNBAN_ROOM: _MODERATORS,
    Endpoint.UNBAN_PROJECT: _SECRET,
    Endpoint.BANS_OF_ROOM: _MODERATORS,
    Endpoint.BANS_OF_PROJECT: _SECRET,
    Endpoint.PROJECT: _SECRET,
}

_BY_ROLE: Final[Mapping[Role, Caller]] = {
    Role.VISITOR: Caller.VISITOR,
    Role.AUDIENCE: Caller.AUDIENCE,
    Role.GUEST: Caller.GUEST,
    Role.ADMIN: Caller.ADMIN,
    Role.HOST: Caller.HOST,
}


def caller_of(role: Role | None, *, is_owner: bool) -> Caller:
    """Return what a bearer is in a room; `role` None is no member."""
    if role is None:
        return Caller.STRANGER
    return Caller.OWNER if is_owner else _BY_ROLE[role]


def authorize(endpoint: Endpoint, caller: Caller) -> None:
    """Let `caller` pass.

    Raises:
        Refusal: 403; also for an endpoint the table does not have. 401 when the app key came where
            a user's bearer belongs.
    """
    allowed = ALLOWED.get(endpoint, frozenset())
    if caller in allowed:
        return
    is_for_users = bool(allowed & _MEMBERS - _SECRET)
    if caller is Caller.APP_KEY and is_for_users:
        raise Refusal(Reason.UNAUTHORIZED, "this call needs a user's bearer; mint a token first")
    if caller is Caller.STRANGER and is_for_users:
        raise forbidden("you are not a member of this room; mint a token for it first")
    raise forbidden(f"{caller.value} does not allow this call")
