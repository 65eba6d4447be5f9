"""Tokens: what is believed, what is refused, what is minted."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import jwt
import pytest
from livekit import api
from livekit.protocol import models

from utd_rx.engine.sfu import tokens

KEY, SECRET = "key", "s" * 40


def sign(secret: str = SECRET, **changes: Any) -> str:
    payload = {"iss": KEY, "sub": "alice", "exp": int(time.time()) + 600, "video": {}} | changes
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, "HS256")


def test_a_token_of_livekit_api_is_understood() -> None:
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_kind("agent")
        .with_attributes({"k": "v"})
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room="r",
                can_publish_sources=["microphone", "screen_share"],
                can_update_own_metadata=True,
            )
        )
        .with_room_config(api.RoomConfiguration(max_participants=4))
        .to_jwt()
    )
    claims = tokens.verify(token, KEY, SECRET)
    assert (claims.identity, claims.name, dict(claims.attributes)) == ("alice", "Alice", {"k": "v"})
    assert claims.kind == models.ParticipantInfo.AGENT
    assert claims.room_config is not None
    assert claims.room_config.max_participants == 4
    grants = claims.grants
    assert grants.room_join
    assert grants.can_update_metadata
    assert grants.may_publish(models.TrackSource.MICROPHONE)
    assert not grants.may_publish(models.TrackSource.CAMERA)


def test_omitted_flags_grant_except_own_metadata() -> None:
    grants = tokens.verify(sign(), KEY, SECRET).grants
    assert grants.can_publish
    assert grants.can_subscribe
    assert grants.can_publish_data
    assert not grants.can_update_metadata
    assert not grants.room_join
    assert grants.may_publish(models.TrackSource.UNKNOWN)


def test_without_can_publish_no_source_is_allowed() -> None:
    video = {"canPublish": False, "canPublishSources": ["camera"]}
    grants = tokens.verify(sign(video=video), KEY, SECRET).grants
    assert not grants.may_publish(models.TrackSource.CAMERA)


@pytest.mark.parametrize("seconds", [-50, 0])
def test_a_minute_of_leeway(seconds: int) -> None:
    now = int(time.time())
    tokens.verify(sign(exp=now + seconds, nbf=now - seconds), KEY, SECRET)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        sign("x" * 40),
        sign(iss="other"),
        sign(iss=None),
        sign(exp=None),
        sign(exp=int(time.time()) - 70),
        sign(nbf=int(time.time()) + 3600),
        sign(sub=7),
        sign(video=[]),
        sign(video={"roomJoin": "yes"}),
        sign(video={"canPublishSources": "camera"}),
        sign(attributes={"k": 1}),
        sign(metadata={}),
        sign(roomConfig={"maxParticipants": "many"}),
        sign(roomConfig=[1]),
        jwt.encode({"iss": KEY, "exp": 2**33}, "", "none"),
        jwt.encode({"iss": KEY, "exp": 2**33}, SECRET * 2, "HS512"),
    ],
)
def test_everything_else_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(tokens.TokenError) as caught:
        tokens.verify(token, KEY, SECRET)
    assert not token or token not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_refreshed_token_carries_what_is_true_now() -> None:
    claims = tokens.verify(sign(name="old", custom="kept", video={"room": "r"}), KEY, SECRET)
    grants = claims.grants.with_permission(
        models.ParticipantPermission(
            can_subscribe=True, can_publish_sources=[models.TrackSource.CAMERA]
        )
    )
    info = models.ParticipantInfo(name="new", metadata="m", attributes={"a": "b"})
    now = time.time()
    token = tokens.refresh(claims, info, grants, api_key=KEY, api_secret=SECRET, now=now)
    again = tokens.verify(token, KEY, SECRET)
    assert (again.name, again.metadata, dict(again.attributes)) == ("new", "m", {"a": "b"})
    assert again.grants == grants
    assert again.payload["custom"] == "kept"
    assert again.expires_at >= int(now + tokens.MIN_REFRESHED_VALIDITY)


def test_permission_and_grants_convert_both_ways() -> None:
    permission = models.ParticipantPermission(
        can_subscribe=True,
        can_publish_data=True,
        can_publish_sources=[models.TrackSource.MICROPHONE],
        hidden=True,
    )
    assert tokens.Grants().with_permission(permission).to_permission() == permission


def test_a_webhook_signature_names_its_body() -> None:
    token = tokens.sign_webhook(b"{}", api_key=KEY, api_secret=SECRET, now=time.time())
    claims = api.TokenVerifier(KEY, SECRET).verify(token)
    assert base64.b64decode(claims.sha256 or "") == hashlib.sha256(b"{}").digest()
