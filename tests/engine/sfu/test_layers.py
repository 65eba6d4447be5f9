"""Which layer somebody wants, from what was asked and what is announced."""

from __future__ import annotations

import pytest
from livekit.protocol import models, rtc

from utd_rx.engine.sfu.layers import (
    FrameRates,
    Quality,
    best_layer,
    layer_of,
    sorted_rids,
    wanted_quality,
)
from utd_rx.engine.sfu.pictures import ALL

LOW, MEDIUM, HIGH, OFF = Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.OFF


def info(*heights: int, width: int = 1280, height: int = 720) -> models.TrackInfo:
    layers = [
        models.VideoLayer(quality=quality, width=2 * one, height=one)
        for quality, one in zip((LOW, MEDIUM, HIGH), heights, strict=False)
    ]
    return models.TrackInfo(width=width, height=height, layers=layers)


def of(*qualities: Quality) -> models.TrackInfo:
    return models.TrackInfo(layers=[models.VideoLayer(quality=one) for one in qualities])


def size(width: int, height: int) -> rtc.UpdateTrackSettings:
    return rtc.UpdateTrackSettings(width=width, height=height)


@pytest.mark.parametrize(
    ("height", "quality"),
    [(90, LOW), (180, LOW), (199, LOW), (201, MEDIUM), (400, MEDIUM), (401, HIGH), (2000, HIGH)],
)
def test_a_size_wants_the_smallest_layer_that_covers_it(height: int, quality: Quality) -> None:
    """Which may be a tenth smaller, so that nobody pays for a few lines."""
    assert wanted_quality(size(2 * height, height), info(180, 360, 720)) == quality
    assert wanted_quality(size(2 * height, height), info(0)) == quality  # sizes not announced


def test_of_layers_of_one_size_the_better_is_wanted() -> None:
    assert wanted_quality(size(320, 180), info(180, 180, 720)) == MEDIUM


def test_an_upright_picture_is_measured_across() -> None:
    upright = info(width=720, height=1280)
    assert wanted_quality(size(180, 320), upright) == LOW
    assert wanted_quality(size(400, 711), upright) == MEDIUM


def test_a_quality_counts_where_no_size_is_said() -> None:
    asked = rtc.UpdateTrackSettings(quality=MEDIUM)
    assert wanted_quality(asked, info(180, 360, 720)) == MEDIUM
    assert wanted_quality(rtc.UpdateTrackSettings(quality=OFF), info()) == HIGH
    asked.disabled = True
    assert wanted_quality(asked, info(180, 360, 720)) == OFF
    # Without a height of its own nothing can be compared.
    assert wanted_quality(size(320, 180), info(180, height=0)) == LOW


@pytest.mark.parametrize(
    ("announced", "layers"),
    [
        ((LOW, MEDIUM, HIGH), [0, 1, 2]),
        ((LOW, MEDIUM), [0, 1, 1]),
        ((LOW, HIGH), [0, 1, 1]),
        ((MEDIUM, HIGH), [0, 0, 1]),
        ((HIGH,), [0, 0, 0]),
        ((), [0, 1, 2]),
    ],
)
def test_a_quality_is_the_first_layer_as_good(
    announced: tuple[Quality, ...], layers: list[int]
) -> None:
    assert [layer_of(one, of(*announced)) for one in (LOW, MEDIUM, HIGH)] == layers
    assert layer_of(OFF, of(*announced)) is None


@pytest.mark.parametrize(
    ("wanted", "present", "best"),
    [(2, {0, 1, 2}, 2), (1, {0, 1, 2}, 1), (2, {0, 1}, 1), (1, {2}, 2), (1, {0, 2}, 0), (1, (), 1)],
)
def test_the_best_layer_that_arrives_and_is_not_too_good(
    wanted: int, present: set[int], best: int
) -> None:
    assert best_layer(wanted, present) == best


def test_streams_are_sorted_by_livekits_names() -> None:
    assert sorted_rids(("f", "h", "q")) == sorted_rids(("q", "h", "f")) == ("q", "h", "f")
    assert sorted_rids(("h", "q")) == ("q", "h")
    assert sorted_rids(("low", "high")) == ("low", "high")


def test_so_many_pictures_a_second_are_in_so_many_temporal_layers() -> None:
    rates = FrameRates()
    assert rates.layer_for(5) == ALL  # not known yet
    for n in range(61):
        rates.on_picture((0, 2, 1, 2)[n % 4], n / 30)
    assert [rates.layer_for(one) for one in (1, 7, 9, 15, 17, 30, 60)] == [0, 0, 1, 1, 2, 2, ALL]
    assert rates.layer_for(0) == ALL
