"""`record`: everything a session commits, as JSON lines (utd_rx/protocol/journal.py).

The session only puts what it committed on a queue; a thread encodes and writes it. So neither a
slow disk nor a large commit holds up the session, and a failure ends the recording alone.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, Final, Self, TypeVar

from reactivex.disposable import CompositeDisposable

from utd_rx.errors import ConflictReason, UTDStreamException, conflict, invalid
from utd_rx.ports.threads import begin, in_thread
from utd_rx.protocol import journal
from utd_rx.protocol.journal import Commit, End, Header, Start, line_of
from utd_rx.protocol.redaction import Redaction
from utd_rx.sessions.view import View

T = TypeVar("T")

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Commits that wait for the disk. With a gap the rest would be worthless, so beyond it the
recording ends."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds to wait for the disk."""


def record(
    session: View[Any],
    path: str | Path,
    *,
    keep_payloads: bool = False,
    max_bytes: int = journal.MAX_BYTES,
) -> Recording:
    """Record a session from its present state on; `replay(path)` gives its streams back.

    It ends with the session, with `close`, or when the file has reached its size. What is written
    so far can be replayed at any time, also after a crash.

    Args:
        session: Of any kind, joined or not.
        path: The file; an existing one is replaced, a new one is its owner's alone to read.
        keep_payloads: Write data payloads, metadata and what an agent's user said as they are. By
            default marks stand for them (utd_rx/protocol/redaction.py). Tokens are never written.
        max_bytes: End the recording before the file grows beyond this.

    Raises:
        UTDStreamException: `VALIDATION` when the file cannot be made, `CONFLICT` when the session
            is closed.
    """
    if session._machine.closed:
        raise conflict(ConflictReason.CLOSED, "the session is closed")
    return Recording(session, Path(path), keep_payloads, min(max_bytes, journal.MAX_BYTES))


class Recording:
    """A recording under way; made by `record`. Its methods may be called on any thread.

    Attributes:
        path: The file.
    """

    def __init__(self, session: View[Any], path: Path, keep_payloads: bool, max_bytes: int) -> None:
        self.path = path
        self._redaction = (
            None if keep_payloads else Redaction(secrets.token_bytes(16), session.kind)
        )
        self._room_left = max_bytes - max(len(line_of(end)) for end in End)
        self._queue: SimpleQueue[Commit | End] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_ending = False
        self._failure: Exception | None = None
        self._end: End | None = None
        try:
            file = open(path, "wb", opener=_private)  # noqa: SIM115 - the writer closes it
        except (OSError, ValueError) as error:
            raise invalid(f"{path} cannot be written: {error}") from error
        tapped = session._machine.on_commit(self._take)
        self._subscriptions = CompositeDisposable(tapped.subscription)
        header = Header(
            session.type,
            *session._names,
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            redacted=not keep_payloads,
        )
        start = Start(tapped.at, tapped.state)
        self._writer = threading.Thread(
            target=self._write,
            args=(file, header, start),
            name=f"utd_rx recording {path.name}",
            daemon=True,  # a forgotten recording does not keep the process
        )
        try:
            begin(self._writer)
        except UTDStreamException:
            self._subscriptions.dispose()
            file.close()
            raise
        ending = session.select(lambda state: None, name="recording")  # heard once, at its end
        self._subscriptions.add(ending.subscribe(None, None, lambda: self._finish(End.CLOSED)))

    def __repr__(self) -> str:
        stands = "under way" if self._end is None else self._end.value
        return f"<Recording {self.path.name!r}, {stands}>"

    @property
    def failure(self) -> Exception | None:
        """What ended the recording before its time, None when nothing did."""
        return self._failure

    @property
    def end(self) -> End | None:
        """Why it ended, None while it is written."""
        return self._end

    def redact(self, value: T) -> T:
        """Return a value of the session as the recording shows it."""
        return value if self._redaction is None else self._redaction(value)

    def close(self) -> None:
        """End the recording and wait until it is on disk. Idempotent, bounded in time.

        On an event loop use `aclose`, which does not block it.
        """
        self._finish(End.STOPPED)
        self._writer.join(CLOSE_TIMEOUT)
        if self._writer.is_alive():
            logger.error("%s: the disk did not take the recording in time", self.path)

    async def aclose(self) -> None:
        """As `close`. Cancelling is safe: the recording ends all the same."""
        self._finish(End.STOPPED)
        await in_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _take(self, at: float, items: Sequence[object]) -> None:
        """Hear of a commit; under the session's lock, so no more than this."""
        if self._queue.qsize() < MAX_WAITING:
            self._queue.put(Commit(at, tuple(items)))
        else:
            self._failure = BufferError(f"{MAX_WAITING} commits are waiting for the disk")
            self._finish(End.FAILED)

    def _finish(self, end: End) -> None:
        """Let the writer write what is waiting, and end."""
        with self._lock:
            is_first, self._is_ending = not self._is_ending, True
        if is_first:
            self._subscriptions.dispose()
            self._queue.put(end)

    def _write(self, file: BinaryIO, header: Header, start: Start) -> None:
        """Write until the end; the writer's thread."""
        try:
            with file:
                head = line_of(header) + line_of(self.redact(start))
                end = self._write_commits(file) if self._put(file, head) else End.FULL
                file.write(line_of(end))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the recording only
            self._failure = self._failure or error
            end = End.FAILED
        self._finish(end)
        self._end = end
        if self._failure is not None:
            logger.error("%s: the recording ended early: %r", self.path, self._failure)

    def _write_commits(self, file: BinaryIO) -> End:
        while True:
            if self._queue.empty():
                file.flush()  # nothing to do: what is known so far survives a crash
            entry = self._queue.get()
            if isinstance(entry, End):
                return entry
            if not self._put(file, line_of(self.redact(entry))):
                return End.FULL

    def _put(self, file: BinaryIO, line: bytes) -> bool:
        """Write a line; False when it does not fit any more."""
        self._room_left -= len(line)
        if self._room_left < 0 or len(line) > journal.MAX_LINE:
            return False
        file.write(line)
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
