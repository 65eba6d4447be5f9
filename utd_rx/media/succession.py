"""`Succession`: one media process after another, and what is to be in each of them again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import groupby
from typing import Any, Final, Generic, Literal, Protocol, TypeVar

from utd_rx.errors import (
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    conflict,
    foreign_failure,
)
from utd_rx.media.backoff import MAX_DEATHS, WINDOW, Deaths
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until
from utd_rx.state.reports import report

logger: Final = logging.getLogger(__name__)

DEVICES_WITHIN: Final = 1.5
"""Seconds that heirs of a higher rank wait for those of a lower one. A card opens in a tenth of
one; one that hangs, as its driver or its sound server does, is to keep no room out."""


class Host(Protocol):
    """What ports live in, and die with: a media process."""

    @property
    def failure(self) -> UTDStreamException | None:
        """Why it is over, with its last words; None while it is not."""

    @property
    def has_come_up(self) -> bool:
        """Whether it has ever said anything."""

    @property
    def has_served(self) -> bool:
        """Whether anybody has had an answer from it."""

    @property
    def has_left(self) -> bool:
        """Whether it left its rooms before it died."""

    def on_end(self, callback: Callable[[UTDStreamException], None]) -> Callable[[], None]:
        """Call back once on the loop when it has died, behind all calls that were under way; call
        the result to stop."""

    async def aclose(self) -> None:
        """End it. Idempotent, bounded in time."""


H = TypeVar("H", bound=Host)
P = TypeVar("P")
T = TypeVar("T")


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

    Where one has come up, another that cannot be started counts as one that has died, but in
    `deaths`: descriptors and memory may be there again in a moment.

    Args:
        start: Starts one; it never waits.
        clock: Of the time between deaths, and of patience with devices.
        instead: Is asked when one dies that never came up, as none has before: returns what serves
            from then on in the place of all others, None for another one.

    Attributes:
        deaths: How many have died.
        is_over: Whether something serves in their place.
    """

    def __init__(
        self,
        start: Callable[[], H],
        clock: Clock = SYSTEM_CLOCK,
        instead: Callable[[UTDStreamException], H | None] = lambda failure: None,
    ) -> None:
        self._start = start
        self._clock = clock
        self._instead = instead
        self.deaths = 0
        self.is_over = False
        self._has_come_up = False
        self._died = Deaths()
        self._host: H | None = None
        self._failure: UTDStreamException | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._heirs: list[Heir] = []
        self._replacing: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def failure(self) -> UTDStreamException | None:
        """Why the last one that died did, or the last was not started."""
        return self._failure

    @property
    def current(self) -> H | None:
        """The one that lives; None before the first, and between two."""
        return self._host

    @property
    def heirs(self) -> tuple[Heir, ...]:
        """All that is served."""
        return tuple(self._heirs)

    @property
    def gave_up(self) -> UTDStreamException | None:
        """Why none is started for a while, as `host` raises it; None while one lives or may be."""
        if self._host is not None or self._died.delay(self._clock.now()) is not None:
            return None
        return self._gave_up()

    def join(self, heir: Heir) -> None:
        """Let `heir` be served in this process, if there is one, and in all that follow."""
        if self._host is not None:
            heir.attach(self._host)
        self._heirs.append(heir)
        self._heirs.sort(key=lambda one: one.rank)

    def leave(self, heir: Heir) -> None:
        """It is over. Idempotent."""
        if heir in self._heirs:
            self._heirs.remove(heir)

    def begin(self) -> None:
        """Start one now, so that it is up when it is needed; `FEATURE_DISABLED` where the first one
        cannot be started."""
        if self._host is None and self._died.delay(self._clock.now()) == 0:
            self._try()

    async def host(self, is_wanted: Callable[[], bool] = lambda: True) -> H:
        """Return the one that lives; start one where there is none, after a while where one has
        died just now.

        Args:
            is_wanted: Asked once it may be started, as whoever waits for it may be over by then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`, with the last words of the last one, after
                three deaths within a minute, or why the first cannot be started; `CONFLICT` closed.
        """
        while True:
            await self._due()
            if self._host is not None:
                return self._host
            if not is_wanted():
                raise _closed()
            self._try()

    async def ask(
        self,
        there: Callable[[], Awaitable[P]],
        command: Callable[[P], Awaitable[T]],
        tries: int = MAX_DEATHS + 1,
    ) -> T:
        """Give a command to the port that is `there`; to the one in the next process only where
        this one had died before it did anything for anybody, which nobody saw until now."""
        while True:
            port, host = await there(), self._host
            tries -= 1
            try:
                return await command(port)
            except UTDStreamException:
                if host is None or host.failure is None or host.has_served or not tries:
                    raise
            await asyncio.sleep(0)  # its end is told behind the calls that failed by it

    async def rest(self) -> None:
        """End the one that lives, of which nothing is wanted any more; another one is started when
        it is needed."""
        host = self._part()
        await self._stop_replacing()
        if host is not None:
            await host.aclose()

    def abandon(self) -> H | None:
        """Part with the one that lives, as the loop is closed; return it to whoever ends it."""
        self._replacing = None
        return self._part()

    def _part(self) -> H | None:
        if self.is_over:
            return None
        host, self._host = self._host, None
        if host is not None:
            self._has_come_up |= host.has_come_up
            self._unlisten()
            self._tell("lost", _closed())
        return host

    async def aclose(self) -> None:
        """End it; there is no successor. Idempotent."""
        self._is_closed = True
        self._unlisten()
        await self._stop_replacing()
        host, self._host = self._host, None
        self._tell("given_up", _closed())
        if host is not None:
            await host.aclose()

    async def _due(self) -> None:
        """Wait until there is one, or one may be started."""
        while self._host is None:
            if self._is_closed:
                raise _closed()
            now = self._clock.now()
            delay = self._died.delay(now)
            if delay is None:
                raise self._gave_up()
            if not delay:
                return
            await sleep_until(self._clock, now + delay)

    def _try(self) -> None:
        """Start one; what fails is a death where one has come up, and told who asks elsewhere."""
        try:
            self._make()
        except UTDStreamException as error:
            if not self._has_come_up:
                raise
            self._count(error)

    def _make(self) -> None:
        try:
            host = self._start()
        except UTDStreamException:
            raise
        except Exception as error:
            words = "no media process can be started"
            raise foreign_failure(words, error, code=UTDErrorCode.FEATURE_DISABLED) from error
        self._serve(host)

    def _serve(self, host: H) -> None:
        self._host = host
        self._unlisten = host.on_end(partial(self._ended, host))
        self._tell("attach", host)

    def _ended(self, host: H, failure: UTDStreamException) -> None:
        self._host = None
        self.deaths += 1
        self._has_come_up |= host.has_come_up
        instead = None if self._has_come_up else self._instead(failure)
        if instead is None:
            self._count(failure)
        else:
            self.is_over, self._failure = True, failure
        if self._replacing is not None:
            self._replacing.cancel()
            self._replacing = None
        self._tell("lost", failure)
        if instead is not None:  # in which nothing is to be restored, as nothing ever was
            self._serve(instead)
        elif self._is_wanted():
            name = "utd_rx.media: replace the media process"
            self._replacing = asyncio.get_running_loop().create_task(self._replace(), name=name)

    def _count(self, failure: UTDStreamException) -> None:
        self._failure = failure
        self._died = self._died.after(self._clock.now())
        logger.warning("%s", failure.message)

    def _tell(
        self, news: Literal["attach", "lost", "given_up"], what: H | UTDStreamException
    ) -> None:
        """Tell every heir; one that raises keeps none of the others from hearing it."""
        for heir in tuple(self._heirs):
            try:
                getattr(heir, news)(what)
            except Exception as error:  # noqa: BLE001 - reported
                report(error, "an heir of a media process")

    def _is_wanted(self) -> bool:
        return any(heir.is_wanted for heir in self._heirs)

    async def _replace(self) -> None:
        """Start a successor, unless nobody wants one by then, and restore what was there."""
        while self._host is None:
            try:
                await self._due()
            except UTDStreamException as error:
                logger.error("%s", error.message)  # noqa: TRY400 - nothing of ours went wrong
                self._tell("given_up", error)
                return
            if self._host is None:
                if not self._is_wanted():
                    return
                try:
                    self._make()
                except UTDStreamException as error:
                    self._count(error)
        async with asyncio.TaskGroup() as group:
            for _, heirs in groupby(tuple(self._heirs), key=lambda heir: heir.rank):
                name = "utd_rx.media: restore in a media process"
                await self._patient({group.create_task(_restored(one), name=name) for one in heirs})

    async def _patient(self, restoring: set[asyncio.Task[None]]) -> None:
        """Wait for them, or for as long as who comes after them does: they go on."""
        enough = sleep_until(self._clock, self._clock.now() + DEVICES_WITHIN)
        patience = asyncio.create_task(enough, name="utd_rx.media: be patient with devices")
        try:
            while restoring and not patience.done():
                wait = asyncio.wait({*restoring, patience}, return_when=asyncio.FIRST_COMPLETED)
                restoring = (await wait)[1] - {patience}
        finally:
            patience.cancel()

    async def _stop_replacing(self) -> None:
        replacing, self._replacing = self._replacing, None
        if replacing is not None:
            replacing.cancel()
            await asyncio.wait({replacing})

    def _gave_up(self) -> UTDStreamException:
        words = "" if self._failure is None else f": {self._failure.message}"
        return UTDStreamException(
            f"{MAX_DEATHS} media processes have died or could not be started within "
            f'{WINDOW:.0f} s, so no other is tried for a while (media="inline" does without)'
            f"{words}",
            code=UTDErrorCode.FEATURE_DISABLED,
        )


async def _restored(heir: Heir) -> None:
    """Restore one, whose trouble is not everybody's."""
    try:
        await heir.restore()
    except Exception as error:  # noqa: BLE001 - reported
        report(error, "restoring what was in a media process")


def _closed() -> UTDStreamException:
    return conflict(ConflictReason.CLOSED, "the media process is closed")


def unserved() -> UTDStreamException:
    """Return why nothing can be done for an heir that raised when it was attached."""
    words = "it cannot be served in the media process, for a reason that was reported"
    return UTDStreamException(words, code=UTDErrorCode.UNKNOWN)
