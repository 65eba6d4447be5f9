"""What the machines of rooms have in common: a host, and people who come and go."""

from __future__ import annotations

from typing import Any, ClassVar, Final, TypeVar

from hypothesis.stateful import precondition, rule

from utd_rx.client import UTDStreamClient
from utd_rx.models.connection import UTDConnectionState
from utd_rx.sessions.session import UTDSession
from utd_rx.testing.machines.base import PRESENT, WorldMachine, is_anybody_there
from utd_rx.testing.world.loop_world import LOBBY

R = TypeVar("R", bound=UTDSession[Any])

has_host: Final = precondition(lambda self: self.people[0] in self.present)

RESTING: Final = (UTDConnectionState.DISCONNECTED, UTDConnectionState.FORCE_EXIT)


class RoomMachine(WorldMachine[R]):
    """People in a room; the first of `people` is its host.

    Attributes:
        room: The room's name.
    """

    room: ClassVar[str] = LOBBY

    def make_session(self, who: str, client: UTDStreamClient) -> R:
        """Return a session of somebody's, made of their client; called on the world's loop."""
        raise NotImplementedError

    def come(self, who: str) -> None:
        if who not in self.sessions:
            self.sessions[who] = self.world.run(self._made(who, self.world.client(who)))
        self.command(self.sessions[who].join())

    @property
    def present(self) -> list[str]:
        """Who is in the room, or would be but for an outage."""
        sessions = self.sessions.items()
        return [who for who, one in sessions if one.connection_state.value not in RESTING]

    @property
    def host(self) -> R:
        """The host's session; `KeyError` while their program is gone."""
        return self.sessions[self.people[0]]

    @is_anybody_there
    @rule(who=PRESENT)
    def leave(self, who: str) -> None:
        """Somebody leaves, and may join again."""
        self.command(self.sessions[who].leave())

    async def _made(self, who: str, client: UTDStreamClient) -> R:
        return self.make_session(who, client)
