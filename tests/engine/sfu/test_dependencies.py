"""The AV1 dependency descriptor, as LiveKit's SDK sends it for three layers of each kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu.dependencies import DependencyReader
from utd_rx.engine.sfu.pictures import ALL, UNKNOWN, Picture

KEY = bytes.fromhex(
    "c0000180081485214eaaaaa8000600004000100002aa80a8000600004000100002a000a800060000400016d549241b"
    "5524906d54923157e001974ca864330e222396eca8655304224390eca87753013f00b3027f016704ff02cf"
)
"""Recorded of livekit 1.2.0 with L3T3_KEY; frame 1, with the templates of all layers."""


def read(reader: DependencyReader, descriptor: str, timestamp: int) -> Picture:
    return reader.read(bytes.fromhex(descriptor), timestamp)


def test_a_key_picture_is_entered_on_each_of_its_layers() -> None:
    reader = DependencyReader()
    base = reader.read(KEY, 100)
    assert (base.is_key, base.spatial, base.is_independent, base.ends) == (True, 0, True, True)
    for descriptor, spatial in (("c50002", 1), ("ca0003", 2)):
        above = read(reader, descriptor, 100)
        assert (above.is_key, above.is_independent, above.spatial) == (False, True, spatial)


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        ("c30004", Picture(begins=True, ends=True, temporal=2, needs=0)),
        ("880005", Picture(begins=True, spatial=1, temporal=2, needs=0)),
        ("480005", Picture(ends=True, spatial=1, temporal=2, needs=0)),
        ("cc0006", Picture(begins=True, ends=True, spatial=2, temporal=1, needs=0)),
    ],
)
def test_later_pictures_depend_on_earlier_ones(descriptor: str, expected: Picture) -> None:
    reader = DependencyReader()
    reader.read(KEY, 100)
    assert read(reader, descriptor, 200) == expected


def test_a_frame_needs_the_temporal_layers_of_those_it_depends_on() -> None:
    reader = DependencyReader()
    reader.read(KEY, 100)
    for number, template in enumerate(("c5", "ca", "c3", "88", "8d", "c2", "c7", "cc"), 2):
        read(reader, f"{template}{number:04x}", 100 + number // 3)
    assert read(reader, "c4000a", 300).needs == 1  # the second picture of the highest layer


def test_before_its_templates_came_a_descriptor_says_nothing() -> None:
    assert read(DependencyReader(), "c50002", 100) == UNKNOWN


def test_a_template_that_is_none_says_nothing() -> None:
    reader = DependencyReader()
    reader.read(KEY, 100)
    assert read(reader, "ff0002", 100) == UNKNOWN


def test_a_frame_may_name_its_dependencies_itself() -> None:
    reader = DependencyReader()
    reader.read(KEY, 100)
    # One difference of four bits, 2, in place of the template's.
    one = reader.read(bytes.fromhex("c50003") + bytes([0b00010_01_0, 0b001_00_000]), 100)
    assert (one.spatial, one.is_independent) == (1, True)
    far = reader.read(bytes.fromhex("c50004") + bytes([0b00010_01_1, 0b111_00_000]), 100)
    assert not far.is_independent


@pytest.mark.parametrize("count", [64, 65])
def test_more_templates_than_the_format_has_are_not_read(count: int) -> None:
    steps = "00" * (count - 1) + "11"
    numbers = f"11{0:06b}{1:016b}"  # a whole frame, by the first template; its number
    bits = f"{numbers}10000{0:06b}{0:05b}{steps}{'00' * count}{'0' * count}00"
    descriptor = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert (DependencyReader().read(descriptor, 100) == UNKNOWN) is (count > 64)


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_are_survived(descriptors: list[bytes]) -> None:
    reader = DependencyReader()
    reader.read(KEY, 0)
    for number, one in enumerate(descriptors):
        assert reader.read(one, number).needs <= ALL


@given(st.integers(0, len(KEY)))
def test_a_descriptor_that_is_cut_short_says_nothing_new(size: int) -> None:
    reader = DependencyReader()
    picture = reader.read(KEY[:size], 0)
    assert picture == UNKNOWN or size == len(KEY)
