"""Every Python block of docs/threads.md runs as it stands there, on a thread beside the loop."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.sessions.stage import Stage
from tests.support.pages import ROOT, blocks_of
from utd_rx.sessions.audio_room import UTDAudioRoomSession

BLOCKS = [block.code for block in blocks_of(ROOT / "docs" / "threads.md")]


class Client(AsyncExitStack):
    """What the program without a loop asks of a `UTDStreamClient`."""

    async def join_audio_room(self, *_: object, **__: object) -> UTDAudioRoomSession:
        session = Stage().session
        await session.join()
        return session


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 4


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1])
async def test_block(block: str, joined: Stage) -> None:
    if "import tkinter" in block:
        pytest.importorskip("tkinter")
    names: dict[str, Any] = {"room": joined.session}
    await asyncio.to_thread(exec, compile(block, "docs/threads.md", "exec"), names)
    if "main" in names:
        assert await asyncio.to_thread(names["main"], Client()) == 1
    assert joined.session.connected.value
