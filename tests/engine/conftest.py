"""A local engine on a fake media server, and somebody to talk to it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from attrs import frozen

from tests.engine.fakes import FakeClock, FakeMedia
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.options import Secrets, make_secrets


@frozen
class Reply:
    """Status, body and headers of one reply."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code; a reply that is no error, or one without a message, has none."""
        assert isinstance(self.body["message"], str)
        assert self.body["message"]
        return self.status, self.body["code"]


@frozen
class World:
    """An engine and the means to use it as anybody."""

    engine: LocalEngine
    media: FakeMedia
    clock: FakeClock
    http: aiohttp.ClientSession

    @property
    def app(self) -> dict[str, str]:
        return {"X-App-Id": self.engine.app_id, "X-App-Key": self.engine.app_key}

    @property
    def server(self) -> dict[str, str]:
        return {"X-App-Id": self.engine.app_id, "X-App-Secret": self.engine.app_secret}

    @property
    def secrets(self) -> Secrets:
        """The engine's, made again from those that it was given or made."""
        return make_secrets(self.given)

    @property
    def given(self) -> EngineOptions:
        """Options that make an engine with the keys of this one."""
        engine = self.engine
        return EngineOptions(
            app_id=engine.app_id, app_key=engine.app_key, app_secret=engine.app_secret
        )

    def livekit(self, room: str = "friday") -> str:
        return f"p{self.engine.app_id}_{room}"

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | io.BytesIO | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        async with self.http.request(
            method, self.engine.base_url + path, json=body, data=data, headers=sent
        ) as response:
            return Reply(response.status, await response.json(), dict(response.headers))

    async def mint(self, identity: str, room: str = "friday", **fields: object) -> dict[str, Any]:
        """Mint for an audio room and return the reply's body."""
        wire = {"identity": identity, "room_name": room, "type": "audio_room", **fields}
        reply = await self.call("POST", "/api/v1/token", wire, headers=self.app)
        assert reply.status == 200, reply.body
        return reply.body

    async def bearer(self, identity: str, room: str = "friday", **fields: object) -> str:
        """Mint and return the user token."""
        return str((await self.mint(identity, room, **fields))["user_token"])

    async def host(self, **fields: Any) -> str:
        """Open the room with four seats and return its host's user token."""
        return await self.bearer("sara", role="host", **{"seat_count": 4, **fields})

    async def connect(
        self, identity: str, room: str = "friday", **fields: object
    ) -> tuple[str, MediaParticipant]:
        """Mint and connect; return the user token and the participant."""
        minted = await self.mint(identity, room, **fields)
        who = await self.media.connect(self.engine.core, minted["token"])
        return minted["user_token"], who

    async def seats(self, path: str, bearer: str, body: object = None) -> Reply:
        """Call a seat endpoint of the room."""
        return await self.call("POST", f"/api/v1/rooms/friday/seats/{path}", body, bearer=bearer)

    async def grid(self, bearer: str) -> dict[str, Any]:
        """Read the grid."""
        return (await self.call("GET", "/api/v1/rooms/friday/seats", bearer=bearer)).body

    async def occupants(self, bearer: str) -> list[str | None]:
        """Read who sits where."""
        return [seat["occupant_identity"] for seat in (await self.grid(bearer))["seats"]]

    def may_publish(self, identity: str, room: str = "friday") -> bool:
        """Whether the media server lets a connected participant publish."""
        return self.media.people[self.livekit(room)][identity].grant.can_publish


@asynccontextmanager
async def on_fakes(options: EngineOptions, clock: FakeClock | None = None) -> AsyncIterator[World]:
    """Run an engine on a fake media server."""
    media, clock = FakeMedia(), clock or FakeClock()
    async with (
        LocalEngine(options, media=media, clock=clock) as engine,
        aiohttp.ClientSession() as http,
    ):
        yield World(engine, media, clock, http)


@pytest.fixture
def engine_options() -> EngineOptions:
    """Options of the engine under test; override it for other ones."""
    return EngineOptions()


@pytest.fixture
def clock() -> FakeClock:
    """The time of the engine under test; override it for another pace."""
    return FakeClock()


@pytest.fixture
async def world(engine_options: EngineOptions, clock: FakeClock) -> AsyncIterator[World]:
    """A fresh engine on a fake media server."""
    async with on_fakes(engine_options, clock) as found:
        yield found
