"""Speech stands out of whatever noise there is, and outlasts the pauses between words."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from utd_rx.audio import level_dbfs, read_wav, speech_path
from utd_rx.audio.activity import HANG_OVER, STEADY, VoiceActivity

Sound = npt.NDArray[np.float64]

FRAME: Final = 480
SPEECH: Final[Sound] = read_wav(speech_path())[1][:, 0] / 32_768
SPOKEN: Final = level_dbfs(SPEECH)


def run(activity: VoiceActivity, level: float, seconds: float) -> list[bool]:
    return [activity.push(level, 0.01) for _ in range(round(seconds * 100))]


def voice(activity: VoiceActivity, level: float, seconds: float) -> list[bool]:
    """Speak four syllables a second, each 10 dB louder than what is between them."""
    levels = level + 5 + 5 * np.cos(2 * np.pi * 4 * np.arange(round(seconds * 100)) / 100)
    return [activity.push(float(each), 0.01) for each in levels]


def levels_of(sound: Sound) -> npt.NDArray[np.float64]:
    return np.array(
        [level_dbfs(piece) for piece in sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)]
    )


def heard(activity: VoiceActivity, sound: Sound) -> npt.NDArray[np.bool_]:
    return np.array([activity.push(float(level), 0.01) for level in levels_of(sound)])


def noise(kind: str, level: float, seconds: float) -> Sound:
    """Return steady noise: `white`, or `pink`, whose single frames are far apart."""
    count = round(seconds * 48_000)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(count))
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(count, 1 / 48_000), 1.0))
    sound: Sound = np.fft.irfft(spectrum, count)
    return sound * 10 ** ((level - level_dbfs(sound)) / 20)


@pytest.mark.parametrize("room", [-100.0, -70.0, -50.0, -40.0])
def test_a_voice_is_told_from_the_rooms_noise(room: float) -> None:
    activity = VoiceActivity()
    run(activity, room, 30.0)
    assert not any(run(activity, room, 1.0))
    assert all(voice(activity, max(room + 15, -35.0), 1.0))
    after = run(activity, room, 1.0)
    assert sum(after) == pytest.approx(HANG_OVER * 100, abs=1)


def test_recorded_speech_is_speech_and_its_silence_is_none() -> None:
    spoken = heard(VoiceActivity(), np.tile(SPEECH, 3))
    assert not spoken[0]
    assert np.all(spoken[np.tile(levels_of(SPEECH), 3) > -45])


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize(("ratio", "least"), [(20.0, 0.97), (10.0, 0.88)])
def test_speech_is_found_in_noise_and_the_noise_around_it_is_none(
    kind: str, ratio: float, least: float
) -> None:
    sound = noise(kind, SPOKEN - ratio, 25.0)
    begin = 5 * 48_000
    sound[begin : begin + 3 * len(SPEECH)] += np.tile(SPEECH, 3)
    spoken = heard(VoiceActivity(), sound)
    is_loud = np.tile(levels_of(SPEECH), 3) > -45
    assert np.mean(spoken[500 : 500 + len(is_loud)][is_loud]) >= least
    assert np.mean(spoken[300:500]) <= 0.1
    assert np.mean(spoken[-300:]) <= 0.1


@pytest.mark.parametrize("silence", [0.0, 0.2, 5.0])
@pytest.mark.parametrize("level", [-54.0, -50.0, -40.0, -30.0, -20.0])
@pytest.mark.parametrize(("kind", "most"), [("white", 1.0), ("pink", 3.0)])
def test_steady_noise_is_soon_the_room_after_opening_and_after_digital_silence(
    silence: float, level: float, kind: str, most: float
) -> None:
    """White noise of -40 dBFS was speech for 7.7 s, of -30 for 12.8; pink for 12 and 15 of 20."""
    activity = VoiceActivity()
    run(activity, -100.0, silence)
    spoken = heard(activity, noise(kind, level, 20.0))
    assert np.sum(spoken) * 0.01 <= most


def test_a_noise_that_gets_louder_is_soon_the_room() -> None:
    activity = VoiceActivity()
    run(activity, -60.0, 1.0)
    assert sum(run(activity, -30.0, 10.0)) * 0.01 == pytest.approx(STEADY + HANG_OVER, abs=0.2)
