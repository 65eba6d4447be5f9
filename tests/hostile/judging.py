"""What is found beside a machine that stood still is looked for again: a fault is found again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from utd_rx.testing.witness import Witnessed

TRIES: Final = 3

Found = tuple[list[str], list[str]]
"""What was wrong with whom was lied to, and with the pair, whose sound is bound to real time."""


class Sees(Protocol):
    """A witness."""

    def look(self) -> Witnessed: ...


async def judged(witness: Sees, tell: Callable[[], Awaitable[Found]]) -> tuple[list[str], bool]:
    """Have a lie told, again while the machine may be to blame for what was found; what was, and
    whether the pair could be judged."""
    for _ in range(TRIES):
        await asyncio.to_thread(witness.look)
        found, beside = await tell()
        is_calm = not (await asyncio.to_thread(witness.look)).is_hurt
        if is_calm or not found:
            break
    return [*found, *(beside if is_calm else [])], is_calm


def said(check: Callable[[], None]) -> list[str]:
    """Return what a check says is wrong, in a line."""
    try:
        check()
    except AssertionError as error:
        return str(error).splitlines()[:1]
    return []
