"""What is asked of the server follows who looks, one wish at a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc

from tests.rtc.bench import eventually
from utd_rx.rtc import ffi, pulls
from utd_rx.rtc.pulls import WHOLE, Pull, Pulls, wanted

NOTHING = Pull(is_on=False)


@pytest.mark.parametrize(
    ("heights", "wish"),
    [
        ([], NOTHING),
        ([None], WHOLE),
        ([180], Pull(height=180)),
        ([180, 360, 90], Pull(height=360)),
        ([180, None], WHOLE),
    ],
)
def test_the_one_who_wants_most_is_served(heights: list[int | None], wish: Pull) -> None:
    assert wanted(heights) == wish


class Bench:
    """Wishes of a room in which one video of 1280×720 is published."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Any] = []  # what the server hears: a size, or False for nothing
        self.is_on = True
        self.heights: list[int | None] = []
        self.there = SimpleNamespace(width=1280, height=720, track=object())
        self.remotes = {"ann": SimpleNamespace(track_publications={"TR": self.there})}
        monkeypatch.setattr(pulls, "PAUSE", 0.001)
        monkeypatch.setattr(ffi, "switch", self.switch)
        monkeypatch.setattr(ffi, "ask_size", self.ask_size)

    def switch(self, _: Any, is_on: bool) -> None:
        self.is_on = is_on

    def ask_size(self, _: Any, *size: int) -> None:
        self.asked.append(size if self.is_on else False)

    def pulls(self, *, is_adaptive: bool = True) -> Pulls:
        room = cast("rtc.Room", SimpleNamespace(remote_participants=self.remotes))
        return Pulls(room, lambda sid: self.heights, is_adaptive=is_adaptive)

    async def quiet(self) -> None:
        """Wait until what could have been asked was: another's wish, later, is."""
        room = cast("rtc.Room", SimpleNamespace(remote_participants=self.remotes))
        marker, before, was_on = Pulls(room, lambda sid: ()), len(self.asked), self.is_on
        marker.begin("TR")
        await eventually(lambda: len(self.asked) > before)
        assert self.asked.pop() is False
        marker.end("TR")
        self.is_on = was_on

    async def asks(self, count: int) -> list[Any]:
        """Return what was asked, when it is that many wishes."""
        await eventually(lambda: len(self.asked) >= count)
        return self.asked


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_a_video_is_switched_off_until_somebody_looks_and_follows_who_does(
    bench: Bench,
) -> None:
    pulls = bench.pulls()
    pulls.begin("TR")
    assert bench.asked == []
    assert await bench.asks(1) == [False]
    bench.heights = [180]
    pulls.adjust("TR")
    assert await bench.asks(2) == [False, (320, 180)]
    bench.heights = [180, None]
    pulls.adjust("TR")
    assert await bench.asks(3) == [False, (320, 180), (1280, 720)]
    bench.heights = []
    pulls.adjust("TR")
    assert await bench.asks(4) == [False, (320, 180), (1280, 720), False]
    pulls.keep(())


async def test_who_looks_at_once_or_looks_away_for_a_moment_is_not_switched_off(
    bench: Bench,
) -> None:
    pulls = bench.pulls()
    pulls.begin("TR")
    bench.heights = [None]
    pulls.adjust("TR")
    await bench.quiet()
    bench.heights = []
    pulls.adjust("TR")
    bench.heights = [180]
    pulls.adjust("TR")
    assert await bench.asks(1) == [(320, 180)]
    pulls.end("TR")


async def test_nothing_is_asked_of_what_is_gone_unknown_or_not_adaptive(bench: Bench) -> None:
    gone, fixed, empty = bench.pulls(), bench.pulls(is_adaptive=False), bench.pulls()
    gone.begin("TR")
    gone.keep(["TR_other"])
    fixed.begin("TR")
    fixed.adjust("TR")
    empty.adjust("TR_other")
    empty.begin("TR_other")
    await bench.quiet()
    assert bench.asked == []
    empty.keep(())


async def test_after_a_full_reconnect_all_is_asked_anew(bench: Bench) -> None:
    pulls = bench.pulls()
    bench.heights = [180]
    pulls.begin("TR")
    assert await bench.asks(1) == [(320, 180)]
    pulls.begin("TR")
    assert await bench.asks(2) == [(320, 180), (320, 180)]
    pulls.end("TR")


async def test_a_wish_that_cannot_be_told_is_told_at_the_next_occasion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulls = bench.pulls()

    def fail(*_: Any) -> None:
        bench.asked.append("failed")
        raise RuntimeError("a handle that is gone")

    with monkeypatch.context() as patch:
        patch.setattr(ffi, "switch", fail)
        pulls.begin("TR")
        assert await bench.asks(1) == ["failed"]
    pulls.adjust("TR")
    assert await bench.asks(2) == ["failed", False]
    pulls.end("TR")
