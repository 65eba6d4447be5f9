"""Real clients of a running engine, for the tests on both SFUs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from attrs import frozen
from livekit import rtc

from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.rtc.native import newest_token

PATIENCE = 30.0
"""Seconds until a wait counts as hung; nothing here measures time."""


class Client:
    """One user with a LiveKit room; everything the room reports wakes `until`."""

    def __init__(self, http: aiohttp.ClientSession, engine: LocalEngine, identity: str) -> None:
        self.http = http
        self.engine = engine
        self.identity = identity
        self.room = rtc.Room()
        self.messages: list[dict[str, Any]] = []
        self.reason: int | None = None
        self._woken = asyncio.Event()
        self.minted: dict[str, Any] = {}
        self.refreshed: str | None = None
        self._listen()

    def _listen(self) -> None:
        room = self.room
        room.on("data_received", self._received)
        room.on("disconnected", self._disconnected)
        room.on("token_refreshed", self._token_refreshed)
        for name in (
            "participant_permissions_changed",
            "room_metadata_changed",
            "participant_metadata_changed",
            "track_muted",
            "track_unmuted",
            "track_published",
            "track_subscribed",
            "participant_connected",
            "participant_disconnected",
            "reconnected",
        ):
            room.on(name, lambda *_: self._woken.set())

    def _received(self, packet: rtc.DataPacket) -> None:
        self.messages.append(json.loads(packet.data))
        self._woken.set()

    def _token_refreshed(self) -> None:
        self.refreshed = newest_token(self.room)
        self._woken.set()

    def _disconnected(self, reason: int) -> None:
        self.reason = reason
        self._woken.set()

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._woken.clear()
                await self._woken.wait()

    async def until_told(self, type_: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((m for m in self.messages if m["type"] == type_), None)

        await self.until(found)
        message = found()
        assert message is not None
        return message

    @property
    def may_publish(self) -> bool:
        permissions = self.room.local_participant.permissions
        return permissions is not None and permissions.can_publish

    @property
    def grid(self) -> dict[str, Any]:
        """What a client reads after joining."""
        found: dict[str, Any] = json.loads(self.room.metadata)["_seats"]
        return found

    @property
    def occupants(self) -> list[str | None]:
        return [seat["identity"] for seat in self.grid["seats"]]

    async def mint(self, room: str = "friday", **fields: object) -> None:
        engine = self.engine
        headers = {"X-App-Id": engine.app_id, "X-App-Key": engine.app_key}
        body = {"identity": self.identity, "room_name": room, "type": "audio_room", **fields}
        url = f"{engine.base_url}/api/v1/token"
        async with self.http.post(url, json=body, headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            self.minted = await reply.json()

    async def connect(self, token: str | None = None) -> None:
        await self.room.connect(self.minted["url"], token or self.minted["token"])

    async def reconnect(self, token: str | None = None) -> None:
        """Come back as a new room, with the token of the mint or another one."""
        await self.room.disconnect()
        self.room = rtc.Room()
        self.reason = None
        self._listen()
        await self.connect(token)

    def role_of(self, identity: str) -> str | None:
        """What the metadata of somebody else says."""
        who = self.room.remote_participants.get(identity)
        return None if who is None else json.loads(who.metadata)["role"]

    async def call(self, method: str, path: str, body: object = None) -> int:
        headers = {"Authorization": f"Bearer {self.minted['user_token']}"}
        url = f"{self.engine.base_url}/api/v1/rooms/friday{path}"
        async with self.http.request(method, url, json=body, headers=headers) as reply:
            await reply.read()
            return reply.status


@frozen
class Stage:
    """A running engine and its users."""

    engine: LocalEngine
    http: aiohttp.ClientSession
    clients: list[Client]

    async def join(self, identity: str, *, connect: bool = True, **fields: Any) -> Client:
        client = Client(self.http, self.engine, identity)
        self.clients.append(client)
        await client.mint(**fields)
        if connect:
            await client.connect()
        return client

    async def host(self) -> Client:
        return await self.join("sara", role="host", seat_count=4)


@asynccontextmanager
async def on_stage(options: EngineOptions) -> AsyncIterator[Stage]:
    async with LocalEngine(options) as engine, aiohttp.ClientSession() as http:
        stage = Stage(engine, http, [])
        try:
            yield stage
        finally:
            for client in stage.clients:
                await client.room.disconnect()
            # pytest keeps a fixture's value until after the leak guard looked, and a Room keeps
            # native descriptors as long as it is referenced.
            stage.clients.clear()
