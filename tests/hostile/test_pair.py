"""What the pair heard is told by its tones, however late it comes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.hostile.lies import NOTHING, Suffering
from tests.hostile.pair import BURSTS, LATE, PERIOD, Heard, Way, tone_of
from utd_rx.models.audio import AudioFrame

TONES = range(len(BURSTS))


def test_a_burst_is_known_by_its_tone_and_what_is_half_of_one_is_none() -> None:
    assert [tone_of(one) for one in BURSTS] == [*TONES]
    cut = BURSTS[3].copy()
    cut[:400] = 0
    assert tone_of(cut) is None
    assert tone_of(np.zeros_like(cut)) is None


def heard_after(late: float, lost: int = -1) -> Way:
    """Return a way on which eight bursts were said, and each heard so late."""
    way, begun = Way(), time.monotonic() - 20
    for tone in TONES:
        at = begun + tone * PERIOD
        way.mouth.said.append(at)
        if tone != lost:
            way.ear.take((AudioFrame(BURSTS[tone], 48_000, at + late),) * 2)
    return way


@pytest.mark.parametrize("late", [0.04, 0.6, LATE - 0.01])
async def test_bursts_may_overtake_the_next_ones_and_are_still_told_apart(late: float) -> None:
    assert await heard_after(late).heard(0.0) == [pytest.approx(late)] * len(BURSTS)


async def test_what_is_not_heard_is_lost_and_nothing_else_is() -> None:
    heard = await heard_after(0.3, lost=4).heard(0.0)
    assert [late is None for late in heard] == [tone == 4 for tone in TONES]


@pytest.mark.parametrize(
    "heard",
    [
        Heard(0, (), 0.0, 0.0),
        Heard(2, (0.1,), 0.0, 0.0),
        Heard(1, (0.3,), 0.2, 0.0),
        Heard(1, (0.1,), 0.0, 0.2),
    ],
)
def test_each_kind_of_suffering_is_one(heard: Heard) -> None:
    with pytest.raises(AssertionError, match="beside somebody"):
        heard.check(NOTHING, "somebody")
    if heard.said:
        heard.check(Suffering(1, 0.2, 0.2), "somebody")
