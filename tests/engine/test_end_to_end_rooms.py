"""Speakers, roles, chat lock and closed doors with real clients, on both SFUs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from livekit import rtc

from tests.engine.stage import Client, Stage, on_stage
from tests.support.sfu import SfuKind
from utd_rx.engine import EngineOptions


@pytest.fixture
async def stage(sfu_kind: SfuKind) -> AsyncIterator[Stage]:
    async with on_stage(EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)) as found:
        yield found


async def post(client: Client, path: str, body: object = None) -> dict[str, Any]:
    """Call as `client` and return the reply."""
    headers = {"Authorization": f"Bearer {client.minted['user_token']}"}
    url = f"{client.engine.base_url}/api/v1/rooms/{path}"
    async with client.http.post(url, json=body, headers=headers) as reply:
        assert reply.status in (200, 201), await reply.text()
        found: dict[str, Any] = await reply.json()
        return found


async def can_hear(stage: Stage, client: Client) -> None:
    """Wait until pushes reach `client`: one right after joining is lost."""
    engine = stage.engine
    headers = {"X-App-Id": engine.app_id, "X-App-Secret": engine.app_secret}
    url = f"{engine.base_url}/api/v1/rooms/friday/send-data"
    body = {"data": {"type": "knock"}, "destination_identities": [client.identity]}
    while not any(message["type"] == "knock" for message in client.messages):
        async with stage.http.post(url, json=body, headers=headers) as reply:
            assert reply.status == 200
        await asyncio.sleep(0)


async def test_from_the_request_to_publishing(stage: Stage) -> None:
    sara = await stage.join("sara", role="host", seat_count=2, seat_mode="request")
    mona = await stage.join("mona")
    await can_hear(stage, sara)
    await can_hear(stage, mona)
    asked = await post(mona, "friday/speakers/request")
    told = await sara.until_told("_speaker_request")
    assert (told["identity"], told["request_id"]) == ("mona", asked["request_id"])
    await sara.until(lambda: [r["id"] for r in sara.grid["requests"]] == [asked["request_id"]])
    await post(sara, f"friday/speakers/requests/{asked['request_id']}/approve")
    assert (await mona.until_told("_speaker_request_approved"))["seat_index"] == 0
    await mona.until(lambda: mona.may_publish)
    await mona.until(lambda: mona.occupants == ["mona", None])


async def test_from_the_invitation_to_publishing(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await can_hear(stage, sara)
    await can_hear(stage, mona)
    await post(sara, "friday/speakers/invite", {"target_identity": "mona", "seat_index": 2})
    told = await mona.until_told("_speaker_invitation")
    await post(mona, f"friday/speakers/invitations/{told['invitation_id']}/accept")
    assert (await sara.until_told("_speaker_invitation_accepted"))["seat_index"] == 2
    await mona.until(lambda: mona.may_publish)


async def test_a_late_joiner_knows_roles_and_the_chat_lock(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await can_hear(stage, sara)
    assert await sara.call("PUT", "/participants/mona/role", {"role": "admin"}) == 200
    assert await mona.call("PUT", "/comments/lock", {"locked": True}) == 200
    assert (await sara.until_told("_role_change"))["role"] == "admin"
    assert (await sara.until_told("_comment_lock"))["locked"] is True
    await sara.until(lambda: sara.role_of("mona") == "admin")
    late = await stage.join("late")
    assert json.loads(late.room.metadata)["_comment_lock"] == {"locked": True}
    await late.until(lambda: late.role_of("mona") == "admin")
    # With the token of before the promotion, the role is the new one all the same.
    await mona.reconnect()
    await late.until(lambda: late.role_of("mona") == "admin")
    assert await mona.call("POST", "/seats/3/lock") == 200


@pytest.mark.parametrize("way", ["kick", "ban"])
async def test_no_token_opens_the_door_again_not_even_a_refreshed_one(
    stage: Stage, way: str
) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await mona.until(lambda: mona.refreshed is not None)
    refreshed = mona.refreshed
    assert refreshed is not None
    assert refreshed != mona.minted["token"]
    # What a modified client could hope for: metadata without the serial.
    assert (
        await mona.call("PUT", "/participants/mona/metadata", {"metadata": {"_mint": 9999}}) == 200
    )
    if way == "kick":
        assert await sara.call("DELETE", "/participants/mona") == 200
    else:
        await post(sara, "ban", {"identity": "mona", "room_name": "friday", "duration": 600})
    await mona.until(lambda: mona.reason is not None)
    for token in (mona.minted["token"], refreshed, mona.refreshed):
        with suppress(rtc.ConnectError):  # the removal may come before the join has succeeded
            await mona.reconnect(token)
            await mona.until(lambda: mona.reason is not None)
    await sara.until(lambda: "mona" not in sara.room.remote_participants)
    assert await mona.call("GET", "/seats") == 403


async def test_who_may_not_publish_any_more_is_stopped_at_the_sfu(stage: Stage) -> None:
    await stage.host()
    mona = await stage.join("mona")
    assert await mona.call("POST", "/seats/1/take") == 200
    await mona.until(lambda: mona.may_publish)
    engine = stage.engine
    headers = {"X-App-Id": engine.app_id, "X-App-Secret": engine.app_secret}
    url = f"{engine.base_url}/api/v1/rooms/friday/participants/mona/forbid-stream"
    async with stage.http.put(url, headers=headers) as reply:
        assert reply.status == 200
    await mona.until(lambda: not mona.may_publish)
    await mona.until(lambda: mona.occupants == [None] * 4)
    assert await mona.call("POST", "/seats/1/take") == 403


async def test_a_promoted_viewer_publishes_without_reconnecting_and_a_demoted_one_stops(
    stage: Stage,
) -> None:
    sara = await stage.join("sara", role="host", type="live_stream")
    mona = await stage.join("mona", type="live_stream")
    source = rtc.VideoSource(64, 48)

    async def show(client: Client) -> None:
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False, video_codec=rtc.VideoCodec.VP8
        )
        await client.room.local_participant.publish_track(track, options)

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(mona.room.metadata)["_stage"]
        return found

    def published() -> list[str]:
        who = sara.room.remote_participants.get("mona")
        return [] if who is None else list(who.track_publications)

    await show(sara)
    await mona.until(lambda: shown()["live"])
    mine = mona.room.local_participant.sid
    await post(mona, "friday/stage/request")
    await post(sara, "friday/stage/add", {"target_identity": "mona"})
    await mona.until(lambda: mona.may_publish)
    await mona.until(lambda: [who["identity"] for who in shown()["members"]] == ["sara", "mona"])
    await show(mona)
    await sara.until(published)
    await post(sara, "friday/live/end")
    await mona.until(lambda: not mona.may_publish)
    await sara.until(lambda: not published())
    await mona.until(lambda: not shown()["live"])
    assert mona.room.local_participant.sid == mine
    await source.aclose()
