"""What anybody receives of a video track, told to its publisher so that it sends no more.

LiveKit calls that dynacast. More is told at once, less after a while, and later still what nobody
took from the start; as livekit-server does. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define
from livekit.protocol import rtc

from utd_rx.engine.sfu.layers import OFF, QUALITIES, Quality

_INITIAL_DELAY: Final = 10.0


@define(eq=False)
class Demand:
    """The best quality that is received; `send` sends the publisher one field of a response."""

    track_sid: str
    codec: str  # lower case, without "video/"
    _send: Callable[..., None]
    _pause_delay: float
    _told: Quality | None = None
    _quality: Quality = OFF
    _due_at: float | None = None

    def start(self, now: float) -> None:
        self._due_at = now + _INITIAL_DELAY

    def set(self, quality: Quality, now: float) -> None:
        self._quality = quality
        if quality == self._told:
            self._due_at = None
        elif _rank(quality) > _rank(self._told):
            self._tell()
        elif self._due_at is None:
            self._due_at = now + self._pause_delay

    def tick(self, now: float) -> None:
        if self._due_at is not None and now >= self._due_at:
            self._tell()

    def _tell(self) -> None:
        self._told, self._due_at = self._quality, None
        self.repeat()

    def repeat(self) -> None:
        """Say it again to a publisher that may not have heard it."""
        if self._told is None:
            return
        qualities = [
            rtc.SubscribedQuality(quality=one, enabled=_rank(one) <= _rank(self._told))
            for one in QUALITIES
        ]
        self._send(
            subscribed_quality_update=rtc.SubscribedQualityUpdate(
                track_sid=self.track_sid,
                subscribed_qualities=qualities,
                subscribed_codecs=[rtc.SubscribedCodec(codec=self.codec, qualities=qualities)],
            )
        )


def _rank(quality: Quality | None) -> int:
    """-1 for none, which has the highest number on the wire."""
    return -1 if quality in (None, OFF) else QUALITIES.index(quality)
