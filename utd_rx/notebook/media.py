"""How loud those in a session are, and what they look like: small, rare, and of few of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from utd_rx.audio.levels import LevelMeter
from utd_rx.models.audio import AudioFrame
from utd_rx.models.participant import Participant, RemoteParticipant, TrackSource
from utd_rx.models.png import png
from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.sessions.following import Following
from utd_rx.sessions.listening import Listening
from utd_rx.state import throttle

MAX_HEARD: Final = 16
MAX_SEEN: Final = 9
"""How many are listened to and looked at: the first with a microphone, or a camera, that is on."""

THUMBNAIL_ROWS: Final = 90
SECONDS_PER_THUMBNAIL: Final = 0.5
LEVELS_PER_SECOND: Final = 10.0


class PanelMedia:
    """Levels and thumbnails of the others in a session, for its panel.

    Attributes:
        levels: 0 to 1 by identity: -60 dBFS to 0.
        thumbnails: PNG files by identity.

    Args:
        session: Whose.
        on_change: Called when either changes, on the session's loop.
    """

    def __init__(self, session: Listening[Any], on_change: Callable[[], None]) -> None:
        self.levels: dict[str, float] = {}
        self.thumbnails: dict[str, bytes] = {}
        self._on_change = on_change
        self._meters: dict[str, LevelMeter] = {}
        self._heard: Following[AudioFrame] = Following(
            session.audio, self._hear, lambda who: self._drop(who, self.levels, self._meters)
        )
        self._seen: Following[VideoFrame] = Following(
            lambda who: session.video(who, max_height=THUMBNAIL_ROWS).pipe(
                throttle(SECONDS_PER_THUMBNAIL)
            ),
            self._see,
            lambda who: self._drop(who, self.thumbnails),
        )
        self._people = session.remote_participants.subscribe(self._follow)

    def close(self) -> None:
        """Hear and see nobody any more. Idempotent."""
        self._people.dispose()
        self._follow(())

    def _follow(self, people: tuple[RemoteParticipant, ...]) -> None:
        self._heard.follow(_with(people, TrackSource.MICROPHONE)[:MAX_HEARD])
        self._seen.follow(_with(people, TrackSource.CAMERA)[:MAX_SEEN])

    def _hear(self, identity: str, frame: AudioFrame) -> None:
        meter = self._meters.setdefault(identity, LevelMeter(LEVELS_PER_SECOND))
        if (level := meter.push(frame)) is not None:
            self.levels[identity] = bar(level.rms_dbfs)
            self._on_change()

    def _see(self, identity: str, frame: VideoFrame) -> None:
        self.thumbnails[identity] = png(thumbnail(frame.upright))
        self._on_change()

    def _drop(self, identity: str, *places: dict[str, Any]) -> None:
        for place in places:
            place.pop(identity, None)
        self._on_change()


def bar(dbfs: float) -> float:
    """Return how long the bar of a level is, 0 to 1, in steps that an eye sees."""
    return round(min(1.0, max(0.0, 1 + dbfs / 60)), 2)


def thumbnail(pixels: Pixels) -> Pixels:
    """Return every n-th pixel of every n-th row, so that at most `THUMBNAIL_ROWS` are left."""
    step = math.ceil(len(pixels) / THUMBNAIL_ROWS)
    return np.ascontiguousarray(pixels[::step, ::step])


def _with(people: Iterable[Participant], source: TrackSource) -> tuple[str, ...]:
    found = ((one.identity, one.track(source)) for one in people)
    return tuple(who for who, track in found if track is not None and not track.is_muted)
