"""A virtual SFU and rooms on it, with what each was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from itertools import count
from typing import Any, TypeVar

from utd_rx.engine.media_facts import MediaReport
from utd_rx.engine.rules.roles import Grant
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.testing import run_virtual
from utd_rx.testing.contracts import Batches
from utd_rx.testing.world.network import Network
from utd_rx.testing.world.room import WorldRoom
from utd_rx.testing.world.sfu import VirtualSfu
from utd_rx.testing.world.tokens import RoomTicket

E = TypeVar("E", bound=ev.RoomEvent)

ROOM = "lobby"
HOUR = 3600.0
PUBLISH = Grant(can_publish=True)


def now() -> float:
    return asyncio.get_running_loop().time()


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on virtual time, and close its party."""

    @wraps(test)
    def run(**given: Any) -> None:
        async def main() -> None:
            try:
                await test(**given)
            finally:
                if "party" in given:
                    await given["party"].aclose()

        run_virtual(main())

    return run


async def advance(seconds: float) -> None:
    """Let time pass, and what is due then happen."""
    await asyncio.sleep(seconds)
    for _ in range(20):
        await asyncio.sleep(0)


class Guest(Batches[ev.RoomEvent]):
    """Somebody's room and everything it said."""

    def __init__(self, identity: str, room: WorldRoom) -> None:
        super().__init__()
        self.identity, self.room = identity, room
        room.listen(self.take)

    def names(self) -> list[str]:
        """The kinds of events so far, but for those that say nothing of others."""
        told = (type(event).__name__ for event in self.told)
        return [name for name in told if name not in ("TokenRefreshed", "ParticipantActive")]

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind so far."""
        return [event for event in self.told if isinstance(event, kind)]

    def forget(self) -> None:
        """Look only at what comes from now on."""
        self.batches.clear()

    @property
    def end(self) -> DisconnectReason | None:
        """Why the connection is over, if it is."""
        return next((event.reason for event in self.of(ev.Disconnected)), None)


class Party:
    """A media server, its network, and what the engine was told."""

    def __init__(self, *, silent_news: float = 0.0) -> None:
        self.network = Network()
        self.reports: list[MediaReport] = []
        self._tickets: dict[str, RoomTicket] = {}
        self._numbers = count(1)
        self._rooms: list[WorldRoom] = []
        self.sfu = VirtualSfu(self.reports.append, self._read, wall=now, silent_news=silent_news)

    def token(self, identity: str, metadata: str = "", grant: Grant = PUBLISH) -> str:
        """Return a token for an hour."""
        token = f"{identity} {next(self._numbers)}"
        self._tickets[token] = RoomTicket(ROOM, identity, "", metadata, grant, now() + HOUR)
        return token

    def guest(self, identity: str) -> Guest:
        """Return somebody who has not joined yet."""
        room = WorldRoom(self.sfu, self.network.link(identity))
        self._rooms.append(room)
        return Guest(identity, room)

    async def join(self, identity: str, metadata: str = "", grant: Grant = PUBLISH) -> Guest:
        """Let somebody join."""
        guest = self.guest(identity)
        await guest.room.connect("", self.token(identity, metadata, grant))
        await advance(0.0)
        return guest

    async def aclose(self) -> None:
        """End everything."""
        closing: list[Awaitable[None]] = [room.aclose() for room in self._rooms]
        await asyncio.gather(*closing)
        await self.sfu.aclose()

    def told(self) -> list[str]:
        """What the engine was told."""
        return [report.event for report in self.reports]

    def _read(self, token: str) -> RoomTicket:
        try:
            return self._tickets[token]
        except KeyError:
            raise ValueError("no token of ours") from None
