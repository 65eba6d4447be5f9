"""Every Python block of docs/threads.md runs as it stands there, on a thread beside the loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sessions.stage import Stage
from tests.support.pages import ROOT, blocks_of
from utd_rx.sessions.audio_room import UTDAudioRoomSession

BLOCKS = [block.code for block in blocks_of(ROOT / "docs" / "threads.md")]


async def join(identity: str, room_name: str) -> UTDAudioRoomSession:
    session = Stage().session
    await session.join()
    return session


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1])
async def test_block(block: str, joined: Stage) -> None:
    names: dict[str, Any] = {"room": joined.session, "join": join}
    await asyncio.to_thread(exec, compile(block, "docs/threads.md", "exec"), names)
    assert joined.session.connected.value
