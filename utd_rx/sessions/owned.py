"""What a live session of any kind owes to its loop: who may command it, and how others do."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from utd_rx.ports.from_thread import FromThread
from utd_rx.sessions.rules_runner import RulesRunner


class Owned:
    """A session that belongs to the event loop it was made on; an async context manager."""

    _runner: RulesRunner[Any]

    @property
    def from_thread(self) -> FromThread:
        """The bridge from other threads to the commands: `run` waits, `submit` gives a future.

        `session.from_thread.run(session.send_data, b"hi")`; see docs/threads.md.
        """
        return self._runner.from_thread

    def require_here(self) -> None:
        """Check that this is the session's loop, and that it is not closed: as every command does.

        Raises:
            UTDStreamException: `CONFLICT`, foreign loop or closed.
        """
        self._runner.require_here()

    @abstractmethod
    async def aclose(self) -> None:
        """End it, and every stream; values stay readable. Idempotent, bounded in time."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
