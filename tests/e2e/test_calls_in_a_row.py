"""Fifty calls in a row leave nothing behind that grows: tasks, threads, descriptors, memory."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from tests.e2e.house import PATIENCE
from tests.e2e.phones import Exchange, agreed, hears
from tests.support.living import is_apart, pids, there
from utd_rx import UTDCallEndReason, UTDCallStatus

WARM_UP: Final = 10
CALLS: Final = 50

MAX_MEBIBYTES: Final = 1.5
"""Of resident memory for each call. LiveKit's native side keeps 0.7 to 0.9 for each two tracks that
were published and heard, also without anything of ours (docs/livekit.md, "Known and not met")."""

MAX_BLOCKS: Final = 200
"""Of Python's memory for each call, which the engine remembers for an hour."""


class Heap:
    """Of the process that it is in."""

    async def count(self) -> tuple[int, int]:
        """Return its loop's tasks, and the blocks of Python's memory."""
        gc.collect()
        return len(asyncio.all_tasks()), sys.getallocatedblocks()


@frozen
class Figures:
    """What the process is using, and that of the rooms, where they have one."""

    tasks: int
    threads: int
    descriptors: int
    mebibytes: float
    blocks: int

    @classmethod
    async def take(cls) -> Figures:
        heap = Heap()
        heaps = [await heap.count()]
        if is_apart():
            far = await there(Heap)
            heaps.append(await far.count())
        processes = [Path(f"/proc/{pid}") for pid in pids()]
        told = [(one / "status").read_text(encoding="ascii").splitlines() for one in processes]
        resident = [int(line.split()[1]) for status in told for line in status if "VmRSS" in line]
        return cls(
            sum(tasks for tasks, _ in heaps),
            sum(len(list((one / "task").iterdir())) for one in processes),
            sum(len(list((one / "fd").iterdir())) for one in processes),
            round(sum(resident) / 1024, 1),
            sum(blocks for _, blocks in heaps),
        )

    def is_within(self, other: Figures) -> bool:
        return (
            self.tasks <= other.tasks
            and self.threads <= other.threads
            and self.descriptors <= other.descriptors
        )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.realtime
@pytest.mark.parametrize("sfu_kind", ["embedded"])  # in this process, so it is counted, too
@pytest.mark.timeout(300)
async def test_fifty_calls_in_a_row_leave_nothing_behind(exchange: Exchange) -> None:
    anna, ben = await exchange.phone("anna"), await exchange.phone("ben")

    async def call(number: int) -> None:
        """Each of the two calls and hangs up in turn."""
        caller, callee = (anna, ben) if number % 2 else (ben, anna)
        dialled = await caller.session.start(callee.identity)
        await callee.rung(caller.identity)
        await callee.session.accept(dialled.call_id)
        await asyncio.gather(
            hears(caller.session, callee.identity, 2), hears(callee.session, caller.identity, 2)
        )
        is_caller = number // 2 % 2 == 0
        await (caller if is_caller else callee).session.end()
        reason = UTDCallEndReason.CALLER_HANGUP if is_caller else UTDCallEndReason.CALLEE_HANGUP
        await agreed(caller, callee, UTDCallStatus.ENDED, reason)

    for number in range(WARM_UP):
        await call(number)
    await exchange.empty()
    before = await Figures.take()
    for number in range(CALLS):
        await call(number)
    await exchange.empty()
    after = await Figures.take()
    async with asyncio.timeout(PATIENCE):
        while not after.is_within(before):  # WebRTC closes its sockets a little later
            await asyncio.sleep(0.05)
            after = await Figures.take()
    print(f"{CALLS} calls: {before} -> {after}")
    assert after.mebibytes - before.mebibytes < CALLS * MAX_MEBIBYTES
    assert after.blocks - before.blocks < CALLS * MAX_BLOCKS
