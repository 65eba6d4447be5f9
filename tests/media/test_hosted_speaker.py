"""Where a speaker in the media process is, is told with all that it tells of itself."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from utd_rx.media import hosted_speaker
from utd_rx.media.hosted_speaker import FORESEEN, HostedTap, SpeakerPosition
from utd_rx.models.device_state import SpeakerState, SpeakerStatistics
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceKey
from utd_rx.ports import living
from utd_rx.ports.crossing import Teller

CARD = AudioDevice("card", "card", AudioDirection.OUTPUT, 1, 48_000, is_default=True)


class Playing:
    """A speaker that is where the test says, and tells what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = DeviceKey("speaker")
        self.position, self.now = 5.0, 100.0
        self.teller = Teller(SpeakerState())
        living.enter(self.key, self)
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(hosted_speaker, "time", clock)
        self.told: list[SpeakerPosition] = []
        self.stop = HostedTap(self.key).follow(self.told.append)

    async def tells(self, **news: object) -> list[SpeakerPosition]:
        """Let it tell that; return what was told of its position."""
        self.told.clear()
        self.teller.post(**news)
        await asyncio.sleep(0)
        return list(self.told)


@pytest.fixture
async def playing(monkeypatch: pytest.MonkeyPatch) -> Playing:
    return Playing(monkeypatch)


async def test_it_is_told_at_once_where_a_speaker_is(playing: Playing) -> None:
    await asyncio.sleep(0)
    assert playing.told == [SpeakerPosition(5.0, 100.0, is_moving=False)]
    playing.stop()


async def test_it_is_told_where_it_is_with_its_device_its_loss_and_its_counts(
    playing: Playing,
) -> None:
    assert await playing.tells(device=CARD) == [SpeakerPosition(5.0, 100.0, is_moving=False)]
    playing.position, playing.now = 5.4, 100.5  # a card that stood still
    counts = SpeakerStatistics(underruns=4_800)
    assert await playing.tells(level=-20.0, statistics=counts) == [
        SpeakerPosition(5.4, 100.5, is_moving=True)
    ]
    assert await playing.tells(device=None) == [SpeakerPosition(5.4, 100.5, is_moving=False)]
    playing.stop()
    assert await playing.tells(device=CARD) == []


@pytest.mark.parametrize(("played", "is_moving"), [(0.09, True), (0.0, False)])
async def test_one_that_was_opened_is_looked_at_again_soon(
    played: float, is_moving: bool, playing: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted_speaker, "BEGUN", 0)
    await playing.tells(device=CARD)
    playing.position, playing.now = 5.0 + played, 100.1
    while len(playing.told) < 2:  # noqa: ASYNC110 - a turn of the loop
        await asyncio.sleep(0)
    assert playing.told[1] == SpeakerPosition(5.0 + played, 100.1, is_moving)
    playing.stop()


async def test_no_level_wakes_anybody_for_it(playing: Playing) -> None:
    await playing.tells(device=CARD)
    assert await playing.tells(level=-20.0) == []
    playing.stop()


def test_what_is_expected_ends_with_what_was_foreseen() -> None:
    told = SpeakerPosition(5.0, 100.0, is_moving=True)
    assert told.expected(100.5) == 5.5
    assert told.expected(200.0) == 5.0 + FORESEEN
    assert SpeakerPosition(5.0, 100.0, is_moving=False).expected(100.5) == 5.0
