"""The two tokens the engine signs: LiveKit's, and the bearer for its own calls.

LiveKit's carries grants and metadata. The bearer (`user_token`) is bound to (app, identity, device)
and names no room and no role, because both change (docs/contract.md, "Bearers").
"""

from __future__ import annotations

import hashlib
import math
from datetime import timedelta
from typing import Final

import jwt
from attrs import frozen
from livekit import api

from utd_rx.engine.options import Secrets
from utd_rx.engine.rules.gate import TOKEN_SECONDS
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import Grant
from utd_rx.protocol.wire.reading import read_text

USER_TOKEN_SECONDS: Final = 24 * 3600
_ISSUER: Final = "utd-rx-engine"


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


def sign_bearer(secrets: Secrets, bearer: UserClaims, now: float) -> str:
    """Return a `user_token`; `now` is wall-clock seconds, here and below."""
    payload = {
        "iss": _ISSUER,
        "app": secrets.app_id,
        "sub": bearer.identity,
        "iat": int(now),
        "exp": int(now) + USER_TOKEN_SECONDS,
        **({} if bearer.device_id is None else {"device": bearer.device_id}),
    }
    return jwt.encode(payload, secrets.user_token_key, algorithm="HS256")


def read_bearer(secrets: Secrets, token: str, now: float) -> UserClaims:
    """Check a `user_token`; 401 without a word about it."""
    try:
        payload = jwt.decode(
            token,
            secrets.user_token_key,
            algorithms=["HS256"],
            issuer=_ISSUER,
            # The engine has one clock, and it is not the library's.
            options={"require": ["exp", "sub", "iss"], "verify_exp": False, "verify_iat": False},
        )
    # What is no text of a token, or nested without end, is none of the library's own errors.
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials") from error
    if payload.get("app") != secrets.app_id:
        raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials")
    if payload["exp"] <= now:
        raise Refusal(Reason.UNAUTHORIZED, "the bearer has expired; mint again")
    return UserClaims(payload["sub"], read_text(payload.get("device")), payload["exp"])


def sign_livekit(
    secrets: Secrets, *, room: str, identity: str, name: str | None, metadata: str, grant: Grant
) -> str:
    """Return a token for LiveKit's `room`."""
    # Every flag is spelled out, because an omitted one grants (docs/livekit.md, "Tokens").
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=grant.can_publish,
        can_subscribe=grant.can_subscribe,
        can_publish_data=grant.can_publish_data,
        can_publish_sources=[source.name.lower() for source in grant.sources] or None,
        can_update_own_metadata=False,
    )
    token = (
        api.AccessToken(secrets.livekit_api_key, secrets.livekit_api_secret)
        .with_identity(identity)
        .with_ttl(timedelta(seconds=TOKEN_SECONDS))
        .with_grants(grants)
        .with_metadata(metadata)
    )
    return token.with_name(name).to_jwt() if name else token.to_jwt()
