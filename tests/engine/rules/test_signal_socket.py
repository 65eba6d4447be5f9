"""One signal socket: every deadline in every state, and what ends it."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.rules.signal_socket import (
    AUTH_SECONDS,
    CLOSE_SECONDS,
    MAX_FRAMES,
    PING_SECONDS,
    Act,
    Close,
    Socket,
    closed,
    connected,
    heard,
    time_passed,
    trusted,
)

T0: Final = 100.0
DAY: Final = 86_400.0
NEW: Final = connected(T0)
OPEN: Final = trusted(NEW, T0 + DAY, T0)
ASKED: Final = time_passed(OPEN, T0 + PING_SECONDS)[0]
CLOSING: Final = closed(OPEN, Close.BANNED, T0)
SHUT: Final = Close.UNAUTHORIZED


@pytest.mark.parametrize(
    ("socket", "after", "close", "act"),
    [
        (NEW, AUTH_SECONDS - 0.001, None, Act.NOTHING),
        (NEW, AUTH_SECONDS, SHUT, Act.NOTHING),
        (OPEN, AUTH_SECONDS, None, Act.NOTHING),
        (OPEN, PING_SECONDS - 0.001, None, Act.NOTHING),
        (OPEN, PING_SECONDS, None, Act.PING),
        (OPEN, DAY, SHUT, Act.NOTHING),
        (ASKED, 2 * PING_SECONDS - 0.001, None, Act.NOTHING),
        (ASKED, 2 * PING_SECONDS, Close.LOST, Act.CUT),
        (ASKED, DAY, Close.LOST, Act.CUT),
        (heard(ASKED, T0 + 26), 2 * PING_SECONDS, Close.LOST, Act.CUT),
        (heard(ASKED, T0 + 26, is_pong=True), 2 * PING_SECONDS, None, Act.PING),
        (heard(OPEN, T0, is_pong=True), PING_SECONDS, None, Act.PING),
        (CLOSING, CLOSE_SECONDS - 0.001, Close.BANNED, Act.NOTHING),
        (CLOSING, CLOSE_SECONDS, Close.LOST, Act.CUT),
        (CLOSING, DAY, Close.LOST, Act.CUT),
    ],
)
def test_what_is_due(socket: Socket, after: float, close: Close | None, act: Act) -> None:
    found, done = time_passed(socket, T0 + after)
    assert (found.close, done) == (close, act)


@pytest.mark.parametrize(
    ("socket", "due"),
    [
        (NEW, AUTH_SECONDS),
        (OPEN, PING_SECONDS),
        (trusted(NEW, T0 + 7, T0), 7),
        (ASKED, 2 * PING_SECONDS),
        (CLOSING, CLOSE_SECONDS),
        (closed(NEW, Close.UNAUTHORIZED, T0), CLOSE_SECONDS),
    ],
)
def test_when_something_is_due(socket: Socket, due: float) -> None:
    assert socket.due_at == T0 + due


def test_a_socket_that_was_cut_is_due_no_more() -> None:
    assert time_passed(CLOSING, T0 + DAY)[0].due_at is None


def test_the_first_reason_to_close_stays() -> None:
    again = closed(CLOSING, Close.REPLACED, T0 + 1)
    assert again is CLOSING


@pytest.mark.parametrize("socket", [NEW, OPEN])
def test_too_many_frames_close_it_but_not_those_of_a_long_life(socket: Socket) -> None:
    for _ in range(MAX_FRAMES):
        socket = heard(socket, T0)
        assert socket.close is None
    assert heard(socket, T0).close is Close.FLOOD
    rested, _ = time_passed(trusted(socket, T0 + DAY, T0), T0 + PING_SECONDS)
    assert heard(rested, T0 + PING_SECONDS).close is None


def test_what_comes_while_it_closes_changes_nothing() -> None:
    assert heard(evolve(CLOSING, frames=MAX_FRAMES), T0, is_pong=True).close is Close.BANNED


@given(
    st.sampled_from([NEW, OPEN, ASKED, CLOSING]),
    st.lists(st.tuples(st.sampled_from("tfpc"), st.floats(0, 60)), max_size=30),
)
def test_every_life_ends_and_no_deadline_is_passed_over(
    socket: Socket, happened: list[tuple[str, float]]
) -> None:
    now = T0
    for what, seconds in happened:
        now += seconds
        was = socket.close
        match what:
            case "t":
                socket, _ = time_passed(socket, now)
                assert socket.due_at is None or socket.due_at > now
            case "f":
                socket = heard(socket, now)
            case "p":
                socket = heard(socket, now, is_pong=True)
            case "c":
                socket = closed(socket, Close.REPLACED, now)
        assert was is None or socket.close in (was, Close.LOST)
    for _ in range(4):
        socket, _ = time_passed(socket, now := now + PING_SECONDS)
    assert socket.close is Close.LOST
