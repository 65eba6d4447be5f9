"""The audio contract, held by the fake and by both adapters, here and behind a pipe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.audio.cards import Cards, fake_cards
from tests.contracts import far_cards, far_module
from tests.contracts.card_worlds import CardsWorld, platform_port, portaudio_port
from tests.rtc.platform_module import patched_module
from utd_rx.audio.adapter import ABILITIES
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.near import Near
from utd_rx.media.near_audio import NearAudio
from utd_rx.media.process import MediaProcess
from utd_rx.models.devices import AudioDirection
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities, AudioPort
from utd_rx.rtc import platform_audio
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts.audio import AudioBench, AudioContract, AudioWorld
from utd_rx.testing.pickled import pickled


@pytest.fixture(params=["here", "behind a pipe"])
async def reach(request: pytest.FixtureRequest) -> AsyncIterator[Reach]:
    """Run each test on the port itself, and on one that everything is pickled on the way to."""
    async with AsyncExitStack() as stack:
        yield Reach(stack, request.param == "behind a pipe")


class Reach:
    """How far away the port is."""

    def __init__(self, stack: AsyncExitStack, is_far: bool) -> None:
        self._stack = stack
        self._is_far = is_far

    async def bench(self, make: Callable[[], AudioPort], world: AudioWorld) -> AudioBench:
        """Return a bench for the port, closed in the end."""
        port = make()
        if self._is_far:
            near, there = partial(NearAudio, abilities=port.abilities), port
            port = await self._stack.enter_async_context(pickled(lambda: there, near=near))
        bench = AudioBench(port, world)
        self._stack.push_async_callback(bench.close)
        return bench


# -- the fake -----------------------------------------------------------------------------------


class FakeWorld:
    """Fake devices, and a clock that is moved when something is to be heard."""

    first, second = "first", "second"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.audio = FakeAudio(self.clock)
        self._gone = self.audio.devices

    async def lose(self) -> None:
        for direction in AudioDirection:
            self.audio.unplug(self.first, direction)

    take_away = lose

    async def bring_back(self) -> None:
        for device in set(self._gone) - set(self.audio.devices):
            self.audio.plug_in(device)

    async def sound(self) -> None:
        self.audio.say(np.full((2_400, 1), 9_000, np.int16))
        self.clock.advance(0.05)


class TestFakeAudio(AudioContract):
    @pytest.fixture
    async def bench(self, reach: Reach) -> AudioBench:
        world = FakeWorld()
        return await reach.bench(lambda: world.audio, world)


# -- PortAudio ----------------------------------------------------------------------------------


class TestPortAudio(AudioContract):
    @pytest.fixture
    def cards(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
        with fake_cards(monkeypatch) as made:
            yield made

    @pytest.fixture
    async def bench(self, cards: Cards, reach: Reach) -> AudioBench:
        return await reach.bench(portaudio_port, CardsWorld(cards))


class FarAudioContract(AudioContract):
    """Of a port whose devices are alive in a media process."""

    async def test_what_is_alive_is_found_by_its_key(self, bench: AudioBench) -> None:
        microphone = await bench.make("microphone")
        with pytest.raises(UTDStreamException) as raised:
            living.find(microphone.key)
        assert raised.value.code is UTDErrorCode.NOT_FOUND


@asynccontextmanager
async def far_bench(
    process: MediaProcess, abilities: Abilities, factory: str, world: AudioWorld
) -> AsyncIterator[AudioBench]:
    """Give a bench for the port that `factory` makes in a media process, and end both."""
    near = partial(NearAudio, abilities=abilities)
    port: Any = process.port(near, AudioPort, factory)
    bench = AudioBench(port, world)
    yield bench
    await bench.close()
    await process.aclose()


@pytest.mark.long
class TestPortAudioInAProcess(FarAudioContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[AudioBench]:
        process = MediaProcess()
        there: Any = process.port(Near, CardsWorld, f"{far_cards.__name__}:world")
        await there.bring_back()  # no device is opened before its fakes are there
        factory = f"{far_cards.__name__}:portaudio_port"
        async with far_bench(process, ABILITIES, factory, FarWorld(there)) as bench:
            yield bench


class FarWorld:
    """A world there."""

    first, second = CardsWorld.first, CardsWorld.second

    def __init__(self, there: Any) -> None:
        self.lose, self.bring_back, self.sound = there.lose, there.bring_back, there.sound
        self.take_away = there.take_away


# -- WebRTC's own device module -----------------------------------------------------------------


class ModuleWorld:
    """A module of the test's; what becomes of its tracks is in tests/rtc/test_platform_audio.py."""

    first, second = "usb", "default: built-in"

    async def lose(self) -> None:
        pytest.skip("it takes a track to notice that")

    take_away = lose

    async def bring_back(self) -> None:
        raise NotImplementedError

    async def sound(self) -> None:
        raise NotImplementedError


class TestPlatformAudio(AudioContract):
    @pytest.fixture
    async def bench(self, monkeypatch: pytest.MonkeyPatch, reach: Reach) -> AudioBench:
        patched_module(monkeypatch)
        return await reach.bench(platform_port, ModuleWorld())


@pytest.mark.long
class TestPlatformAudioInAProcess(FarAudioContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[AudioBench]:
        factory = f"{far_module.__name__}:platform_port"
        abilities, world = platform_audio.ABILITIES, ModuleWorld()
        async with far_bench(MediaProcess(), abilities, factory, world) as bench:
            yield bench
