"""`Succession`: one media process after another, and what is to be in each of them again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import groupby
from typing import Any, Final, Generic, Protocol, TypeVar

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.media.backoff import MAX_DEATHS, WINDOW, Deaths
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until

logger: Final = logging.getLogger(__name__)


class Host(Protocol):
    """What ports live in, and die with: a media process."""

    @property
    def failure(self) -> UTDStreamException | None:
        """Why it is over, with its last words; None while it is not."""

    def on_end(self, callback: Callable[[UTDStreamException], None]) -> Callable[[], None]:
        """Call back once on the loop when it has died, behind all calls that were under way; call
        the result to stop."""

    async def aclose(self) -> None:
        """End it. Idempotent, bounded in time."""


H = TypeVar("H", bound=Host)


class Heir(Protocol):
    """A port that outlives the process it is served in."""

    rank: int
    """Who has the lower one is there first: devices, then the rooms that use them."""

    @property
    def is_wanted(self) -> bool:
        """Whether something of it is to be there again without anybody asking."""

    def attach(self, host: Any) -> None:
        """Be served in this process from now on; never waits."""

    def lost(self, failure: UTDStreamException) -> None:
        """It died."""

    async def restore(self) -> None:
        """Bring back what was there; safe to cancel, when this process dies as well."""

    def given_up(self, failure: UTDStreamException) -> None:
        """There is no successor."""


class Succession(Generic[H]):
    """Starts a process when one is needed, and its successor when it dies; on one loop.

    Args:
        start: Starts one; it never waits.
        clock: Of the time between deaths.

    Attributes:
        deaths: How many have died.
    """

    def __init__(self, start: Callable[[], H], clock: Clock = SYSTEM_CLOCK) -> None:
        self._start = start
        self._clock = clock
        self.deaths = 0
        self._died = Deaths()
        self._host: H | None = None
        self._failure: UTDStreamException | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._heirs: list[Heir] = []
        self._replacing: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def failure(self) -> UTDStreamException | None:
        """Why the last one that died did."""
        return self._failure

    @property
    def current(self) -> H | None:
        """The one that lives; None before the first, and between two."""
        return self._host

    def join(self, heir: Heir) -> None:
        """Let `heir` be served in this process, if there is one, and in all that follow."""
        self._heirs.append(heir)
        self._heirs.sort(key=lambda one: one.rank)
        if self._host is not None:
            heir.attach(self._host)

    def leave(self, heir: Heir) -> None:
        """It is over. Idempotent."""
        if heir in self._heirs:
            self._heirs.remove(heir)

    def begin(self) -> None:
        """Start the first one now, so that it is up when it is needed."""
        if self._host is None and self._died.delay(self._clock.now()) == 0:
            self._make()

    async def host(self) -> H:
        """Return the one that lives; start one where there is none, after a while where one has
        died just now.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`, with the last words of the last one, after
                three deaths within a minute; `CONFLICT` closed.
        """
        while self._host is None:
            if self._is_closed:
                raise _closed()
            now = self._clock.now()
            delay = self._died.delay(now)
            if delay is None:
                raise self._gave_up()
            if not delay:
                return self._make()
            await sleep_until(self._clock, now + delay)
        return self._host

    async def rest(self) -> None:
        """End the one that lives, of which nothing is wanted any more; another one is started when
        it is needed."""
        host, self._host = self._host, None
        if host is not None:
            self._unlisten()
            for heir in tuple(self._heirs):
                heir.lost(_closed())
            await host.aclose()

    async def aclose(self) -> None:
        """End it; there is no successor. Idempotent."""
        self._is_closed = True
        self._unlisten()
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait({self._replacing})
        host, self._host = self._host, None
        for heir in tuple(self._heirs):
            heir.given_up(_closed())
        if host is not None:
            await host.aclose()

    def _make(self) -> H:
        host = self._host = self._start()
        self._unlisten = host.on_end(self._ended)
        for heir in tuple(self._heirs):
            heir.attach(host)
        return host

    def _ended(self, failure: UTDStreamException) -> None:
        self._host, self._failure = None, failure
        self.deaths += 1
        self._died = self._died.after(self._clock.now())
        logger.warning("%s", failure.message)
        if self._replacing is not None:
            self._replacing.cancel()
            self._replacing = None
        for heir in tuple(self._heirs):
            heir.lost(failure)
        if any(heir.is_wanted for heir in self._heirs):
            name = "utd_rx.media: replace the media process"
            self._replacing = asyncio.get_running_loop().create_task(self._replace(), name=name)

    async def _replace(self) -> None:
        try:
            await self.host()
        except UTDStreamException as error:
            logger.error("%s", error.message)  # noqa: TRY400 - nothing of ours went wrong
            for heir in tuple(self._heirs):
                heir.given_up(error)
            return
        for _, heirs in groupby(tuple(self._heirs), key=lambda heir: heir.rank):
            await asyncio.gather(*(heir.restore() for heir in heirs))

    def _gave_up(self) -> UTDStreamException:
        words = "" if self._failure is None else f": {self._failure.message}"
        return UTDStreamException(
            f"{MAX_DEATHS} media processes have died within {WINDOW:.0f} s, so no other is started "
            f'for a while (media="inline" does without){words}',
            code=UTDErrorCode.FEATURE_DISABLED,
        )


def _closed() -> UTDStreamException:
    return conflict(ConflictReason.CLOSED, "the media process is closed")
