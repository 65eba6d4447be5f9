"""How a track is published, and what it is refused for before anything is open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.rtc.bench import Tone
from tests.rtc.pictures import Camera
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.models.video import VideoFormat
from utd_rx.rtc.local_track import bit_rate, open_track


@pytest.mark.parametrize(
    ("width", "height", "is_layered"),
    [(320, 180, False), (640, 360, False), (540, 960, True), (1280, 720, True)],
)
async def test_a_picture_is_sent_as_often_as_its_format_says_and_never_twice_in_one_size(
    width: int, height: int, is_layered: bool
) -> None:
    declared = VideoFormat(width, height, 24)
    track = await open_track(Camera(declared), TrackSource.CAMERA)
    options = track.options
    assert options.source == TrackSource.CAMERA.value
    assert options.video_encoding.max_framerate == 24
    assert options.video_encoding.max_bitrate == bit_rate(declared)
    assert options.simulcast is is_layered
    await track.silence()


async def test_sound_is_left_to_livekit() -> None:
    tone = Tone()
    track = await open_track(tone, TrackSource.MICROPHONE)
    assert not track.options.HasField("video_encoding")
    assert not track.options.HasField("simulcast")
    await track.silence()
    assert tone.open_streams == 0


@pytest.mark.parametrize(
    ("declared", "preset"),
    [
        (VideoFormat(320, 180, 20), 160_000),
        (VideoFormat(640, 360, 20), 450_000),
        (VideoFormat(1280, 720, 30), 1_700_000),
        (VideoFormat(1920, 1080, 30), 3_000_000),
        (VideoFormat(3840, 2160, 30), 8_000_000),
    ],
)
def test_the_bit_rate_is_about_that_of_livekits_presets(declared: VideoFormat, preset: int) -> None:
    assert bit_rate(declared) == pytest.approx(preset, rel=0.15)


@pytest.mark.parametrize("size", [(0, 360), (640, 5_000), ("wide", 360), None])
async def test_a_format_that_is_none_is_refused_before_the_camera_is_opened(size: Any) -> None:
    """LiveKit ends the process on a picture of no pixels."""
    declared = size and SimpleNamespace(width=size[0], height=size[1], fps=30)
    camera = Camera()
    camera.format = declared
    with pytest.raises(UTDStreamException) as raised:
        await open_track(camera, TrackSource.CAMERA)
    assert raised.value.code is UTDErrorCode.VALIDATION
    assert camera.opened == 0
