"""What loss and silence are called."""

from __future__ import annotations

import pytest
from livekit.protocol import models

from utd_rx.engine.sfu import quality

Quality = models.ConnectionQuality


@pytest.mark.parametrize(
    ("loss", "silence", "expected"),
    [
        (0.0, 0.0, Quality.EXCELLENT),
        (0.02, 5.0, Quality.EXCELLENT),
        (0.05, 0.0, Quality.GOOD),
        (0.5, 0.0, Quality.POOR),
        (1.0, 0.0, Quality.POOR),
        (0.0, 6.0, Quality.LOST),
    ],
)
def test_worse_is_called_worse(
    loss: float, silence: float, expected: models.ConnectionQuality
) -> None:
    info = quality.rate("PA_x", loss, silence)
    assert (info.participant_sid, info.quality) == ("PA_x", expected)
