"""Ports that outlive their media process keep the contracts of what they stand for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.contracts.room_servers import FakeServer
from tests.contracts.test_audio_port import FakeWorld
from tests.contracts.test_room_port import FarFake
from tests.media.hosts import FakeHost
from utd_rx.media.restoring_audio import RestoringAudio
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.media.succession import Succession
from utd_rx.testing.contracts.audio import AudioBench, AudioContract
from utd_rx.testing.contracts.room import RoomContract
from utd_rx.testing.contracts.room_bench import RoomBench


class TestRestoringRoom(RoomContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[RoomBench]:
        fake = FarFake()
        succession = Succession(FakeHost)
        room = RestoringRoom(succession, lambda host: host.near(fake))
        yield RoomBench(room, FakeServer(fake, asyncio.get_running_loop()))
        await room.aclose()
        await succession.aclose()


class TestRestoringAudio(AudioContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[AudioBench]:
        world = FakeWorld()
        succession = Succession(FakeHost)
        audio = world.audio
        port = RestoringAudio(succession, lambda host: host.near(audio), audio.abilities)
        bench = AudioBench(port, world)
        yield bench
        await bench.close()
        await succession.aclose()
