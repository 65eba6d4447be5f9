"""Levels are AES17's dBFS, silence is the floor, and a meter gives at most 20 a second."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from utd_rx.audio.levels import LevelMeter, level_dbfs
from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.models.device_state import FLOOR_DBFS


def test_the_loudest_sine_is_zero() -> None:
    sine = np.sin(2 * np.pi * np.arange(4800) / 48)
    assert level_dbfs(sine) == pytest.approx(0.0, abs=1e-6)
    assert level_dbfs((sine * 32_767).astype(np.int16)) == pytest.approx(0.0, abs=0.01)


def test_the_loudest_square_is_three_more() -> None:
    assert level_dbfs(np.full(10, -32_768, dtype=np.int16)) == pytest.approx(3.01, abs=0.01)


def test_silence_and_nothing_are_the_floor() -> None:
    assert level_dbfs(np.zeros(480, dtype=np.int16)) == FLOOR_DBFS
    assert level_dbfs(np.zeros((0, 1), dtype=np.int16)) == FLOOR_DBFS
    assert level_dbfs(np.full(480, 1e-12)) == FLOOR_DBFS


@given(npst.arrays(np.int16, st.integers(1, 500)), st.floats(-40, 0))
def test_a_gain_moves_the_level_by_itself(samples: Samples, gain_db: float) -> None:
    loud = samples / 32_768
    before, after = level_dbfs(loud), level_dbfs(loud * 10 ** (gain_db / 20))
    assert FLOOR_DBFS <= before <= 3.02
    if after > FLOOR_DBFS:
        assert after - before == pytest.approx(gain_db, abs=1e-6)


def frames_of(samples: Samples) -> list[AudioFrame]:
    pieces = samples.reshape(-1, 80, 1)
    return [AudioFrame(piece, 8_000, at=index / 100) for index, piece in enumerate(pieces)]


@given(
    npst.arrays(np.int16, st.integers(0, 40).map(lambda count: count * 80)),
    st.floats(0.5, 20.0),
)
def test_a_meter_measures_all_sound_once_and_not_more_often(samples: Samples, rate: float) -> None:
    meter = LevelMeter(rate)
    levels = [level for frame in frames_of(samples) if (level := meter.push(frame))]
    assert len(levels) <= len(samples) / 8_000 * rate + 1e-6
    at = 0.0
    for level in levels:
        assert level.at == pytest.approx(at)
        piece = samples[round(at * 8_000) : round((at + level.duration) * 8_000)]
        assert level.rms_dbfs == pytest.approx(level_dbfs(piece))
        peak = float(np.abs(piece.astype(float)).max())
        assert level.peak_dbfs == pytest.approx(
            20 * np.log10(peak / 32_768) if peak else FLOOR_DBFS
        )
        at += level.duration


def test_a_second_gives_twenty_levels() -> None:
    meter = LevelMeter()
    levels = [meter.push(frame) for frame in frames_of(np.zeros(8_000, dtype=np.int16))]
    starts = [level.at for level in levels if level]
    assert starts == pytest.approx([n * 0.05 for n in range(20)])


@pytest.mark.parametrize("rate", [0.0, -1.0, 20.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="levels_per_second"):
        LevelMeter(rate)
