"""Diagrams say what a stream did, and when they do not say so, what it did instead."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject

from utd_rx.errors import UTDStreamException
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.state import Store
from utd_rx.testing import marbles
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.diagrams import Sign, drawn, parsed
from utd_rx.testing.marbles import assert_timeline, record


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """The newest world's."""
    clock = FakeClock()
    marbles.begin(clock.now)
    yield clock
    marbles.end(clock.now)


@pytest.fixture
def store() -> Store[str, str]:
    return Store("a", lambda _, item: item)


def plays(store: Store[str, str], clock: FakeClock, diagram: str) -> None:
    """Let a store do what a diagram says, value by value; it begins with `a` as it is."""
    signs, length = parsed(diagram)
    begun = clock.now()
    for sign in signs[1:]:
        clock.advance(begun + sign.step - clock.now())
        if sign.text == "|":
            store.close()
        else:
            store.dispatch(sign.text)
    clock.advance(begun + length - clock.now())


PLAYED = ("a", "a-b--(cd)|", "a-b-a---", "a-(bc|)", "a 60s b-(ca)- 2m d", "a--b 500s |")


@pytest.mark.parametrize("diagram", PLAYED)
def test_a_stream_does_what_its_diagram_says(
    diagram: str, store: Store[str, str], clock: FakeClock
) -> None:
    stream = store.select(lambda value: value, name="letters")
    timeline = record(stream)
    plays(store, clock, diagram)
    assert_timeline(stream, diagram)
    assert_timeline(timeline, diagram, values={"a": "a", "b": lambda value: value == "b"})
    assert parsed(timeline.diagram())[0] == parsed(diagram)[0]


WRONG = [
    ("a-b", "a--b", "took 'b' at 2 s, not at 3 s"),
    ("a-b", "a-b-c", "did not come to 'c' at 4 s"),
    ("a-b-c", "a-b", "took 'c' at 4 s, where nothing was to come any more"),
    ("a-b-a", "a-b-c", "took 'a' at 4 s, where 'c' was to come"),
    ("a-b-c", "a-b-b", "took 'c' at 4 s, where 'b' was to come"),
    ("a-b-c", "a-b-|", "took 'c' at 4 s, where it was to end"),
    ("a-b-|", "a-b-c", "ended at 4 s, where 'c' was to come"),
    ("a-b-|", "a-b", "ended at 4 s, where nothing was to come any more"),
    ("a-b", "a-b------", "is 3 s old and the diagram 8 s long: let more time pass"),
]


@pytest.mark.parametrize(("did", "wanted", "trouble"), WRONG)
def test_what_is_otherwise_is_told(
    did: str, wanted: str, trouble: str, store: Store[str, str], clock: FakeClock
) -> None:
    stream = store.select(lambda value: value, name="letters")
    record(stream)
    plays(store, clock, did)
    with pytest.raises(AssertionError, match=re.escape(trouble)) as failed:
        assert_timeline(stream, wanted)
    assert f"expected  {wanted}\n" in str(failed.value)
    assert f"was       {did}\n" in f"{failed.value}\n"


def test_values_are_what_they_are_said_to_be(store: Store[str, str], clock: FakeClock) -> None:
    stream = store.select(lambda value: value, name="letters")
    record(stream)
    plays(store, clock, "a-b")
    with pytest.raises(AssertionError, match="took 'b' at 2 s, where 'b' was to come"):
        assert_timeline(stream, "a-b", values={"b": "another"})
    with pytest.raises(AssertionError, match="took 'b'"):
        assert_timeline(stream, "a-b", values={"c": "b"})  # then it has another letter


def test_a_value_may_come_at_any_time_of_its_step(store: Store[str, str], clock: FakeClock) -> None:
    timeline = record(store.select(lambda value: value))
    clock.advance(0.29)
    store.dispatch("b")
    clock.advance(0.1)
    store.dispatch("c")
    assert_timeline(timeline, "(abc)")
    assert_timeline(timeline, "a-bc", step=0.1)


def test_a_failure_shows_values_in_few_words(clock: FakeClock) -> None:
    grid = UTDSeatGrid((UTDSeat(0, "anna"), UTDSeat(1), UTDSeat(2, is_locked=True)))
    stream = Store(grid, lambda _, item: item).select(lambda value: value, name="seats")
    record(stream)
    with pytest.raises(AssertionError, match=re.escape("a = [anna – locked]")):
        assert_timeline(stream, "b|", values={"a": grid})


def test_events_have_no_first_value_and_may_repeat(clock: FakeClock) -> None:
    events: Subject[str] = Subject()
    timeline = record(events)
    clock.advance(1.0)
    events.on_next("x")
    clock.advance(1.0)
    events.on_next("x")
    events.on_error(ValueError("no"))
    assert timeline.values == ["x", "x"]
    assert_timeline(events, "-a(a#)")


def test_nothing_is_recorded_any_more(store: Store[str, str], clock: FakeClock) -> None:
    timeline = record(store.select(lambda value: value))
    timeline.dispose()
    store.dispatch("b")
    assert timeline.values == ["a"]


async def test_where_a_loop_runs_it_is_the_clock(store: Store[str, str]) -> None:
    before = asyncio.get_running_loop().time()
    assert before <= record(store.select(lambda value: value)).began


def test_the_newest_clock_counts_until_its_end(store: Store[str, str], clock: FakeClock) -> None:
    newer = FakeClock(5.0)
    marbles.begin(newer.now)
    assert record(store.select(lambda value: value)).began == 5.0
    marbles.begin()
    assert record(store.select(lambda value: value)).began == 5.0
    marbles.end(newer.now)
    assert record(store.select(lambda value: value)).began == 0.0


def test_without_any_clock_it_says_what_to_do(store: Store[str, str]) -> None:
    with pytest.raises(UTDStreamException, match="pass record"):
        record(store.select(lambda value: value))


def test_what_is_not_recorded_is_refused(store: Store[str, str]) -> None:
    with pytest.raises(UTDStreamException, match="'letters': 'a', 0 observers> is not recorded"):
        assert_timeline(store.select(lambda value: value, name="letters"), "a")


@pytest.mark.parametrize("diagram", ["a-(b", "a)b", "a,b", "a|b", "(a|)b", "()", "a 1.5s b"])
def test_what_is_no_diagram_is_refused(diagram: str) -> None:
    with pytest.raises(UTDStreamException, match=re.escape(repr(diagram))):
        parsed(diagram)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc123")), max_size=8))
def test_what_is_drawn_is_read_back(steps: list[tuple[int, str]]) -> None:
    signs = [Sign(step, text) for step, text in sorted(steps, key=lambda sign: sign[0])]
    assert parsed(drawn(signs))[0] == signs
