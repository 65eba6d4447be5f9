"""Who is in a room, what a mint asks for them, and how they are connected."""

from __future__ import annotations

from attrs import frozen

from utd_rx.engine.rules.commands import SetUpSeats
from utd_rx.engine.rules.roles import Grant, Role
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType


@frozen
class Member:
    """Somebody who minted a token for the room and was not thrown out since.

    `override` is what a backend asked for with `permissions` instead of a role
    (docs/contract.md, "Minting" and "Participants").
    """

    identity: str
    role: Role
    serial: int
    name: str | None = None
    image: str | None = None
    override: Grant | None = None

    @property
    def attributes(self) -> FrozenMap[str, str]:
        """What the grid shows about this member; the kits' names of the keys."""
        known = {"name": self.name, "avatar": self.image}
        return FrozenMap({key: value for key, value in known.items() if value is not None})


@frozen
class Admission:
    """What a mint asks for, already validated."""

    identity: str
    type: UTDStreamType
    role: Role
    owner: str | None = None
    is_proven: bool = False
    name: str | None = None
    image: str | None = None
    seats: SetUpSeats | None = None
    override: Grant | None = None


@frozen
class Session:
    """A connection as the SFU reports it; `role` is what its metadata says."""

    identity: str
    sid: str
    grant: Grant | None = None
    role: Role | None = None
