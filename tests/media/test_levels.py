"""Levels come past the pipe, and lead to the same state as if they had come through it."""

from __future__ import annotations

import asyncio
import operator
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts import far_cards
from tests.contracts.card_worlds import CardsWorld
from tests.media.ends import ends
from tests.media.test_lending import until
from tests.media.test_near_frames import rings
from utd_rx.audio.adapter import ABILITIES
from utd_rx.errors import UTDStreamException
from utd_rx.media import ring_filling
from utd_rx.media.levels import SLOTS, LevelReader, LevelWriter, MarkedState
from utd_rx.media.near import Near, NearEnd
from utd_rx.media.near_audio import NearAudio
from utd_rx.media.process import MediaProcess
from utd_rx.models.device_state import MicrophoneState, SpeakerState, SpeakerStatistics
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceKey
from utd_rx.ports.audio import (
    Abilities,
    AudioPort,
    DeviceState,
    MicrophoneSettings,
    Settings,
    SpeakerSettings,
    StatesSink,
)
from utd_rx.ports.crossing import Teller
from utd_rx.testing.contracts import Batches

CARD = AudioDevice("card", "card", AudioDirection.OUTPUT, 2, 48_000, True)
SPEAKER = SpeakerState(device=CARD, volume=0.5, level=-1.0)
ONE = 4
"""Descriptors of a ring: at either end its own, and that of its map."""

MICROPHONE = MicrophoneState(device=CARD, gain=2.0, level=-1.0)


class There:
    """A device that tells what a test makes it tell."""

    def __init__(self, state: DeviceState = SPEAKER) -> None:
        self.teller: Teller[Any] = Teller(state)

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """It is there."""

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        return self.teller.listen(sink)


@frozen
class Told:
    """A device that is listened to, and what was told of it: near, and where it is."""

    port: NearAudio
    end: NearEnd
    key: DeviceKey
    there: There
    came: list[DeviceState]
    inline: list[DeviceState]
    stop: Callable[[], None]

    @property
    def messages(self) -> int:
        """That came through the pipe."""
        return self.end.messages

    async def settled(self) -> DeviceState:
        """Wait until all is told, and return what was last."""
        await until(lambda: self.came and value(self.came[-1]) == value(self.there.teller.state))
        for _ in range(20):  # so that what should not come behind it would have come
            await asyncio.sleep(0)
        return self.came[-1]


def value(state: DeviceState) -> object:
    """A state whose failure, which is itself alone, is what it says."""
    return evolve(state, failure=None), None if state.failure is None else state.failure.message


@asynccontextmanager
async def listening(state: DeviceState = SPEAKER) -> AsyncIterator[Told]:
    there, key = There(state), DeviceKey("speaker")
    came, inline, near_ends = list[DeviceState](), list[DeviceState](), list[NearEnd]()

    def near(end: NearEnd, number: int, shape: type) -> NearAudio:
        near_ends.append(end)
        return NearAudio(end, number, shape, abilities=Abilities("fake"))

    async with ends(near, There, lambda: there) as port:
        port.add(key, SpeakerSettings())
        stop = port.listen(key, came.extend)
        there.teller.listen(inline.extend)
        told = Told(port, near_ends[0], key, there, came, inline, stop)
        await told.settled()
        yield told


@pytest.mark.parametrize(
    ("state", "news"),
    [(SPEAKER, {"level": -9.0}), (MICROPHONE, {"level": -9.0, "is_speaking": True})],
)
async def test_a_level_changes_nothing_else(state: DeviceState, news: dict[str, Any]) -> None:
    async with listening(state) as told:
        told.there.teller.post(**news)
        assert await told.settled() == evolve(state, **news)


async def test_a_level_is_no_message() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        before, states = told.messages, len(told.came)
        for level in range(-50, -3):
            told.there.teller.post(level=float(level))
            await told.settled()
        assert (told.messages, len(told.came)) == (before, states + 47)


async def test_what_comes_with_more_than_a_level_is_a_message_and_takes_no_ring() -> None:
    async with listening() as told:
        before = told.messages
        told.there.teller.post(level=-2.0, statistics=SpeakerStatistics(underruns=1))
        await told.settled()
        assert (told.messages, rings()) == (before + 1, 0)


async def test_silence_is_last_when_a_device_is_closed() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        told.there.teller.post(level=-3.0)  # lies in the ring, and the bell rings
        told.there.teller.post(device=None, level=-100.0)
        assert await told.settled() == evolve(SPEAKER, device=None, level=-100.0)


async def test_a_level_that_is_read_first_is_not_lost_to_a_state_from_before_it() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        told.there.teller.post(volume=0.25)  # waits for its loop, and for the pipe
        told.there.teller.post(level=-3.0)
        assert await told.settled() == evolve(SPEAKER, volume=0.25, level=-3.0)
        assert [state.level for state in told.came[2:]] == [-3.0] * len(told.came[2:])


async def test_a_state_that_comes_first_brings_the_level_that_lies_there() -> None:
    came: list[DeviceState] = []
    reader = LevelReader(came.extend)
    writer = LevelWriter(lambda shape, lent: reader.attach(shape, *map(os.dup, lent)))
    writer.write(evolve(SPEAKER, level=-2.0))
    assert came == []  # there is no state that it could be of
    reader((MarkedState(SPEAKER, 0),))
    writer.write(evolve(SPEAKER, level=-3.0))
    reader((MarkedState(evolve(SPEAKER, volume=0.25, level=-2.0), 1),))
    assert came == [evolve(SPEAKER, level=-2.0), evolve(SPEAKER, volume=0.25, level=-3.0)]
    writer.close()
    reader.stop()


GONE = UTDStreamException("gone")
STEPS = st.sampled_from(["level", "level", "volume", "both", "gone", "back", "turn", "turn"])


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_what_is_told_is_what_is_told_inline_and_no_level_comes_back(steps: list[str]) -> None:
    async def tell() -> None:
        async with listening() as told:
            for n, step in enumerate(steps):
                level = n / 1000  # louder each time
                match step:
                    case "level":
                        told.there.teller.post(level=level)
                    case "volume":
                        told.there.teller.post(volume=level)
                    case "both":
                        told.there.teller.post(volume=level, level=level)
                    case "gone" | "back":
                        told.there.teller.post(failure=GONE if step == "gone" else None)
                    case "turn":
                        await asyncio.sleep(0)
            assert value(await told.settled()) == value(told.inline[-1])
            heard = [state.level for state in told.came if state.level is not None]
            assert heard == sorted(heard)
            assert failures(told.came) == failures(told.inline)

    asyncio.run(tell())


def failures(states: list[DeviceState]) -> list[bool]:
    """Whether there was one, each time that changed."""
    were = [state.failure is not None for state in states]
    return [now for before, now in zip([None, *were], were, strict=False) if before is not now]


async def test_levels_of_a_callback_and_states_of_a_loop_keep_their_order() -> None:
    async with listening() as told:

        def call_back() -> None:
            for n in range(2_000):
                more = {"volume": n / 2_000} if n % 7 == 0 else {}
                told.there.teller.post(level=n / 1000, **more)

        thread = threading.Thread(target=call_back)
        thread.start()
        await until(lambda: not thread.is_alive())
        thread.join()
        last = await told.settled()
        heard = [state.level for state in told.came if state.level is not None]
        assert heard == sorted(heard)
        assert last == told.there.teller.state


async def test_of_many_levels_an_app_that_stands_still_is_told_the_newest() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        before, states = told.messages, len(told.came)
        for n in range(100 * SLOTS + 1):
            told.there.teller.post(level=-float(n))
        assert await told.settled() == evolve(SPEAKER, level=-100.0 * SLOTS)
        assert (told.messages, len(told.came), rings()) == (before, states + 1, ONE)


async def test_who_stopped_is_told_no_level() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        before = list(told.came)
        told.there.teller.post(level=-3.0)
        told.stop()
        assert rings() == ONE // 2  # the other end has not heard of it
        told.there.teller.post(level=-4.0)
        await until(lambda: not rings())
        assert told.came == before


async def test_a_process_that_is_gone_tells_no_level_more_and_leaves_no_ring() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        before = list(told.came)
        told.there.teller.post(level=-3.0)  # as it dies
    assert told.came == before
    told.there.teller.post(level=-4.0)
    await until(lambda: not rings())
    assert told.came == before


async def test_one_after_the_other_listens_and_no_ring_is_left() -> None:
    async with listening() as told:
        told.there.teller.post(level=-2.0)
        await told.settled()
        for n in range(20):
            came = Batches[DeviceState]()
            stop = told.port.listen(told.key, came.take)
            await came.until(lambda state: True)
            told.there.teller.post(level=-10.0 - n)
            await came.until(partial(operator.eq, told.there.teller.state))
            assert rings() == 2 * ONE
            stop()
            await until(lambda: rings() == ONE)


async def test_where_no_descriptor_is_left_states_bring_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(shape: object) -> None:
        raise OSError("too many open files")

    async with listening() as told:
        with monkeypatch.context() as patch:
            patch.setattr(ring_filling, "RingWriter", refuse)
            told.there.teller.post(level=-2.0)
            told.there.teller.post(volume=0.25)
            assert await told.settled() == evolve(SPEAKER, level=-2.0, volume=0.25)
        told.there.teller.post(level=-3.0)
        assert (await told.settled()).level == -3.0


@pytest.mark.long
async def test_a_process_that_is_killed_leaves_no_ring() -> None:
    process = MediaProcess()
    there: Any = process.port(Near, CardsWorld, f"{far_cards.__name__}:world")
    await there.bring_back()  # no device is opened before its fakes are there
    near = partial(NearAudio, abilities=ABILITIES)
    port: Any = process.port(near, AudioPort, f"{far_cards.__name__}:portaudio_port")
    key, came = DeviceKey("microphone"), Batches[MicrophoneState]()
    port.add(key, MicrophoneSettings(device=CardsWorld.first))
    port.listen(key, came.take)
    await port.open(key)
    await came.until(lambda state: state.level > -100.0, stir=there.sound)
    assert rings() == ONE // 2
    process.kill()
    await until(lambda: process.failure)
    assert rings() == 0
    await process.aclose()
