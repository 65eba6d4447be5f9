"""A device lives where it was wished to, and in the app where something of the app's has to be."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable

import pytest

from tests.media.test_house import Serving
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media import house as module
from utd_rx.media.devices import bring
from utd_rx.media.house import House
from utd_rx.models.audio import AudioFrame
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.contracts import refusal


class Hall:
    """An echo reference of an app's own."""

    def listen(self, sink: Callable[[AudioFrame], None]) -> Callable[[], None]:
        return lambda: None


async def test_a_microphone_whose_reference_is_the_apps_lives_with_it() -> None:
    cancelling = VoiceProcessing(echo_cancellation=True)
    auto = Microphone(reference=Hall(), processing=cancelling, media="auto")
    assert not bring(auto.key)
    assert living.is_here(auto.key)
    here = Speaker(media="inline")
    assert not bring(Microphone(reference=here, processing=cancelling, media="auto").key)
    apart = Microphone(reference=Hall(), processing=cancelling, media="process")
    with pytest.raises(UTDStreamException, match="cannot be heard in the media process") as raised:
        bring(apart.key)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED


class Kept(Serving):
    """A process whose devices a test reaches."""

    def audio(self, backend: str) -> object:
        self.fake = FakeAudio()
        return self.near(self.fake)


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """Have houses with fakes instead of media processes, and return these."""
    made: list[Kept] = []

    def start() -> Kept:
        made.append(Kept())
        return made[-1]

    monkeypatch.setattr(module, "_houses", {})
    monkeypatch.setattr(module, "House", lambda: House(start))
    return made


async def test_a_speaker_is_open_once_whichever_loop_opens_it(hosts: list[Kept]) -> None:
    speaker = Speaker("first", media="process")

    async def open_elsewhere() -> UTDStreamException:
        return await refusal(speaker.open())

    await speaker.open()
    refused = await asyncio.to_thread(asyncio.run, open_elsewhere())
    assert (refused.reason, len(hosts)) == (ConflictReason.ALREADY, 1)
    await speaker.aclose()


async def test_a_microphone_of_a_room_is_not_opened_again_by_another_loop(
    hosts: list[Kept],
) -> None:
    microphone = Microphone("first", media="process")

    async def open_elsewhere() -> UTDStreamException:
        return await refusal(microphone.open(lambda frame: None))

    pickle.dumps(microphone)  # as it is published
    await hosts[0].fake.open(microphone.key)
    await microphone.device.until(lambda device: device is not None)
    refused = await asyncio.to_thread(asyncio.run, open_elsewhere())
    assert (refused.reason, len(hosts)) == (ConflictReason.ALREADY, 1)
    await microphone.aclose()


async def test_a_device_is_closed_from_another_loop_and_opened_there(hosts: list[Kept]) -> None:
    speaker = Speaker("first", media="process")
    await speaker.open()

    async def close() -> None:
        await speaker.close()

    async def open_and_close() -> str | None:
        await speaker.open()
        device = await speaker.device.until(lambda device: device is not None)
        await speaker.aclose()
        return None if device is None else device.name

    await asyncio.to_thread(asyncio.run, close())
    assert hosts[0].is_closed
    assert await asyncio.to_thread(asyncio.run, open_and_close()) == "first"
    assert [host.is_closed for host in hosts] == [True, True]
