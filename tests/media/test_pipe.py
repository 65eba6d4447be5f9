"""A pipe keeps order, never makes who writes wait, and owns what it was given."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.media.test_process import descriptors
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.pipe import SCARCE, Pipe
from utd_rx.media.wire import HEADER, Delivery, Message, framed
from utd_rx.testing.contracts import PATIENCE


class End:
    """One end, and what came to it."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.came: list[tuple[Message, tuple[int, ...]]] = []
        self.ends: list[UTDStreamException | None] = []
        self.pipe = Pipe(end, lambda *came: self.came.append(came), self.ends.append)

    async def until(self, count: int) -> None:
        """Wait until so much has come."""
        async with asyncio.timeout(PATIENCE):
            while len(self.came) + len(self.ends) < count:  # noqa: ASYNC110 - it comes on the loop
                await asyncio.sleep(0)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    near, far = map(End, socket.socketpair())
    yield near, far
    near.pipe.close()
    far.pipe.close()


async def test_what_nobody_reads_waits_and_comes_in_order(ends: tuple[End, End]) -> None:
    near, far = ends
    large = [Delivery(n, (bytes(100_000),)) for n in range(50)]
    for message in large:  # before anybody reads, and more than a socket takes
        near.pipe.post(message)
    assert near.pipe.attach()
    assert far.pipe.attach()
    assert not far.pipe.attach()
    await far.until(len(large))
    assert [message for message, _ in far.came] == large


async def test_any_thread_may_write(ends: tuple[End, End]) -> None:
    near, far = ends
    near.pipe.attach()
    far.pipe.attach()

    def write(thread: int) -> None:
        for n in range(50):
            near.pipe.post(Delivery(thread, (n, bytes(5_000))))

    with ThreadPoolExecutor(4) as pool:
        await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(pool, write, n) for n in range(4))
        )
    await far.until(200)
    for thread in range(4):
        mine = [m.batch[0] for m, _ in far.came if isinstance(m, Delivery) and m.sink == thread]
        assert mine == list(range(50))


async def test_descriptors_go_with_their_message(ends: tuple[End, End]) -> None:
    near, far = ends
    for n in range(3):
        reading, writing = os.pipe()
        os.write(writing, b"%d" % n)
        near.pipe.post(Delivery(n, (bytes(70_000),)), (reading, writing))  # which closes them
    near.pipe.attach()
    far.pipe.attach()
    await far.until(3)
    for n, (_, (reading, writing)) in enumerate(far.came):
        assert os.read(reading, 10) == b"%d" % n
        os.close(reading)
        os.close(writing)


async def test_descriptors_that_are_not_taken_are_closed(ends: tuple[End, End]) -> None:
    near, _ = ends
    for _ in range(20):  # until the socket is full
        near.pipe.post(Delivery(1, (bytes(100_000),)))
    waiting, late = os.pipe()
    near.pipe.post(Delivery(2, ()), (waiting,))
    os.fstat(waiting)
    near.pipe.close()
    near.pipe.post(Delivery(3, ()), (late,))
    for closed in (waiting, late):
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(closed)


async def test_the_end_of_the_other_is_told_once_behind_its_last_words(
    ends: tuple[End, End],
) -> None:
    near, far = ends
    near.pipe.post(Delivery(1, ()))
    near.pipe.close()
    near.pipe.close()
    far.pipe.attach()
    await far.until(2)
    assert far.came == [(Delivery(1, ()), ())]
    assert far.ends == [None]
    far.pipe.post(Delivery(2, ()))  # is nothing


async def test_who_writes_to_nobody_is_not_told_and_keeps_nothing(ends: tuple[End, End]) -> None:
    near, far = ends
    far.socket.close()
    for _ in range(3):
        near.pipe.post(Delivery(1, (bytes(100_000),)))
    near.pipe.attach()
    await near.until(1)
    assert near.ends == [None]


async def test_what_cannot_be_written_is_told_who_posts_and_its_descriptors_are_closed(
    ends: tuple[End, End],
) -> None:
    near, far = ends
    handed = os.pipe()
    with pytest.raises(Exception, match=r"pickle|local object"):
        near.pipe.post(Delivery(1, (lambda: None,)), handed)
    assert not any(map(is_open, handed))
    near.pipe.post(Delivery(2, ()))
    far.pipe.attach()
    await far.until(1)
    assert far.came == [(Delivery(2, ()), ())]


async def test_what_nobody_takes_any_more_is_closed_once(ends: tuple[End, End]) -> None:
    near, far = ends
    far.socket.close()
    handed = os.pipe()
    near.pipe.post(Delivery(1, ()), handed)
    assert not any(map(is_open, handed))
    others = os.pipe()
    assert others == handed  # the numbers are somebody else's by now
    near.pipe.close()
    assert all(map(is_open, others))
    for descriptor in others:
        os.close(descriptor)


async def test_a_message_whose_descriptors_did_not_come_ends_it_and_nothing_stays_open(
    ends: tuple[End, End],
) -> None:
    near, far = ends
    before = descriptors()
    message = framed(Delivery(1, ()), 2)
    socket.send_fds(near.socket, [message], [near.socket.fileno()])  # one of two
    far.pipe.attach()
    await far.until(1)
    [error] = far.ends
    assert error is not None
    assert error.code is UTDErrorCode.MALFORMED_RESPONSE
    assert descriptors() < before  # its end of the socket is closed, too


async def test_nonsense_ends_it_and_says_so(ends: tuple[End, End]) -> None:
    near, far = ends
    near.socket.send(HEADER.pack(3, 0) + b"abc")
    far.pipe.attach()
    await far.until(1)
    [error] = far.ends
    assert error is not None
    assert error.code is UTDErrorCode.MALFORMED_RESPONSE


async def test_descriptors_for_which_there_is_no_room_end_it_and_say_so(
    ends: tuple[End, End],
) -> None:
    near, far = ends
    near.pipe.attach()
    far.pipe.attach()
    near.pipe.post(Delivery(1, ()), os.pipe())
    near.pipe.post(Delivery(2, ()), os.pipe())  # which would be taken for those before
    spare = os.dup(far.socket.fileno())
    os.close(spare)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
    try:
        await far.until(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    [error] = far.ends
    assert error is not None
    assert (error.code, "ulimit -n" in error.message) == (UTDErrorCode.NETWORK, True)
    assert far.came == []


@pytest.mark.parametrize("said", sorted(SCARCE))
async def test_what_is_scarce_for_a_moment_is_tried_again(
    ends: tuple[End, End], monkeypatch: pytest.MonkeyPatch, said: int
) -> None:
    near, far = ends
    near.pipe.attach()
    far.pipe.attach()
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> int:
            patch.undo()
            raise OSError(said, "too many")

        patch.setattr(socket, "send_fds", refuse)
        near.pipe.post(Delivery(1, ()), os.pipe())
    near.pipe.post(Delivery(2, ()))
    await far.until(2)
    assert [message for message, _ in far.came] == [Delivery(1, ()), Delivery(2, ())]
    [first, _] = far.came
    for descriptor in first[1]:
        assert not os.get_inheritable(descriptor)  # by no other program of the app's
        os.close(descriptor)


async def test_who_takes_may_close_it() -> None:
    here, there = socket.socketpair()
    came: list[Message] = []

    def take(message: Message, descriptors: tuple[int, ...]) -> None:
        came.append(message)
        closing.close()

    closing = Pipe(here, take, lambda error: None)
    other = End(there)
    for n in range(3):
        other.pipe.post(Delivery(n, ()))
    closing.attach()
    other.pipe.attach()
    await other.until(1)
    other.pipe.close()
    assert came == [Delivery(0, ())]


async def test_what_follows_is_read_when_one_cannot_be_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here, there = socket.socketpair()
    came: list[Message] = []

    def take(message: Message, descriptors: tuple[int, ...]) -> None:
        came.append(message)
        raise LookupError(str(message))

    picky, other = Pipe(here, take, lambda error: None), Pipe(there, take, lambda error: None)
    for n in range(3):
        other.post(Delivery(n, ()))
    picky.attach()
    async with asyncio.timeout(PATIENCE):
        while len(came) < 3:  # noqa: ASYNC110 - it comes on the loop
            await asyncio.sleep(0)
    picky.close()
    other.close()
    assert "LookupError" in caplog.text
