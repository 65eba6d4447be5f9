"""A call's room with real clients, on both SFUs: it holds its two, and ends with the call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import frozen
from livekit import rtc

from tests.engine.stage import Client, Stage, on_stage
from tests.support.sfu import SfuKind
from utd_rx.engine import EngineOptions
from utd_rx.engine.livekit_media import LiveKitMedia
from utd_rx.engine.options import make_secrets
from utd_rx.engine.rules.roles import SPEAK
from utd_rx.engine.signed_tokens import SignedTokens


@pytest.fixture
async def stage(sfu_kind: SfuKind) -> AsyncIterator[Stage]:
    async with on_stage(EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)) as found:
        yield found


@frozen
class Phone:
    """One user's bearer and the client that joins with what the engine answers."""

    client: Client
    bearer: str

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        url = f"{self.client.engine.base_url}/api/v1/calls{path}"
        headers = {"Authorization": f"Bearer {self.bearer}"}
        async with self.client.http.post(url, json=body, headers=headers) as reply:
            assert reply.status in (200, 201), await reply.text()
            found: dict[str, Any] = await reply.json()
        if "token" in found:
            self.client.minted = found
        return found

    @property
    def call(self) -> dict[str, Any]:
        """What the room says of the call."""
        found: dict[str, Any] = json.loads(self.client.room.metadata)["_call"]
        return found


async def phone(stage: Stage, identity: str) -> Phone:
    engine, client = stage.engine, Client(stage.http, stage.engine, identity)
    stage.clients.append(client)
    headers = {"X-App-Id": engine.app_id, "X-App-Key": engine.app_key}
    url = f"{engine.base_url}/api/v1/auth/session"
    body = {"identity": identity, "device_id": "1"}
    async with stage.http.post(url, json=body, headers=headers) as reply:
        return Phone(client, (await reply.json())["user_token"])


def intruder(stage: Stage, call_id: str) -> Client:
    """Somebody with LiveKit's own key, which no user has."""
    engine, eve = stage.engine, Client(stage.http, stage.engine, "eve")
    stage.clients.append(eve)
    options = EngineOptions(
        app_id=engine.app_id, app_key=engine.app_key, app_secret=engine.app_secret
    )
    room = engine.core.rooms.livekit_name(call_id)
    tokens = SignedTokens(make_secrets(options))
    token = tokens.sign_livekit(room=room, identity="eve", name=None, metadata="", grant=SPEAK)
    eve.minted = {"url": engine.livekit_url, "token": token}
    return eve


async def told_to_go(client: Client) -> None:
    await client.until(lambda: client.reason is not None)


async def test_a_call_between_two_real_clients(stage: Stage) -> None:
    sara, mona = await phone(stage, "sara"), await phone(stage, "mona")
    call_id = (await sara.post("", {"callee_identity": "mona"}))["call_id"]
    await sara.client.connect()
    assert sara.call["status"] == "initiating"

    eve = intruder(stage, call_id)
    await eve.connect()
    await eve.until(lambda: eve.reason == rtc.DisconnectReason.PARTICIPANT_REMOVED)

    await mona.post(f"/{call_id}/accept")
    await mona.client.connect()
    await sara.client.until(lambda: sara.call["status"] == "active")
    await mona.client.until(lambda: mona.call["status"] == "active")
    assert sara.client.may_publish
    assert mona.client.may_publish
    await sara.client.until(lambda: "mona" in sara.client.room.remote_participants)

    third = intruder(stage, call_id)
    with pytest.raises(rtc.ConnectError):
        await third.connect()

    ended = await mona.post(f"/{call_id}/end")
    assert ended["end_reason"] == "callee_hangup"
    for client in (sara.client, mona.client):
        await told_to_go(client)
        assert client.reason == rtc.DisconnectReason.ROOM_DELETED


async def test_a_token_of_a_call_that_is_over_leads_nowhere(stage: Stage) -> None:
    sara = await phone(stage, "sara")
    call_id = (await sara.post("", {"callee_identity": "mona"}))["call_id"]
    await sara.post(f"/{call_id}/end")
    await sara.client.connect()
    await told_to_go(sara.client)
    engine = stage.engine
    media = LiveKitMedia(engine.livekit_api_url, engine.livekit_api_key, engine.livekit_api_secret)
    try:
        async with asyncio.timeout(10):
            while await media.list_rooms():  # noqa: ASYNC110 - livekit-server ends it in a moment
                await asyncio.sleep(0.05)
    finally:
        await media.aclose()
