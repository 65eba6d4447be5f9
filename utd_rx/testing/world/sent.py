"""`Asked`: what a client of a world asked of the engine, and what it got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from utd_rx.errors import UTDErrorCode
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.wire.errors import error_from_wire

CALLS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", "/token"): "mint_token",
    ("POST", "/auth/session"): "mint_session",
    ("GET", "/rooms/{room}/seats"): "get_seats",
    ("POST", "/rooms/{room}/seats/setup"): "setup_seats",
    ("POST", "/rooms/{room}/seats/leave"): "leave_seat",
    ("POST", "/rooms/{room}/seats/move"): "move_seat",
    ("POST", "/rooms/{room}/seats/{index}/take"): "take_seat",
    ("POST", "/rooms/{room}/seats/{index}/kick"): "kick_seat",
    ("POST", "/rooms/{room}/seats/{index}/lock"): "lock_seat",
    ("POST", "/rooms/{room}/seats/{index}/unlock"): "unlock_seat",
    ("POST", "/rooms/{room}/seats/{index}/mute"): "mute_seat",
    ("POST", "/rooms/{room}/seats/{index}/unmute"): "unmute_seat",
    ("POST", "/rooms/{room}/speakers/request"): "request_to_speak",
    ("DELETE", "/rooms/{room}/speakers/request"): "cancel_request",
    ("GET", "/rooms/{room}/speakers/requests"): "speak_requests",
    ("POST", "/rooms/{room}/speakers/requests/{id}/approve"): "approve_speaker",
    ("POST", "/rooms/{room}/speakers/requests/{id}/reject"): "reject_speaker",
    ("POST", "/rooms/{room}/speakers/invite"): "invite_to_speak",
    ("GET", "/rooms/{room}/speakers/invitations"): "speaker_invitations",
    ("POST", "/rooms/{room}/speakers/invitations/{id}/accept"): "accept_invitation",
    ("POST", "/rooms/{room}/speakers/invitations/{id}/decline"): "decline_invitation",
    ("GET", "/rooms/{room}/stage"): "get_stage",
    ("POST", "/rooms/{room}/stage/add"): "add_to_stage",
    ("POST", "/rooms/{room}/stage/remove"): "remove_from_stage",
    ("POST", "/rooms/{room}/stage/leave"): "leave_stage",
    ("POST", "/rooms/{room}/stage/request"): "request_stage",
    ("DELETE", "/rooms/{room}/stage/request"): "cancel_stage_request",
    ("POST", "/rooms/{room}/stage/request/dismiss"): "dismiss_stage_request",
    ("POST", "/rooms/{room}/live/end"): "end_live",
    ("PUT", "/rooms/{room}/comments/lock"): "lock_chat",
    ("GET", "/rooms/{room}/participants/{identity}"): "get_participant",
    ("DELETE", "/rooms/{room}/participants/{identity}"): "kick_participant",
    ("PUT", "/rooms/{room}/participants/{identity}/mute"): "mute_participant",
    ("PUT", "/rooms/{room}/participants/{identity}/role"): "set_role",
    ("POST", "/rooms/ban"): "ban",
    ("DELETE", "/rooms/ban"): "unban",
    ("GET", "/rooms/bans"): "bans",
    ("POST", "/calls"): "start_call",
    ("GET", "/calls/{id}"): "get_call",
    ("POST", "/calls/{id}/ringing"): "ringing_call",
    ("POST", "/calls/{id}/accept"): "accept_call",
    ("POST", "/calls/{id}/reject"): "reject_call",
    ("POST", "/calls/{id}/busy"): "busy_call",
    ("POST", "/calls/{id}/end"): "end_call",
    ("POST", "/calls/{id}/join"): "rejoin_call",
}
"""The methods of `UTDApi` by what they send; another route goes by its method and path."""


@frozen
class Asked:
    """One request as it reached the engine; one that is repeated is there twice.

    Args:
        at: When, in seconds since the world began.
        who: Whose client asked.
        call: As the method of `UTDApi` is called: `take_seat`.
        arguments: What stood in its path, query and body, as JSON: `{"room": "lobby", "index": 1}`.
        answer: What the engine answered; None where it refused.
        refused: Why it refused, None where it did not.
    """

    at: float
    who: str
    call: str
    arguments: Mapping[str, object]
    answer: Mapping[str, object] | None = field(default=None, repr=False)
    refused: UTDErrorCode | None = None


def answered(asked: Asked, status: int, body: Mapping[str, object]) -> Asked:
    """Return what was asked, with what came of it."""
    if status >= 400:
        return evolve(asked, refused=error_from_wire(status, body).code)
    return evolve(asked, answer=FrozenMap(body))


def call_of(method: str, path: str) -> str:
    """Return how a route is called."""
    return CALLS.get((method, path), f"{method} {path}")


def arguments_of(*parts: Mapping[str, object]) -> FrozenMap[str, object]:
    """Return what was asked in all: indexes and ids of the path are numbers."""
    merged = {key: value for part in parts for key, value in part.items()}
    return FrozenMap({key: _number(key, value) for key, value in merged.items()})


def _number(key: str, value: object) -> object:
    is_number = key in ("index", "id") and isinstance(value, str) and value.isdecimal()
    return int(str(value)) if is_number else value
