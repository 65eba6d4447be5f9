"""What a `RestoringRoom` publishes and receives: tracks, and what is heard and seen of others.

What becomes of a command that is under way when the process dies:

| command | then | for |
| --- | --- | --- |
| `hear`, `look`, `route`, `read_data_track` | the successor does it | nobody would begin it anew |
| `set_subscribed`, `set_gain`, `set_muted`, `describe`, `encrypt` | so as well | it is a state |
| `unpublish`, `unhear` and the like | it is done | what was to end has ended |
| `publish`, `publish_data_track`, `replace`, `connect` | `NETWORK` | its answer is of that life |
| `connect` in a process that has served nobody yet | the successor does it, once | it was dead |
| `send_data`, `call`, streams, `statistics` | `NETWORK` | twice is not once |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, Final, cast

from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import lacking
from utd_rx.media import wished as wishes
from utd_rx.media.lacking import PublishAgain
from utd_rx.media.restoring_data import RestoringData
from utd_rx.media.succession import Succession
from utd_rx.media.wished_parts import OwnDataTrack, OwnTrack, WishedReception
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.models.statistics import MediaStatistics, RoomStatistics
from utd_rx.models.video import VideoInput
from utd_rx.ports import living
from utd_rx.ports.data_tracks import DataFramesSink
from utd_rx.ports.room import FramesSink, PicturesSink, RoomPort, height_asked

_numbers = count(1)

NOWHERE: Final = -1
"""Names no data track of any room."""


class RestoringMedia(RestoringData):
    """The part of a room that is tracks.

    Args:
        succession: Of the processes.
        needs: Is told of each speaker that it is to play on, and returns whether that lives where
            rooms do.
        dropped: Returns that of `MediaStatistics`.
    """

    def __init__(
        self,
        succession: Succession[Any],
        needs: Callable[[DeviceKey], bool] = lambda key: True,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__(succession)
        self._needs = needs
        self._dropped = dropped
        self._voices: dict[int, living.Voice] = {}
        self._news = asyncio.Event()  # of the room, and of what is wished of it

    def _pass(self, events: tuple[ev.RoomEvent, ...]) -> None:
        """Keep what changes the wish, and tell it."""
        raise NotImplementedError

    # --- own tracks -----------------------------------------------------------------------------

    async def publish(
        self, source: AudioInput | VideoInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        far = await self._there()
        track = await far.publish(source, track_source)
        if not self._lives(far):
            raise self._gone()
        self._wished = wishes.published(self._wished, source, track)
        return track

    async def unpublish(self, track_sid: str) -> None:
        own = self._wished.own(track_sid)
        if own is None:
            return await self._state(lambda far: far.unpublish(track_sid))
        self._wished = wishes.unpublished(self._wished, own.track.sid)
        there = own.there
        if there is not None:
            await self._state(lambda far: far.unpublish(there))
        elif self._wished.is_there and self._settled.is_set():
            self._pass((ev.LocalTrackUnpublished(own.track),))
        return None

    async def replace(self, track_sid: str, source: VideoInput) -> None:
        far = await self._there()
        own = self._wished.own(track_sid)
        if own is None or own.there is not None:
            await far.replace(track_sid if own is None else own.there or "", source)
        if own is not None:
            self._wished = wishes.fed(self._wished, own.track.sid, source)

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        own = self._wished.own(track_sid)
        if own is None:
            return await self._set_unknown(track_sid, muted)
        there = own.there
        if there is None:
            return await self._set_absent(own, muted)
        # Kept before it is done: what was muted never comes back to be heard.
        self._wished = wishes.muted(self._wished, track_sid, muted)
        try:
            await self._state(lambda far: far.set_muted(there, muted))
        except UTDStreamException:
            if not muted and wishes.as_told(self._wished, own.track).is_muted:
                self._wished = wishes.muted(self._wished, track_sid, True)
            raise

    async def _set_unknown(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute what is being published, or over; whoever means another is told so."""
        local = self._wished.roster.local
        here = () if local is None else (track.sid for track in local.tracks)
        if track_sid in here or not self._wished.is_joined:
            await self._state(lambda far: far.set_muted(track_sid, muted))
        elif track_sid not in self._wished.over:
            raise _not_here(track_sid)

    async def _set_absent(self, own: OwnTrack, muted: bool) -> None:
        """Mute or unmute what is not published in this life, or not yet."""
        sid = own.track.sid
        if own.track.is_muted is muted:
            return
        self._wished = wishes.muted(self._wished, sid, muted)
        self._news.set()
        if muted:
            return

        async def publish(far: RoomPort) -> tuple[PublishAgain, TrackPublication] | None:
            now = self._wished.own(sid)
            if now is None or now.there is not None or now.track.is_muted:
                return None
            return PublishAgain(now), await far.publish(now.source, now.track.source)

        try:
            published = await self._outlive(publish)
        except BaseException:
            known = self._wished.own(sid)
            if known is not None and known.there is None:
                self._wished = wishes.muted(self._wished, sid, True)
            raise
        if published is not None:
            await self._published_again(*published)
        elif self._wished.own(sid) is None:
            raise _not_here(sid)

    async def _published_again(self, step: PublishAgain, track: TrackPublication) -> None:
        """Tell that what was muted is published again, and the room what has changed meanwhile."""
        sid = step.own.track.sid
        before = self._wished.tracks.get(sid)
        amends = tuple(lacking.amends(self._wished, step, track))
        self._wished = lacking.done(self._wished, step, track)
        now = self._wished.tracks.get(track.sid)
        if now is not None:
            unmuted = ev.TrackUnmuted(self._wished.roster.identity, now.track)
            moved = ev.LocalTrackRepublished(now.track, sid)
            self._pass((moved,) if now.track.is_muted else (moved, unmuted))
        elif before is not None:  # the server has ended it before it was told to be there
            self._pass((ev.LocalTrackUnpublished(before.track),))

        async def amend(far: RoomPort) -> None:
            for method, *args in amends:
                await getattr(far, method)(*args)

        await self._state(amend)
        if now is not None and now.source is not step.own.source:
            other = cast("VideoInput", now.source)
            await self._state(lambda far: far.replace(track.sid, other))

    # --- what is received -----------------------------------------------------------------------

    async def set_subscribed(self, track_sid: str, subscribed: bool) -> None:
        far = await self._there()
        self._wished = wishes.subscribed(self._wished, track_sid, subscribed)
        await self._state(lambda _: far.set_subscribed(track_sid, subscribed))

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        return await self._receive(WishedReception("hear", "unhear", track_sid, (sink,)))

    async def _route_here(self, track_sid: str, voice: living.Voice) -> int:
        """Play a track on a speaker that the app keeps in its own process: its frames cross."""

        def play(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                voice(frame)

        try:
            route = await self.hear(track_sid, play)
        except BaseException:
            voice.close()
            raise
        self._voices[route] = voice
        return route

    async def unhear(self, reception: int) -> None:
        if (voice := self._voices.pop(reception, None)) is not None:
            voice.close()
        known = self._wished.receptions.get(reception)
        self._wished = wishes.receives(self._wished, reception, None)
        if known is not None and known.there is not None:
            there = known.there
            await self._state(lambda far: getattr(far, known.end)(there))

    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        if not self._needs(speaker) and living.is_here(speaker):
            return await self._route_here(track_sid, living.find(speaker).voice(name, gain=gain))
        options = FrozenMap[str, Any]({"name": name, "gain": gain})
        return await self._receive(
            WishedReception("route", "unroute", track_sid, (speaker,), options)
        )

    async def set_gain(self, route: int, gain: float) -> None:
        if route in self._voices:
            self._voices[route].gain = gain
        known = self._wished.receptions.get(route)
        if known is None or known.begin != "route":
            return
        now = evolve(known, options=known.options.set("gain", gain))
        self._wished = wishes.receives(self._wished, route, now)
        if known.there is not None:
            there = known.there
            await self._state(lambda far: far.set_gain(there, gain))

    async def unroute(self, route: int) -> None:
        await self.unhear(route)

    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        options = FrozenMap[str, Any]({"max_height": height_asked(max_height)})
        return await self._receive(WishedReception("look", "unlook", track_sid, (sink,), options))

    async def unlook(self, view: int) -> None:
        await self.unhear(view)

    async def statistics(self) -> RoomStatistics:
        measured = await (await self._there()).statistics()
        failure = self._succession.failure
        media = MediaStatistics(
            pid=getattr(self._host, "pid", None),
            deaths=self._succession.deaths,
            failure="" if failure is None else failure.message,
            unread=getattr(self._host, "unread", 0),
            dropped=self._dropped(),
        )
        return evolve(measured, media=media)

    # --- data tracks ----------------------------------------------------------------------------

    async def publish_data_track(self, name: str) -> int:
        far = await self._there()
        there = await far.publish_data_track(name)
        if not self._lives(far):
            raise self._gone()
        number = next(_numbers)
        self._wished = wishes.data_published(self._wished, number, OwnDataTrack(name, there))
        return number

    async def push_data_frame(self, number: int, frame: DataTrackFrame) -> None:
        far = await self._there()
        known = self._wished.data_tracks.get(number)
        there = None if known is None else known.there
        await far.push_data_frame(NOWHERE if there is None else there, frame)

    async def unpublish_data_track(self, number: int) -> None:
        known = self._wished.data_tracks.get(number)
        self._wished = wishes.data_published(self._wished, number, None)
        if known is not None and known.there is not None:
            there = known.there
            await self._state(lambda far: far.unpublish_data_track(there))

    async def read_data_track(self, track_sid: str, sink: DataFramesSink) -> int:
        begin, end = "read_data_track", "unread_data_track"
        return await self._receive(WishedReception(begin, end, track_sid, (sink,)))

    async def unread_data_track(self, reading: int) -> None:
        await self.unhear(reading)

    # --- inside ---------------------------------------------------------------------------------

    async def _receive(self, reception: WishedReception) -> int:
        """Begin a reception, and keep it. Where the process dies meanwhile its successor begins it,
        once the track arrives; of a track that is gone then it fails as of any."""
        number = next(_numbers)

        async def begun(far: RoomPort) -> int:
            known = self._wished.receptions.get(number)
            if known is not None and known.there is not None:
                return known.there
            self._wished = wishes.receives(self._wished, number, reception)
            return await begin(far, reception)

        try:
            there = await self._outlive(begun)
        except BaseException:
            with suppress(UTDStreamException):
                await self.unhear(number)
            raise
        if number in self._wished.receptions:  # else its track has ended meanwhile
            self._wished = wishes.receives(self._wished, number, evolve(reception, there=there))
        return number


def _not_here(track_sid: str) -> UTDStreamException:
    return UTDStreamException(
        f"{track_sid} is no track of this client", code=UTDErrorCode.NOT_FOUND
    )


async def begin(far: RoomPort, reception: WishedReception) -> int:
    """Begin a reception in the room of this life; return its number there."""
    begin = getattr(far, reception.begin)
    there: int = await begin(reception.track_sid, *reception.args, **reception.options)
    return there
