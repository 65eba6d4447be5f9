"""What a publisher hears of who receives its video, and when. Time is an argument."""

from __future__ import annotations

import pytest
from livekit.protocol import rtc

from utd_rx.engine.sfu.demand import Demand
from utd_rx.engine.sfu.layers import Quality

LOW, MEDIUM, HIGH, OFF = Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.OFF


class Heard:
    """A publisher, and what it heard: how many qualities are enabled."""

    def __init__(self) -> None:
        self.updates: list[rtc.SubscribedQualityUpdate] = []
        self.demand = Demand("TR_v", "vp8", self._send, 5.0)
        self.demand.start(0.0)

    def _send(self, *, subscribed_quality_update: rtc.SubscribedQualityUpdate) -> None:
        self.updates.append(subscribed_quality_update)

    @property
    def enabled(self) -> list[int]:
        return [sum(q.enabled for q in one.subscribed_qualities) for one in self.updates]


def test_an_update_names_codec_and_all_qualities() -> None:
    heard = Heard()
    heard.demand.set(MEDIUM, 1.0)
    (update,) = heard.updates
    assert update.track_sid == "TR_v"
    assert [(one.quality, one.enabled) for one in update.subscribed_qualities] == [
        (LOW, True),
        (MEDIUM, True),
        (HIGH, False),
    ]
    (codec,) = update.subscribed_codecs
    assert (codec.codec, list(codec.qualities)) == ("vp8", list(update.subscribed_qualities))


def test_more_is_told_at_once_and_less_after_a_while() -> None:
    heard = Heard()
    for quality in (LOW, HIGH, MEDIUM, LOW):
        heard.demand.set(quality, 1.0)
    assert heard.enabled == [1, 3]
    heard.demand.tick(5.9)
    assert heard.enabled == [1, 3]
    heard.demand.tick(6.0)
    heard.demand.tick(60.0)
    assert heard.enabled == [1, 3, 1]


def test_less_for_a_moment_is_not_told() -> None:
    heard = Heard()
    heard.demand.set(HIGH, 1.0)
    heard.demand.set(OFF, 2.0)
    heard.demand.set(HIGH, 3.0)
    heard.demand.tick(60.0)
    assert heard.enabled == [3]


def test_what_was_told_is_said_again_on_request_and_nothing_else() -> None:
    heard = Heard()
    heard.demand.repeat()
    heard.demand.set(MEDIUM, 1.0)
    heard.demand.set(LOW, 2.0)
    heard.demand.repeat()
    assert heard.enabled == [2, 2]


@pytest.mark.parametrize("quality", [OFF, LOW])
def test_nobody_is_told_after_ten_seconds_and_then_the_first(quality: Quality) -> None:
    heard = Heard()
    heard.demand.set(OFF, 1.0)
    heard.demand.tick(9.9)
    assert heard.enabled == []
    heard.demand.tick(10.0)
    assert heard.enabled == [0]
    heard.demand.set(quality, 11.0)
    assert heard.enabled == ([0] if quality == OFF else [0, 1])
