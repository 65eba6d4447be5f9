"""Removals are held until they show whether everybody left or only the connection did."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from utd_rx.rtc.hold import Raw, RemovalHold


class Clock:
    """A loop of which only `call_later` is used, by hand."""

    def __init__(self) -> None:
        self.timers: list[tuple[Any, tuple[Any, ...]]] = []

    def call_later(self, _delay: float, callback: Any, *args: Any) -> Any:
        timer = (callback, args)
        self.timers.append(timer)

        def cancel() -> None:
            if timer in self.timers:
                self.timers.remove(timer)

        return SimpleNamespace(cancel=cancel)

    def turn(self) -> None:
        """Let all timers of now expire."""
        timers, self.timers = self.timers, []
        for callback, args in timers:
            callback(*args)


class Bench:
    """A hold, its clock, and what it delivered."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.delivered: list[str] = []
        loop: asyncio.AbstractEventLoop = self.clock  # type: ignore[assignment]
        self.hold = RemovalHold(lambda raw: self.delivered.append(raw.name), loop)

    def push(self, name: str, identity: str | None = None, reason: int = 0) -> None:
        who = SimpleNamespace(identity=identity, disconnect_reason=reason)
        self.hold.push(Raw(name, () if identity is None else (who,)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


TEARDOWN = ("track_unsubscribed", "track_unpublished", "participant_disconnected")


def test_a_teardown_is_never_told(bench: Bench) -> None:
    for identity in ("ann", "bob"):
        for name in TEARDOWN:
            bench.push(name, identity)
    bench.push("reconnecting")
    bench.clock.turn()
    assert bench.delivered == ["reconnecting"]


def test_a_departure_the_server_told_goes_out_at_once_after_its_tracks(bench: Bench) -> None:
    for name in TEARDOWN:
        bench.push(name, "ann", reason=1)
    assert bench.delivered == list(TEARDOWN)
    assert not bench.clock.timers


def test_a_departure_without_reason_goes_out_after_two_turns(bench: Bench) -> None:
    bench.push("participant_disconnected", "ann")
    bench.clock.turn()
    assert bench.delivered == []
    bench.clock.turn()
    assert bench.delivered == ["participant_disconnected"]


def test_each_removal_restarts_the_time(bench: Bench) -> None:
    bench.push("participant_disconnected", "ann")
    bench.clock.turn()
    bench.push("participant_disconnected", "bob")
    bench.clock.turn()
    assert bench.delivered == []
    bench.clock.turn()
    assert len(bench.delivered) == 2


def test_order_is_kept_per_participant_and_others_pass(bench: Bench) -> None:
    bench.push("track_unpublished", "ann")
    bench.push("data_received")
    bench.push("track_published", "bob")
    bench.push("track_published", "ann")
    assert bench.delivered == ["data_received", "track_published"]
    bench.clock.turn()
    bench.clock.turn()
    assert bench.delivered[2:] == ["track_unpublished", "track_published"]


def test_what_is_no_removal_survives_a_teardown(bench: Bench) -> None:
    bench.push("track_unpublished", "ann")
    bench.push("track_published", "ann")
    bench.push("reconnecting")
    assert bench.delivered == ["track_published", "reconnecting"]


@pytest.mark.parametrize("fence", ["reconnected", "disconnected"])
def test_the_end_of_a_connection_lets_everything_out_first(bench: Bench, fence: str) -> None:
    bench.push("participant_disconnected", "ann")
    bench.push(fence)
    assert bench.delivered == ["participant_disconnected", fence]
    assert not bench.clock.timers
