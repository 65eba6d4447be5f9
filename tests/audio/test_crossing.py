"""What crosses from an audio thread: the newest of everything, but every failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from utd_rx.audio.crossing import MAX_FAILURES, ChangeBox


async def test_while_the_loop_is_busy_only_the_newest_is_kept_but_every_failure_is_seen() -> None:
    applied: list[Mapping[str, Any]] = []
    box = ChangeBox(asyncio.get_running_loop(), applied.append)
    box.post(level=1)
    box.post(level=2, speaking=True)
    box.post(device=None, failure="gone")
    box.post(level=3)
    box.post(device="card", failure=None)
    assert applied == []
    await asyncio.sleep(0)
    assert applied == [
        {"level": 2, "speaking": True},
        {"device": None, "failure": "gone", "level": 3},
        {"device": "card", "failure": None},
    ]
    box.post(level=4)
    await asyncio.sleep(0)
    assert applied[3:] == [{"level": 4}]


async def test_what_waits_is_bounded_and_a_closed_one_applies_nothing() -> None:
    applied: list[Mapping[str, Any]] = []
    box = ChangeBox(asyncio.get_running_loop(), applied.append)
    for number in range(MAX_FAILURES + 5):
        box.post(failure=number)
    box.flush()
    assert [change["failure"] for change in applied] == list(range(5, MAX_FAILURES + 5))
    box.post(failure=None)
    box.close()
    await asyncio.sleep(0)
    assert len(applied) == MAX_FAILURES
