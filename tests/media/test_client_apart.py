"""A client whose rooms live apart has its process from the start to the end, on whichever loop."""

from __future__ import annotations

import asyncio
import os

import pytest

from utd_rx import Microphone, UTDErrorCode, UTDStreamClient, UTDStreamException
from utd_rx.media.house import house
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.ports.room import RoomPort
from utd_rx.testing.room import FakeRoom


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.long
def test_it_is_started_with_the_client_before_there_is_a_loop_and_ends_with_it() -> None:
    client = UTDStreamClient("app", "key", media="process")
    process = house().succession.current
    assert process is not None
    pid: int = process.pid

    async def main() -> None:
        session = client.audio_room("ada", "lobby")
        assert isinstance(session.room, RestoringRoom)
        assert house().succession.current is process
        await session.room.disconnect()
        assert is_alive(pid)
        await client.aclose()
        assert is_alive(pid)  # for the session
        await session.aclose()
        assert not is_alive(pid)

    asyncio.run(main())


async def test_a_room_of_the_apps_own_is_where_the_app_makes_it() -> None:
    made: list[RoomPort] = []

    def make() -> RoomPort:
        made.append(FakeRoom("ada"))
        return made[-1]

    client = UTDStreamClient("app", "key", media="process", microphone=Microphone(), make_room=make)
    session = client.audio_room("ada", "lobby")
    assert made == [session.room]
    assert house().succession.current is None
    await session.aclose()
    await client.aclose()


async def test_where_there_can_be_none_a_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    with pytest.raises(UTDStreamException, match="frozen") as refused:
        UTDStreamClient("app", "key", media="process")
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED
