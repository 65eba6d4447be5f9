"""What crosses comes in batches: a second of frames at most, the newest state, every failure."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np

from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.device_state import SpeakerState, SpeakerStatistics
from utd_rx.ports.crossing import MAX_FAILURES, MAX_WAITING, FrameBox, LevelSink, Teller


def frame(number: int) -> AudioFrame:
    return AudioFrame(np.zeros((480, 1), np.int16), 48_000, float(number))


def times(batch: tuple[AudioFrame, ...]) -> list[float]:
    return [frame.at for frame in batch]


async def test_what_waits_for_the_loop_is_one_delivery() -> None:
    batches: list[tuple[AudioFrame, ...]] = []
    box = FrameBox(asyncio.get_running_loop(), batches.append)
    for number in range(3):
        await asyncio.to_thread(box.post, frame(number))
        box.post(frame(number + 10))
    await asyncio.sleep(0)
    box.post(frame(20))
    await asyncio.sleep(0)
    assert [at for batch in batches for at in times(batch)] == [0, 10, 1, 11, 2, 12, 20]
    assert times(batches[-1]) == [20]


async def test_a_busy_loop_costs_the_oldest() -> None:
    batches: list[tuple[AudioFrame, ...]] = []
    box = FrameBox(asyncio.get_running_loop(), batches.append)
    for number in range(MAX_WAITING + 5):
        box.post(frame(number))
    await asyncio.sleep(0)
    assert times(batches[0]) == list(range(5, MAX_WAITING + 5))


async def test_a_closed_box_delivers_nothing_more() -> None:
    batches: list[tuple[AudioFrame, ...]] = []
    box = FrameBox(asyncio.get_running_loop(), batches.append)
    box.post(frame(0))
    box.close()
    await asyncio.sleep(0)
    box.post(frame(1))
    await asyncio.sleep(0)
    assert batches == []


async def test_a_receiver_that_raises_gets_the_next_batch() -> None:
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, it: reported.append(it["exception"]))

    def broken(batch: tuple[AudioFrame, ...]) -> None:
        raise ValueError(times(batch))

    box = FrameBox(loop, broken)
    for number in range(2):
        box.post(frame(number))
        await asyncio.sleep(0)
    assert [str(error) for error in reported] == ["[0.0]", "[1.0]"]


def test_a_loop_that_is_gone_takes_nothing() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    taken: list[object] = []
    FrameBox(loop, taken.append).post(frame(0))
    assert taken == []


Told = list[tuple[SpeakerState, ...]]


async def test_of_a_state_the_newest_waits_for_the_loop_but_every_failure_is_seen() -> None:
    told: Told = []
    teller, gone = Teller(SpeakerState()), UTDStreamException("gone")
    stop = teller.listen(told.append)
    elsewhere = threading.Thread(target=teller.post, kwargs={"level": -1.0})
    elsewhere.start()
    elsewhere.join()
    teller.post(level=-2.0, volume=0.5)
    teller.post(failure=gone)
    teller.post(level=-3.0)
    teller.post(failure=None)
    assert told == []
    await asyncio.sleep(0)
    [batch] = told
    assert [(state.level, state.volume, state.failure) for state in batch] == [
        (-2.0, 0.5, None),
        (-3.0, 0.5, gone),
        (-3.0, 0.5, None),
    ]
    teller.post(level=-4.0)
    stop()
    teller.post(level=-5.0)
    await asyncio.sleep(0)
    assert len(told) == 1
    assert teller.state.level == -5.0


async def test_a_level_that_stays_is_told_once() -> None:
    told: Told = []
    teller = Teller(SpeakerState(level=-1.0))
    stop = teller.listen(told.append)
    teller.flush()
    for _ in range(3):
        teller.post(level=-2.0)
        teller.flush()
    assert [state.level for (state,) in told] == [-1.0, -2.0]
    teller.post(level=-2.0, statistics=SpeakerStatistics())
    teller.flush()
    assert len(told) == 3
    stop()


class Levels(LevelSink):
    """Writes down what comes, and of a state how many levels came before it."""

    def __init__(self) -> None:
        self.came: list[object] = []
        self.levels: list[float] = []

    def __call__(self, batch: Any) -> None:
        self.came += [(state.volume, state.level, levels) for state, levels in batch]

    def marked(self, state: SpeakerState) -> tuple[SpeakerState, int]:
        return state, len(self.levels)

    def take_level(self, state: SpeakerState) -> None:
        assert state.level is not None
        self.levels.append(state.level)


async def test_who_takes_levels_has_them_at_once_and_all_else_on_the_loop() -> None:
    sink, teller = Levels(), Teller(SpeakerState(level=-1.0))
    stop = teller.listen(sink)
    teller.flush()
    elsewhere = threading.Thread(target=teller.post, kwargs={"level": -2.0})
    elsewhere.start()
    elsewhere.join()
    teller.post(level=-3.0, volume=0.5)
    teller.post(level=-4.0)
    assert (sink.levels, sink.came) == ([-2.0, -4.0], [(1.0, -1.0, 0)])
    teller.flush()
    assert sink.came[1:] == [(0.5, -3.0, 1)]
    stop()
    teller.post(level=-5.0)
    assert sink.levels == [-2.0, -4.0]


async def test_no_level_is_no_level() -> None:
    sink, teller = Levels(), Teller(SpeakerState(level=-1.0))
    teller.listen(sink)
    teller.flush()
    teller.post(level=None)
    teller.flush()
    assert (sink.levels, sink.came[1:]) == ([], [(1.0, None, 0)])


async def test_who_listens_is_told_what_is_so_and_no_more_failures_than_fit() -> None:
    told: Told = []
    teller = Teller(SpeakerState(volume=0.25))
    stop = teller.listen(told.append)
    teller.flush()
    assert told == [(SpeakerState(volume=0.25),)]
    for number in range(MAX_FAILURES + 5):
        teller.post(failure=UTDStreamException(str(number)))
    await asyncio.sleep(0)
    [_, batch] = told
    assert [state.failure and state.failure.message for state in batch] == [
        str(number) for number in range(5, MAX_FAILURES + 5)
    ]
    stop()
