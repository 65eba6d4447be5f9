"""What is to be received is told one at a time, and the last word counts."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from utd_rx.rtc.pulls import PAUSE
from utd_rx.rtc.wishes import Wishes
from utd_rx.testing import run_virtual


class Publication:
    def __init__(self) -> None:
        self.told: list[bool] = []

    def set_subscribed(self, is_wanted: bool) -> None:
        self.told.append(is_wanted)


def wishes_of(there: dict[str, Publication]) -> Wishes:
    room: Any = SimpleNamespace(
        remote_participants={"ana": SimpleNamespace(track_publications=there)}
    )
    return Wishes(room)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([True], [True]),
        ([False, True], [False, True]),
        ([False, True, False, True], [False, True]),
        ([True, False, True, False, False], [True, False]),
    ],
)
def test_the_last_word_is_told_after_a_pause(words: list[bool], told: list[bool]) -> None:
    track = Publication()

    async def main() -> None:
        wishes = wishes_of({"TR_1": track})
        for word in words:
            wishes.wish("TR_1", word)
        assert track.told == words[:1]
        await asyncio.sleep(3 * PAUSE)
        wishes.close()

    run_virtual(main())
    assert track.told == told


def test_nothing_is_told_of_what_is_gone_or_after_the_end() -> None:
    track = Publication()

    async def main() -> None:
        wishes = wishes_of({"TR_1": track})
        wishes.wish("TR_2", True)
        wishes.wish("TR_1", True)
        wishes.wish("TR_1", False)
        wishes.close()
        await asyncio.sleep(3 * PAUSE)

    run_virtual(main())
    assert track.told == [True]
