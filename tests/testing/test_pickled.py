"""A port behind a pipe calls back whatever can be called, however it was handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from utd_rx.models.events import Reconnecting, RoomEvent
from utd_rx.testing.contracts import Batches
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom


class Announcing(FakeRoom):
    """A room that can be told from afar to say something."""

    async def announce(self) -> None:
        self.emit(Reconnecting())


class Sink(Batches[RoomEvent]):
    def __call__(self, batch: tuple[RoomEvent, ...]) -> None:
        self.take(batch)


@pytest.mark.parametrize(
    "listen",
    [
        lambda room, sink: room.listen(sink.take),
        lambda room, sink: room.listen(partial(sink.take)),
        lambda room, sink: room.listen(sink),
        lambda room, sink: room.listen(sink=sink.take),
        lambda room, sink: room.listen(sink=lambda batch: sink.take(batch)),
    ],
    ids=["method", "partial", "object", "by name", "lambda by name"],
)
async def test_whatever_can_be_called_is_called_until_it_is_stopped(
    listen: Callable[[Any, Sink], Callable[[], None]],
) -> None:
    sink, last = Sink(), Sink()
    async with pickled(lambda: Announcing("me")) as room:
        stop = listen(room, sink)
        room.listen(last)
        await room.announce()
        await sink.until(lambda event: event == Reconnecting())
        stop()
        await room.announce()
        async with asyncio.timeout(5):
            while len(last.told) < 2:  # noqa: ASYNC110 - both are on their way
                await asyncio.sleep(0)
    assert sink.told == [Reconnecting()]
