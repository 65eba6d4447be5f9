"""The engine's tokens where nobody could forge one: kept here, and named by what is handed out."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import count

from attrs import evolve, field, frozen

from utd_rx.engine.rules.gate import TOKEN_SECONDS
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import Grant
from utd_rx.engine.tokens import USER_TOKEN_SECONDS, UserClaims
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import ParticipantPermission


@frozen
class RoomTicket:
    """What a token says for LiveKit: who joins which room with what; `expires_at` is Unix time."""

    room: str
    identity: str
    name: str
    metadata: str = field(repr=False)
    grant: Grant
    expires_at: float
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)
    can_update_metadata: bool = False


class WorldTokens:
    """`Tokens` of one world, and what they stand for.

    Args:
        wall: Unix time in seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._numbers = count(1)
        self._bearers: dict[str, UserClaims] = {}
        self._tickets: dict[str, RoomTicket] = {}

    def sign_bearer(self, bearer: UserClaims, now: float) -> str:
        ends = int(now) + USER_TOKEN_SECONDS
        token = self._make(bearer.identity, int(now), ends)
        self._bearers[token] = evolve(bearer, expires_at=ends)
        return token

    def read_bearer(self, token: str, now: float) -> UserClaims:
        claims = self._bearers.get(token)
        if claims is None:
            raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials")
        if claims.expires_at <= now:
            raise Refusal(Reason.UNAUTHORIZED, "the bearer has expired; mint again")
        return claims

    def sign_livekit(
        self, *, room: str, identity: str, name: str | None, metadata: str, grant: Grant
    ) -> str:
        now = self._wall()
        token = self._make(identity, int(now), int(now + TOKEN_SECONDS))
        ticket = RoomTicket(room, identity, name or "", metadata, grant, now + TOKEN_SECONDS)
        self._tickets[token] = ticket
        return token

    def sign_plain(
        self,
        room: str,
        identity: str,
        name: str,
        permission: ParticipantPermission,
        seconds: float,
    ) -> str:
        """Return a token for a plain room, as LiveKit's own library makes them."""
        now = self._wall()
        token = self._make(identity, int(now), int(now + seconds), room)
        grant = Grant(
            permission.can_publish,
            permission.can_subscribe,
            permission.can_publish_data,
            permission.can_publish_sources,
        )
        self._tickets[token] = RoomTicket(
            room,
            identity,
            name,
            "",
            grant,
            now + seconds,
            can_update_metadata=permission.can_update_metadata,
        )
        return token

    def read_ticket(self, token: str) -> RoomTicket:
        """Return what a token for LiveKit says; `ValueError` for what is none."""
        try:
            return self._tickets[token]
        except KeyError:
            raise ValueError("this is no token for a room of this world") from None

    def _make(self, identity: str, issued: int, ends: int, room: str = "") -> str:
        """Return text of a JWT's form, since clients read from it when it ends."""
        claims = {"sub": identity, "iat": issued, "exp": ends, "video": {"room": room}}
        payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"world.{payload}.{next(self._numbers)}"
