"""No packet of a peer's holds others up: each is taken in parts, and none of them costs much."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pytest
from aiortc.rtcsctptransport import Chunk, HeartbeatChunk, ReconfigChunk, SackChunk

from tests.engine.sfu.rooms import done
from tests.engine.sfu.test_sctp_gate import FIRST, MIDDLE, data, packet, sack
from tests.engine.sfu.test_transport import Pair, Server, pair
from utd_rx.engine.sfu import data_channels
from utd_rx.engine.sfu.data_channels import RELIABLE
from utd_rx.engine.sfu.sctp_gate import PART, parts

__all__ = ["pair"]

MOST: Final = 6_000
"""Calls of functions in a part: a millisecond, some 0.1 µs for each; the least has 100."""

UNORDERED: Final = 0x04


def calls_in(taking: Iterator[None]) -> Iterator[int]:
    """Count, for each part, the functions that are called."""
    count = 0

    def see(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    is_done = False
    while not is_done:
        before, count = sys.getprofile(), 0
        sys.setprofile(see)
        try:
            is_done = next(taking, pair) is pair
        finally:
            sys.setprofile(before)
        yield count


def a_hole(server: Server) -> Iterable[Chunk]:
    """One number is left out, and all that may come behind it comes."""
    for ahead in range(2, 37):
        server.be_sent(data(0), ahead=ahead)
    return [data(ahead) for ahead in range(37, 97)]


def fragments(flags: int) -> Callable[[Server], Iterable[Chunk]]:
    """Messages begin and do not end, as many as may wait."""

    def made(server: Server) -> Iterable[Chunk]:
        for _ in range(259):
            server.be_sent(data(0, flags=flags))
        return [data(n, flags=flags) for n in range(1, 61)]

    return made


def heartbeats(_server: Server) -> Iterable[Chunk]:
    """Each is answered."""
    one = HeartbeatChunk()
    one.params = [(1, b"beat")]
    return [one] * 60


def resets(_server: Server) -> Iterable[Chunk]:
    """Each is answered twice."""
    one = ReconfigChunk()
    one.params = [(13, struct.pack("!LLLH", n, 0, 2**31 - 1, 9)) for n in range(60)]
    return [one]


def losses(server: Server) -> Iterable[Chunk]:
    """All before one more that came is said to be lost, so often that it is sent again."""
    for _ in range(128):
        server.send(RELIABLE, b"x")
    return [sack((128 - n, 128 - n)) for n in range(50)]


def acknowledged(size: int) -> Callable[[Server], Iterable[Chunk]]:
    """All that is on its way came, and as much waits as may."""

    def made(server: Server) -> Iterable[Chunk]:
        for _ in range(600):
            server.send(RELIABLE, bytes(size))
        one: Any = SackChunk()
        one.cumulative_tsn, one.advertised_rwnd = server.on_their_way, 2**20
        return [one]

    return made


@pytest.mark.parametrize(
    "made",
    [
        a_hole,
        fragments(FIRST),
        fragments(MIDDLE | UNORDERED),
        heartbeats,
        resets,
        losses,
        acknowledged(1),
        acknowledged(60_000),
    ],
    ids=["hole", "fragments", "unordered", "heartbeats", "resets", "losses", "room", "much room"],
)
async def test_no_part_of_a_packet_costs_much(
    pair: Pair, made: Callable[[Server], Iterable[Chunk]]
) -> None:
    await pair.opened()
    pair.is_cut = True
    chunks = made(pair.server)
    worst = max(calls_in(pair.server.being_sent(*chunks, acknowledged=pair.acknowledged)))
    assert 10 < worst < MOST


async def test_who_says_that_everything_was_lost_has_little_of_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again = 10
    monkeypatch.setattr(data_channels, "_AGAIN_RATE", again * 32)  # bytes of the smallest packet
    made = Pair()
    made.server.start()
    made.client.start()
    await made.opened()
    made.is_cut = True
    chunks, before = losses(made.server), made.sent
    done(made.server.being_sent(*chunks, acknowledged=made.acknowledged))
    answers = len(list(parts(bytes(12) + b"".join(map(bytes, chunks)))))
    assert 0 < made.sent - before <= again + answers
    made.close()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("chunks", "sizes"),
    [
        ([data(1)], [1]),
        ([sack(), *(data(n) for n in range(1, PART))], [PART]),
        ([data(n) for n in range(1, 2 * PART + 2)], [PART, PART, 1]),
        ([sack(), sack(), data(1), sack()], [1, 2, 1]),
    ],
)
def test_the_parts_of_a_packet_say_what_it_says(chunks: list[Chunk], sizes: list[int]) -> None:
    whole = packet(*chunks)
    found = list(parts(whole))
    bodies = [bytes(one) for one in chunks]
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    expected = [b"".join(bodies[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    assert [one[12:] for one in found] == expected
    assert {one[:8] for one in found} == {whole[:8]}
