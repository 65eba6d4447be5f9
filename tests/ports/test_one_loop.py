"""What a loop owns is refused everywhere else, in the same words."""

from __future__ import annotations

import asyncio

import pytest

from utd_rx.errors import ConflictReason, UTDStreamException
from utd_rx.ports.one_loop import OneLoop


async def _call(owner: OneLoop) -> None:
    owner.check()


def refusal(owner: OneLoop) -> UTDStreamException:
    with pytest.raises(UTDStreamException, match="one client per loop") as caught:
        asyncio.run(_call(owner))
    return caught.value


async def test_another_threads_loop_is_refused_and_the_own_goes_on() -> None:
    owner = OneLoop("client")
    owner.check()
    error = await asyncio.to_thread(refusal, owner)
    assert error.reason is ConflictReason.FOREIGN_LOOP
    owner.check()


def test_the_loop_after_it_is_refused() -> None:
    owner = OneLoop("client")
    asyncio.run(_call(owner))
    assert refusal(owner).reason is ConflictReason.FOREIGN_LOOP


def test_without_a_loop_it_is_refused_and_owned_by_nobody() -> None:
    owner = OneLoop("client")
    with pytest.raises(UTDStreamException):
        owner.check()
    asyncio.run(_call(owner))
