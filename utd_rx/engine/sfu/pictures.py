"""What one packet of video says about its picture, as far as a forwarder must know. Pure.

VP8's payload descriptor is RFC 7741, VP9's RFC 9628, H.264's NAL units RFC 6184; AV1 says it in its
dependency descriptor (`dependencies`), without one in the aggregation header.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

ALL: Final = 7
"""More temporal layers than there can be."""

_H264_KEY: Final = (5, 7)  # IDR slice, sequence parameter set
_STAP_A: Final = 24
_FU_A: Final = 28


class Vp8Numbers(NamedTuple):
    """The counters in a VP8 descriptor; None for what it does not have."""

    picture_id: int | None
    is_wide: bool  # 15 bits of picture id, else 7
    tl0_index: int | None
    key_index: int | None
    has_layer: bool  # whether there is a byte with the temporal layer
    size: int  # bytes of the descriptor


class Picture(NamedTuple):
    """A packet's place in its picture. A NamedTuple: it is built for every packet."""

    is_key: bool = False  # the first packet of a key frame
    begins: bool = False  # the first packet of a frame of its layer
    ends: bool = False  # the last one
    is_independent: bool = False  # of every earlier picture
    spatial: int = 0
    temporal: int = 0
    needs: int = ALL  # who had that many temporal layers can decode it
    is_switch: bool = False  # from here on, so can who had `temporal` any higher one
    vp8: Vp8Numbers | None = None


Read = Callable[[bytes], Picture]

UNKNOWN: Final = Picture()


def read_vp8(payload: bytes) -> Picture:
    try:
        numbers, layer = _vp8_descriptor(payload)
        begins = payload[0] & 0x17 == 0x10  # start of partition 0
        is_key = begins and not payload[numbers.size] & 0x01
    except IndexError:
        return UNKNOWN
    return Picture(
        is_key,
        begins,
        is_independent=is_key,
        temporal=layer >> 6,
        needs=0 if layer & 0x20 else ALL,
        vp8=numbers,
    )


def _vp8_descriptor(payload: bytes) -> tuple[Vp8Numbers, int]:
    if not payload[0] & 0x80:
        return Vp8Numbers(None, False, None, None, False, 1), 0
    flags, at = payload[1], 2
    picture_id = tl0_index = key_index = None
    is_wide = False
    if flags & 0x80:
        picture_id, at = payload[at], at + 1
        is_wide = picture_id >= 0x80
        if is_wide:
            picture_id, at = (picture_id & 0x7F) << 8 | payload[at], at + 1
    if flags & 0x40:
        tl0_index, at = payload[at], at + 1
    layer = 0
    if flags & 0x30:
        layer, at = payload[at], at + 1
        key_index = layer & 0x1F if flags & 0x10 else None
        layer = layer if flags & 0x20 else 0
    return Vp8Numbers(picture_id, is_wide, tl0_index, key_index, bool(flags & 0x30), at), layer


def renumber_vp8(payload: bytes, old: Vp8Numbers, new: Vp8Numbers) -> bytes:
    """The payload with other counters of the same width: only values of `new` are used."""
    descriptor, at = bytearray(payload[: old.size]), 2
    if new.picture_id is not None:
        if old.is_wide:
            descriptor[at : at + 2] = (0x8000 | new.picture_id & 0x7FFF).to_bytes(2, "big")
        else:
            descriptor[at] = new.picture_id & 0x7F
        at += 2 if old.is_wide else 1
    if new.tl0_index is not None:
        descriptor[at] = new.tl0_index & 0xFF
        at += 1
    if new.key_index is not None:
        descriptor[at] = descriptor[at] & 0xE0 | new.key_index & 0x1F
    return bytes(descriptor) + payload[old.size :]


def read_vp9(payload: bytes) -> Picture:
    try:
        first, at = payload[0], 1
        if first & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        layer = payload[at] if first & 0x20 else 0
    except IndexError:
        return UNKNOWN
    spatial, begins, is_independent = layer >> 1 & 0x07, bool(first & 0x08), not first & 0x40
    return Picture(
        begins and is_independent and spatial == 0,
        begins,
        bool(first & 0x04),
        is_independent,
        spatial,
        layer >> 5,
        is_switch=begins and bool(layer & 0x10),
    )


def read_h264(payload: bytes) -> Picture:
    kind = payload[0] & 0x1F if payload else 0
    if kind == _STAP_A:
        is_key = any(one in _H264_KEY for one in _stapled(payload))
    elif kind == _FU_A:
        is_key = len(payload) > 1 and bool(payload[1] & 0x80) and payload[1] & 0x1F in _H264_KEY
    else:
        is_key = kind in _H264_KEY
    return Picture(is_key, is_independent=is_key)


def _stapled(payload: bytes) -> list[int]:
    kinds, at = [], 1
    while at + 2 < len(payload):
        kinds.append(payload[at + 2] & 0x1F)
        at += 2 + int.from_bytes(payload[at : at + 2], "big")
    return kinds


def read_av1(payload: bytes) -> Picture:
    """Without a dependency descriptor all is one layer."""
    is_key = bool(payload) and bool(payload[0] & 0x08)  # begins a coded video sequence
    return Picture(is_key, is_independent=is_key)


READERS: Final[Mapping[str, Read]] = {
    "vp8": read_vp8,
    "vp9": read_vp9,
    "h264": read_h264,
    "av1": read_av1,
}
