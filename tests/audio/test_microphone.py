"""A microphone crosses ports by its key: here it stays itself, elsewhere it is a value."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tests.audio.cable import Heard
from tests.audio.cards import Cards
from utd_rx.audio.microphone import Microphone, MicrophoneInput
from utd_rx.audio.playing import Tap
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.testing.audio import FakeAudio

ECHO = VoiceProcessing(echo_cancellation=True)


async def test_pickled_here_it_is_the_same_microphone(cards: Cards) -> None:
    """A copy that forgot gain, mute, reference and state would publish another sound."""
    microphone = Microphone("card", processing=ECHO, reference=Tap(AudioFormat()))
    microphone.set_gain(0.5)
    microphone.mute()
    crossed = pickle.loads(pickle.dumps(microphone))
    assert crossed is living.find(microphone.key)
    assert pickle.loads(pickle.dumps(crossed)) is crossed
    assert crossed.format == microphone.format
    heard = Heard()
    stream = await crossed.open(heard)
    cards.inputs[0].hears(5)
    await heard.until(5)
    assert not any(frame.samples.any() for frame in heard.frames)
    device = await microphone.device.until(lambda device: device is not None, timeout=10)
    assert device is not None
    assert (device.name, microphone.gain.value, microphone.processing.value) == ("card", 0.5, ECHO)
    with pytest.raises(UTDStreamException):
        await microphone.open(heard)  # one stream at a time, whoever opened it
    await stream.aclose()
    assert microphone.device.value is None
    await microphone.aclose()


def test_pickled_elsewhere_it_is_the_value_that_describes_it() -> None:
    microphone = Microphone("usb", format=AudioFormat(16_000, 2), block=0.01)
    assert loaded_elsewhere(microphone) == [
        str(MicrophoneInput("usb", format=AudioFormat(16_000, 2), block=0.01))
    ]


def test_pickled_elsewhere_nothing_is_forgotten_in_silence() -> None:
    """A muted microphone would open unmuted there."""
    muted, louder = Microphone(), Microphone()
    muted.mute()
    louder.set_gain(2.0)
    near = Microphone(reference=Tap(AudioFormat()))
    fake = Microphone(backend=FakeAudio())
    told = loaded_elsewhere(muted, louder, near, fake)
    for line, what in zip(told, ("mute", "gain", "reference", "port"), strict=True):
        assert line.startswith("NOT_FOUND")
        assert line.endswith(
            f"lives in process {os.getpid()}, and a MicrophoneInput cannot say its {what}"
        )
    muted.unmute()
    assert loaded_elsewhere(muted) == [str(MicrophoneInput())]


def loaded_elsewhere(*microphones: Microphone) -> list[str]:
    """What another process makes of each: a line of its repr, or of its error."""
    program = (
        "import pickle, sys; from utd_rx import UTDStreamException\n"
        "for one in sys.argv[1:]:\n"
        "    try: print(pickle.loads(bytes.fromhex(one)))\n"
        "    except UTDStreamException as error: print(error.code.name, error.message)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *(pickle.dumps(one).hex() for one in microphones)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_who_nobody_holds_is_forgotten() -> None:
    """The port is the process's, so it must not keep every microphone that was ever made."""
    microphone = Microphone()
    key, there = microphone.key, weakref.ref(living.find(microphone.key))
    del microphone
    gc.collect()
    assert there() is None
    with pytest.raises(UTDStreamException) as caught:
        living.find(key)
    assert caught.value.code is UTDErrorCode.NOT_FOUND


async def test_frames_are_told_while_somebody_looks(cards: Cards) -> None:
    microphone, heard, seen = Microphone("card"), Heard(), Heard()
    looking = microphone.frames.subscribe(seen)  # before there is anything to hear
    await microphone.open(heard)
    for phase in range(3):
        if phase:
            looking.dispose()
        if phase == 2:
            looking = microphone.frames.subscribe(seen)
        await asyncio.sleep(0)
        cards.inputs[0].hears(5)
        await heard.until(5 * (phase + 1))
        if phase != 1:
            await seen.until_is(heard.frames[-1])
    assert seen.frames[:5] == heard.frames[:5]
    assert seen.frames[-5:] == heard.frames[-5:]
    # The last frame that nobody looked at may still be on its way when somebody does again.
    assert not any(frame in heard.frames[5:9] for frame in seen.frames)
    ended: list[bool] = []
    microphone.frames.subscribe(on_completed=lambda: ended.append(True))
    await microphone.aclose()
    assert ended == [True]


async def test_values_stay_readable_after_the_end(cards: Cards) -> None:
    microphone, heard = Microphone("card"), Heard()
    microphone.set_gain(2.0)
    await microphone.open(heard)
    cards.inputs[0].hears(4)
    await heard.until(4)
    await microphone.aclose()
    assert (microphone.gain.value, microphone.statistics.value.frames) == (2.0, 4)
    assert microphone.device.value is None
