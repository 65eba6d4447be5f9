"""The sound that the package ships is the one its script makes, and is fit for its purpose."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from utd_rx.audio import level_dbfs, read_wav, speech_path

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_speech.py"


@pytest.fixture(scope="module")
def made() -> np.ndarray[Any, np.dtype[np.int16]]:
    make_speech = runpy.run_path(str(SCRIPT))["make_speech"]
    return cast("Callable[[], np.ndarray[Any, np.dtype[np.int16]]]", make_speech)()


def test_the_file_is_what_the_script_makes(made: np.ndarray[Any, np.dtype[np.int16]]) -> None:
    # ±1, because sines are not the same to the last bit on every machine.
    shipped = read_wav(speech_path())[1][:, 0].astype(int)
    assert shipped.shape == made.shape
    assert np.max(np.abs(shipped - made)) <= 1


def test_it_leaves_headroom_and_begins_and_ends_in_silence() -> None:
    samples = read_wav(speech_path())[1][:, 0]
    assert 20 * np.log10(np.abs(samples.astype(int)).max() / 32_768) == pytest.approx(-6, abs=0.01)
    assert -20 < level_dbfs(samples) < -12
    assert not samples[: 48 * 100].any()
    assert not samples[-48 * 200 :].any()


def test_it_fits_itself_nowhere_else() -> None:
    samples = read_wav(speech_path())[1][:, 0] / 32_768
    spectrum = np.fft.rfft(samples, 2**19)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)
    likeness /= likeness[0]
    assert np.max(np.abs(likeness[96:192_000])) < 0.75
    assert np.max(np.abs(likeness[480:192_000])) < 0.2


def test_it_has_sound_above_the_telephones_band() -> None:
    samples = read_wav(speech_path())[1][:, 0] / 32_768
    power = np.abs(np.fft.rfft(samples)) ** 2
    high = np.sum(power[np.fft.rfftfreq(len(samples), 1 / 48_000) > 4_000])
    assert high / np.sum(power) > 0.005
