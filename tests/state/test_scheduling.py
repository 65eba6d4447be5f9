"""Who subscribes decides on which clock a chain runs: before, in and behind operators of ours.

Each of our operators has a time operator of RxPY's before it and one behind it, each of our
observables one behind it: on the loop's clock, and on a historical one as a replay has it.
"""

from __future__ import annotations

import ast
import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import HistoricalScheduler, VirtualTimeScheduler
from reactivex.subject import Subject

import utd_rx
from tests.sessions.stage import Stage
from tests.state.virtual import run
from tests.support.syntax import parse
from utd_rx import Microphone
from utd_rx.models.events import ParticipantConnected
from utd_rx.models.transfers import TransferInfo
from utd_rx.sessions.incoming_streams import IncomingText
from utd_rx.sessions.signals import Signals
from utd_rx.state import (
    StateSubject,
    Store,
    became,
    combine_state,
    debounce,
    held_for,
    perform,
    sample,
    throttle,
)
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped
from utd_rx.testing.signal import FakeSignal

Operator = Callable[[Observable[Any]], Observable[Any]]
Log = list[tuple[float, Any]]

DELAY = ops.delay(0.5)

# What each makes of 0 at once, then 1, 2, 3 and 4 every 0.4 s, behind and before a delay.
TIMED: dict[str, tuple[Callable[..., Operator], Log, Log]] = {
    "throttle": (
        lambda **at: throttle(1.0, **at),
        [(0.5, 0), (1.5, 2), (2.5, 4)],
        [(0.5, 0), (1.5, 2), (2.5, 4)],
    ),
    "debounce": (lambda **at: debounce(1.0, **at), [(3.1, 4)], [(3.1, 4)]),
    "sample": (
        lambda **at: sample(1.0, **at),
        [(1.0, 1), (2.0, 3), (3.0, 4)],
        [(1.5, 2), (2.5, 4)],
    ),
    "held_for": (
        lambda **at: held_for(lambda n: n != 3, 0.7, **at),
        [(1.2, 1), (2.8, 4)],
        [(1.2, 1), (2.8, 4)],
    ),
}
CASES: dict[str, tuple[Operator, Log]] = {
    "delay, became": (reactivex.compose(DELAY, became(2)), [(1.3, 2)]),
    "became, delay": (reactivex.compose(became(2), DELAY), [(1.3, 2)]),
}
for name, (make, after, before) in TIMED.items():
    CASES[f"delay, {name}"] = (reactivex.compose(DELAY, make()), after)
    CASES[f"{name}, delay"] = (reactivex.compose(make(), DELAY), before)


pytestmark = pytest.mark.usefixtures("no_timers")


def state() -> tuple[StateSubject[int], Callable[[int], None]]:
    store: Store[int, int] = Store(0, lambda _, item: item)
    return store.select(lambda n: n, name="number"), store.dispatch


def events() -> tuple[Observable[int], Callable[[int], None]]:
    """Events, and the first of them when somebody listens."""
    stream: EventStream[int] = EventStream()
    return stream.pipe(ops.start_with(0)), stream.emit


def combined() -> tuple[Observable[int], Callable[[int], None]]:
    one, dispatch = state()
    other, _ = state()
    first: Operator = ops.map(lambda both: both[0])
    return combine_state(one, other).pipe(first), dispatch


Source = Callable[[], tuple[Observable[int], Callable[[int], None]]]
SOURCES: dict[str, Source] = {"state": state, "events": events, "combined": combined}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", CASES)
def test_on_the_loop_that_runs_at_subscription(case: str, source: str) -> None:
    operator, expected = CASES[case]

    async def main() -> None:
        loop, me, log = asyncio.get_running_loop(), threading.get_ident(), list[tuple[float, Any]]()
        numbers, emit = SOURCES[source]()

        def on_next(value: Any) -> None:
            assert threading.get_ident() == me
            log.append((round(loop.time(), 3), value))

        with numbers.pipe(operator).subscribe(on_next):
            for item in range(1, 5):
                await asyncio.sleep(0.4)
                emit(item)
            await asyncio.sleep(10)
        assert log == expected

    run(main())


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("delay")])
def test_also_where_the_chain_is_built_without_pipe(case: str) -> None:
    """A plain RxPY subject gives nobody a scheduler: the operator of ours does."""
    operator, _ = CASES[case]

    async def main() -> None:
        me, threads = threading.get_ident(), set[int]()
        source: Subject[int] = Subject()
        with operator(source).subscribe(lambda _: threads.add(threading.get_ident())):
            for item in range(1, 5):
                source.on_next(item)
                await asyncio.sleep(0.4)
            await asyncio.sleep(10)
        assert threads == {me}

    run(main())


def on_history(chain: Observable[Any], emit: Callable[[int], None], clock: Any) -> Log:
    """Return what a subscriber sees on a clock of its own, which stands still by itself."""
    log = list[tuple[float, Any]]()
    start = clock.to_seconds(clock.now)

    def on_next(value: Any) -> None:
        log.append((round(clock.to_seconds(clock.now) - start, 3), value))

    with chain.subscribe(on_next, scheduler=clock):
        for item in range(1, 5):
            clock.advance_by(0.4)
            emit(item)
        clock.advance_by(10)
    return log


@pytest.mark.parametrize("has_loop", [False, True])
@pytest.mark.parametrize("clock", [HistoricalScheduler, VirtualTimeScheduler])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", CASES)
def test_on_the_clock_that_the_subscriber_gives(
    case: str, source: str, clock: Callable[[], Any], has_loop: bool
) -> None:
    operator, expected = CASES[case]
    numbers, emit = SOURCES[source]()
    chain = numbers.pipe(operator)

    async def main() -> Log:
        return on_history(chain, emit, clock())

    log = run(main()) if has_loop else on_history(chain, emit, clock())
    assert log == expected


@pytest.mark.parametrize("name", TIMED)
def test_a_clock_of_its_own_is_not_forced_on_the_others(name: str) -> None:
    """As with RxPY's own: `scheduler=` is for the operator, the subscriber's for the chain."""
    make, _, _ = TIMED[name]
    own, clock = HistoricalScheduler(), HistoricalScheduler()
    numbers, _ = state()
    log: list[Any] = []
    with numbers.pipe(DELAY, make(scheduler=own)).subscribe(log.append, scheduler=clock):
        own.advance_by(10)
        assert log == []
        clock.advance_by(1)
        own.advance_by(1)
    assert log == [0]


@pytest.mark.parametrize("name", TIMED)
def test_where_the_subscriber_gives_none_the_operators_own_serves_what_is_before_it(
    name: str,
) -> None:
    make, _, _ = TIMED[name]
    own = HistoricalScheduler()
    source: Subject[int] = Subject()  # not ours, so nobody supplies a loop
    log: list[Any] = []
    with source.pipe(DELAY, make(scheduler=own)).subscribe(log.append):
        source.on_next(0)
        own.advance_by(2)
    assert log == [0]


async def ignore(_: object) -> None: ...


INCOMING = partial(IncomingText, TransferInfo("t", "ana", "topic"), lambda: None)


def observables(stage: Stage) -> Iterator[tuple[str, Observable[Any]]]:
    """Everything to subscribe to that this package makes; nothing of it says anything here."""
    yield "microphone.frames", Microphone().frames
    session = stage.session
    yield "audio", session.audio("ana")
    yield "video", session.video("ana")
    yield "events", session.events
    yield "on", session.on(ParticipantConnected)
    yield "speaking_for", session.speaking_for("ana", 1)
    yield "chat.messages", session.chat.messages
    yield "performed", session.events.pipe(perform(ignore))
    yield "data", session.data
    yield "messages", session.messages("topic")
    yield "text_streams", session.text_streams("topic")
    yield "files", session.files("topic")
    yield "chunks", INCOMING().chunks
    yield "invitation_answers", session.invitation_answers
    yield "seats", session.seats
    yield "combined", combine_state(session.seats, session.roles)
    yield "incoming_calls", Signals(FakeSignal()).incoming
    yield "piped", piped(reactivex.never())


LATE: Operator = reactivex.compose(ops.timeout(1.0, reactivex.of("late")), ops.last())


def test_every_observable_of_ours_gives_its_chain_the_loop() -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.session:
            names = [name for name, _ in observables(stage)]
            late: list[str] = []
            for name, observable in observables(stage):
                observable.pipe(LATE).subscribe(on_completed=partial(late.append, name))
            await asyncio.sleep(0.9)
            assert late == []
            await asyncio.sleep(0.2)
            assert sorted(late) == sorted(names)

    run(main())


def test_every_observable_of_ours_gives_its_chain_the_clock_it_is_given() -> None:
    async def main() -> None:
        stage = Stage()
        async with stage.session:
            for name, observable in observables(stage):
                clock, late = HistoricalScheduler(), list[Any]()
                observable.pipe(LATE).subscribe(late.append, scheduler=clock)
                await asyncio.sleep(10)
                assert late == [], name
                clock.advance_by(1.1)
                assert late == ["late"], name

    run(main())


MAKERS = {
    "audio/microphone.py": 1,  # Microphone.frames
    "sessions/chat.py": 1,  # chat.messages
    "sessions/incoming_streams.py": 1,  # the chunks of a text or file
    "sessions/transfers.py": 1,  # session.text_streams, session.files
    "sessions/remote_media.py": 1,  # session.audio, session.video
    "sessions/signals.py": 1,  # client.incoming_calls
    "state/operators.py": 4,  # became, the time operators, throttle, held_for
    "state/performing.py": 1,  # perform
    "state/piping.py": 1,  # what pipe() returns, EventStream
}
"""Where the package makes an Observable of its own, and how often: each has its rows above."""


def test_whoever_makes_an_observable_has_a_row_here() -> None:
    root = Path(utd_rx.__file__).parent
    found: dict[str, int] = {}
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        if "reactivex" not in text:
            continue
        made = sum(map(makes_an_observable, ast.walk(parse(text))))
        if made:
            found[path.relative_to(root).as_posix()] = made
    assert found == MAKERS


def makes_an_observable(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return any("Observable" in ast.unparse(base) for base in node.bases)
    if not isinstance(node, ast.Call):
        return False
    return ast.unparse(node.func) in ("create", "reactivex.create", "rx.create", "Observable")
