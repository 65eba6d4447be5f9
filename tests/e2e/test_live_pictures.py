"""What is pulled of a live stream's pictures: of 1280×720 in several sizes, by who looks how."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path
from typing import Final

import pytest
from attrs import astuple, frozen

from tests.e2e.house import PATIENCE
from tests.e2e.shows import CAMERA, MICROPHONE, Show, Viewing, sees, viewing
from tests.support.living import pids
from utd_rx import TestPattern, UTDLiveStreamSession

pytestmark = pytest.mark.realtime  # to encode such pictures in time takes a core

HIGH: Final = TestPattern(1280, 720, 15.0)

KEPT: Final = 32 << 20
"""Bytes by which memory may have grown: 12 pictures of 1280×720, of some 900. The least of 3 s
moves by 12 MiB to and fro by itself."""


async def pulled(session: UTDLiveStreamSession) -> int:
    """Return how many bytes of pictures a session has received."""
    told = await session.statistics()
    return sum(one.bytes for one in told.tracks if one.source is CAMERA)


async def rests(session: UTDLiveStreamSession, meanwhile: Viewing) -> int:
    """Wait until a session pulls nothing while another one sees some pictures; return the sum."""
    async with asyncio.timeout(PATIENCE):
        while True:
            before = await pulled(session)
            await meanwhile.eye.see(5)
            if await pulled(session) == before:
                return before


async def test_who_does_not_look_pulls_nothing_and_who_needs_less_pulls_less(show: Show) -> None:
    hana = await show.attend("hana", as_host=True, camera=HIGH)
    vera, carl, wes = [await show.attend(who) for who in ("vera", "carl", "wes")]
    await hana.go_live()
    for session in (vera, carl, wes):
        await sees(session, "hana", MICROPHONE, CAMERA)
    with viewing(carl, "hana") as whole, viewing(wes, "hana", max_height=180) as small:
        await whole.eye.see_rows(720)
        await small.eye.see_rows(180)
        nothing = await rests(vera, whole)
        begun = {session: await pulled(session) for session in (carl, wes)}
        await asyncio.gather(whole.eye.see(15), small.eye.see(15))
        much, little = [await pulled(session) - begun[session] for session in (carl, wes)]
        assert 0 < 2 * little < much
        assert {frame.height for frame in small.eye.frames} == {180}
        assert await pulled(vera) == nothing
        with viewing(vera, "hana", max_height=180) as late:  # and looks after all
            await late.eye.see_rows(180)
            await late.eye.see(5)
        await rests(vera, whole)


@frozen
class Burden:
    """What this process holds: tasks of the loop, threads, descriptors, and bytes of memory.

    But for its tasks that of the rooms is counted with it, where they have one.
    """

    tasks: int
    threads: int
    descriptors: int
    memory: int

    @classmethod
    def now(cls) -> Burden:
        """Look once."""
        processes = [Path(f"/proc/{pid}") for pid in pids()]
        pages = [int((one / "statm").read_text().split()[1]) for one in processes]
        return cls(
            len(asyncio.all_tasks()),
            sum(len(list((one / "task").iterdir())) for one in processes),
            sum(len(list((one / "fd").iterdir())) for one in processes),
            sum(pages) * resource.getpagesize(),
        )

    @classmethod
    async def least(cls, meanwhile: Viewing) -> Burden:
        """Return the least of each in 3 s of pictures: what comes and goes is no leak."""
        found = []
        for _ in range(6):
            await meanwhile.eye.see(15)
            found.append(cls.now())
        return cls(*(min(column) for column in zip(*map(astuple, found), strict=True)))


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # in this process, so it is counted, too
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="counts what Linux tells of a process")
async def test_half_a_minute_of_720p30_leaves_nothing_behind(show: Show) -> None:
    hana = await show.attend("hana", as_host=True, camera=TestPattern(1280, 720, 30.0))
    vera = await show.attend("vera")
    await hana.go_live()
    with viewing(vera, "hana") as picture:
        await picture.eye.see_rows(720)
        await picture.eye.see(60)  # the first pictures fill the pools
        before = await Burden.least(picture)
        numbers = picture.eye.numbers
        for _ in range(30):
            await picture.eye.see(30)
        shown = picture.eye.numbers[len(numbers) - 1 :]
        after = await Burden.least(picture)
    assert shown[-1] - shown[0] <= 1.25 * len(shown)
    assert after.tasks <= before.tasks
    assert after.threads <= before.threads
    assert after.descriptors <= before.descriptors
    assert after.memory - before.memory < KEPT
