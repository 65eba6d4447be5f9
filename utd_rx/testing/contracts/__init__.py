"""What every port promises, as suites of pytest that fakes and real adapters pass.

A suite is a class; whoever serves a port derives from it and gives it the fixture `bench`. Its
tests are coroutines, which pytest-asyncio runs, in its strict mode, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import pytest

from utd_rx.errors import UTDStreamException

T = TypeVar("T")

PATIENCE: Final = 20.0
"""Seconds to wait for what a real server or device is to tell; a fake takes none."""


class Batches(Generic[T]):
    """What a port told, in the batches it came in."""

    def __init__(self) -> None:
        self.batches: list[tuple[T, ...]] = []
        self._news = asyncio.Event()

    @property
    def told(self) -> list[T]:
        """All of it, in order."""
        return [one for batch in self.batches for one in batch]

    async def until(
        self,
        is_so: Callable[[Any], object],
        *,
        after: int = 0,
        stir: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        """Return the first that is so, of those behind the first `after`; `stir` brings more."""
        async with asyncio.timeout(PATIENCE):
            while not (found := [one for one in self.told[after:] if is_so(one)]):
                self._news.clear()
                if stir is not None:
                    await stir()
                await self._news.wait()
        return found[0]

    def take(self, batch: tuple[T, ...]) -> None:
        """Hear of a batch."""
        self.batches.append(batch)
        self._news.set()


async def refusal(command: Awaitable[object]) -> UTDStreamException:
    """Await a command that must fail, and return why."""
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value
