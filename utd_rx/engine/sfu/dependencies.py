"""The AV1 dependency descriptor: which layer a frame is of, and what it depends on. Sans I/O.

Of the AV1 RTP specification (aomediacodec.github.io/av1-rtp-spec), appendix A. A key frame brings
the templates that later descriptors of the stream refer to.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from attrs import define, field

from utd_rx.engine.sfu.pictures import UNKNOWN, Picture

_MAX_TEMPLATES: Final = 64
# Dependencies reach back a few frames; the format allows 4096.
_REMEMBERED_FRAMES: Final = 128


class _Template(NamedTuple):
    spatial: int
    temporal: int
    differences: tuple[int, ...]  # to the numbers of the frames it depends on


class _Bits:
    """Reads bits from the first on; `ValueError` past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("descriptor cut short")
        return self._value >> self._left & (1 << count) - 1

    def take_below(self, limit: int) -> int:
        """A value of `limit` ones, `ns(n)` in the specification."""
        width = limit.bit_length()
        short = (1 << width) - limit
        value = self.take(width - 1)
        return value if value < short else (value << 1 | self.take(1)) - short


class _Structure(NamedTuple):
    first_id: int
    templates: tuple[_Template, ...]
    targets: int


@define
class DependencyReader:
    """Reads the descriptors of one stream, in the order in which they arrive."""

    _structure: _Structure | None = None
    _timestamp: int | None = None
    _first_number: int = 0  # of the picture with that timestamp
    _temporal: OrderedDict[int, int] = field(factory=OrderedDict)  # by frame number

    def read(self, descriptor: bytes, timestamp: int) -> Picture:
        """Place a packet; `UNKNOWN` for what cannot be read, or not yet."""
        try:
            return self._read(_Bits(descriptor), len(descriptor) > 3, timestamp)
        except ValueError:
            return UNKNOWN

    def _read(self, bits: _Bits, is_extended: bool, timestamp: int) -> Picture:
        begins, ends = bool(bits.take(1)), bool(bits.take(1))
        template_id, number = bits.take(6), bits.take(16)
        has_structure = has_targets = has_indications = has_differences = 0
        if is_extended:
            has_structure, has_targets, has_indications = (bits.take(1) for _ in range(3))
            has_differences, _has_chains = bits.take(1), bits.take(1)
            if has_structure:
                self._structure = _read_structure(bits)
        structure = self._structure
        if structure is None:
            return UNKNOWN
        index = (template_id - structure.first_id) % _MAX_TEMPLATES
        if index >= len(structure.templates):
            return UNKNOWN
        template = structure.templates[index]
        if has_targets:
            bits.take(structure.targets)
        if has_indications:
            bits.take(2 * structure.targets)
        differences = _custom_differences(bits) if has_differences else template.differences
        return self._place(template, differences, number, begins, ends, timestamp)

    def _place(
        self,
        template: _Template,
        differences: tuple[int, ...],
        number: int,
        begins: bool,
        ends: bool,
        timestamp: int,
    ) -> Picture:
        if timestamp != self._timestamp:
            self._timestamp, self._first_number = timestamp, number
        own = (number - self._first_number) & 0xFFFF
        self._temporal[number] = template.temporal
        if len(self._temporal) > _REMEMBERED_FRAMES:
            self._temporal.popitem(last=False)
        earlier = (self._temporal.get((number - one) & 0xFFFF, 0) for one in differences)
        return Picture(
            is_key=begins and not differences,
            begins=begins,
            ends=ends,
            is_independent=all(one <= own for one in differences),
            spatial=template.spatial,
            temporal=template.temporal,
            needs=max(earlier, default=0),
        )


def _read_structure(bits: _Bits) -> _Structure:
    first_id, targets = bits.take(6), bits.take(5) + 1
    layers = [(0, 0)]
    while (step := bits.take(2)) != 3:
        spatial, temporal = layers[-1]
        layers.append((spatial + step - 1, 0) if step == 2 else (spatial, temporal + step))
        if len(layers) > _MAX_TEMPLATES:
            raise ValueError("too many templates")
    bits.take(2 * targets * len(layers))  # decode target indications
    templates = tuple(_Template(*layer, _template_differences(bits)) for layer in layers)
    chains = bits.take_below(targets + 1)
    if chains:
        for _ in range(targets):
            bits.take_below(chains)
        bits.take(4 * chains * len(layers))
    if bits.take(1):  # resolutions, of each spatial layer
        bits.take(32 * (layers[-1][0] + 1))
    return _Structure(first_id, templates, targets)


def _template_differences(bits: _Bits) -> tuple[int, ...]:
    found = []
    while bits.take(1):
        found.append(bits.take(4) + 1)
    return tuple(found)


def _custom_differences(bits: _Bits) -> tuple[int, ...]:
    found = []
    while size := bits.take(2):
        found.append(bits.take(4 * size) + 1)
    return tuple(found)
