"""What the payload of a packet says, for each codec; and that garbage is survived."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.sfu.media import vp8, vp9
from utd_rx.engine.sfu.pictures import (
    ALL,
    READERS,
    UNKNOWN,
    Vp8Numbers,
    read_av1,
    read_h264,
    read_vp8,
    read_vp9,
    renumber_vp8,
)


def test_the_first_packet_of_a_vp8_key_frame() -> None:
    picture = read_vp8(vp8(picture=300, tl0=7, key_index=3, is_key=True))
    assert (picture.is_key, picture.begins, picture.is_independent) == (True, True, True)
    assert picture.vp8 == Vp8Numbers(300, True, 7, 3, True, 6)
    assert not read_vp8(vp8(is_key=True, begins=False)).is_key
    assert not read_vp8(vp8()).is_key


def test_temporal_layers_of_vp8() -> None:
    picture = read_vp8(vp8(temporal=2, is_sync=True))
    assert (picture.temporal, picture.needs) == (2, 0)
    assert read_vp8(vp8(temporal=2)).needs == ALL


@pytest.mark.parametrize(
    ("payload", "numbers"),
    [
        (b"\x10\x00", Vp8Numbers(None, False, None, None, False, 1)),
        (b"\x90\x80\x11\x01", Vp8Numbers(0x11, False, None, None, False, 3)),
        (b"\x90\x40\x11\x01", Vp8Numbers(None, False, 0x11, None, False, 3)),
        (b"\x90\x10\x05\x01", Vp8Numbers(None, False, None, 5, True, 3)),
        (b"\x90\x20\x45\x01", Vp8Numbers(None, False, None, None, True, 3)),
    ],
)
def test_what_a_vp8_descriptor_does_not_have_is_not_written(
    payload: bytes, numbers: Vp8Numbers
) -> None:
    assert read_vp8(payload).vp8 == numbers
    assert renumber_vp8(payload, numbers, numbers) == payload


@given(st.integers(0, 0x7FFF), st.integers(0, 0xFF), st.integers(0, 0x1F))
def test_vp8_counters_are_replaced_and_nothing_else(picture: int, tl0: int, key: int) -> None:
    payload = vp8(picture=1, tl0=2, key_index=3, temporal=1, is_sync=True)
    old = read_vp8(payload).vp8
    assert old is not None
    new = old._replace(picture_id=picture, tl0_index=tl0, key_index=key)
    assert renumber_vp8(payload, old, new) == vp8(
        picture=picture, tl0=tl0, key_index=key, temporal=1, is_sync=True
    )


def test_layers_of_vp9() -> None:
    key = read_vp9(vp9(is_key=True, ends=False))
    assert (key.is_key, key.begins, key.ends, key.spatial) == (True, True, False, 0)
    above = read_vp9(vp9(is_key=True, spatial=2, temporal=1, is_switch=True))
    assert (above.is_key, above.is_independent) == (False, True)
    assert (above.spatial, above.temporal, above.is_switch) == (2, 1, True)
    assert not read_vp9(vp9()).is_independent
    plain = read_vp9(b"\x0cpicture")  # neither picture id nor layers
    assert (plain.is_key, plain.spatial) == (True, 0)


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        (b"\x67\x42", True),  # sequence parameters
        (b"\x65\x88", True),  # IDR
        (b"\x41\x9a", False),
        (b"\x78\x00\x02\x09\xf0\x00\x02\x67\x42", True),  # STAP-A of delimiter and parameters
        (b"\x78\x00\x02\x09\xf0\x00\x02\x41\x9a", False),
        (b"\x7c\x85\x88", True),  # FU-A, the start of an IDR
        (b"\x7c\x45\x88", False),  # its end
        (b"\x7c\x81\x9a", False),
        (b"\x7c", False),
    ],
)
def test_key_frames_of_h264(payload: bytes, is_key: bool) -> None:
    assert read_h264(payload).is_key == is_key


def test_key_frames_of_av1_without_a_descriptor() -> None:
    assert read_av1(b"\x18\x0a").is_key
    assert not read_av1(b"\x10\x0a").is_key


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=12))
def test_any_payload_is_a_picture(codec: str, payload: bytes) -> None:
    picture = READERS[codec](payload)
    if picture.vp8 is not None:
        assert len(renumber_vp8(payload, picture.vp8, picture.vp8)) == len(payload)
    assert picture.begins or not picture.is_key or codec in ("h264", "av1")


@pytest.mark.parametrize("codec", ["vp8", "vp9"])
def test_what_is_cut_short_says_nothing(codec: str) -> None:
    assert READERS[codec](b"") == READERS[codec](b"\x90") == READERS[codec](b"\xa0") == UNKNOWN
