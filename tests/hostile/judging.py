"""What is found beside a machine that stood still is looked for again: a fault is found again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import pytest

from tests.support.realtime import MAX_NOT_JUDGED
from utd_rx.testing.witness import Witnessed

TRIES: Final = 3
"""Of a lie."""

SPARE: Final = 12
"""Tries more than one, of all lies of a test: beside a busy neighbour it ends in time."""

MANY: Final = 10**6
"""Spare tries of who has any time."""

Found = tuple[list[str], list[str]]
"""What is wrong at any pace, and what a busy machine may have done."""


class Sees(Protocol):
    """A witness."""

    def look(self) -> Witnessed: ...


class Judge:
    """Judges one lie after another: of a test that is marked `realtime(alone=True)`, or by chance.

    Args:
        witness: Of the machine.
        settle: Waits until what a busy machine did before is over, and says whether it is.
        spare: Tries more than one, of all lies together.
    """

    def __init__(
        self, witness: Sees, settle: Callable[[], Awaitable[bool]], spare: int = SPARE
    ) -> None:
        self.found: list[str] = []
        """What was wrong."""
        self.asked = 0
        self.unjudged = 0
        """Lies beside which the machine may be to blame for what was found."""
        self._witness, self._settle = witness, settle
        self._spare = spare

    async def ask(self, tell: Callable[[], Awaitable[Found]]) -> list[str]:
        """Have a lie told, again while the machine may be to blame; return what was wrong."""
        found, beside, is_calm = await self._try(tell)
        for _ in range(min(TRIES - 1, self._spare)):
            if is_calm or not (found or beside):
                break
            self._spare -= 1
            found, beside, is_calm = await self._try(tell)
        self.asked += 1
        self.unjudged += bool(beside) and not is_calm
        wrong = [*found, *(beside if is_calm else [])]
        self.found += wrong
        return wrong

    async def _try(self, tell: Callable[[], Awaitable[Found]]) -> tuple[list[str], list[str], bool]:
        await self._look()
        if self._spare == 0 or await self._settle():
            await self._look()  # what came before is over, or nothing waits for that any more
        else:
            self._spare -= 1
        found, beside = await tell()
        return found, beside, not (await self._look()).is_hurt

    async def _look(self) -> Witnessed:
        return await asyncio.to_thread(self._witness.look)

    def check(self) -> None:
        """Fail where something is wrong; else, where too much could not be judged, nothing was."""
        assert self.found == [], "; ".join(self.found)
        if self.unjudged > MAX_NOT_JUDGED * self.asked:
            pytest.skip(f"not judged: {self.unjudged} of {self.asked} lies")


def said(check: Callable[[], None]) -> list[str]:
    """Return what a check says is wrong, in a line."""
    try:
        check()
    except AssertionError as error:
        return str(error).splitlines()[:1]
    return []
