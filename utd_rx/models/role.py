"""What somebody is in a room: their role, and who is on the stage of a live stream."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from utd_rx.models.checks import typed


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


@frozen(field_transformer=typed)
class UTDStageMember:
    """Somebody who publishes in a live stream."""

    identity: str
    name: str | None = None
    role: str | None = None
