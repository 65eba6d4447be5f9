"""The numbers of a test pattern outlive real codecs at a bit rate nobody would call good."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from utd_rx.video import TestPattern, read_counter

pytestmark = pytest.mark.long

FRAMES = 30


@pytest.mark.parametrize("codec", ["libvpx", "libx264"])
@pytest.mark.parametrize(
    ("width", "height", "bit_rate"), [(640, 360, 60_000), (320, 180, 30_000), (1280, 720, 150_000)]
)
def test_every_number_is_read_after_encoding_and_decoding(
    codec: str, width: int, height: int, bit_rate: int
) -> None:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, 30)
    live = {"deadline": "realtime", "cpu-used": "8"}
    encoder.options = live if codec == "libvpx" else {"preset": "ultrafast", "tune": "zerolatency"}
    pattern = TestPattern(width, height)
    packets = []
    for number in range(FRAMES):
        frame = av.VideoFrame.from_ndarray(pattern.picture(number), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("vp8" if codec == "libvpx" else "h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    pictures = [picture for packet in [*packets, None] for picture in decoder.decode(packet)]
    read = [read_counter(np.ascontiguousarray(p.to_ndarray(format="rgb24"))) for p in pictures]
    assert None not in read
    numbers = [number for number in read if number is not None]
    assert numbers == sorted(set(numbers))  # an encoder may leave frames out
    assert len(numbers) > FRAMES // 2
    assert sum(packet.size for packet in packets) * 8 < 3 * bit_rate * FRAMES / 30
