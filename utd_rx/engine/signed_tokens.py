"""The engine's tokens as JWTs, by PyJWT and LiveKit's own library."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import jwt
from livekit import api

from utd_rx.engine.options import Secrets
from utd_rx.engine.rules.gate import TOKEN_SECONDS
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import Grant
from utd_rx.engine.tokens import USER_TOKEN_SECONDS, UserClaims
from utd_rx.protocol.wire.reading import read_text

_ISSUER: Final = "utd-rx-engine"


class SignedTokens:
    """`Tokens`, signed with the keys of `secrets`."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def sign_bearer(self, bearer: UserClaims, now: float) -> str:
        payload = {
            "iss": _ISSUER,
            "app": self._secrets.app_id,
            "sub": bearer.identity,
            "iat": int(now),
            "exp": int(now) + USER_TOKEN_SECONDS,
            **({} if bearer.device_id is None else {"device": bearer.device_id}),
        }
        return jwt.encode(payload, self._secrets.user_token_key, algorithm="HS256")

    def read_bearer(self, token: str, now: float) -> UserClaims:
        try:
            payload = jwt.decode(
                token,
                self._secrets.user_token_key,
                algorithms=["HS256"],
                issuer=_ISSUER,
                # The engine has one clock, and it is not the library's.
                options={
                    "require": ["exp", "sub", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
        # What is no text of a token, or nested without end, is none of the library's own errors.
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials") from error
        if payload.get("app") != self._secrets.app_id:
            raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials")
        if payload["exp"] <= now:
            raise Refusal(Reason.UNAUTHORIZED, "the bearer has expired; mint again")
        return UserClaims(payload["sub"], read_text(payload.get("device")), payload["exp"])

    def sign_livekit(
        self, *, room: str, identity: str, name: str | None, metadata: str, grant: Grant
    ) -> str:
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
            api.AccessToken(self._secrets.livekit_api_key, self._secrets.livekit_api_secret)
            .with_identity(identity)
            .with_ttl(timedelta(seconds=TOKEN_SECONDS))
            .with_grants(grants)
            .with_metadata(metadata)
        )
        return token.with_name(name).to_jwt() if name else token.to_jwt()
