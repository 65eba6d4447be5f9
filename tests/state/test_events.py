"""An event stream delivers everything, in one order, to everybody who observes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from reactivex import operators as ops

from utd_rx.state.errors import AsyncObserverError
from utd_rx.state.events import EventStream


def test_events_reach_whoever_observes_at_that_moment() -> None:
    stream: EventStream[int] = EventStream()
    early: list[int] = []
    late: list[int] = []
    subscription = stream.subscribe(early.append)
    stream.emit(1)
    stream.subscribe(late.append)
    stream.emit(2)
    subscription.dispose()
    stream.emit(3)
    assert (early, late) == ([1, 2], [2, 3])


def test_an_event_caused_by_an_observer_comes_after_its_cause_for_all() -> None:
    stream: EventStream[int] = EventStream()
    second: list[int] = []
    stream.subscribe(lambda event: stream.emit(2) if event == 1 else None)
    stream.subscribe(second.append)
    stream.emit(1)
    assert second == [1, 2]


def test_an_async_observer_is_refused_on_it_and_behind_operators() -> None:
    stream: EventStream[int] = EventStream()

    async def observer(event: int) -> None: ...

    for refusing in (stream, stream.pipe(ops.map(str)), stream.pipe(ops.filter(bool))):
        with pytest.raises(AsyncObserverError, match=r"perform\(.*put_nowait"):
            refusing.subscribe(observer)  # type: ignore[arg-type] # what the test is about
        with pytest.raises(AsyncObserverError):
            refusing.subscribe(on_completed=observer)  # type: ignore[arg-type]
    stream.emit(1)


def test_an_observer_that_raises_is_reported_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream: EventStream[int] = EventStream()
    seen: list[int] = []

    def fail(_: int) -> None:
        raise ValueError("mine")

    stream.subscribe(fail)
    stream.subscribe(seen.append)
    with caplog.at_level(logging.ERROR):
        stream.emit(1)
        stream.emit(2)
    assert seen == [1, 2]
    assert "mine" in caplog.text


def test_closing_completes_everybody_now_and_later() -> None:
    stream: EventStream[int] = EventStream()
    ends: list[str] = []
    stream.subscribe(on_completed=lambda: ends.append("early"))
    stream.close()
    stream.close()
    stream.subscribe(on_completed=lambda: ends.append("late"))
    assert ends == ["early", "late"]


def test_operators_compose() -> None:
    stream: EventStream[int] = EventStream()
    seen: list[int] = []

    def is_even(number: int) -> bool:
        return number % 2 == 0

    stream.pipe(ops.filter(is_even), ops.pairwise()).subscribe(lambda pair: seen.extend(pair))
    for number in range(4):
        stream.emit(number)
    assert seen == [0, 2]


def test_closed_during_an_event_it_ends_when_that_has_reached_everybody() -> None:
    stream: EventStream[int] = EventStream()
    log: list[object] = []

    def closing(event: int) -> None:
        if event == 1:
            stream.emit(2)
            stream.close()
            stream.emit(3)

    stream.subscribe(closing)
    stream.subscribe(log.append, on_completed=lambda: log.append("end"))
    stream.emit(1)
    stream.emit(4)
    assert log == [1, 2, "end"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
def test_whatever_an_observer_raises_the_others_hear_the_event_and_the_end(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    stream: EventStream[int] = EventStream()
    log: list[object] = []

    def fail(*_: object) -> None:
        raise error

    stream.subscribe(fail)
    stream.subscribe(on_completed=fail)
    stream.subscribe(log.append, on_completed=lambda: log.append("end"))
    stream.emit(1)
    stream.close()
    assert log == [1, "end"]
    assert "an observer of int raised: " + error.__name__ in caplog.text
    assert "an observer of the end raised: " + error.__name__ in caplog.text
