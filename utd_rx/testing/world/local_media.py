"""What one connection of a `WorldRoom` publishes, with the manners of `UTDRoom`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException, foreign_failure, invalid
from utd_rx.models import events as ev
from utd_rx.models.participant import ParticipantPermission, TrackPublication, TrackSource
from utd_rx.models.video import Losable, VideoInput
from utd_rx.ports.crossing import Box
from utd_rx.testing.world.feeds import Feed, Input, track_of
from utd_rx.testing.world.sfu_participant import Track, VirtualParticipant
from utd_rx.testing.world.sfu_room import VirtualRoom
from utd_rx.testing.world.wire import Wire


class LocalMedia:
    """The local tracks of one connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        # By each sid that it ever had: a command may still name the one before a reconnect.
        self._feeds: dict[str, Feed] = {}
        self._pending: set[Feed] = set()

    @property
    def tracks(self) -> tuple[TrackPublication, ...]:
        """What is published now."""
        return tuple(feed.publication for feed in self._all())

    # -- commands -------------------------------------------------------------------------------

    async def publish(self, source: Input, track_source: TrackSource) -> TrackPublication:
        """See `RoomPort.publish`."""
        if not self._wire.permission.allows(track_source):
            raise _forbidden(track_source)
        track = self._track_of(source, track_source)
        loop = asyncio.get_running_loop()
        box = Box[Any](loop, lambda frames: self._send(feed, frames))
        feed = Feed(source, track_source, loop.create_future(), box)
        feed.stream = await feed.open(source)
        self._pending.add(feed)

        def take(publication: TrackPublication | None) -> None:
            if publication is None:
                feed.refuse(_forbidden(track_source))
            elif feed.is_over:  # nobody waits for it any more
                self._wire.post(lambda room, who: room.unpublish(who, publication.sid))
            else:
                self._begin(feed, publication)

        asking = self._wire.own(self._wire.ask(partial(_publish, track), take), "publish")
        try:
            await _answered(asking, feed)
        except BaseException as error:
            undo = self._remove(feed) if feed.publication.sid else self._close(feed)
            undoing = self._wire.own(undo, "take back what was to be published")
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(undoing)
            raise
        finally:
            self._pending.discard(feed)
        return feed.publication

    async def unpublish(self, sid: str) -> None:
        """See `RoomPort.unpublish`. Cancelling lets it go on."""
        if (feed := self._feeds.get(sid)) is not None:
            await asyncio.shield(self._wire.own(self._remove(feed), "unpublish"))

    async def replace(self, sid: str, source: VideoInput) -> None:
        """See `RoomPort.replace`. Cancelling lets it go on."""
        feed = self._feeds.get(sid)
        if feed is None:
            return
        if not feed.is_picture:
            raise invalid(f"{sid} is a track of sound, which keeps its source.")
        track_of(source, feed.track_source)
        await asyncio.shield(self._wire.own(self._replace(feed, source), "replace"))

    def set_muted(self, sid: str, is_muted: bool) -> None:
        """Mute or unmute a track, tell it, and have the server know."""
        feed = self._feeds.get(sid)
        if feed is not None and feed.publication.is_muted is not is_muted:
            self.mute_changed(feed.publication.sid, is_muted)
            self._repeat_mute(feed)

    # -- facts ----------------------------------------------------------------------------------

    def mute_changed(self, sid: str, is_muted: bool) -> None:
        """A track was muted or unmuted, by whomever: pictures rest while nobody sees them."""
        feed = self._feeds.get(sid)
        if feed is None or feed.publication.is_muted is is_muted:
            return
        feed.publication = evolve(feed.publication, is_muted=is_muted)
        kind = ev.TrackMuted if is_muted else ev.TrackUnmuted
        self._wire.tell(kind(self._wire.identity, feed.publication))
        if feed.is_picture:
            self._wire.own(self._follow_mute(feed), "follow a mute")

    def enforce(self, permission: ParticipantPermission) -> None:
        """End what is not allowed any more."""
        for feed in self._pending:
            if not permission.allows(feed.track_source):
                feed.refuse(_forbidden(feed.track_source))
        for feed in self._all():
            if not permission.allows(feed.track_source):
                self._wire.own(self._remove(feed), "end what was revoked")

    def repeat(self) -> None:
        """After a resume: let the server know what it was not told."""
        sids = {feed.publication.sid for feed in self._all()}

        def settle(room: VirtualRoom, who: VirtualParticipant) -> None:
            for sid in tuple(who.tracks.keys() - sids):
                room.unpublish(who, sid)

        self._wire.post(settle)
        for feed in self._all():
            self._repeat_mute(feed)

    def republish(self, room: VirtualRoom, who: VirtualParticipant) -> None:
        """In a full reconnect: publish everything anew; what may not be is not told."""
        for feed in self._all():
            track = self._track_of(feed.source, feed.track_source, feed.publication)
            publication, previous = room.publish(who, track), feed.publication.sid
            if publication is not None:
                feed.publication = publication
                self._feeds[publication.sid] = feed
                self._wire.tell(ev.LocalTrackRepublished(publication, previous))

    def leave(self) -> None:
        """Say that everything ends, since the connection does."""
        for feed in self._all():
            self._wire.tell(ev.LocalTrackUnpublished(feed.publication))

    async def aclose(self) -> None:
        """Close all inputs; the connection is over or about to be. Idempotent."""
        feeds, self._feeds = self._all(), {}
        for feed in feeds:
            await self._close(feed)

    def _track_of(
        self, source: Input, track_source: TrackSource, known: TrackPublication | None = None
    ) -> Track:
        track = track_of(source, track_source, known)
        is_encrypted = self._wire.seals.encryption is not None
        return evolve(track, publication=evolve(track.publication, is_encrypted=is_encrypted))

    # -- inside ---------------------------------------------------------------------------------

    def _all(self) -> list[Feed]:
        return list(dict.fromkeys(self._feeds.values()))

    def _begin(self, feed: Feed, publication: TrackPublication) -> None:
        feed.publication = publication
        self._feeds[publication.sid] = feed
        self._wire.tell(ev.LocalTrackPublished(publication))
        self._watch(feed)
        feed.refused.add_done_callback(lambda refused: self._fail(feed, refused.result()))

    async def _remove(self, feed: Feed) -> None:
        """Silence and unpublish, and say so once."""
        if feed not in self._feeds.values():
            return
        self._feeds = {sid: other for sid, other in self._feeds.items() if other is not feed}
        await self._close(feed)
        sid = feed.publication.sid
        self._wire.post(lambda room, who: room.unpublish(who, sid))
        self._wire.tell(ev.LocalTrackUnpublished(feed.publication))

    async def _close(self, feed: Feed) -> None:
        feed.is_over = True
        feed.box.close()
        await feed.rest()

    def _repeat_mute(self, feed: Feed) -> None:
        sid, is_muted = feed.publication.sid, feed.publication.is_muted
        self._wire.post(lambda room, who: room.set_muted(who, sid, is_muted))

    async def _follow_mute(self, feed: Feed) -> None:
        async with feed.switching:
            if feed.publication.is_muted or feed.is_over:
                await feed.rest()
            elif feed.watcher is None:
                self._watch(feed)

    async def _replace(self, feed: Feed, source: VideoInput) -> None:
        async with feed.switching:
            if feed.watcher is None:  # it rests, and `source` is opened when that is over
                feed.source = source
                return
            stream = await feed.open(source)
            if not feed.is_over:
                await feed.rest()
            if feed.is_over:  # since it was looked at, too
                await stream.aclose()
            else:
                feed.source, feed.stream = source, stream
                self._watch(feed)

    def _watch(self, feed: Feed) -> None:
        feed.watcher = self._wire.own(self._run(feed), "watch an input")

    async def _run(self, feed: Feed) -> None:
        """Feed the track, and tell the end of what feeds it, or why it failed."""
        try:
            if feed.stream is None:
                feed.stream = await feed.open(feed.source)
            self._interrupt(feed, None)
            if isinstance(feed.stream, Losable):
                feed.stream.watch(partial(self._interrupt, feed))
            await feed.stream.wait_ended()
        except UTDStreamException as error:
            feed.refuse(error)
        except Exception as error:  # noqa: BLE001 - told as the end of the track
            kind = "video" if feed.is_picture else "audio"
            feed.refuse(foreign_failure(f"the {kind} input failed", error))
        else:
            ended = ev.LocalVideoEnded if feed.is_picture else ev.LocalAudioEnded
            self._wire.tell(ended(feed.publication.sid))

    def _interrupt(self, feed: Feed, failure: UTDStreamException | None) -> None:
        """Tell that a track's device is lost, or back; nothing when it was so already."""
        was_lost, feed.is_lost = feed.is_lost, failure is not None
        if failure is not None:
            self._wire.tell(ev.LocalVideoInterrupted(feed.publication.sid, failure))
        elif was_lost:
            self._wire.tell(ev.LocalVideoResumed(feed.publication.sid))

    def _fail(self, feed: Feed, error: UTDStreamException) -> None:
        if feed in self._feeds.values():
            self._wire.tell(ev.LocalTrackFailed(feed.publication.sid, error))
            self._wire.own(self._remove(feed), "end a failed track")

    def _send(self, feed: Feed, frames: tuple[Any, ...]) -> None:
        for frame in frames:
            if feed.is_over or feed.refused.done():
                return
            try:
                pieces = feed.frames_of(frame)
            except UTDStreamException as error:
                feed.refuse(error)
                return
            sid = feed.publication.sid
            for piece in pieces if sid and not feed.publication.is_muted else ():
                self._wire.send_media(sid, piece)


def _publish(track: Track, room: VirtualRoom, who: VirtualParticipant) -> TrackPublication | None:
    return room.publish(who, track)


async def _answered(asking: asyncio.Task[None], feed: Feed) -> None:
    """Wait until a track is published, or raise why it is not."""
    rivals: list[asyncio.Future[Any]] = [asking, feed.refused]
    await asyncio.wait(rivals, return_when=asyncio.FIRST_COMPLETED)
    if feed.refused.done() and not feed.publication.sid:
        raise feed.refused.result()
    asking.result()


def _forbidden(source: TrackSource) -> UTDStreamException:
    return UTDStreamException(
        f"The server has not granted publishing {source.name.lower()}.",
        code=UTDErrorCode.FORBIDDEN,
    )
