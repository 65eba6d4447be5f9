"""However a program ends, nobody of it stays in the room, no process of it stays, and it ends.

Where media run in the program itself (inline), only what ends in order leaves the room at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from tests.inside.media_house import AT_LAST, IN_TIME, MediaHouse, interrupt, media_house, stopped
from tests.inside.programs import PATIENCE
from tests.support.processes import kill_all
from utd_rx.media.leaving import LEAVE_WITHIN
from utd_rx.media.process import HURRY, LOOK
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import ParticipantDisconnected, RoomEvent

pytestmark = pytest.mark.embedded

BOTH = pytest.mark.parametrize("media", ["inline", "process"])


@pytest.fixture(
    params=[
        pytest.param(IN_TIME, marks=pytest.mark.realtime, id="in time"),
        pytest.param(AT_LAST, marks=pytest.mark.long, id="at last"),  # however busy a machine is
    ]
)
async def house(request: pytest.FixtureRequest) -> AsyncIterator[MediaHouse]:
    async with media_house(request.param) as house:
        yield house


@BOTH
async def test_whoever_leaves_is_gone_and_so_is_the_process_while_the_app_goes_on(
    house: MediaHouse, media: str
) -> None:
    app = await house.start("leave", media)
    children = house.children(app, media)
    await app.say()
    await house.gone()
    assert await app.hear() == "left"
    await house.all_ended(children)
    await app.say()
    assert await app.end() == (0, "")


async def test_whoever_leaves_beside_a_process_that_stands_still_waits_for_it_no_longer(
    house: MediaHouse,
) -> None:
    app = await house.start("leave", "process")
    children = house.children(app, "process")
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    await app.say()
    async with asyncio.timeout(LOOK + HURRY + LEAVE_WITHIN + house.pace.gone):
        assert await app.hear() == "left"
    await house.gone()
    await house.all_ended(children)
    await app.say()
    status, said = await app.end()
    assert (status, "silent for" in said) == (0, True)


async def test_whoever_leaves_as_the_process_dies_is_gone(house: MediaHouse) -> None:
    app = await house.start("leave", "process")
    for pid in house.children(app, "process"):
        os.kill(pid, signal.SIGKILL)
    await app.say()
    await house.gone()
    async with asyncio.timeout(house.pace.gone):
        assert await app.hear() == "left"
    await app.say()
    status, said = await app.end()
    assert (status, "SIGKILL" in said) == (0, True)


@BOTH
async def test_ctrl_c_leaves_the_room(house: MediaHouse, media: str) -> None:
    app = await house.start("stay", media)
    children = house.children(app, media)
    await app.say()
    interrupt(app)
    await house.gone()
    status, said = await app.end()
    assert (status, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    await house.all_ended(children)


async def test_a_second_ctrl_c_ends_it_and_leaves_nobody(house: MediaHouse) -> None:
    app = await house.start("stay twice", "process")
    children = house.children(app, "process")
    await app.say()
    assert await app.hear() == "stays"
    interrupt(app)
    await stopped(app)  # in the middle of leaving
    interrupt(app)
    app.process.send_signal(signal.SIGCONT)
    await house.gone()
    status, said = await app.end()
    assert (status, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")
    await house.all_ended(children)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_a_program_that_is_killed_is_gone(house: MediaHouse, how: signal.Signals) -> None:
    app = await house.start("stay", "process")
    children = house.children(app, "process")
    app.process.send_signal(how)
    await house.gone()
    assert (await app.end())[0] == -how
    await house.all_ended(children)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["dies", "in order"])
async def test_where_all_its_processes_are_told_to_end_they_leave(
    house: MediaHouse, how: signal.Signals
) -> None:
    app = await house.start("stay", "process")
    children = house.children(app, "process")
    await app.say()
    left = asyncio.get_running_loop().create_future()

    def see(event: RoomEvent) -> None:
        if isinstance(event, ParticipantDisconnected):
            left.set_result(event.reason)

    with house.watcher.events.subscribe(see):
        for pid in children:  # as a service manager does
            os.kill(pid, signal.SIGTERM)
        app.process.send_signal(how)
        assert await asyncio.wait_for(left, PATIENCE) == DisconnectReason.CLIENT_INITIATED
    await house.gone()
    assert (await app.end())[0] == -how
    await house.all_ended(children)


async def test_so_is_one_that_becomes_another(house: MediaHouse) -> None:
    app = await house.start("exec", "process")
    children = house.children(app, "process")
    await app.say()
    await house.gone()
    assert await app.end() == (3, "")
    await house.all_ended(children)


async def test_so_is_one_whose_interpreter_ends_under_a_running_loop(house: MediaHouse) -> None:
    app = await house.start("shutdown", "process")
    children = house.children(app, "process")
    await app.say()
    await house.gone()
    assert await app.end() == (0, "")
    await house.all_ended(children)


async def test_so_is_one_that_a_copy_of_outlives(house: MediaHouse) -> None:
    app = await house.start("fork", "process")
    children = house.children(app, "process")
    await app.say()
    copy = await app.hear()
    try:
        assert await house.is_heard(1.0, 0.9)  # the copy disturbs nobody
        app.process.kill()
        await house.gone()
        await house.all_ended(children)
    finally:
        kill_all([copy])


async def test_a_breakpoint_holds_up_the_program_and_not_its_sound(house: MediaHouse) -> None:
    app = await house.start("breakpoint", "process")
    children = house.children(app, "process")
    said = asyncio.get_running_loop().create_future()
    await app.say()
    # Longer than the silence by which a process that stands still is told from one that works.
    assert await house.is_heard(7.0, 0.95)
    assert house.children(app, "process") == children
    with house.watcher.messages("").subscribe(said.set_result):
        await app.say("continue")
        assert (await asyncio.wait_for(said, PATIENCE)).payload == b"goes on"
    app.process.kill()
    await house.gone()
    await house.all_ended(children)
