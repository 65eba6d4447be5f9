"""What of SCTP is handed over to aiortc, whose work per packet grows with what a peer makes up.

It keeps misordered numbers and fragments in lists that it walks for every chunk, unrolls the gaps
of an acknowledgement one by one, and never gets past a parameter of length zero. So one packet
could stop the loop for seconds, or for good. With these bounds no part of one costs more than a
millisecond; chunks are those of RFC 9260, section 3.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final

from google_crc32c import value as crc32c

_HEADER: Final = 12
_CHUNK: Final = struct.Struct("!BBH")
_DATA: Final = struct.Struct("!IH")  # TSN and stream, of more
_GAPS: Final = struct.Struct("!HH")
_DATA_CHUNK, _SACK_CHUNK = 0, 3
_DATA_HEADER, _SACK_HEADER = 16, 16
_PARAMETER: Final = struct.Struct("!HH")
_PARAMETERS: Final = {1: 20, 2: 20, 4: 4, 5: 4, 6: 4, 9: 4, 130: 4}
"""Where they begin in a chunk, by its kind: INIT and its answer, heartbeats, ends, RE-CONFIG."""

_MAX_CHUNKS: Final = 64
"""Of one packet: 1,200 bytes of the smallest messages that LiveKit sends are half as many."""

PART: Final = 8
"""Chunks that are handed over at once: what comes of each may be some 0.07 ms. At most one of them
is an acknowledgement, which may have all that is on its way sent again."""

WINDOW: Final = 96
"""How far ahead of a hole chunks are taken, 100 kB; what is beyond comes again, as if lost."""

_MAX_GAPS: Final = 8192
"""Chunks that one packet acknowledges behind a hole, whatever is on its way."""

_SLACK: Final = 256
"""That it acknowledges beyond what is on its way: of a packet that was overtaken."""

MAX_STREAMS: Final = 64
"""That a peer may use. LiveKit's clients use three."""

MAX_HELD: Final = 320
"""Fragments that wait for the rest of their message, of all streams: a message of the greatest
size on each of the three, and what is ahead of a hole."""


class Admittance(Enum):
    PASS = auto()
    TRIM = auto()
    """What `trimmed` leaves of it may pass: a hole is often filled by a packet that goes on far
    ahead, and is sent again and again until it is."""
    DROP = auto()
    ABORT = auto()


def judge(packet: bytes, received: int | None, outstanding: int) -> Admittance:
    """Say what becomes of a packet, when all TSNs up to `received` have come; total.

    `outstanding` chunks have gone out and are not acknowledged.
    """
    verdict, gaps, far, count = Admittance.PASS, 0, 0, 0
    for count, (kind, at, size) in enumerate(_chunks(packet), 1):
        if count > _MAX_CHUNKS:
            return Admittance.ABORT
        if kind == _DATA_CHUNK and size >= _DATA_HEADER:
            if size == _DATA_HEADER:  # "No User Data", which RFC 9260 ends an association for
                return Admittance.ABORT
            far += _is_far(packet, at, received)
        elif kind == _SACK_CHUNK and size >= _SACK_HEADER:
            (blocks,) = struct.unpack_from("!H", packet, at + 12)
            for block in range(min(blocks, (size - _SACK_HEADER) // _GAPS.size)):
                start, end = _GAPS.unpack_from(packet, at + _SACK_HEADER + block * _GAPS.size)
                gaps += max(0, end - start + 1)
            if gaps > _MAX_GAPS:
                return Admittance.ABORT
            if gaps > outstanding + _SLACK:
                verdict = Admittance.DROP
        elif kind in _PARAMETERS and not _end(packet, at + _PARAMETERS[kind], at + size):
            return Admittance.ABORT
    if far and verdict is Admittance.PASS:
        verdict = Admittance.TRIM if far < count else Admittance.DROP
    return verdict


def trimmed(packet: bytes, received: int | None) -> bytes:
    """Return the packet without the chunks that are too far ahead, which come again."""
    return _made_of(
        packet,
        [
            (at, size)
            for kind, at, size in _chunks(packet)
            if not (kind == _DATA_CHUNK and size >= _DATA_HEADER and _is_far(packet, at, received))
        ],
    )


def number_of(packet: bytes) -> int | None:
    """Return the number of the chunk with data that a packet begins with, if it does."""
    kind, at, size = next(_chunks(packet), (None, 0, 0))
    if kind != _DATA_CHUNK or size < _DATA_HEADER:
        return None
    tsn: int = _DATA.unpack_from(packet, at + _CHUNK.size)[0]
    return tsn


def parts(packet: bytes) -> Iterator[bytes]:
    """Yield packets that say the same one after the other, each with as much as may be handed over
    at once."""
    part: list[tuple[int, int]] = []
    has_sack = is_split = False
    for kind, at, size in _chunks(packet):
        is_sack = kind == _SACK_CHUNK
        if len(part) == PART or (has_sack and is_sack):
            yield _made_of(packet, part)
            part, has_sack, is_split = [], False, True
        part.append((at, size))
        has_sack |= is_sack
    yield _made_of(packet, part) if is_split else packet


def _made_of(packet: bytes, chunks: Iterable[tuple[int, int]]) -> bytes:
    """Return the packet with these of its chunks, by their places and sizes."""
    body = b"".join(packet[at : at + size + -size % 4] for at, size in chunks)
    head = packet[: _HEADER - 4]
    checksum: int = crc32c(head + bytes(4) + body)
    return head + checksum.to_bytes(4, "little") + body


def _is_far(packet: bytes, at: int, received: int | None) -> bool:
    """Whether the DATA chunk there is further ahead of what has come than `WINDOW`."""
    tsn, _ = _DATA.unpack_from(packet, at + _CHUNK.size)
    return received is not None and WINDOW < ((tsn - received) & 0xFFFFFFFF) < 0x80000000


def _end(packet: bytes, at: int, end: int) -> bool:
    """Whether who walks the parameters between two places comes to an end."""
    while at + _PARAMETER.size <= end:
        _, size = _PARAMETER.unpack_from(packet, at)
        if size < _PARAMETER.size:
            return False
        at += size + -size % 4
    return True


def _chunks(packet: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, place and size of each whole chunk."""
    at = _HEADER
    while at + _CHUNK.size <= len(packet):
        kind, _, size = _CHUNK.unpack_from(packet, at)
        if size < _CHUNK.size or at + size > len(packet):
            return
        yield kind, at, size
        at += size + -size % 4
