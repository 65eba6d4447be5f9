"""The two tokens the engine signs: LiveKit's, and the bearer for its own calls.

LiveKit's carries grants and metadata. The bearer (`user_token`) is bound to (app, identity, device)
and names no room and no role, because both change (docs/contract.md, "Bearers").
"""

from __future__ import annotations

import hashlib
import math
from typing import Final, Protocol

from attrs import frozen

from utd_rx.engine.rules.roles import Grant

USER_TOKEN_SECONDS: Final = 24 * 3600


@frozen
class UserClaims:
    """Who a `user_token` says its holder is; `expires_at`, wall-clock seconds, once it is read."""

    identity: str
    device_id: str | None = None
    expires_at: float = math.inf


def device_of(bearer: UserClaims, token: str) -> str:
    """Return the key of the device that holds `token`: one without an id is a device of its own."""
    if bearer.device_id is not None:
        return bearer.device_id
    return f"token:{hashlib.sha256(token.encode()).hexdigest()[:16]}"


class Tokens(Protocol):
    """What makes both; `now` is wall-clock seconds."""

    def sign_bearer(self, bearer: UserClaims, now: float) -> str:
        """Return a `user_token`."""

    def read_bearer(self, token: str, now: float) -> UserClaims:
        """Check a `user_token`; 401 without a word about it."""

    def sign_livekit(
        self, *, room: str, identity: str, name: str | None, metadata: str, grant: Grant
    ) -> str:
        """Return a token for LiveKit's `room`."""
