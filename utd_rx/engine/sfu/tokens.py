"""Access tokens: verify what a client presents, mint what the server pushes.

A token is a JWT signed HS256 with the shared secret: `iss` is the API key, `sub` the identity,
`video` the grants (camelCase). Omitted `canPublish`, `canSubscribe` and `canPublishData` grant;
omitted `canUpdateOwnMetadata` does not (facts/livekit.md §7.3). Twirp tokens have no identity.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import jwt
from attrs import evolve, field, frozen
from google.protobuf.json_format import ParseDict, ParseError
from livekit.protocol import models, room

LEEWAY_SECONDS: Final = 60.0
# A pushed token must outlive the next push by far; the real server keeps at least this much.
MIN_REFRESHED_VALIDITY: Final = 600.0
_WEBHOOK_VALIDITY: Final = 300.0

_SOURCES: Final[Mapping[str, models.TrackSource]] = {
    "camera": models.TrackSource.CAMERA,
    "microphone": models.TrackSource.MICROPHONE,
    "screen_share": models.TrackSource.SCREEN_SHARE,
    "screen_share_audio": models.TrackSource.SCREEN_SHARE_AUDIO,
}
_SOURCE_NAMES: Final = {source: name for name, source in _SOURCES.items()}
_KINDS: Final[Mapping[str, models.ParticipantInfo.Kind]] = {
    "ingress": models.ParticipantInfo.INGRESS,
    "egress": models.ParticipantInfo.EGRESS,
    "sip": models.ParticipantInfo.SIP,
    "agent": models.ParticipantInfo.AGENT,
}


class TokenError(Exception):
    """The token is not one of ours, not valid now, or not well formed."""


@frozen
class Grants:
    """What a token allows; the permission half changes when an admin updates a participant."""

    room: str = ""
    room_join: bool = False
    room_admin: bool = False
    room_create: bool = False
    room_list: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[models.TrackSource, ...] = ()
    can_update_metadata: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False

    def may_publish(self, source: models.TrackSource) -> bool:
        """Whether a track of `source` may be published; a list of sources restricts the flag."""
        if not self.can_publish:
            return False
        return not self.can_publish_sources or source in self.can_publish_sources

    def to_permission(self) -> models.ParticipantPermission:
        """The permission half as the clients see it."""
        return models.ParticipantPermission(
            can_subscribe=self.can_subscribe,
            can_publish=self.can_publish,
            can_publish_data=self.can_publish_data,
            can_publish_sources=self.can_publish_sources,
            can_update_metadata=self.can_update_metadata,
            hidden=self.hidden,
            recorder=self.recorder,
            agent=self.agent,
        )

    def with_permission(self, permission: models.ParticipantPermission) -> Grants:
        """These grants with their permission half replaced."""
        return evolve(
            self,
            can_subscribe=permission.can_subscribe,
            can_publish=permission.can_publish,
            can_publish_data=permission.can_publish_data,
            can_publish_sources=tuple(permission.can_publish_sources),
            can_update_metadata=permission.can_update_metadata,
            hidden=permission.hidden,
            recorder=permission.recorder,
            agent=permission.agent,
        )


@frozen
class Claims:
    """A verified token."""

    identity: str
    name: str
    metadata: str
    attributes: Mapping[str, str]
    kind: models.ParticipantInfo.Kind
    grants: Grants
    expires_at: float
    room_config: room.RoomConfiguration | None
    # Kept so that a refreshed token carries what this server does not interpret.
    payload: Mapping[str, Any] = field(repr=False, eq=False)

    @property
    def is_dependent(self) -> bool:
        """Whether it only serves others, an agent or a recorder: it takes no place in a room."""
        is_server = self.kind in (models.ParticipantInfo.AGENT, models.ParticipantInfo.EGRESS)
        return is_server or self.grants.agent or self.grants.recorder


def verify(token: str, api_key: str, api_secret: str) -> Claims:
    """Check signature, issuer and times (60 s leeway) and return the claims.

    Raises:
        TokenError: with a reason that does not repeat the token.
    """
    try:
        payload = jwt.decode(
            token,
            api_secret,
            algorithms=["HS256"],
            issuer=api_key,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss"], "verify_aud": False, "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise TokenError(f"invalid token: {error}") from error
    return _claims_from_payload(payload)


def _claims_from_payload(payload: Mapping[str, Any]) -> Claims:
    room_config = None
    if payload.get("roomConfig"):
        try:
            room_config = ParseDict(
                payload["roomConfig"], room.RoomConfiguration(), ignore_unknown_fields=True
            )
        except (ParseError, TypeError, AttributeError) as error:
            raise TokenError("invalid token: roomConfig") from error
    attributes = _typed(payload, "attributes", dict)
    if not all(isinstance(value, str) for value in attributes.values()):
        raise TokenError("invalid token: attributes")
    return Claims(
        identity=_typed(payload, "sub", str),
        name=_typed(payload, "name", str),
        metadata=_typed(payload, "metadata", str),
        attributes=attributes,
        kind=_KINDS.get(_typed(payload, "kind", str), models.ParticipantInfo.STANDARD),
        grants=_grants_from_video(_typed(payload, "video", dict)),
        expires_at=float(payload["exp"]),
        room_config=room_config,
        payload=payload,
    )


def _grants_from_video(video: Mapping[str, Any]) -> Grants:
    sources = _typed(video, "canPublishSources", list)
    return Grants(
        room=_typed(video, "room", str),
        room_join=_flag(video, "roomJoin"),
        room_admin=_flag(video, "roomAdmin"),
        room_create=_flag(video, "roomCreate"),
        room_list=_flag(video, "roomList"),
        can_publish=_flag(video, "canPublish", default=True),
        can_subscribe=_flag(video, "canSubscribe", default=True),
        can_publish_data=_flag(video, "canPublishData", default=True),
        can_publish_sources=tuple(
            _SOURCES.get(str(source).lower(), models.TrackSource.UNKNOWN) for source in sources
        ),
        can_update_metadata=_flag(video, "canUpdateOwnMetadata"),
        hidden=_flag(video, "hidden"),
        recorder=_flag(video, "recorder"),
        agent=_flag(video, "agent"),
    )


def _typed(source: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = source.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise TokenError(f"invalid token: {key}")
    return value


def _flag(source: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
    value = source.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TokenError(f"invalid token: {key}")
    return value


def refresh(
    claims: Claims,
    info: models.ParticipantInfo,
    grants: Grants,
    *,
    api_key: str,
    api_secret: str,
    now: float,
) -> str:
    """Mint the token a client shall reconnect with: today's grants, name and metadata.

    Args:
        now: wall-clock seconds.
    """
    payload = dict(claims.payload)
    video = dict(payload.get("video") or {})
    video |= {
        "canPublish": grants.can_publish,
        "canSubscribe": grants.can_subscribe,
        "canPublishData": grants.can_publish_data,
        "canPublishSources": [
            _SOURCE_NAMES[source]
            for source in grants.can_publish_sources
            if source in _SOURCE_NAMES
        ],
        "canUpdateOwnMetadata": grants.can_update_metadata,
        "hidden": grants.hidden,
        "recorder": grants.recorder,
        "agent": grants.agent,
    }
    payload |= {
        "iss": api_key,
        "nbf": int(now),
        "exp": int(now + max(MIN_REFRESHED_VALIDITY, claims.expires_at - now)),
        "name": info.name,
        "metadata": info.metadata,
        "attributes": dict(info.attributes),
        "video": video,
    }
    return jwt.encode(payload, api_secret, algorithm="HS256")


def sign_webhook(body: bytes, *, api_key: str, api_secret: str, now: float) -> str:
    """Mint the Authorization value of a webhook: a token that names the sha256 of `body`."""
    payload = {
        "iss": api_key,
        "nbf": int(now),
        "exp": int(now + _WEBHOOK_VALIDITY),
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode("ascii"),
    }
    return jwt.encode(payload, api_secret, algorithm="HS256")
