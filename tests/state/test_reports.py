"""An error of somebody's callback is told once, in a few lines, and names whose it is."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from reactivex import operators as ops

from tests.state.virtual import run
from utd_rx.state import StateSubject, Store
from utd_rx.state.events import EventStream
from utd_rx.state.reports import report

PROGRAM = """\
import asyncio
import sys

from reactivex import operators as ops

from utd_rx.state import Store, throttle
from utd_rx.state.events import EventStream


def shown(value):
    check(value)


def check(value):
    raise ValueError("mine")


async def main():
    if "handler" in sys.argv:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: print(context))
    store = Store(1, lambda state, item: item)
    number = store.select(lambda n: n, name="number")
    events = EventStream()
    subscribed = {
        "plain": lambda: number.subscribe(shown),
        "operators": lambda: number.pipe(ops.map(str), ops.filter(bool)).subscribe(shown),
        "in an operator": lambda: number.pipe(ops.map(shown), ops.filter(bool)).subscribe(),
        "time": lambda: number.pipe(ops.delay(0.001), ops.map(str)).subscribe(shown),
        "throttled": lambda: number.pipe(throttle(0.001)).subscribe(shown),
        "events": lambda: events.pipe(ops.map(str)).subscribe(shown),
        "selector": lambda: store.select(lambda n: n == 1 or shown(n), name="fine").subscribe(),
    }
    subscribed[sys.argv[1]]()
    if sys.argv[1] == "selector":
        store.dispatch(2)
    events.emit(1)
    await asyncio.sleep(0.01)


asyncio.run(main())
"""
WHAT = {
    "plain": "an observer of 'number'",
    "operators": "an observer of 'number'",
    "in an operator": "an observer of 'number'",
    "time": "an observer behind a time operator",
    "throttled": "an observer of 'number'",
    "events": "an observer of int",
    "selector": "the selector of 'fine'",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "app.py"
    path.write_text(PROGRAM)
    return path


def lines_of(function: str) -> int:
    return PROGRAM.splitlines().index(f"def {function}(value):") + 1


@pytest.mark.parametrize("case", WHAT)
def test_a_program_that_sets_nothing_up_prints_it_once(case: str, program: Path) -> None:
    shown, checked = lines_of("shown"), lines_of("check")
    ran = subprocess.run(
        [sys.executable, program, case], capture_output=True, text=True, timeout=60
    )
    # From 3.13 on, marks below a line show the part of it that raised.
    first, *rest = (line for line in ran.stderr.splitlines() if line.strip(" ~^"))
    name, line = (
        ("main.<locals>.<lambda>.<locals>.<lambda>", 0) if case == "selector" else ("shown", shown)
    )
    assert first.startswith(f"{WHAT[case]} raised: ValueError in __main__.{name} ({program}, line ")
    assert first.endswith(f"line {line})") or not line
    assert rest[-5:] == [
        f'  File "{program}", line {shown + 1}, in shown',
        "    check(value)",
        f'  File "{program}", line {checked + 1}, in check',
        '    raise ValueError("mine")',
        "ValueError: mine",
    ]
    assert len(rest) == (8 if case == "selector" else 6)
    assert (ran.stdout, ran.returncode) == ("", 0)


def test_a_handler_of_the_programs_own_gets_it_and_the_log_does_not(program: Path) -> None:
    ran = subprocess.run(
        [sys.executable, program, "operators", "handler"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.count("\n") == 1
    assert "'exception': ValueError('mine')" in ran.stdout
    assert "an observer of 'number' raised: ValueError in __main__.shown" in ran.stdout
    assert ran.stderr == ""


def fail(_: object) -> None:
    raise ValueError("mine")


def fail_of(cause: Callable[[object], Any]) -> Callable[[object], None]:
    def failing(value: object) -> None:
        try:
            cause(value)
        except ValueError as error:
            raise KeyError("after") from error

    return failing


def number() -> StateSubject[int]:
    store: Store[int, int] = Store(1, lambda _, item: item)
    return store.select(lambda n: n, name="number")


def test_the_causes_are_cut_too(caplog: pytest.LogCaptureFixture) -> None:
    def through_rxpy(value: object) -> None:
        number().pipe(ops.map(str), ops.map(fail)).run()

    number().subscribe(fail_of(through_rxpy))
    assert "ValueError: mine" in caplog.text
    assert "KeyError: 'after'" in caplog.text
    assert "reactivex" not in caplog.text


def test_of_a_group_each(caplog: pytest.LogCaptureFixture) -> None:
    def failing(value: object) -> None:
        errors: list[Exception] = []
        for operator in (ops.map(fail), ops.do_action(fail)):
            number().pipe(operator).subscribe(on_error=errors.append)
        raise ExceptionGroup("both", errors)

    number().subscribe(failing)
    assert caplog.text.count("ValueError: mine") == 2
    assert "reactivex" not in caplog.text


@pytest.mark.parametrize(
    ("subscribe", "shows"),
    [
        (lambda n: n.subscribe("one".index), "in admit"),
        (lambda n: n.pipe(ops.map(len)).subscribe(), "result = "),
    ],
)
def test_without_a_frame_of_the_user_the_innermost_is_shown(
    subscribe: Callable[[Any], object], shows: str, caplog: pytest.LogCaptureFixture
) -> None:
    subscribe(number())
    assert caplog.messages[0].startswith("an observer of 'number' raised: ")
    assert " in " not in caplog.messages[0]
    assert caplog.text.count("File ") == 1
    assert shows in caplog.text


def test_an_error_of_the_librarys_own_keeps_its_frames(caplog: pytest.LogCaptureFixture) -> None:
    from utd_rx.models.checks import identities

    try:
        identities("bob")
    except Exception as error:
        assert error.__traceback__ is not None
        report(error.with_traceback(error.__traceback__.tb_next), "the effect SendData")
    assert "in utd_rx.models.checks.identities" in caplog.messages[0]


def test_an_error_that_cannot_be_changed_is_reported_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @frozen
    class Frozen(Exception):
        why: str

    def failing(_: object) -> None:
        raise Frozen("so")

    number().subscribe(failing)
    assert "Frozen" in caplog.messages[0]


def test_an_error_that_was_never_raised_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    report(ValueError("mine"), "the effect Nothing")
    assert caplog.messages == ["the effect Nothing raised: ValueError"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_raised_and_not_reported(
    interrupt: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(interrupt):
        report(interrupt(), "the effect Nothing")
    assert caplog.messages == []


def test_behind_a_time_operator_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        events: EventStream[int] = EventStream()
        seen: list[int] = []
        events.pipe(ops.delay(1.0)).subscribe(fail)
        events.pipe(ops.delay(1.0)).subscribe(seen.append)
        events.emit(1)
        await asyncio.sleep(2)
        assert seen == [1]

    with caplog.at_level(logging.ERROR):
        run(main())
    assert [record.name for record in caplog.records] == ["utd_rx.state"]


def test_what_fails_at_each_frame_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        frames: EventStream[int] = EventStream()
        frames.subscribe(fail)
        for at in range(100):
            frames.emit(at)

    asyncio.run(main())
    asyncio.run(main())  # a program of its own
    told = [record.getMessage().partition(")")[2] for record in caplog.records]
    again = [f" ({times} times so far)" for times in (2, 4, 8, 16, 32, 64)]
    assert told == ["", *again] * 2
