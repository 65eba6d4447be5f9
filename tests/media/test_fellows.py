"""Two rooms of one process that are the same one: each comes back to find the other there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from tests.media.hosts import FakeHost
from tests.media.restored import Restored, turns
from utd_rx.media.restoring_room import SETTLE_WITHIN, RestoringRoom
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import RemoteParticipant
from utd_rx.testing.loop import run_virtual
from utd_rx.testing.room import FakeRoom

BEFORE = RemoteParticipant("ben", sid="PA_before")
NOW = RemoteParticipant("ben", sid="PA_now")
LEFT = ev.ParticipantDisconnected("ben", DisconnectReason.UNKNOWN)


class Pair(Restored):
    """As that, and Ben, who is in the same room over the same process.

    Args:
        room_name: Where he is.
    """

    def __init__(self, room_name: str = "room") -> None:
        super().__init__()
        self.remotes = (BEFORE,)
        self.ben = RestoringRoom(self.succession, lambda host: self._serve_ben(host, room_name))

    def _serve_ben(self, host: FakeHost, room_name: str) -> Any:
        room = FakeRoom("ben", room_name=room_name)
        sid = BEFORE.sid if len(self.hosts) == 1 else NOW.sid
        room.snapshot = evolve(room.snapshot, local=evolve(room.snapshot.local, sid=sid))
        return host.near(room)

    async def joined(self) -> Pair:
        """Join, both of them."""
        await self.ben.connect("wss://x", "token-ben")
        await super().joined()
        return self


@pytest.mark.parametrize(
    ("found", "news"),
    [
        pytest.param((), (ev.ParticipantConnected(NOW),), id="he is not there yet"),
        pytest.param((BEFORE,), (LEFT, ev.ParticipantConnected(NOW)), id="his ghost is"),
    ],
)
async def test_who_comes_back_at_the_same_time_never_leaves_the_roster(
    found: tuple[RemoteParticipant, ...], news: tuple[ev.RoomEvent, ...]
) -> None:
    pair = await Pair().joined()
    pair.remotes = found
    pair.die()
    await turns(20)
    assert pair.kinds() == [ev.Reconnecting]
    for event in news:
        pair.now.emit(event)
        await turns()
    assert pair.kinds() == [ev.Reconnecting, ev.Reconnected]
    back = pair.told[-1]
    assert isinstance(back, ev.Reconnected)
    assert back.snapshot.remotes == (NOW,)


async def test_who_is_there_again_is_not_waited_for() -> None:
    pair = await Pair().joined()
    pair.remotes = (NOW,)
    pair.die()
    assert (await pair.again()).snapshot.remotes == (NOW,)


async def test_nor_who_is_in_another_room() -> None:
    pair = await Pair(room_name="another").joined()
    pair.remotes = ()
    pair.die()
    assert (await pair.again()).snapshot.remotes == ()


async def test_nor_who_had_left() -> None:
    pair = await Pair().joined()
    await pair.ben.disconnect()
    pair.remotes = ()
    pair.die()
    assert (await pair.again()).snapshot.remotes == ()


def test_who_does_not_come_back_is_not_waited_for_long() -> None:
    async def main() -> None:
        pair, loop = await Pair().joined(), asyncio.get_running_loop()
        pair.remotes = ()
        pair.die()
        began = loop.time()
        assert (await pair.again()).snapshot.remotes == ()
        assert loop.time() - began == pytest.approx(SETTLE_WITHIN)

    run_virtual(main())
