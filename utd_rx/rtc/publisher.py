"""Local tracks: what is published, what feeds it, and whether the server still allows it.

LiveKit does not tell when the server takes a track away (docs/livekit.md, "Silent revocation"): so
`enforce` ends what a permission no longer covers.

Every native call is raced against the end of the connection, after which LiveKit never answers
(docs/livekit.md, "Publications that never answer"), and runs in a task of its own, so that a
cancelled caller leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, evolve, field

from utd_rx.errors import (
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    conflict,
    foreign_failure,
    invalid,
)
from utd_rx.models import events as ev
from utd_rx.models.participant import ParticipantPermission, TrackPublication, TrackSource
from utd_rx.models.secrets import foreign_text
from utd_rx.models.video import VideoInput
from utd_rx.rtc import native
from utd_rx.rtc.copying import permission_of, publication_of
from utd_rx.rtc.local_track import Input, LocalTrack, forbidden, open_track, refuse
from utd_rx.rtc.platform_audio import PlatformStream

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

T = TypeVar("T")

NATIVE_TIMEOUT: Final = 10.0
"""Seconds for one native command; LiveKit itself gives up a publication after 10
(docs/livekit.md, "Refused after ten seconds")."""


@define(eq=False)
class Publisher:
    """The local tracks of one connection, which is over when `ended` is done; `emit` takes events
    that LiveKit does not send, `unpublished` the sid of a track that is gone, `published` that of
    one before anything of it is sent."""

    _room: rtc.Room
    _ended: asyncio.Future[None]
    _emit: Callable[[ev.RoomEvent], None]
    _unpublished: Callable[[str], None]
    _published: Callable[[str], None] = lambda sid: None
    # By each sid that it ever had: a command may still name the one before a reconnect.
    _live: dict[str, LocalTrack] = field(init=False, factory=dict)
    _pending: set[LocalTrack] = field(init=False, factory=set)
    # What is over here and may not be there (docs/livekit.md, "Tracks that come back").
    _over: set[str] = field(init=False, factory=set)
    _is_interrupted: bool = field(init=False, default=False)
    _tasks: set[asyncio.Task[Any]] = field(init=False, factory=set)
    _is_closed: bool = field(init=False, default=False)

    # -- commands -------------------------------------------------------------------------------

    def check(self, source: TrackSource) -> None:
        """Raise `FORBIDDEN` at once unless the server lets `source` be published."""
        if not permission_of(self._room.local_participant).allows(source):
            raise forbidden(source)

    def is_over(self, sid: str) -> bool:
        """Whether a track ended here that LiveKit may still have, or have again."""
        return sid in self._over

    def find(self, source: TrackSource) -> LocalTrack | None:
        return next((live for live in self._live.values() if live.track_source is source), None)

    @property
    def has_pictures(self) -> bool:
        """Whether any are sent, or about to be."""
        tracks = (*self._pending, *self._live.values())
        return any(one.is_picture and not (one.is_muted or one.is_over) for one in tracks)

    async def publish(self, source: Input, track_source: TrackSource) -> TrackPublication:
        """See `RoomPort.publish`."""
        self.check(track_source)
        track = await open_track(source, track_source)
        self._pending.add(track)
        task = self._own(self._publish(track), f"publish {track.track.name}")
        try:
            return await self._race(task, track.refused)
        except BaseException as error:
            silent = self._own(track.silence(), f"silence {track.track.name}")
            self._own(self._discard(task, track), f"take back {track.track.name}")
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(silent)
            raise
        finally:
            self._pending.discard(track)

    async def _publish(self, track: LocalTrack) -> TrackPublication:
        rtc = native.sdk()
        local = self._room.local_participant
        try:
            published = await local.publish_track(track.track, track.options)
        except rtc.participant.PublishTrackError as error:
            refusal = error.message
        else:
            refusal = None
        if refusal is not None:
            code = UTDErrorCode.TIMEOUT if "timed out" in refusal else UTDErrorCode.SERVER
            raise UTDStreamException(f"Publishing failed: {foreign_text(refusal)}.", code=code)
        publication = publication_of(published)
        track.sid = publication.sid
        if self._is_closed and track in self._pending:
            raise conflict(ConflictReason.LEFT, "The room was left.")
        self._live[track.sid] = track
        if track in self._pending:  # else it was given up, and `_discard` takes it back
            self._published(track.sid)
            track.feeder.start()
            track.watcher = self._own(self._watch(track), f"watch {track.sid}")
            track.refused.add_done_callback(partial(self._fail, track))
        return publication

    async def _discard(self, task: asyncio.Task[TrackPublication], track: LocalTrack) -> None:
        """Take back a publication nobody waits for any more, whenever it comes."""
        rivals: list[asyncio.Future[Any]] = [task, self._ended]
        await asyncio.wait(rivals, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        elif not task.cancelled() and task.exception() is None:
            await self._remove(track)

    async def unpublish(self, sid: str) -> None:
        """Close and unpublish; nothing when there is no such track. Cancelling lets it go on."""
        track = self._live.get(sid)
        if track is not None:
            await asyncio.shield(self._own(self._remove(track), f"unpublish {sid}"))

    def set_muted(self, sid: str, muted: bool) -> TrackPublication | None:
        """Mute or unmute; returns the publication as it is now, None when there is none."""
        track = self._live.get(sid)
        if track is None:
            return None
        if muted:
            track.track.mute()
        else:
            track.track.unmute()
        if isinstance(track.stream, PlatformStream):
            track.stream.mute_changed()
        living = self._room.local_participant.track_publications[track.sid]
        return evolve(publication_of(living), source=track.track_source, is_muted=muted)

    # -- facts ----------------------------------------------------------------------------------

    def enforce(self, permission: ParticipantPermission) -> None:
        """End what `permission` does not allow."""
        for track in self._pending:
            if not permission.allows(track.track_source):
                refuse(track.refused, forbidden(track.track_source))
        for track in set(self._live.values()):
            if not permission.allows(track.track_source):
                self._own(self._remove(track), f"end revoked {track.sid}")

    def mute_changed(self, sid: str, muted: bool) -> None:
        """A track was muted or unmuted, by whomever: pictures rest while nobody sees them."""
        track = self._live.get(sid)
        if track is not None and track.is_picture:
            track.is_muted = muted
            self._own(self._follow_mute(track), f"follow the mute of {sid}")

    async def _follow_mute(self, track: LocalTrack) -> None:
        async with track.switching:
            if track.is_muted or track.is_over:
                await track.rest()
            elif track.watcher is None:
                track.watcher = self._own(self._watch(track), f"watch {track.sid}")

    async def replace(self, sid: str, source: VideoInput) -> None:
        """See `RoomPort.replace`; nothing when there is no such track. Cancelling lets it go on."""
        track = self._live.get(sid)
        if track is not None:
            if not track.is_picture:
                raise invalid(f"{sid} is a track of sound, which keeps its source.")
            await asyncio.shield(self._own(self._replace(track, source), f"replace {sid}"))

    async def _replace(self, track: LocalTrack, source: VideoInput) -> None:
        async with track.switching:
            await track.replace(source)
            if track.stream is not None and track.watcher is None:
                track.watcher = self._own(self._watch(track), f"watch {track.sid}")

    def _interrupt(self, track: LocalTrack, failure: UTDStreamException | None) -> None:
        """Tell that a track's device is lost, or back; nothing when it was so already."""
        was_lost, track.is_lost = track.is_lost, failure is not None
        if failure is not None:
            self._emit(ev.LocalVideoInterrupted(track.sid, failure))
        elif was_lost:
            self._emit(ev.LocalVideoResumed(track.sid))

    def interrupted(self) -> None:
        """A reconnect begins: what ends from now on is unpublished when it is over."""
        self._is_interrupted = True

    def republished(self, previous: str, sid: str) -> None:
        """A full reconnect gave a track a new sid; its feeding goes on, if it did till now."""
        track = self._live.get(previous)
        if track is not None:
            track.sid = sid
            self._live[sid] = track
        elif previous in self._over:
            self._over = self._over - {previous} | {sid}

    def reconnected(self, permission: ParticipantPermission) -> None:
        """It is over: end what ended meanwhile, and what `permission` does not allow any more."""
        self._is_interrupted = False
        self._over &= self._room.local_participant.track_publications.keys()
        for sid in self._over:
            self._own(self._end(sid), f"unpublish {sid} after all")
        self.enforce(permission)

    async def aclose(self) -> None:
        """Close all sources; the connection is over or about to be. Idempotent."""
        self._is_closed = True  # what is being published fails when it comes, and is closed then
        live, self._live = set(self._live.values()), {}
        await asyncio.gather(*(track.silence() for track in live))

    async def wait_tasks(self) -> None:
        """Wait for what is still under way; call after `ended` is done."""
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=NATIVE_TIMEOUT)
            for task in pending:
                logger.warning("given up: %s", task.get_name())
                task.cancel()

    # -- shared ---------------------------------------------------------------------------------

    async def _remove(self, track: LocalTrack) -> None:
        """Silence and unpublish, and say so once, whether or not LiveKit still knows the track."""
        if track.sid not in self._live:
            return
        self._live = {sid: other for sid, other in self._live.items() if other is not track}
        self._over.add(track.sid)
        await track.silence()
        try:
            if not self._is_interrupted and self.is_over(track.sid):
                await self._end(track.sid)
        finally:
            self._unpublished(track.sid)

    async def _end(self, sid: str) -> None:
        """Unpublish what is over."""
        unpublishing = self._room.local_participant.unpublish_track(sid)
        task = self._own(unpublishing, f"unpublish {sid}")
        try:
            await self._race(task)
            self._over.discard(sid)
        except (UTDStreamException, native.sdk().participant.UnpublishTrackError) as error:
            # It is gone with the connection, or the server took it before, or it comes back.
            logger.info("unpublishing %s: %s", foreign_text(sid), foreign_text(repr(error)))
        finally:
            task.cancel()

    async def _watch(self, track: LocalTrack) -> None:
        """Tell the end of what feeds a track, or why it failed."""
        (error,) = await asyncio.gather(
            track.run(partial(self._interrupt, track)), return_exceptions=True
        )
        if isinstance(error, UTDStreamException):
            refuse(track.refused, error)
        elif isinstance(error, Exception):
            kind = "video" if track.is_picture else "audio"
            refuse(track.refused, foreign_failure(f"the {kind} input failed", error))
        elif not track.refused.done():
            await track.feeder.drain()
            ended = ev.LocalVideoEnded if track.is_picture else ev.LocalAudioEnded
            self._emit(ended(track.sid))

    def _fail(self, track: LocalTrack, refused: asyncio.Future[UTDStreamException]) -> None:
        if track.sid in self._live:
            self._emit(ev.LocalTrackFailed(track.sid, refused.result()))
            self._own(self._remove(track), f"end failed {track.sid}")

    async def _race(
        self, task: asyncio.Task[T], refused: asyncio.Future[UTDStreamException] | None = None
    ) -> T:
        rivals: set[asyncio.Future[Any]] = {task, self._ended, *filter(None, [refused])}
        await asyncio.wait(rivals, timeout=NATIVE_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        if refused is not None and refused.done():
            raise refused.result()
        if self._ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended.")
        raise UTDStreamException(
            f"LiveKit did not answer within {NATIVE_TIMEOUT:g} s.", code=UTDErrorCode.TIMEOUT
        )

    def _own(self, command: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(command, name=f"utd_rx.rtc: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Whoever waits raises it; for an owned task nobody waits for, this is its only trace.
            logger.debug("%s: %r", task.get_name(), error)
