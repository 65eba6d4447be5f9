"""Access tokens, read and written by LiveKit's own classes, and the permission in them.

A grant that is missing grants publishing, subscribing and data, and nothing else, as
`api.VideoGrants` has it. Tokens of the server API have no identity.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Final, cast

import jwt
from attrs import field, frozen
from google.protobuf.json_format import ParseError
from livekit import api
from livekit.protocol import models

from utd_rx.engine.sfu.options import SfuOptions

# A pushed token must outlive the next push by far; the real server keeps at least this much.
MIN_REFRESHED_VALIDITY: Final = 600.0
_WEBHOOK_VALIDITY: Final = timedelta(minutes=5)
_NO_FLAGS: Final = ("room", "destination_room", "can_publish_sources")


class TokenError(Exception):
    """The token is not one of ours, not valid now, or not well formed."""


@frozen
class AccessClaims:
    identity: str
    name: str
    metadata: str = field(repr=False)
    attributes: dict[str, str] = field(repr=False)
    video: api.VideoGrants
    expires_at: float
    kind: str = ""

    @property
    def is_agent(self) -> bool:
        """Whether it may transcribe, and write as somebody else."""
        return self.kind == "agent" or bool(self.video.agent)


def verify(token: str, options: SfuOptions) -> AccessClaims:
    """Check signature, issuer and times (60 s leeway); a `TokenError` does not repeat the token."""
    try:
        claims = api.TokenVerifier(options.api_key, options.api_secret).verify(token)
        expires_at = float(jwt.decode(token, options={"verify_signature": False})["exp"])
        video, attributes = claims.video or api.VideoGrants(), dict(claims.attributes or {})
        who = claims.identity, claims.name, claims.metadata
        texts = [*who, claims.kind or "", video.room, *(video.can_publish_sources or ())]
        texts += [*attributes, *attributes.values()]
        flags = [value for name, value in vars(video).items() if name not in _NO_FLAGS]
    except jwt.PyJWTError as error:
        raise TokenError(f"invalid token: {error}") from error
    except (ArithmeticError, AttributeError, ParseError, TypeError, ValueError) as error:
        raise TokenError("invalid token: malformed claims") from error
    # The verifier looks at no types.
    is_sound = all(isinstance(one, str) for one in texts)
    is_sound = is_sound and all(one is None or isinstance(one, bool) for one in flags)
    if not is_sound or not isinstance(video.can_publish_sources, list | None):
        raise TokenError("invalid token: malformed claims")
    return AccessClaims(*who, attributes, video, expires_at, claims.kind or "")


def permission_of(video: api.VideoGrants) -> models.ParticipantPermission:
    """The half of a token's grants that an admin can change."""
    known = models.TrackSource.keys()
    sources = [source.upper() for source in video.can_publish_sources or ()]
    return models.ParticipantPermission(
        can_subscribe=video.can_subscribe is not False,
        can_publish=video.can_publish is not False,
        can_publish_data=video.can_publish_data is not False,
        can_publish_sources=[source if source in known else "UNKNOWN" for source in sources],
        can_update_metadata=bool(video.can_update_own_metadata),
        hidden=bool(video.hidden),
    )


def kind_of(claims: AccessClaims) -> models.ParticipantInfo.Kind:
    """Return what somebody is: of a kind that LiveKit knows, or a standard one."""
    kinds = models.ParticipantInfo.Kind.items()
    found = (kind for name, kind in kinds if name == claims.kind.upper())
    kind = next(found, models.ParticipantInfo.STANDARD)
    return cast("models.ParticipantInfo.Kind", kind)


def may_publish(permission: models.ParticipantPermission, source: models.TrackSource) -> bool:
    sources = permission.can_publish_sources
    return permission.can_publish and (not sources or source in sources)


def refresh(
    claims: AccessClaims, info: models.ParticipantInfo, options: SfuOptions, now: float
) -> str:
    """Mint the token to reconnect with, of what `info` says; `now` is wall-clock seconds."""
    permission = info.permission
    sources = [models.TrackSource.Name(one).lower() for one in permission.can_publish_sources]
    video = replace(
        claims.video,
        can_publish=permission.can_publish,
        can_subscribe=permission.can_subscribe,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=sources,
        can_update_own_metadata=permission.can_update_metadata,
        hidden=permission.hidden,
    )
    validity = max(MIN_REFRESHED_VALIDITY, claims.expires_at - now)
    token = api.AccessToken(options.api_key, options.api_secret)
    if claims.kind:
        token = token.with_kind(claims.kind)  # type: ignore[arg-type] # as it was given
    return (
        token.with_ttl(timedelta(seconds=validity))
        .with_identity(claims.identity)
        .with_name(info.name)
        .with_metadata(info.metadata)
        .with_attributes(dict(info.attributes))
        .with_grants(video)
        .to_jwt()
    )


def sign_webhook(body: bytes, options: SfuOptions) -> str:
    """Mint the Authorization value of a webhook: a token that names the sha256 of `body`."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
    token = api.AccessToken(options.api_key, options.api_secret).with_ttl(_WEBHOOK_VALIDITY)
    return token.with_sha256(digest).to_jwt()
