"""`Pipe`: one end of the socket between the app and its media process.

Whole messages in order, both ways, and descriptors with them, which asyncio's own transports do not
carry. Writing never waits: what the socket does not take is kept in the queue, which says what of
it may be dropped (`outbound`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.outbound import Outbound
from utd_rx.media.wire import MAX_DESCRIPTORS, Message, Unframer, framed, misunderstood
from utd_rx.state.reports import report, running_loop

READ: Final = 64 * 1024
"""Bytes taken from the socket at a time."""

READS: Final = 4
"""Times in one turn of the loop, so that a storm does not hold up everything else."""

SCARCE: Final = frozenset([errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM])
"""What is said where too many descriptors are under way, or too little memory is left, just now."""

AGAIN: Final = 0.05
"""Seconds after which that is tried again."""

EXHAUSTED: Final = (
    "too many files are open for what a media process hands over: close some, or raise the limit "
    "(ulimit -n)"
)

Handler: TypeAlias = Callable[[Any, tuple[int, ...]], object]
"""Takes a message and the descriptors that came with it, which are its to close; on the loop."""


class Pipe:
    """One end; read on the loop that attached it, written from any thread.

    Args:
        end: The socket, of AF_UNIX, which belongs to the pipe from now on.
        take: Takes what comes, on the loop.
        broken: Is called once, on the loop, when the other end is gone or speaks nonsense.
    """

    def __init__(
        self,
        end: socket.socket,
        take: Handler,
        broken: Callable[[UTDStreamException | None], None],
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._take = take
        self._broken = broken
        self._outbound = Outbound()
        self._rest: memoryview | None = None
        self._rest_descriptors: Sequence[int] = ()
        self._incoming = Unframer()
        self._descriptors: deque[int] = deque()
        self._lock = threading.RLock()  # a finalizer may post in the middle of a post
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._is_deaf = False
        self._is_pumping = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop it is read on."""
        return self._loop

    def attach(self) -> bool:
        """Read on this loop from now on; return whether it was read on none before."""
        if self._is_closed or (self._loop is not None and not self._loop.is_closed()):
            return False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._end, self._read)
        with self._lock:
            if self._rest is not None:
                self._loop.add_writer(self._end, self._write)
        return True

    def post(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send a message behind all others, on any thread; descriptors are closed here when they
        are on their way. Nothing when the pipe is closed."""
        with self._lock:
            if self._is_closed or self._is_deaf:
                _close_all(descriptors)
                return
            self._outbound.put(message, descriptors)
            if self._rest is None and not self._is_pumping:
                self._pump()

    def close(self) -> None:
        """End it; idempotent, any thread, but on the loop if it is read on one that runs."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._end)
                self._loop.remove_writer(self._end)
            self._end.close()
            self._drop_waiting()
            _close_all(self._descriptors)

    def abandon(self) -> None:
        """Let go of the socket in a process that was forked off, and of nothing else: the loop is
        the parent's."""
        self._lock = threading.RLock()  # another thread may have held it, which is not here
        self._is_closed = True
        self._end.close()

    # -- writing, under the lock ------------------------------------------------------------------

    def _pump(self) -> None:
        """Write what waits until the socket takes no more."""
        self._is_pumping = True
        try:
            while self._rest is None and (waiting := self._outbound.take()) is not None:
                message, descriptors = waiting
                try:
                    self._rest = memoryview(framed(message, len(descriptors)))
                except BaseException:  # whoever posted it is told
                    _close_all(descriptors)
                    raise
                self._rest_descriptors = descriptors
                self._send()
        finally:
            self._is_pumping = False

    def _send(self) -> None:
        """Write the rest of a message, as far as the socket takes it."""
        rest = self._rest
        try:
            while rest:
                if self._rest_descriptors:
                    sent = socket.send_fds(
                        self._end, [rest], self._rest_descriptors, socket.MSG_NOSIGNAL
                    )
                    _close_all(self._rest_descriptors)
                    self._rest_descriptors = ()
                else:
                    sent = self._end.send(rest, socket.MSG_NOSIGNAL)
                rest = rest[sent:]
        except BlockingIOError:
            self._rest = rest
            self._await_room()
        except OSError as error:
            if error.errno in SCARCE:
                self._rest = rest
                self._await_room(AGAIN)
                return
            # The other end is gone, which whoever reads is told.
            self._is_deaf, self._rest = True, None
            self._drop_waiting()
        else:
            self._rest = None

    def _drop_waiting(self) -> None:
        _close_all(self._rest_descriptors)
        self._rest_descriptors = ()  # by now the numbers may be somebody else's
        while (waiting := self._outbound.take()) is not None:
            _close_all(waiting[1])

    def _await_room(self, later: float = 0.0) -> None:
        """Go on when the socket takes more, or so many seconds later."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        with suppress(RuntimeError):  # closed meanwhile
            if running_loop() is loop:
                self._arm(later)
            else:
                loop.call_soon_threadsafe(self._arm, later)

    def _arm(self, later: float) -> None:
        with self._lock:
            if self._loop is None or self._is_closed or self._rest is None:
                return
            if later:
                self._loop.call_later(later, self._write)
            else:
                self._loop.add_writer(self._end, self._write)

    def _write(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._send()
            if self._rest is None:
                self._pump()
            if self._rest is None and self._loop is not None:
                self._loop.remove_writer(self._end)

    # -- reading ----------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            for _ in range(READS):
                try:
                    data, came, is_whole = _received(self._end)
                except BlockingIOError:
                    return
                self._descriptors.extend(came)
                if not is_whole:  # those that follow would be taken for them
                    self._end_reading(UTDStreamException(EXHAUSTED, code=UTDErrorCode.NETWORK))
                    return
                if not data:
                    self._end_reading(None)
                    return
                self._incoming.feed(data)
                while not self._is_closed and (found := self._incoming.next()) is not None:
                    message, count = found
                    if count > len(self._descriptors):
                        raise misunderstood("descriptors that did not come")
                    self._give(message, tuple(self._descriptors.popleft() for _ in range(count)))
                if self._is_closed or len(data) < READ:
                    return
        except OSError:
            self._end_reading(None)
        except UTDStreamException as error:
            self._end_reading(error)

    def _give(self, message: Message, descriptors: tuple[int, ...]) -> None:
        try:
            self._take(message, descriptors)
        except BaseException as error:  # noqa: BLE001 - reported: what follows has to be read
            report(error, f"taking {type(message).__name__} of a media process")

    def _end_reading(self, error: UTDStreamException | None) -> None:
        self.close()
        self._broken(error)


def _received(end: socket.socket) -> tuple[bytes, Sequence[int], bool]:
    """Return octets, the descriptors that came along, which no other program of the app's inherits,
    and whether there was room for all of them; `socket.recv_fds` passes no flags on."""
    came = array("i")
    room = socket.CMSG_SPACE(MAX_DESCRIPTORS * came.itemsize)
    data, ancillary, flags, _ = end.recvmsg(READ, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, octets in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            came.frombytes(octets[: len(octets) - len(octets) % came.itemsize])
    return data, came, not flags & socket.MSG_CTRUNC


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
