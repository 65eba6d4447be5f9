"""Whose message no key opened is told to the one room that can mean them, and to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from attrs import frozen

from utd_rx.rtc import unread

SESSION = "livekit::rtc_engine::rtc_session"


@frozen
class Line:
    message: str
    target: str = SESSION


def of(identity: str) -> Line:
    return Line(f"Failed to decrypt data packet from {identity}")


async def told(*lines: Line, rooms: tuple[str, ...]) -> list[list[str]]:
    """What each of the rooms, with one participant each, is told of lines of LiveKit's log."""
    heard: list[list[str]] = [[] for _ in rooms]
    ends = [unread.listen(room.__eq__, one.append) for room, one in zip(rooms, heard, strict=True)]
    await asyncio.to_thread(unread.hear, lines)  # a native thread
    await asyncio.sleep(0)
    for end in ends * 2:
        end()
    unread.hear(lines)
    await asyncio.sleep(0)
    return heard


async def test_it_is_told_as_often_as_it_is_said() -> None:
    assert await told(of("ben"), of("ben"), rooms=("ana", "ben")) == [[], ["ben", "ben"]]
    odd = "ben\nfrom ana"
    assert await told(of(odd), rooms=("ana", odd)) == [[], [odd]]


async def test_of_two_rooms_that_may_be_meant_none_is_told() -> None:
    assert await told(of("ben"), of("ana"), rooms=("ben", "ana", "ben")) == [[], ["ana"], []]


@pytest.mark.parametrize(
    "line",
    [
        of("somebody else"),
        Line(of("ben").message, "libwebrtc"),
        Line(f"received answer: {of('ben').message}"),
    ],
)
async def test_nothing_else_is_taken_for_it(line: Line) -> None:
    assert await told(line, rooms=("ben",)) == [[]]


def test_a_room_whose_loop_is_closed_hears_nothing() -> None:
    async def begin() -> Callable[[], None]:
        return unread.listen("ben".__eq__, heard.append)

    heard: list[str] = []
    end = asyncio.run(begin())
    unread.hear([of("ben")])
    end()
    assert heard == []
