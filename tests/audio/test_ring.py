"""The ring keeps the order, loses nothing but what it counts, and never holds too much."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.ring import Ring
from utd_rx.models.audio import Samples


def numbered(start: int, count: int, channels: int = 1) -> Samples:
    column = np.arange(start, start + count).astype(np.int16)[:, np.newaxis]
    return np.repeat(column, channels, axis=1)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["write", "read", "skip"]), st.integers(0, 70)), max_size=60
)


@given(OPERATIONS, st.integers(1, 50), st.integers(1, 2))
def test_samples_come_out_in_order_or_are_counted(
    operations: list[tuple[str, int]], capacity: int, channels: int
) -> None:
    ring, expected, offered, taken = Ring(capacity, channels), list[int](), 0, 0
    for operation, count in operations:
        if operation == "write":
            fitted = ring.write(numbered(offered, count, channels))
            assert fitted == min(count, capacity - len(expected))
            expected += range(offered, offered + fitted)
            offered += count
        elif operation == "read":
            out = np.full((count, channels), -1, np.int16)
            got = ring.read_into(out)
            assert got == min(count, len(expected))
            assert out[:got, 0].tolist() == out[:got, -1].tolist() == expected[:got]
            assert (out[got:] == -1).all()
            del expected[:got]
            taken += got
        else:
            skipped = ring.skip(count)
            assert skipped == min(count, len(expected))
            del expected[:skipped]
            taken += skipped
        assert ring.depth == len(expected) <= capacity
        assert offered == taken + ring.depth + ring.overrun
        assert (ring.written, ring.read) == (offered - ring.overrun, taken)


@pytest.mark.long
def test_a_writer_and_a_reader_on_two_threads_agree() -> None:
    ring, heard, total = Ring(64, 1), list[int](), 20_000

    def write() -> None:
        sent = 0
        while sent < total:
            block = numbered(sent, min(13, total - sent))[: 64 - ring.depth]
            sent += ring.write(block)

    writer = threading.Thread(target=write, name="ring writer")
    writer.start()
    out = np.zeros((17, 1), np.int16)
    while len(heard) < total:
        heard += out[: ring.read_into(out), 0].tolist()
    writer.join()
    assert heard == numbered(0, total)[:, 0].tolist()
    assert ring.overrun == 0


@given(st.integers(0, 40), st.integers(1, 20), st.integers(0, 40))
def test_a_fade_ends_in_silence_and_takes_nothing_away(
    count: int, length: int, before: int
) -> None:
    ring = Ring(40, 1)
    ring.write(numbered(0, before))
    ring.skip(before)
    ring.write(np.full((count, 1), 1000, np.int16))
    ring.fade_out(length)
    out = np.zeros((count, 1), np.int16)
    assert ring.read_into(out) == count
    faded = out[:, 0].tolist()
    assert faded == sorted(faded, reverse=True)
    assert all(value == 0 for value in faded[length:])
    assert faded[:1] == [1000][:count]
