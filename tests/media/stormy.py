"""`StormyRoom`: a room in a media process in which more happens at once than an app can hear."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from utd_rx.models import events as ev
from utd_rx.ports.room import EventSink
from utd_rx.testing.room import FakeRoom

PEOPLE = 100
SIZE = 2_000


class StormyRoom(FakeRoom):
    """Tells more than is read."""

    def __init__(self) -> None:
        super().__init__("ana")
        self._listeners: list[EventSink] = []
        self._storm: asyncio.Task[None] | None = None

    def listen(self, sink: EventSink) -> Callable[[], None]:
        self._listeners.append(sink)
        return super().listen(sink)

    async def storm(self, count: int, at_once: int, over: Path) -> None:
        """Begin to tell `count` changes of state and as many messages, so many in each turn of the
        loop; `over` is there when all were told."""
        self._storm = asyncio.create_task(self._tell(count, at_once, over))

    async def memory(self) -> int:
        """Return the bytes that only this process has."""
        return await asyncio.to_thread(_private)

    async def _tell(self, count: int, at_once: int, over: Path) -> None:
        batch: list[ev.RoomEvent] = []
        for n in range(count):
            batch += (
                ev.ParticipantMetadataChanged(f"p{n % PEOPLE}", str(n)),
                ev.DataReceived(str(n).encode().ljust(SIZE), "ben"),
            )
            if n % at_once == at_once - 1:
                for sink in self._listeners:  # by none of the lists of `emit`
                    sink(tuple(batch))
                batch.clear()
                await asyncio.sleep(0)
        await asyncio.to_thread(over.touch)


def _private() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return sum(1024 * int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+)", rollup, re.M))
