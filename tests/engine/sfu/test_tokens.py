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
from utd_rx.engine.sfu.options import SfuOptions

KEY, SECRET = "key", "s" * 40
OPTIONS = SfuOptions(KEY, SECRET)


def sign(secret: str = SECRET, **changes: Any) -> str:
    payload = {"iss": KEY, "sub": "alice", "exp": int(time.time()) + 600, "video": {}} | changes
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, secret, "HS256")


def test_a_token_of_livekit_api_is_understood() -> None:
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_attributes({"k": "v"})
        .with_grants(
            api.VideoGrants(
                room_join=True,
                room="r",
                can_publish_sources=["microphone", "screen_share"],
                can_update_own_metadata=True,
            )
        )
        .to_jwt()
    )
    claims = tokens.verify(token, OPTIONS)
    assert (claims.identity, claims.name, claims.attributes) == ("alice", "Alice", {"k": "v"})
    assert claims.video.room_join
    permission = tokens.permission_of(claims.video)
    assert permission.can_update_metadata
    assert tokens.may_publish(permission, models.TrackSource.MICROPHONE)
    assert not tokens.may_publish(permission, models.TrackSource.CAMERA)


def test_omitted_flags_grant_except_own_metadata() -> None:
    video = tokens.verify(sign(video={"canPublish": None}), OPTIONS).video
    assert not video.room_join
    permission = tokens.permission_of(video)
    assert permission == models.ParticipantPermission(
        can_publish=True, can_subscribe=True, can_publish_data=True
    )
    assert tokens.may_publish(permission, models.TrackSource.UNKNOWN)


@pytest.mark.parametrize(
    "video",
    [
        {"canPublish": False, "canPublishSources": ["camera"]},
        {"canPublishSources": ["microphone"]},
        {"canPublishSources": ["something new"]},
    ],
)
def test_a_camera_that_is_not_granted_is_not_published(video: dict[str, Any]) -> None:
    permission = tokens.permission_of(tokens.verify(sign(video=video), OPTIONS).video)
    assert not tokens.may_publish(permission, models.TrackSource.CAMERA)


@pytest.mark.parametrize("seconds", [-50, 0])
def test_a_minute_of_leeway(seconds: int) -> None:
    now = int(time.time())
    token = sign(exp=now + seconds, nbf=now - seconds)
    assert tokens.verify(token, OPTIONS).identity == "alice"


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
        sign(exp="soon"),
        sign(exp=float("inf")),
        sign(roomConfig={"maxParticipants": "many"}),
        sign(roomConfig=[1]),
        jwt.encode({"iss": KEY, "exp": 2**33}, "", "none"),
        jwt.encode({"iss": KEY, "exp": 2**33}, SECRET * 2, "HS512"),
    ],
)
def test_everything_else_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(tokens.TokenError) as caught:
        tokens.verify(token, OPTIONS)
    assert not token or token not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_refreshed_token_carries_what_is_true_now() -> None:
    now = time.time()
    video = {"room": "r", "roomJoin": True}
    token = sign(name="old", kind="agent", video=video, exp=int(now) + 7200)
    claims = tokens.verify(token, OPTIONS)
    permission = models.ParticipantPermission(
        can_subscribe=True, can_publish_sources=[models.TrackSource.CAMERA], hidden=True
    )
    info = models.ParticipantInfo(
        name="new", metadata="m", attributes={"a": "b"}, permission=permission
    )
    again = tokens.verify(tokens.refresh(claims, info, OPTIONS, now), OPTIONS)
    assert (again.identity, again.name, again.metadata) == ("alice", "new", "m")
    assert (again.is_agent, tokens.kind_of(again)) == (True, models.ParticipantInfo.AGENT)
    assert again.attributes == {"a": "b"}
    assert (again.video.room, again.video.room_join) == ("r", True)
    assert tokens.permission_of(again.video) == permission
    assert abs(again.expires_at - claims.expires_at) <= 2


def test_a_refreshed_token_outlives_the_next_one() -> None:
    claims = tokens.verify(sign(exp=int(time.time())), OPTIONS)
    now = time.time()
    token = tokens.refresh(claims, models.ParticipantInfo(), OPTIONS, now)
    again = tokens.verify(token, OPTIONS)
    assert again.expires_at >= int(now + tokens.MIN_REFRESHED_VALIDITY)


def test_a_webhook_signature_names_its_body() -> None:
    token = tokens.sign_webhook(b"{}", OPTIONS)
    claims = api.TokenVerifier(KEY, SECRET).verify(token)
    assert base64.b64decode(claims.sha256 or "") == hashlib.sha256(b"{}").digest()
