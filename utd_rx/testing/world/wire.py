"""What the parts of one connection of a `WorldRoom` need of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from utd_rx.models.audio import AudioFrame
from utd_rx.models.events import RoomEvent
from utd_rx.models.participant import ParticipantPermission, TrackPublication
from utd_rx.models.video import VideoFrame
from utd_rx.testing.world.sealing import Seal, Seals
from utd_rx.testing.world.sfu_participant import VirtualParticipant
from utd_rx.testing.world.sfu_room import VirtualRoom

T = TypeVar("T")

Order: TypeAlias = Callable[[VirtualRoom, VirtualParticipant], T]
"""What the server is to do, in which room and for whom."""


class Wire(Protocol):
    """The connection; `permission` is what this client knows that it may do, `seals` what it can
    open."""

    permission: ParticipantPermission
    seals: Seals

    @property
    def identity(self) -> str:
        """Who this client is."""

    def own(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` as a task of this connection."""

    def post(self, order: Order[object]) -> None:
        """Have the server do something; while the connection is being restored it is not told, and
        what it lacks it learns afterwards."""

    async def ask(self, order: Order[T], take: Callable[[T], object]) -> None:
        """Have the server do something, and return when `take` has got its answer, in its turn.

        Raises `LEFT`, or `TIMEOUT`: the answer may still come then.
        """

    def send_data(self, order: Order[object]) -> None:
        """Send a data message."""

    def has_data_track(self, sid: str) -> bool:
        """Whether somebody else publishes a data track of that sid."""

    def send_media(self, sid: str, frame: AudioFrame | VideoFrame) -> None:
        """Send a frame of a local track."""

    def tell(self, event: RoomEvent) -> None:
        """Deliver an event at the end of this turn."""

    def find(self, sid: str) -> TrackPublication | None:
        """Return a remote track by its sid."""


def resealing(seal: Seal | None) -> Order[None]:
    """Return an order to take all that is published from now on for sent under a seal."""
    return lambda room, who: room.reseal(who, seal)


def sealed(order: Order[object], seal: Seal | None) -> Order[None]:
    """Return an order to send a message under a seal."""

    def carry_out(room: VirtualRoom, who: VirtualParticipant) -> None:
        who.data_seal = seal
        order(room, who)

    return carry_out
