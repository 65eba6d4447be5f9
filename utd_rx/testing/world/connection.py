"""One connection of a `WorldRoom`: what LiveKit's client does between a join and its end.

It tells each thing once and what one turn of the loop brought together, as `UTDRoom` does. It
notices outages as late as LiveKit's client does, and comes back as it does (docs/livekit.md,
"Reconnecting"):

| what happens | what the client does |
| --- | --- |
| the connection breaks | says `Reconnecting` at once, and resumes `RESUME` later |
| nothing gets through | notices after `NOTICE`, tries until `GIVE_UP`, then ends as `UNKNOWN` |
| it gets through again | resumes, or starts over where the server has given it up meanwhile |
| it has to start over | says goodbye, joins with its newest token, publishes anew |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, TypeVar

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.encryption import Encryption
from utd_rx.models.participant import ParticipantPermission, TrackPublication
from utd_rx.models.statistics import RoomStatistics
from utd_rx.models.video import VideoFrame
from utd_rx.ports.room import EventSink
from utd_rx.testing.world.data_tracks import FRAMES, WorldDataTracks
from utd_rx.testing.world.local_media import LocalMedia
from utd_rx.testing.world.network import Lane, Link, LinkNews
from utd_rx.testing.world.others import Others
from utd_rx.testing.world.receptions import Receptions
from utd_rx.testing.world.sealing import Seal, Seals
from utd_rx.testing.world.sfu import VirtualSfu
from utd_rx.testing.world.sfu_participant import VirtualParticipant
from utd_rx.testing.world.sfu_room import VirtualRoom
from utd_rx.testing.world.statistics import Ledger
from utd_rx.testing.world.tokens import RoomTicket
from utd_rx.testing.world.wire import Order, resealing, sealed

logger: Final = logging.getLogger(__name__)

T = TypeVar("T")

RESUME: Final = 3.0
"""Seconds that a resume takes."""

START_OVER: Final = 0.1
"""Seconds from the goodbye of a full reconnect to its join."""

NOTICE: Final = 15.0
"""Seconds without an answer after which a connection is taken for lost: the ping's time-out."""

GIVE_UP: Final = 22.0
"""Seconds for which it is tried to restore one; measured were 19.7 to 22.9."""

ANSWER_TIMEOUT: Final = 10.0
"""Seconds that a command waits for the server."""


class WorldConnection:
    """A connection that is made before joining; implements `SfuClient` and `Wire`.

    `ended` is done when it is over, and `ticket` the newest that the server gave.
    """

    def __init__(
        self,
        sfu: VirtualSfu,
        link: Link,
        ticket: RoomTicket,
        sink: EventSink,
        numbers: Iterator[int],
        *,
        auto_subscribe: bool,
        encryption: Encryption | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sfu, self._link, self._sink = sfu, link, sink
        self._auto_subscribe = auto_subscribe
        self.ticket = ticket
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.permission = ParticipantPermission()
        self.seals = Seals(ticket.identity, encryption, self.tell, self._tracks_of)
        self.local = LocalMedia(self)
        self.receptions = Receptions(self, numbers)
        self.data_tracks = WorldDataTracks(self, numbers)
        self._room: VirtualRoom
        self._there: VirtualParticipant
        self._others = Others()
        self._batch: list[ev.RoomEvent] = []
        self._is_held = True
        self._up, self._data = Lane(link), Lane(link, is_data=True)
        self._media = Lane(link, is_data=True, keeps=False)
        self._ledger = Ledger(link)
        self._is_steady = asyncio.Event()
        self._starts_over = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unwatch: Callable[[], None] = lambda: None

    @property
    def identity(self) -> str:
        return self.ticket.identity

    def join(self) -> ev.RoomSnapshot:
        """Join, and return the room as it is, before any event."""
        self._room, self._there = self._sfu.join(
            self.ticket, self, self._link, auto_subscribe=self._auto_subscribe
        )
        self._there.seal = self.seals.own
        self._unwatch = self._link.watch(self._mind)
        self._is_steady.set()
        self._loop.call_soon(self._room.push_ticket, self._there)
        return self._taken(self._room.snapshot(self._there))

    def release(self) -> None:
        """Deliver events from now on; those that happened since the snapshot come first."""
        self._is_held = False
        self.deliver()

    def deliver(self) -> None:
        """Deliver what waits for the end of this turn of the loop."""
        if self._batch and not self._is_held:
            batch, self._batch = self._batch, []
            self._sink(tuple(batch))

    async def aclose(self) -> None:
        """Leave and close everything. Idempotent; when cancelled, it goes on."""
        await asyncio.shield(self.own(self._close(), "leave"))
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._is_held = False
        self.deliver()

    def silence(self) -> None:
        """Tell nobody here anything any more."""
        self._sink = lambda _: None

    async def _close(self) -> None:
        self.receptions.close()
        self.local.leave()
        await self.local.aclose()
        if not self.ended.done():
            self.post(lambda room, who: room.leave(who, DisconnectReason.CLIENT_INITIATED))
        self._finish(DisconnectReason.CLIENT_INITIATED)

    def _finish(self, reason: DisconnectReason) -> None:
        """The connection is over; whoever waits for it is let go."""
        if not self.ended.done():
            self.tell(ev.Disconnected(reason))
            self.ended.set_result(None)
            self._unwatch()
            self._room.abandon(self._there)
            for timer in self._timers.values():
                timer.cancel()
            self.receptions.close()
            self.data_tracks.lose()
            self.own(self.local.aclose(), "close what was published")

    # -- to the server --------------------------------------------------------------------------

    def own(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """See `Wire`, as for the rest of what it lists."""
        task = self._loop.create_task(work, name=f"utd_rx world: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waits raises it; for a task nobody waits for, this is its only trace.
            logger.debug("%s: %r", task.get_name(), error)

    def post(self, order: Order[object]) -> None:
        if self._is_steady.is_set():
            room, there = self._room, self._there
            self._up.send(lambda: order(room, there))

    async def ask(self, order: Order[T], take: Callable[[T], object]) -> None:
        answered: asyncio.Future[None] = self._loop.create_future()

        def answer(result: T) -> None:
            take(result)
            if not answered.done():
                answered.set_result(None)

        def carry_out(room: VirtualRoom, there: VirtualParticipant) -> None:
            result = order(room, there)
            if there.down is not None:
                there.down.send(lambda: answer(result))

        async def send() -> None:
            await self._is_steady.wait()
            self.post(carry_out)

        sending = self.own(send(), "ask")
        rivals: list[asyncio.Future[Any]] = [answered, self.ended]
        try:
            await asyncio.wait(rivals, timeout=ANSWER_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
        if answered.done():
            return
        if self.ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended.")
        raise UTDStreamException(
            f"LiveKit did not answer within {ANSWER_TIMEOUT:g} s.", code=UTDErrorCode.TIMEOUT
        )

    def send_data(self, order: Order[object]) -> None:
        """Send a data message, also while signalling is being restored."""
        if self.seals.is_mute:
            return
        room, there, send = self._room, self._there, sealed(order, self.seals.own)
        self._data.send(lambda: send(room, there))

    def has_data_track(self, sid: str) -> bool:
        others = (who for who in self._room.people.values() if who is not self._there)
        return any(sid in who.data_tracks for who in others)

    def set_subscribed(self, sid: str, is_wanted: bool) -> None:
        """Ask for a track, or not; that it ends is told at once, as LiveKit does."""
        if not is_wanted:
            for identity, track in tuple(self._others.tracks):
                if track.sid == sid and track.is_subscribed:
                    gone = evolve(track, is_subscribed=False)
                    self._hear(ev.TrackUnsubscribed(identity, gone))
        self.post(lambda room, who: room.set_subscribed(who, sid, is_wanted))

    def statistics(self) -> RoomStatistics:
        """Measure; see `RoomPort.statistics`."""
        return self._ledger.look(self._room, self._there, self.local.tracks, self._others.tracks)

    def encrypt(self, encryption: Encryption) -> None:
        """See `RoomPort.encrypt`."""
        self.seals.use(encryption)
        self.post(resealing(self.seals.own))

    def send_media(self, sid: str, frame: AudioFrame | VideoFrame) -> None:
        if self.seals.is_mute:
            return
        room, there = self._room, self._there
        self._media.send(lambda: room.media.forward(there, sid, frame))

    # -- from the server ------------------------------------------------------------------------

    def hear(self, events: Iterable[ev.RoomEvent]) -> None:
        """See `SfuClient`."""
        for event in events:
            if not self.ended.done():
                self._hear(event)

    def take_ticket(self, ticket: RoomTicket) -> None:
        """See `SfuClient`."""
        self.ticket = ticket
        self.tell(ev.TokenRefreshed())

    def take_data(self, message: ev.DataReceived, seal: Seal | None) -> None:
        """See `SfuClient`, and docs/livekit.md, "Unnamed senders"."""
        is_frame = message.topic == FRAMES
        if not (self.seals.opens if is_frame else self.seals.reads)(message.sender or "", seal):
            return
        is_known = message.sender is None or message.sender in self._others
        if is_frame:
            self.data_tracks.take(message)
        else:
            self.tell(message if is_known else evolve(message, sender=None))

    def take_media(self, track_sid: str, frame: AudioFrame | VideoFrame, seal: Seal | None) -> None:
        """See `SfuClient`."""
        if not self.ended.done() and self.seals.opens(self._others.whose(track_sid), seal):
            self.receptions.take(track_sid, frame)

    def take_seal(self, identity: str, seal: Seal | None) -> None:
        """See `SfuClient`."""
        self.seals.take(identity, seal)

    def tell(self, event: ev.RoomEvent) -> None:
        if self.ended.done():
            return
        if not self._batch:
            self._loop.call_soon(self.deliver)
        self._batch.append(event)
        self.seals.mind(event)

    def find(self, sid: str) -> TrackPublication | None:
        return self._others.find(sid)

    def _taken(self, snapshot: ev.RoomSnapshot) -> ev.RoomSnapshot:
        """Take a snapshot for what is known; return it with the local tracks as this side has
        them."""
        self._others = Others(snapshot)
        self.permission = snapshot.local.permission
        local = evolve(snapshot.local, tracks=self.local.tracks)
        return self.seals.taken(evolve(snapshot, local=local))

    def _tracks_of(self, identity: str) -> tuple[TrackPublication, ...]:
        return self.local.tracks if identity == self.identity else self._others.of(identity)

    def _hear(self, event: ev.RoomEvent) -> None:
        is_mine = getattr(event, "identity", None) == self.identity
        match event:
            case ev.Disconnected(reason):
                self._finish(reason)
                return
            case ev.TrackMuted(track=track) | ev.TrackUnmuted(track=track) if is_mine:
                self.local.mute_changed(track.sid, track.is_muted)
                return
            case ev.ParticipantPermissionsChanged(permission=permission) if is_mine:
                self.permission = permission
                self.local.enforce(permission)
                self.data_tracks.enforce(permission)
            case ev.TrackUnpublished(track=track) | ev.TrackUnsubscribed(track=track):
                self.receptions.end(track.sid)
        news = event if is_mine else self._others.news_in(event)
        if news is not None:
            self.tell(news)

    # -- outages --------------------------------------------------------------------------------

    def _mind(self, news: LinkNews) -> None:
        match news:
            case LinkNews.CLOSED if self._is_steady.is_set():
                self._in(NOTICE, "notice", self._lose)
            case LinkNews.OPENED:
                self._cancel("notice")
                if not self._is_steady.is_set():
                    self._in(RESUME, "try", self._try)
            case LinkNews.BROKEN:
                self._lose()
            case LinkNews.RESTARTED:
                self._starts_over = True
                self._lose()
                self._room.leave(self._there, DisconnectReason.CLIENT_INITIATED)
            case LinkNews.CUT:  # the process is gone, and says nothing to anybody
                self.silence()
                self._finish(DisconnectReason.UNKNOWN)

    def _lose(self) -> None:
        """The connection is lost: say so, and try to restore it."""
        if self.ended.done():
            return
        if self._is_steady.is_set():
            self._is_steady.clear()
            self.tell(ev.Reconnecting())
            self._in(GIVE_UP, "give up", lambda: self._finish(DisconnectReason.UNKNOWN))
        self._room.detach(self._there)
        self._up.close()
        self._up = Lane(self._link)
        self._in(START_OVER if self._starts_over else RESUME, "try", self._try)

    def _try(self) -> None:
        if not self._link.is_open:
            return  # `OPENED` tries again
        there = self._room.people.get(self.identity)
        if there is None or self._starts_over:
            try:
                self._room, self._there = self._sfu.join(
                    self.ticket, self, self._link, auto_subscribe=self._auto_subscribe
                )
                self._there.seal = self.seals.own
            except UTDStreamException:
                self._in(RESUME, "try", self._try)  # until it is given up
            else:
                self._data.close()
                self._data = Lane(self._link, is_data=True)
                self.local.republish(self._room, self._there)
                self.data_tracks.republish(self._room, self._there)
                self._restored()
        elif there is not self._there:
            self._finish(DisconnectReason.DUPLICATE_IDENTITY)
        else:
            self._room.resume(there)
            self._restored()
            self.local.repeat()
            self.post(resealing(self.seals.own))

    def _restored(self) -> None:
        self._starts_over = False
        self._cancel("give up")
        self._is_steady.set()
        self._room.push_ticket(self._there)
        self.tell(ev.Reconnected(self._taken(self._room.snapshot(self._there))))
        self.receptions.keep({track.sid for _, track in self._others.tracks})
        self.local.enforce(self.permission)

    def _in(self, seconds: float, what: str, then: Callable[[], None]) -> None:
        self._cancel(what)
        self._timers[what] = self._loop.call_later(seconds, then)

    def _cancel(self, what: str) -> None:
        if (timer := self._timers.pop(what, None)) is not None:
            timer.cancel()
