"""A microphone's gain is heard and shown, without a click, without wrapping around."""

from __future__ import annotations

import numpy as np
import pytest

from utd_rx.audio.hearing import Gain, HearingDevice
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.processing import ProcessingStage
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.ports.audio import MicrophoneSettings, SetMuted


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 2), value, np.int16), 48_000, 7.0)


def test_unchanged_it_costs_nothing() -> None:
    sound = frame(8_000)
    assert Gain().push(sound) is sound


def test_it_moves_within_a_frame_and_stays() -> None:
    gain = Gain()
    gain.wanted = 0.5
    moving, reached = gain.push(frame(8_000)), gain.push(frame(8_000))
    assert (moving.samples[0, 0], moving.samples[-1, 1]) == (8_000, 4_000)
    assert np.all(np.diff(moving.samples[:, 0]) <= 0)
    assert np.max(np.abs(np.diff(moving.samples[:, 0]))) < 20
    assert np.all(reached.samples == 4_000)
    assert not reached.samples.flags.writeable
    assert (reached.at, reached.sample_rate) == (7.0, 48_000)


@pytest.mark.parametrize("value", [20_000, -20_000])
def test_what_is_too_loud_saturates(value: int) -> None:
    gain = Gain()
    gain.wanted = 4.0
    gain.push(frame(value))
    loudest = np.iinfo(np.int16).max if value > 0 else np.iinfo(np.int16).min
    assert np.all(gain.push(frame(value)).samples == loudest)


class Loud(ProcessingStage):
    """Processing that takes every frame for the same one."""

    def push(self, given: AudioFrame) -> AudioFrame:
        return frame(8_000)


def test_it_comes_after_processing_and_mutes_come_after_it() -> None:
    heard: list[AudioFrame] = []
    device = HearingDevice(DeviceKey("microphone"), MicrophoneSettings(gain=0.5))
    device.stage = Loud(None, lambda: 0.0)
    device.begin(heard.append)
    device.take(frame(1_000))
    assert np.all(heard[-1].samples == 4_000)
    device.order(SetMuted(True))
    device.take(frame(1_000))
    assert not np.any(heard[-1].samples)


@pytest.mark.parametrize("gain", [-0.1, 4.1, float("nan"), float("inf")])
async def test_a_gain_out_of_range_is_a_typed_error(gain: float) -> None:
    microphone = Microphone()
    with pytest.raises(UTDStreamException) as caught:
        microphone.set_gain(gain)
    assert caught.value.code is UTDErrorCode.VALIDATION
    assert microphone.gain.value == 1.0
    await microphone.aclose()
