"""What somebody is in a room: their role."""

from __future__ import annotations

from enum import Enum


class UTDRole(Enum):
    """A participant's role; `value` is the spelling on the wire (docs/contract.md, "Roles").

    Publishing does not follow from it in an audio room, but from sitting on a seat.
    """

    VISITOR = "visitor"
    AUDIENCE = "audience"
    GUEST = "guest"
    ADMIN = "admin"
    HOST = "host"

    @property
    def is_audience(self) -> bool:
        """Whether a chat lock concerns it."""
        return self in (UTDRole.VISITOR, UTDRole.AUDIENCE)
