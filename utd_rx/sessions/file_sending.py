"""A file that is sent: what it has to be, how it is opened, and how far it has come."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import IO, Any

from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.transfers import TransferProgress
from utd_rx.ports.threads import in_thread
from utd_rx.state import StateSubject, Store


class FileSending:
    """A file on its way: await it for its end; cancelling that ends it for its receivers, too.

    Attributes:
        progress: How much of it LiveKit has taken. It completes when nothing more is sent, be it
            sent or failed: `failure` and what it is awaited with say which, from then on.
    """

    def __init__(
        self, total: int, send: Callable[[Callable[[int], None]], Coroutine[Any, Any, None]]
    ) -> None:
        self._total = total
        self._failure: Exception | None = None
        self._store: Store[TransferProgress, TransferProgress] = Store(
            TransferProgress(0, total), lambda _, new: new
        )
        self.progress: StateSubject[TransferProgress] = self._store.select(
            lambda state: state, name="progress"
        )
        self._task: asyncio.Task[None] = asyncio.ensure_future(send(self._sent))
        self._task.add_done_callback(self._done)

    def __repr__(self) -> str:
        failed = ", failed" if self._failure else ""
        return f"<FileSending, {self.progress.value.sent} of {self._total} bytes{failed}>"

    def __await__(self) -> Generator[Any, None, None]:
        return self._task.__await__()

    @property
    def failure(self) -> Exception | None:
        """Why not all of it was sent; None of one that is whole, or on its way.

        What awaiting it raises: a `UTDStreamException`, or an `OSError` of the file. Of one that
        was cancelled it is `CONFLICT`, overtaken.
        """
        return self._failure

    def cancel(self) -> None:
        """Send no more of it: who receives it is told that it failed. Idempotent."""
        self._task.cancel()

    def _sent(self, size: int) -> None:
        self._store.dispatch(TransferProgress(size, self._total))

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._failure = conflict(ConflictReason.OVERTAKEN, "it was cancelled")
        else:
            error = task.exception()  # seen: nobody may await it
            self._failure = error if isinstance(error, Exception) else None
        self._store.close()


def file_size(place: Path) -> int:
    """Return how large a file is; what is none is `VALIDATION`: opening it may wait for ever."""
    try:
        found = place.stat()
    except ValueError as error:  # a NUL in it
        raise invalid("path holds a NUL, which is in no file's name") from error
    return _size(place, found)


async def opened(place: Path) -> IO[bytes]:
    """Open a file, on a thread. Cancelling is safe: it is closed."""
    opening = asyncio.ensure_future(in_thread(_open, place))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _open(place: Path) -> IO[bytes]:
    file = open(place, "rb", opener=_without_waiting)  # noqa: SIM115 - closed by who sends it
    try:
        _size(place, os.fstat(file.fileno()))  # another one may be there by now
    except BaseException:
        file.close()
        raise
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _close(opening: asyncio.Future[IO[bytes]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _size(place: Path, found: os.stat_result) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise invalid(f"{place.name} is no file, but a folder, a pipe or a device: send a file")
    return found.st_size
