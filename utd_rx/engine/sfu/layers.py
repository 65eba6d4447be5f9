"""Which layer of a video track somebody wants: rules over what was asked and what is announced.

Qualities are LiveKit's names of layers, from LOW on; `OFF` is none at all. As livekit-server does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import define, field
from livekit.protocol import models, rtc

from utd_rx.engine.sfu.pictures import ALL

Quality = models.VideoQuality
LOW: Final = models.VideoQuality.LOW
HIGH: Final = models.VideoQuality.HIGH
OFF: Final = models.VideoQuality.OFF
QUALITIES: Final = (LOW, models.VideoQuality.MEDIUM, HIGH)

# LiveKit's names of simulcast streams, lowest first: quarter, half, full. Firefox may use numbers.
_RIDS: Final = ("q", "h", "f")
# A layer may be a little smaller than what is asked for.
_TOLERANCE: Final = 0.9
_DEFAULT_HEIGHTS: Final = (180, 360)
_RATE_INTERVAL: Final = 1.0


def sorted_rids(rids: Iterable[str]) -> tuple[str, ...]:
    """Simulcast streams, lowest first: browsers list them so, the native SDK the other way."""
    offered = tuple(rids)
    if set(offered) <= set(_RIDS):
        return tuple(one for one in _RIDS if one in offered)
    return offered


def wanted_quality(asked: rtc.UpdateTrackSettings, info: models.TrackInfo) -> Quality:
    """The quality that settings name, by size where they say one."""
    if asked.disabled:
        return OFF
    if not asked.width or not info.height:
        return asked.quality if asked.quality in QUALITIES else HIGH
    heights = sorted(one.height for one in info.layers)
    if heights and heights[0]:
        least = asked.height * _TOLERANCE
    else:
        is_upright = info.width < info.height
        heights = [*_DEFAULT_HEIGHTS, info.width if is_upright else info.height]
        least = (asked.width if is_upright else asked.height) * _TOLERANCE
    last = min(len(heights), len(QUALITIES)) - 1
    for index in range(last):
        if heights[index] >= least and heights[index] != heights[index + 1]:
            return QUALITIES[index]
    return QUALITIES[last]


def layer_of(quality: Quality, info: models.TrackInfo) -> int | None:
    """The number of the layer that is that quality, 0 the lowest; None for OFF."""
    if quality == OFF:
        return None
    announced = sorted({one.quality for one in info.layers if one.quality in QUALITIES})
    if not announced:
        return QUALITIES.index(quality)
    return next((n for n, one in enumerate(announced) if one >= quality), len(announced) - 1)


def best_layer(wanted: int, present: Iterable[int]) -> int:
    """The best layer that arrives and is no better than wanted, else the lowest there is."""
    layers = sorted(present)
    fitting = [one for one in layers if one <= wanted]
    return fitting[-1] if fitting else next(iter(layers), wanted)


@define
class FrameRates:
    """How many pictures a second each temporal layer has; time is an argument."""

    _counts: Counter[int] = field(factory=Counter)
    _rates: dict[int, float] = field(factory=dict)
    _since: float | None = None

    def on_picture(self, temporal: int, now: float) -> None:
        if self._since is None:
            self._since = now
        elapsed = now - self._since
        if elapsed >= _RATE_INTERVAL:
            self._rates = {one: count / elapsed for one, count in self._counts.items()}
            self._counts.clear()
            self._since = now
        self._counts[temporal] += 1

    def layer_for(self, fps: int) -> int:
        """The temporal layer that, with those below it, has that many; 0 asks for all."""
        rate = 0.0
        for temporal in sorted(self._rates) if fps else ():
            rate += self._rates[temporal]
            if rate >= fps * _TOLERANCE:
                return temporal
        return ALL
