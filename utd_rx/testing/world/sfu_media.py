"""The media of one room of the virtual SFU: frames to those who have a use for them, and speakers.

Nothing is encoded. A track that nobody listens to or looks at costs what it takes to find out
whether somebody speaks (docs/livekit.md, "Speakers"), and a silent one nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial

from utd_rx.audio.levels import level_dbfs
from utd_rx.engine.sfu.speakers import UPDATE_INTERVAL, SpeechMeter
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame
from utd_rx.models.video import VideoFrame
from utd_rx.testing.world.sfu_participant import SfuClient, VirtualParticipant


class MediaFlow:
    """What flows in a room between its `people`; `frames` counts by track."""

    def __init__(self, people: Mapping[str, VirtualParticipant]) -> None:
        self.frames = Counter[str]()
        self._people = people
        self._ears: dict[str, set[SfuClient]] = {}
        self._meters: dict[str, tuple[VirtualParticipant, SpeechMeter]] = {}
        self._metering: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Tell nobody anything more. Idempotent."""
        if self._metering is not None:
            self._metering.cancel()

    def end(self, sid: str) -> None:
        """A track is over."""
        self._ears.pop(sid, None)
        if (metered := self._meters.pop(sid, None)) is not None:
            # Nobody is told that a speaker fell silent whose track is gone (docs/livekit.md,
            # "Who fell silent").
            gone = metered[0].identity
            for other in self._people.values():
                other.speakers = tuple(one for one in other.speakers if one != gone)

    def attend(self, sid: str, client: SfuClient) -> None:
        """Let a client have the frames of a track from now on."""
        self._ears.setdefault(sid, set()).add(client)

    def forward(self, who: VirtualParticipant, sid: str, frame: AudioFrame | VideoFrame) -> None:
        """Pass a frame on to those who have a use for it, and listen to it for who speaks."""
        track = who.tracks.get(sid)
        if track is None or track.publication.is_muted:
            return
        self.frames[sid] += 1
        ears = self._ears.get(sid, ())
        for other in self._people.values():
            if other.client in ears and sid in other.receives:
                other.media.send(partial(other.client.take_media, sid, frame, who.seal))
        if isinstance(frame, AudioFrame):
            _, meter = self._meters.setdefault(sid, (who, SpeechMeter()))
            now = asyncio.get_running_loop().time()
            level = min(127, round(-level_dbfs(frame.samples)))
            meter.observe(level, frame.duration * 1000.0, now)
            if self._metering is None:
                self._meter_soon()

    def _meter_soon(self) -> None:
        loop = asyncio.get_running_loop()
        self._metering = loop.call_later(UPDATE_INTERVAL, self._tell_speakers)

    def _tell_speakers(self) -> None:
        self._metering = None
        now = asyncio.get_running_loop().time()
        levels = {
            sid: (who, level)
            for sid, (who, meter) in self._meters.items()
            if (level := meter.level(now)) > 0
        }
        loudest = sorted(levels, key=lambda sid: levels[sid][1], reverse=True)
        for other in self._people.values():
            heard = (sid for sid in loudest if sid in other.tracks or sid in other.receives)
            speakers = tuple(dict.fromkeys(levels[sid][0].identity for sid in heard))
            if speakers != other.speakers:
                other.speakers = speakers
                other.tell(ev.ActiveSpeakersChanged(speakers))
        if levels or any(other.speakers for other in self._people.values()):
            self._meter_soon()
