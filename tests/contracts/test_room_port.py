"""The room contract, held by the fake and by `UTDRoom` on both SFUs, here and behind a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from attrs import evolve
from livekit import api

from tests.contracts.room_servers import IDENTITY, FakeServer, RealServer, WorldServer
from tests.support.sfu import (
    MISSING_LIVEKIT,
    SfuKind,
    is_livekit_missing,
    is_livekit_required,
    running_sfu,
)
from utd_rx.media.near import Near
from utd_rx.media.near_room import NearRoom
from utd_rx.media.process import MediaProcess
from utd_rx.ports.room import RoomPort
from utd_rx.rtc.room import UTDRoom
from utd_rx.testing.contracts.room import RoomContract
from utd_rx.testing.contracts.room_bench import Loudspeakers, RoomBench
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.world.room import WorldRoom

far = partial(pickled, near=NearRoom)
"""A room at the other end of a pipe."""


class FarFake(FakeRoom):
    """A `FakeRoom` that can be asked on which loop it lives."""

    def __init__(self) -> None:
        super().__init__(IDENTITY)
        local = self.snapshot.local
        able = evolve(local.permission, can_update_metadata=True)
        self.snapshot = evolve(self.snapshot, local=evolve(local, permission=able))
        self.loop = asyncio.get_running_loop()


class TestFakeRoom(RoomContract):
    @pytest.fixture(params=["here", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        fakes: list[FarFake] = []

        def make() -> FarFake:
            fakes.append(FarFake())
            return fakes[-1]

        async with AsyncExitStack() as stack:
            is_far = request.param == "pickled"
            room: RoomPort = await stack.enter_async_context(far(make)) if is_far else make()
            yield RoomBench(room, FakeServer(fakes[0], fakes[0].loop))
            await room.aclose()


class TestWorldRoom(RoomContract):
    @pytest.fixture(params=["here", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        servers: list[WorldServer] = []

        def make() -> WorldRoom:
            servers.append(WorldServer())
            return servers[-1].room()

        async with AsyncExitStack() as stack:
            is_far = request.param == "pickled"
            room: RoomPort = await stack.enter_async_context(far(make)) if is_far else make()
            yield RoomBench(room, servers[0])
            await room.aclose()
            await servers[0].aclose()


class TestUTDRoom(RoomContract):
    @pytest.fixture(
        params=[
            pytest.param(("embedded", "here"), marks=pytest.mark.embedded, id="embedded"),
            pytest.param(
                ("embedded", "pickled"),
                marks=(pytest.mark.embedded, pytest.mark.long),
                id="embedded-pickled",
            ),
            pytest.param(("livekit", "here"), marks=pytest.mark.livekit, id="livekit"),
        ]
    )
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        kind, where = request.param
        async with AsyncExitStack() as stack:
            server = await real_server(kind, stack)
            is_far = where == "pickled"
            room: RoomPort = await stack.enter_async_context(far(UTDRoom)) if is_far else UTDRoom()
            stack.push_async_callback(room.aclose)
            yield RoomBench(room, server)


@pytest.mark.embedded
@pytest.mark.long
class TestUTDRoomInAProcess(RoomContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[RoomBench]:
        async with AsyncExitStack() as stack:
            process = MediaProcess()
            stack.push_async_callback(process.aclose)
            server = await real_server("embedded", stack)
            room = process.room()
            stack.push_async_callback(room.aclose)
            there: Any = process.port(Near, Loudspeakers, f"{Loudspeakers.__module__}:Loudspeakers")
            yield RoomBench(room, server, there)


async def real_server(kind: SfuKind, stack: AsyncExitStack) -> RealServer:
    """Return an SFU's, which ends with the stack."""
    if kind == "livekit" and is_livekit_missing():
        if is_livekit_required():
            pytest.fail(MISSING_LIVEKIT)
        pytest.skip(MISSING_LIVEKIT)
    sfu = await stack.enter_async_context(running_sfu(kind))
    keys = api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret)
    return RealServer(sfu, await stack.enter_async_context(keys), stack)
