"""Where a speaker in the media process is, is told when it is not where one expects it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from utd_rx.media import hosted_speaker
from utd_rx.media.hosted_speaker import FORESEEN, OFF, HostedTap, SpeakerPosition
from utd_rx.models.devices import DeviceKey
from utd_rx.ports import living

BEGAN = 100.0


class Playing:
    """A speaker that is where the test says, looked at at a time that it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = DeviceKey("speaker")
        self.position, self.now = 5.0, BEGAN
        living.enter(self.key, self)
        self._asleep, self._turn = asyncio.Event(), asyncio.Semaphore(0)
        clock = SimpleNamespace(monotonic=lambda: self.now)
        loop = SimpleNamespace(create_task=asyncio.create_task, sleep=self._sleep)
        monkeypatch.setattr(hosted_speaker, "time", clock)
        monkeypatch.setattr(hosted_speaker, "asyncio", loop)
        self.told: list[SpeakerPosition] = []
        self.stop = HostedTap(self.key).follow(self.told.append)

    async def _sleep(self, seconds: float) -> None:
        self._asleep.set()
        await self._turn.acquire()

    async def goes_on(self, played: float, took: float) -> list[SpeakerPosition]:
        """Let so much be played in that time, and be looked at; return what was told of it."""
        await self._asleep.wait()
        self._asleep.clear()
        self.told.clear()
        self.position, self.now = self.position + played, self.now + took
        self._turn.release()
        await self._asleep.wait()
        return list(self.told)


@pytest.fixture
async def playing(monkeypatch: pytest.MonkeyPatch) -> Playing:
    made = Playing(monkeypatch)
    await made.goes_on(0.125, 0.125)
    return made


async def test_in_time_a_word_holds_and_the_next_comes_before_it_ends(playing: Playing) -> None:
    while not (told := await playing.goes_on(0.125, 0.125)):
        pass
    assert FORESEEN / 2 < playing.now - BEGAN < FORESEEN
    assert told == [SpeakerPosition(playing.position, playing.now, is_moving=True)]
    playing.stop()


@pytest.mark.parametrize("off", [-2 * OFF, 2 * OFF])
async def test_who_is_out_of_time_is_told(playing: Playing, off: float) -> None:
    assert await playing.goes_on(0.1 + off / 3, 0.1) == []
    [told] = await playing.goes_on(0.1 + off, 0.1)
    assert told == SpeakerPosition(playing.position, playing.now, is_moving=True)
    playing.stop()


async def test_a_speaker_that_stands_still_is_told_once(playing: Playing) -> None:
    [told] = await playing.goes_on(0.0, 0.1)
    assert told == SpeakerPosition(playing.position, playing.now, is_moving=False)
    assert await playing.goes_on(0.0, 10.0) == []
    playing.stop()


def test_what_is_expected_ends_with_what_was_foreseen() -> None:
    told = SpeakerPosition(5.0, 100.0, is_moving=True)
    assert told.expected(100.5) == 5.5
    assert told.expected(200.0) == 5.0 + FORESEEN
    assert SpeakerPosition(5.0, 100.0, is_moving=False).expected(100.5) == 5.0
