"""`RestoringRoom`: a room port over rooms of media processes, one after the other.

A process that dies looks to whoever listens like LiveKit's own full reconnect: `Reconnecting`, and
once its successor is joined and all is there again that was wanted, what became of own tracks and
`Reconnected` in one delivery, with the room as it is then. So nobody leaves a roster to come back a
moment later, and the numbers of receptions stay what they were. What was under way fails. Where
restoring fails the connection has ended by a media failure, and whoever wants to connects anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from utd_rx.errors import (
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    conflict,
    foreign_failure,
)
from utd_rx.media import lacking
from utd_rx.media import wished as wishes
from utd_rx.media.carrying_out import carry_out
from utd_rx.media.held_back import HeldEvents
from utd_rx.media.lacking import JoinAgain, Step
from utd_rx.media.leaving import leave_anew
from utd_rx.media.own_news import own_news, restored
from utd_rx.media.restoring_media import RestoringMedia
from utd_rx.media.succession import Succession, unserved
from utd_rx.media.wished_parts import JoinedAt
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.devices import DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.ports.room import EventSink, RoomPort
from utd_rx.protocol.roster import CHANGES
from utd_rx.state.reports import report

logger: Final = logging.getLogger(__name__)

RESTORE_WITHIN: Final = 10.0
"""Seconds after which a room that is not joined again is given up: the session's own coming back
begins then, as after any end of a connection."""

SETTLE_WITHIN: Final = 2.0
"""Seconds in a room that is joined again for what the server has still to grant or to send; a token
from before a seat comes up without it, and an engine gives it back in 1 s."""

_TOLD_WITH_IT: Final = frozenset({*CHANGES, ev.Reconnecting, ev.LocalTrackFailed})


class RestoringRoom(RestoringMedia):
    """A media room that outlives the process it is served in.

    Args:
        succession: Of the processes.
        make: Makes a room in one of them.
        needs: As that of `RestoringMedia`.
        dropped: Likewise.
        closed: Is awaited once it is closed for good.
    """

    rank = 1

    def __init__(
        self,
        succession: Succession[Any],
        make: Callable[[Any], RoomPort],
        *,
        needs: Callable[[DeviceKey], bool] = lambda key: True,
        dropped: Callable[[], int] = lambda: 0,
        closed: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        super().__init__(succession, needs, dropped)
        self._make = make
        self._closed = closed
        self._sinks: dict[object, EventSink] = {}
        self._is_joining = False
        self._leaves = 0
        self._early = HeldEvents()  # of the connection that is being made
        self._is_told_joined = False
        self._behind: HeldEvents | None = None  # what Reconnected comes before
        self._renewing: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        succession.join(self)

    def __repr__(self) -> str:
        return f"<RestoringRoom {'joined' if self._wished.is_joined else 'not joined'}>"

    # --- connection -----------------------------------------------------------------------------

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """See `RoomPort`, as for the rest."""
        key = object()
        self._sinks[key] = sink
        return lambda: (self._sinks.pop(key, None), None)[1]

    async def connect(
        self,
        url: str,
        token: str,
        *,
        auto_subscribe: bool = True,
        encryption: Encryption | None = None,
    ) -> ev.RoomSnapshot:
        if self._is_joining or self._wished.is_joined:
            raise conflict(ConflictReason.ALREADY, "The room is connected.")
        self._is_joining = True
        self._early = HeldEvents()
        leaves = self._leaves
        address = JoinedAt(url, token, auto_subscribe, encryption)

        async def join(far: RoomPort) -> tuple[RoomPort, ev.RoomSnapshot]:
            if leaves != self._leaves:
                raise conflict(ConflictReason.LEFT, "The room was left while it was joined.")
            snapshot = await carry_out(far, JoinAgain(address))
            if not self._lives(far):
                raise self._gone()
            return far, snapshot

        try:
            if self._leaving is not None:
                await asyncio.wait({self._leaving})
            far, snapshot = await self._succession.ask(self._there, join, tries=2)
            self._wished = wishes.joined(self._wished, address, snapshot)
            early = self._early.taken()
            for event in early:
                self._wished = wishes.told(self._wished, event)
            self._is_told_joined = self._wished.is_joined
            if ev.TokenRefreshed() in early:
                self._renew(far)
        finally:
            self._is_joining = False
        return snapshot

    async def reconnect(
        self, token: str | None = None, *, encryption: Encryption | None = None
    ) -> ev.RoomSnapshot:
        address = self._wished.address
        if address is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room was never joined.")
        return await self.connect(
            address.url,
            token or address.token,
            auto_subscribe=address.auto_subscribe,
            encryption=encryption or address.encryption,
        )

    async def encrypt(self, encryption: Encryption) -> None:
        # Kept before it is done: a successor joins with the keys of now.
        before, self._wished = self._wished, wishes.encrypted(self._wished, encryption)
        is_kept = self._wished is not before

        async def newest(far: RoomPort) -> None:
            await far.encrypt((self._wished.keys if is_kept else None) or encryption)

        await self._outlive(newest)

    async def newest_token(self) -> str:
        address = self._wished.address
        if address is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room was never joined.")
        return address.token

    async def disconnect(self) -> None:
        """See `RoomPort`. Where the process has died the next one leaves, within 1.5 s."""
        was, far, self._wished = self._wished, self._far, wishes.left(self._wished)
        self._leaves += 1
        self._behind = None
        self._settled.set()
        self._news.set()

        async def leave() -> None:
            await self._state(lambda far: far.disconnect())

        if was.is_there or not was.is_joined:
            await leave()
        if self._is_told_joined:  # in a process that was gone
            self._tell((ev.Disconnected(DisconnectReason.CLIENT_INITIATED),))
        is_left = was.is_there and far is not None and self._lives(far)
        if was.is_joined and was.address is not None and not (is_left or self._host.has_left):
            anew = leave_anew(self._succession, self._make, was.address, leave)
            name = "utd_rx.media: leave a room anew"
            self._leaving = asyncio.get_running_loop().create_task(anew, name=name)
        if self._leaving is not None:
            await asyncio.shield(self._leaving)

    async def aclose(self) -> None:
        """See `RoomPort`. A process that stands still is given up for it, within 1.5 s; as for
        `disconnect`, what else lives there goes on in the next one."""
        if self._closing is None:
            name = "utd_rx.media: close a room"
            self._closing = asyncio.get_running_loop().create_task(self._close(), name=name)
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._is_closed = True
        try:
            await self.disconnect()
            if self._renewing is not None:
                self._renewing.cancel()
            await self._state(lambda far: far.aclose())
        finally:
            self._succession.leave(self)
            if self._closed is not None:
                await self._closed()

    # --- an heir --------------------------------------------------------------------------------

    @property
    def is_wanted(self) -> bool:
        """See `Heir`, as for the rest."""
        return self._wished.is_joined

    def attach(self, host: Any) -> None:
        self._host = host
        far = self._far = self._make(host)
        far.listen(lambda events: self._told(far, events))
        self._attach_data()

    def lost(self, failure: UTDStreamException) -> None:
        self._far = None
        self._early = HeldEvents()
        if self._renewing is not None:
            self._renewing.cancel()
        was_reconnecting = self._wished.is_reconnecting
        rooms = (heir for heir in self._succession.heirs if isinstance(heir, RestoringRoom))
        self._wished = wishes.died(self._wished, (room._wished for room in rooms))
        self._lose_data(failure)
        if self._wished.is_joined:
            self._settled.clear()
            if self._behind is None:
                self._behind = HeldEvents()
                if not was_reconnecting:
                    self._tell((ev.Reconnecting(),))

    def given_up(self, failure: UTDStreamException) -> None:
        if self._wished.is_joined:
            logger.warning("a room is not restored: %s", failure.message)
            self._wished = wishes.left(self._wished)
            self._end(ev.Disconnected(DisconnectReason.MEDIA_FAILURE))

    async def restore(self) -> None:
        if (far := self._far) is None:
            return self.given_up(unserved())
        if not self._wished.is_joined:
            return None
        try:
            async with asyncio.timeout(RESTORE_WITHIN):
                await self._bring_back(far)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is over
            if self._lives(far):
                self.given_up(_why(error))
                await self._state(lambda far: far.disconnect())

    async def _bring_back(self, far: RoomPort) -> None:
        """Tell the room of this life all that it lacks; then whoever listens how it is now."""
        loop = asyncio.get_running_loop()
        settle_by: float | None = None
        while self._far is far and self._wished.is_joined and self._behind is not None:
            self._news.clear()
            step = lacking.next_step(self._wished)
            if step is not None:
                await self._take(far, step)
                if isinstance(step, JoinAgain):
                    settle_by = loop.time() + SETTLE_WITHIN
            elif lacking.is_whole(self._wished):
                return self._restored()
            else:
                try:
                    async with asyncio.timeout_at(settle_by):
                        await self._news.wait()
                except TimeoutError:
                    self._wished = lacking.given_up(self._wished)
        return None

    async def _take(self, far: RoomPort, step: Step) -> None:
        """Take one step; what is refused is wanted no more, but for the room itself."""
        try:
            result = await carry_out(far, step)
        except UTDStreamException as error:
            if isinstance(step, JoinAgain) or not self._lives(far):
                raise
            logger.warning("not restored, %s: %s", type(step).__name__.lower(), error.message)
            self._wished = lacking.refused(self._wished, step, error)
            return
        if self._far is far and self._wished.is_joined:
            amends = tuple(lacking.amends(self._wished, step, result))
            self._wished = lacking.done(self._wished, step, result)
            for method, *args in amends:
                await getattr(far, method)(*args)
            if isinstance(step, JoinAgain):
                self._catch_up(far)
                told = step.address.encryption
                while (keys := self._wished.keys) is not told and keys is not None:
                    told = keys  # which were changed while it was joined again
                    await far.encrypt(keys)

    def _catch_up(self, far: RoomPort) -> None:
        """Take in what was told before whoever joined has woken up."""
        early = tuple(self._early.taken())
        if ev.TokenRefreshed() in early:
            self._renew(far)
        self._hold_back(early)

    def _restored(self) -> None:
        behind = () if self._behind is None else self._behind.taken()
        self._behind = None
        self._settled.set()
        before, after = own_news(self._wished)
        self._wished = restored(self._wished)
        self._tell((*before, ev.Reconnected(self._wished.snapshot), *after, *behind))

    # --- what is told ---------------------------------------------------------------------------

    def _told(self, far: RoomPort, events: tuple[ev.RoomEvent, ...]) -> None:
        """Hear what a room says: of this life, and of no other."""
        if self._far is not far:
            return
        if not self._wished.is_there:  # it is being joined, and these are behind the snapshot
            self._early.add(events)
        elif ev.TokenRefreshed() in events:
            self._renew(far)
        if self._behind is None:
            self._pass(events)
        elif self._wished.is_there:
            self._hold_back(events)

    def _hold_back(self, events: tuple[ev.RoomEvent, ...]) -> None:
        """Keep what is told in a room that is not whole again."""
        behind = list[ev.RoomEvent]()
        for event in events:
            self._wished = wishes.told(self._wished, event)
            if isinstance(event, ev.Disconnected):
                self._end(event)
                return
            # What changes the roster is in the snapshot, and what becomes of own tracks is told
            # with it, by the sids that whoever listens knows.
            if type(event) not in _TOLD_WITH_IT:
                behind.append(event)
        if self._behind is not None:
            self._behind.add(behind)
        self._news.set()

    def _pass(self, events: tuple[ev.RoomEvent, ...]) -> None:
        for event in events:
            self._wished = wishes.told(self._wished, event)
        self._tell(events)

    def _end(self, event: ev.Disconnected) -> None:
        """Say that the connection is over, where it was about to be restored."""
        self._behind = None
        self._settled.set()
        self._news.set()
        self._tell((event,))

    def _tell(self, events: tuple[ev.RoomEvent, ...]) -> None:
        if any(isinstance(event, ev.Disconnected) for event in events):
            self._is_told_joined = False
        for sink in tuple(self._sinks.values()):
            try:
                sink(events)
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, "a listener of room events")

    def _renew(self, far: RoomPort) -> None:
        """Keep the token that the server gave."""

        async def renew() -> None:
            try:
                token = await far.newest_token()
            except UTDStreamException as error:
                logger.debug("the newest token is not known: %s", error)
            else:
                self._wished = wishes.renewed(self._wished, token)

        if self._renewing is not None:
            self._renewing.cancel()
        name = "utd_rx.media: keep a newer token"
        self._renewing = asyncio.get_running_loop().create_task(renew(), name=name)


def _why(error: Exception) -> UTDStreamException:
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, TimeoutError):
        message = f"it was not joined again within {RESTORE_WITHIN:.0f} s"
        return UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
    return foreign_failure("joining it again failed", error)
