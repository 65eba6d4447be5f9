"""Connection quality of a participant, from what its packets look like when they arrive here.

Coarser than livekit-server's score, which also weighs jitter, bitrate and layers.
"""

from __future__ import annotations

from typing import Final

from livekit.protocol import models, rtc

UPDATE_INTERVAL: Final = 5.0
# libwebrtc checks at least every 2.5 s, so two in a row are missing.
_LOST_AFTER: Final = 6.0
_BY_LOSS: Final = (
    (0.02, models.ConnectionQuality.EXCELLENT, 5.0),
    (0.10, models.ConnectionQuality.GOOD, 3.5),
    (1.00, models.ConnectionQuality.POOR, 2.0),
)


def rate(sid: str, loss: float, silence: float) -> rtc.ConnectionQualityInfo:
    """Rate the share of packets its worst track misses, and seconds since anything was heard."""
    quality, score = models.ConnectionQuality.LOST, 1.0
    if silence < _LOST_AFTER:
        quality, score = next((grade, points) for limit, grade, points in _BY_LOSS if loss <= limit)
    return rtc.ConnectionQualityInfo(participant_sid=sid, quality=quality, score=score)
