"""A handle shows the app's wishes at once, and what it is told of the rest."""

from __future__ import annotations

import asyncio
import gc

import pytest

from utd_rx.audio.handle import port_of
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.device_state import SpeakerState
from utd_rx.ports import living
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock


def audio() -> FakeAudio:
    return FakeAudio(FakeClock())


def test_a_port_is_itself_and_a_name_that_there_is_not_is_refused() -> None:
    port = audio()
    assert port_of(port) is port
    with pytest.raises(ValueError, match="portaudio, platform, or a port, not 'alsa'"):
        port_of("alsa")  # type: ignore[arg-type] # what is tested


async def test_what_is_told_late_does_not_take_a_wish_back() -> None:
    async with Speaker(backend=audio()) as speaker:
        speaker.set_volume(0.25)
        speaker.mute()
        speaker._told((SpeakerState(volume=1.0, is_muted=False),))
        assert (speaker.volume.value, speaker.muted.value) == (0.25, True)
        speaker.unmute()
        assert not speaker.muted.value


async def test_a_closed_one_refuses_and_stays_readable() -> None:
    microphone = Microphone(backend=audio())
    await microphone.open(lambda _: None)
    ends: list[str] = []
    microphone.state.subscribe(on_completed=lambda: ends.append("end"))
    await asyncio.gather(microphone.aclose(), microphone.aclose())
    assert ends == ["end"]
    for command in (microphone.mute, microphone.unmute, lambda: microphone.set_gain(1.0)):
        with pytest.raises(UTDStreamException) as raised:
            command()
        assert raised.value.reason is ConflictReason.CLOSED
    with pytest.raises(UTDStreamException):
        await microphone.use(None)
    assert microphone.device.value is None


def test_what_nobody_holds_any_more_is_forgotten() -> None:
    speaker = Speaker(backend=audio())
    key = speaker.key
    assert living.find(key) is not None
    del speaker
    gc.collect()
    with pytest.raises(UTDStreamException) as raised:
        living.find(key)
    assert raised.value.code is UTDErrorCode.NOT_FOUND
