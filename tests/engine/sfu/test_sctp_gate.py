"""What a peer makes up costs the server little, and what a real one sends passes."""

from __future__ import annotations

import pytest
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    ErrorChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    InitAckChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    parse_packet,
    serialize_packet,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.sfu.test_transport import Pair, pair
from utd_rx.engine.sfu.data_channels import RELIABLE
from utd_rx.engine.sfu.sctp_gate import MAX_HELD, MAX_STREAMS, Admittance, judge, trimmed

__all__ = ["pair"]

FIRST, MIDDLE = 0x02, 0x00


def data(tsn: int, payload: bytes = b"x", *, flags: int = MIDDLE, stream: int = 0) -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = tsn, stream, 0, 53
    chunk.user_data = payload
    return chunk


def sack(*gaps: tuple[int, int]) -> SackChunk:
    chunk = SackChunk()
    chunk.gaps = list(gaps)
    return chunk


class Raw(Chunk):
    """A chunk of a kind that holds any bytes."""

    def __init__(self, kind: type[Chunk], body: bytes) -> None:
        super().__init__(body=body)
        self.type = kind.type


WITH_PARAMETERS = (
    *(AbortChunk, ErrorChunk, HeartbeatAckChunk, HeartbeatChunk, ReconfigChunk),
    *(InitAckChunk, InitChunk),
)


def packet(*chunks: Chunk, tag: int = 0) -> bytes:
    return serialize_packet(5000, 5000, tag, chunks[0]) if len(chunks) == 1 else _bundle(chunks)


def _bundle(chunks: tuple[Chunk, ...]) -> bytes:
    return bytes(12) + b"".join(map(bytes, chunks))


@pytest.mark.parametrize(
    ("chunks", "verdict"),
    [
        ([data(1)], Admittance.PASS),
        ([data(2**32 - 1)], Admittance.PASS),  # an old one, again
        ([data(96)], Admittance.PASS),
        ([data(97)], Admittance.DROP),
        ([data(2**31 - 1)], Admittance.DROP),
        ([data(1), data(97)], Admittance.TRIM),
        ([data(97), sack((2, 5000))], Admittance.DROP),
        ([sack((2, 5000)), data(97)], Admittance.DROP),
        ([data(n) for n in range(1, 65)], Admittance.PASS),
        ([data(n) for n in range(1, 66)], Admittance.ABORT),
        ([data(1, b"")], Admittance.ABORT),
        ([sack((2, 5), (9, 4000))], Admittance.PASS),
        ([sack(*[(1, 65535)] * 280)], Admittance.ABORT),
        ([sack((1, 5000)), sack((1, 5000))], Admittance.ABORT),
        ([sack((9, 1))], Admittance.PASS),
        ([sack((2, 5000))], Admittance.DROP),  # more than is on its way
    ],
)
def test_verdicts(chunks: list[Chunk], verdict: Admittance) -> None:
    assert judge(packet(*chunks), 0, 4000) is verdict


def test_a_packet_that_fills_a_hole_and_goes_on_far_ahead_fills_it() -> None:
    far_ahead = packet(data(1, b"hole"), data(26), data(97), data(98, b"far"), sack((2, 5)))
    _, _, _, chunks = parse_packet(trimmed(far_ahead, 0))
    assert list(map(bytes, chunks)) == [
        bytes(one) for one in (data(1, b"hole"), data(26), sack((2, 5)))
    ]


def test_before_the_first_number_is_known_none_is_too_far() -> None:
    assert judge(packet(data(70_000)), None, 0) is Admittance.PASS


@given(st.binary(max_size=200), st.none() | st.integers(0, 2**32 - 1))
def test_any_bytes_have_a_verdict(rest: bytes, received: int | None) -> None:
    assert isinstance(judge(rest, received, 0), Admittance)


@pytest.mark.parametrize("kind", WITH_PARAMETERS)
@pytest.mark.parametrize("before", [b"", b"\0\1\0\5x\0\0\0"], ids=["first", "second"])
def test_a_parameter_without_length_which_nobody_gets_past_ends_it(
    kind: type[Chunk], before: bytes
) -> None:
    head = bytes(len(bytes(kind())) - 4)
    assert judge(packet(Raw(kind, head + before)), 0, 0) is Admittance.PASS
    assert judge(packet(Raw(kind, head + before + bytes(4))), 0, 0) is Admittance.ABORT
    assert judge(packet(data(1), Raw(kind, head + before + bytes(4))), 0, 0) is Admittance.ABORT


async def test_who_begins_again_and_again_leaves_no_numbers_behind(pair: Pair) -> None:
    await pair.opened()
    for first in (3_000, 2_000, 1_000):  # what is behind a first number is forgotten
        assert not pair.server.is_closed
        pair.server.be_begun(first)
        for n in range(2, 60, 2):
            pair.server.be_sent(data(0), ahead=n)
    pair.server.be_sent(data(0), ahead=61)
    assert not pair.server.is_closed
    for n in range(63, 100, 2):
        pair.server.be_sent(data(0), ahead=n)
    assert pair.server.is_closed


async def test_messages_of_every_size_pass(pair: Pair) -> None:
    await pair.opened()
    sent = [bytes([n]) * size for n, size in enumerate([1] * 100 + [65_535] * 10)]
    for one in sent:
        pair.client.send(RELIABLE, one)
    await pair.until(lambda: len(pair.server_got) == len(sent))
    assert [message for _, message in pair.server_got] == sent


@pytest.mark.parametrize(
    "chunks",
    [
        [data(0, flags=FIRST), *(data(0) for _ in range(MAX_HELD))],
        [data(0, stream=n) for n in range(MAX_STREAMS + 1)],
    ],
    ids=["fragments without an end", "streams without number"],
)
async def test_state_without_bound_ends_the_association(
    pair: Pair, chunks: list[DataChunk]
) -> None:
    await pair.opened()
    for chunk in chunks:
        assert not pair.server.is_closed
        pair.server.be_sent(chunk)
    assert pair.server.is_closed


async def test_streams_named_in_passing_count_too(pair: Pair) -> None:
    await pair.opened()
    forward = ForwardTsnChunk()
    forward.streams = [(n, 0) for n in range(MAX_STREAMS + 1)]
    pair.server.be_sent(forward)
    assert pair.server.is_closed
