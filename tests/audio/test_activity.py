"""Speech stands out of whatever noise there is, and outlasts the pauses between words."""

from __future__ import annotations

import numpy as np
import pytest

from utd_rx.audio import level_dbfs, read_wav, speech_path
from utd_rx.audio.activity import HANG_OVER, VoiceActivity


def run(activity: VoiceActivity, level: float, seconds: float) -> list[bool]:
    return [activity.push(level, 0.01) for _ in range(round(seconds * 100))]


@pytest.mark.parametrize("noise", [-100.0, -70.0, -50.0, -40.0])
def test_a_voice_is_told_from_the_rooms_noise(noise: float) -> None:
    activity = VoiceActivity()
    run(activity, noise, 30.0)
    assert not any(run(activity, noise, 1.0))
    assert all(run(activity, max(noise + 15, -35.0), 1.0))
    after = run(activity, noise, 1.0)
    assert sum(after) == pytest.approx(HANG_OVER * 100, abs=1)


def test_recorded_speech_is_speech_and_its_silence_is_none() -> None:
    audio_format, samples = read_wav(speech_path())
    size, activity = audio_format.samples_per_frame, VoiceActivity()
    spoken = [
        activity.push(level_dbfs(samples[start : start + size]), 0.01)
        for start in range(0, len(samples) - size, size)
    ]
    assert not spoken[0]
    assert np.mean(spoken) > 0.5


@pytest.mark.parametrize("noise", [-54.0, -50.0, -45.0])
def test_a_room_after_digital_silence_is_soon_known(noise: float) -> None:
    activity = VoiceActivity()
    run(activity, -100.0, 5.0)  # a card that starts, or is muted by its own switch
    assert not run(activity, noise, 7.0)[-1]


def test_a_noise_that_stays_becomes_the_room() -> None:
    activity = VoiceActivity()
    run(activity, -60.0, 1.0)
    assert run(activity, -30.0, 30.0)[-1] is False
