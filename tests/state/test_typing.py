"""What mypy must reject and infer: a wrong use of a stream is found before it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]

# A comment gives the error expected in its line; `reveal_type` is compared with it as well.
SNIPPET = """
import asyncio
from attrs import evolve, frozen
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject
from utd_rx import UTDAudioRoomSession, replay
from utd_rx.state import Machine, StateSubject, Store, combine_state, throttle

@frozen
class State:
    seats: tuple[str, ...]
    total: int

def step(state: State, item: int) -> State:
    return evolve(state, total=item)

def ruled(state: State, item: int, now: float) -> tuple[State, list[str]]:
    return state, []

store = Store(State((), 0), step)
machine = Machine(State((), 0), ruled, perform=print, now=lambda: 0.0)
seats = store.select(lambda s: s.seats)
count = store.select(lambda s: s.total)

reveal_type(store)  # Store[State, int]
reveal_type(seats)  # StateSubject[tuple[str, ...]]
reveal_type(count.value)  # int
reveal_type(machine.select(lambda s: s.total))  # StateSubject[int]
reveal_type(combine_state(seats, count))  # StateSubject[tuple[tuple[str, ...], int]]
reveal_type(combine_state(count, count, seats).value[2])  # tuple[str, ...]
a_behavior_subject: BehaviorSubject[int] = count
count.subscribe(lambda value: print(value + 1))
count.pipe(throttle(1.0), ops.map(str)).subscribe(print)

async def bridges() -> None:
    reveal_type(await count.until(3))  # int
    await count.until(lambda n: n > 3, timeout=1)
    async for value in seats.changes():
        reveal_type(value)  # tuple[str, ...]

def of_a_session(session: UTDAudioRoomSession) -> None:
    reveal_type(session.seats)  # StateSubject[UTDSeatGrid]
    reveal_type(session.connected.value)  # bool
    reveal_type(session.select(lambda s: s.forged))  # StateSubject[int]
    reveal_type(replay("session.jsonl").my_seat.value)  # UTDSeat | None
    session.seats.on_next(session.seats.value)  # [arg-type]

async def listener(value: int) -> None: ...

count.on_next(1)  # [arg-type]
count.on_error(ValueError())  # [arg-type]
count.on_completed()  # [call-arg]
count.dispose()  # [call-arg]
count.value = 3  # [misc]
count.subscribe(listener)  # [arg-type]
store.dispatch("three")  # [arg-type]
store.dispatch_all(["three"])  # [list-item]
store.select(lambda s: s.missing)  # [attr-defined]
store.state = State((), 1)  # [misc]
"""


def short(message: str) -> str:
    """Strip the modules off the types of a mypy message."""
    return re.sub(r"\b(?:\w+\.)+(\w)", r"\1", message)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What mypy says of each line."""
    path = tmp_path_factory.mktemp("typing") / "snippet.py"
    path.write_text(SNIPPET)
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'snippets'}"
    out, err, _ = api.run(
        ["--strict", "--config-file=", "--no-error-summary", "--no-pretty", cache, str(path)]
    )
    assert not err
    found: dict[int, str] = {}
    for line in out.splitlines():
        match = re.match(r".*snippet\.py:(\d+): (?:error|note): (.*)", line)
        if match:
            found.setdefault(int(match[1]), match[2])
    return found


@pytest.mark.long  # mypy reads the whole package, from a fresh clone without a cache
@pytest.mark.timeout(300)
def test_mypy_infers_and_rejects(answers: dict[int, str]) -> None:
    expected = {
        number: line.split("  # ")[1]
        for number, line in enumerate(SNIPPET.splitlines(), start=1)
        if "  # " in line
    }
    assert answers.keys() == expected.keys()
    for number, want in expected.items():
        got = answers[number]
        if want.startswith("["):
            assert got.endswith(want), (number, got)
        else:
            assert short(got) == f'Revealed type is "{want}"', (number, got)
