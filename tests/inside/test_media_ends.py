"""However a program ends, nobody of it stays in the room, no process of it stays, and it ends.

Where media run in the program itself (inline), only what ends in order leaves the room at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.inside.media_house import GONE, MediaHouse, all_ended, enter
from tests.support.processes import kill_all
from tests.support.sfu import running_sfu

pytestmark = pytest.mark.realtime

BOTH = pytest.mark.parametrize("media", ["inline", "process"])


@pytest.fixture
async def house() -> AsyncIterator[MediaHouse]:
    async with AsyncExitStack() as stack:
        sfu = await stack.enter_async_context(running_sfu("embedded"))
        yield await enter(sfu, stack)


@BOTH
async def test_whoever_leaves_is_gone_and_so_is_the_process_while_the_app_goes_on(
    house: MediaHouse, media: str
) -> None:
    app = await house.start("leave", media)
    children = house.children(app, media)
    await app.say()
    assert await house.gone() < GONE
    assert await app.hear() == "left"
    await all_ended(children)
    await app.say()
    assert await app.end() == (0, "")


@BOTH
async def test_ctrl_c_leaves_the_room(house: MediaHouse, media: str) -> None:
    app = await house.start("stay", media)
    children = house.children(app, media)
    await app.say()
    os.killpg(app.process.pid, signal.SIGINT)
    assert await house.gone() < GONE
    status, said = await app.end()
    assert (status, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    await all_ended(children)


async def test_a_second_ctrl_c_ends_it_and_leaves_nobody(house: MediaHouse) -> None:
    app = await house.start("stay", "process")
    children = house.children(app, "process")
    await app.say()
    for _ in range(2):
        os.killpg(app.process.pid, signal.SIGINT)
        await asyncio.sleep(0.02)
    assert await house.gone() < GONE
    status, said = await app.end()
    assert (status, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    await all_ended(children)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_a_program_that_is_killed_is_gone(house: MediaHouse, how: signal.Signals) -> None:
    app = await house.start("stay", "process")
    children = house.children(app, "process")
    app.process.send_signal(how)
    assert await house.gone() < GONE
    assert (await app.end())[0] == -how
    await all_ended(children)


async def test_so_is_one_that_becomes_another(house: MediaHouse) -> None:
    app = await house.start("exec", "process")
    children = house.children(app, "process")
    await app.say()
    assert await house.gone() < GONE
    assert await app.end() == (3, "")
    await all_ended(children)


async def test_so_is_one_whose_interpreter_ends_under_a_running_loop(house: MediaHouse) -> None:
    app = await house.start("shutdown", "process")
    children = house.children(app, "process")
    await app.say()
    assert await house.gone() < GONE
    assert await app.end() == (0, "")
    await all_ended(children)


async def test_so_is_one_that_a_copy_of_outlives(house: MediaHouse) -> None:
    app = await house.start("fork", "process")
    children = house.children(app, "process")
    await app.say()
    copy = await app.hear()
    try:
        assert await house.loud_share(1.0) > 0.9  # the copy disturbs nobody
        app.process.kill()
        assert await house.gone() < GONE
        await all_ended(children)
    finally:
        kill_all([copy])


async def test_a_breakpoint_holds_up_the_program_and_not_its_sound(house: MediaHouse) -> None:
    app = await house.start("breakpoint", "process")
    children = house.children(app, "process")
    said = asyncio.get_running_loop().create_future()
    await app.say()
    # Longer than the silence by which a process that stands still is told from one that works.
    assert await house.loud_share(7.0) > 0.95
    assert house.children(app, "process") == children
    with house.watcher.messages("").subscribe(said.set_result):
        await app.say("continue")
        assert (await asyncio.wait_for(said, 5)).payload == b"goes on"
    app.process.kill()
    assert await house.gone() < GONE
    await all_ended(children)
