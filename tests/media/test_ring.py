"""What is read was written, whole and in order, and what was overwritten is counted."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_rx.media.ring import BODY, RingReader, RingShape, RingWriter

STEPS = st.lists(st.tuples(st.sampled_from(["write", "take", "look"]), st.integers(1, 9)))


def pair(shape: RingShape) -> tuple[RingWriter, RingReader]:
    writer = RingWriter(shape)
    return writer, RingReader(shape, *map(os.dup, writer.descriptors))


def write(ring: RingWriter, number: int, count: int = 1) -> None:
    places = ring.begin(count)
    for part, place in enumerate(places):
        ring.slots[place % ring.shape.slots, BODY:] = (number + part) % 251
    ring.end(places)


@settings(max_examples=50)
@given(STEPS, st.integers(1, 9))
def test_the_newest_are_read_in_order_and_the_others_are_counted(
    steps: list[tuple[str, int]], slots: int
) -> None:
    writer, reader = pair(RingShape(slots, 128))
    written = read = lost = 0
    for step, count in steps:
        if step == "write":
            fits = min(count, slots)
            write(writer, written, fits)
            written += fits
        elif step == "take":
            first = max(read, written - slots)
            got = reader.take()
            assert got[:, BODY:].tolist() == [[n % 251] * 64 for n in range(first, written)]
            assert not got.flags.writeable
            lost, read = lost + first - read, written
        else:
            newest = reader.look(lambda slot: slot[BODY:].tolist())
            assert newest == (None if read == written else [(written - 1) % 251] * 64)
            read = written
        assert reader.lost == lost
    writer.close()
    reader.close()


def test_a_slot_that_is_being_written_is_not_read() -> None:
    writer, reader = pair(RingShape(2, 128))
    write(writer, 1)
    write(writer, 2)
    third = writer.begin()
    writer.slots[third.start % 2, BODY:] = 3
    assert reader.take()[:, BODY].tolist() == [2]
    assert reader.lost == 1
    writer.end(third)
    fourth = writer.begin()
    writer.slots[fourth.start % 2, BODY:] = 4
    assert reader.take()[:, BODY].tolist() == [3]
    writer.end(fourth)
    assert reader.look(lambda slot: int(slot[BODY])) == 4
    for end in (writer, reader):
        end.close()
        end.close()


def test_what_is_overwritten_while_it_is_looked_at_was_not_seen() -> None:
    writer, reader = pair(RingShape(1, 128))
    write(writer, 1)
    assert reader.look(lambda slot: write(writer, 2)) is None
    assert reader.wait()
    assert reader.look(lambda slot: int(slot[BODY])) == 2
    assert not reader.wait()
    for end in (writer, reader):
        end.close()


def test_the_bell_rings_once_and_only_for_a_reader_who_waits() -> None:
    writer, reader = pair(RingShape(4, 128))
    rung = []
    for is_waiting in (False, True, False):
        if is_waiting:
            reader.take()
            assert not reader.wait()
        for number in range(2):
            write(writer, number)
            writer.ring()
        try:
            rung.append(os.eventfd_read(reader.bell))
        except BlockingIOError:
            rung.append(0)
    assert rung == [0, 1, 0]
    for end in (writer, reader):
        end.close()


def test_a_count_that_cannot_be_is_believed_nowhere() -> None:
    """The other end reads what hostile peers send, and may be theirs one day."""
    writer, reader = pair(RingShape(4, 128))
    with mmap.mmap(writer.descriptors[0], 8) as memory:
        for count in (2**64 - 1, 2**63, 5, 0):
            memory[:8] = count.to_bytes(8, sys.byteorder)
            assert len(reader.take()) == 0
    for end in (writer, reader):
        end.close()


TOTAL = 20_000

WRITER = f"""
import socket, sys
import numpy as np
from utd_rx.media.ring import BODY, RingShape, RingWriter
ring = RingWriter(RingShape(7, 1024))
with socket.socket(fileno=int(sys.argv[1])) as way:
    socket.send_fds(way, [b"ring"], ring.descriptors)
written = 0
while written < {TOTAL}:
    places = ring.begin(1 + written % 3)
    for written in places:
        ring.slots[written % 7, BODY:].view(np.uint64)[:] = written
    ring.end(places)
    written = places.stop
    ring.ring()
"""


def test_two_processes_agree_on_every_slot_at_full_speed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", WRITER, str(theirs.fileno())]
        child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        _, descriptors, _, _ = socket.recv_fds(ours, 4, 2)
    reader = RingReader(RingShape(7, 1024), *descriptors)
    os.set_blocking(reader.bell, True)
    read = 0
    while read + reader.lost < TOTAL:
        slots = reader.take()[:, BODY:].view(np.uint64)
        read += len(slots)
        first = read + reader.lost - len(slots)
        expected = np.arange(first, first + len(slots), dtype=np.uint64)
        assert np.array_equal(slots, np.repeat(expected[:, np.newaxis], slots.shape[1], axis=1))
        if not reader.wait() and read + reader.lost < TOTAL:
            os.eventfd_read(reader.bell)  # for ever, if a bell were lost
    assert child.wait(10) == 0
    reader.close()
