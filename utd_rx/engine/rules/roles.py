"""Roles and what each may publish (docs/contract.md, "Roles").

Publishing does not follow the role alone: in an audio room one publishes while seated, whatever
the role; in a live stream the host by role and everybody else by the stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.engine.rules.refusal import invalid
from utd_rx.models.participant import TrackSource
from utd_rx.models.stream_type import UTDStreamType


class Role(Enum):
    """A participant's role; `value` is the spelling on the wire."""

    VISITOR = "visitor"
    AUDIENCE = "audience"
    GUEST = "guest"
    ADMIN = "admin"
    HOST = "host"


MODERATORS: Final = frozenset({Role.HOST, Role.ADMIN})


@frozen
class Actor:
    """Who commands; `identity` None is the owner's backend, which vouches with the app secret."""

    identity: str | None
    role: Role = Role.AUDIENCE

    @property
    def is_admin(self) -> bool:
        """Whether the host is out of its reach."""
        return self.role is Role.ADMIN

    def somebody(self) -> str:
        """Return who acts, for what nobody can do namelessly."""
        if self.identity is None:
            raise invalid("identity is required")
        return self.identity


UNPROVEN_ROLES: Final = frozenset({Role.VISITOR, Role.AUDIENCE})
"""What the app key alone may claim; anything above is clamped to audience
(docs/contract.md, "Owner and host")."""

VOUCHED_ROLES: Final = frozenset({Role.GUEST, Role.ADMIN})
"""What a backend may claim for somebody, and the room remembers."""


@frozen
class Grant:
    """What the SFU lets a participant do; no sources means every source (LiveKit's rule)."""

    can_publish: bool = False
    can_subscribe: bool = True
    can_publish_data: bool = True
    sources: tuple[TrackSource, ...] = ()

    def to_wire(self) -> dict[str, bool]:
        return {
            "canPublish": self.can_publish,
            "canSubscribe": self.can_subscribe,
            "canPublishData": self.can_publish_data,
        }


LISTEN: Final = Grant()

# An audio room carries sound only: a seat lets nobody switch a camera on.
SPEAK: Final = Grant(can_publish=True, sources=(TrackSource.MICROPHONE,))
SHOW: Final = Grant(
    can_publish=True,
    sources=(TrackSource.MICROPHONE, TrackSource.CAMERA, TrackSource.SCREEN_SHARE),
)
# The screen with its sound: a broadcast shows films, too.
STAR: Final = evolve(SHOW, sources=(*SHOW.sources, TrackSource.SCREEN_SHARE_AUDIO))

PUBLISHING: Final[Mapping[UTDStreamType, Grant]] = {
    UTDStreamType.AUDIO_ROOM: SPEAK,
    UTDStreamType.LIVE_STREAM: STAR,
    UTDStreamType.AUDIO_CALL: SPEAK,
    UTDStreamType.VIDEO_CALL: SHOW,
}
"""What publishing means in each product."""


def clamp(claimed: Role, *, stored: Role | None, is_owner: bool, is_proven: bool) -> Role:
    """Return the role a mint grants; what the room `stored` beats an unproven claim."""
    if is_owner:
        return Role.HOST
    if is_proven and claimed in VOUCHED_ROLES:
        return claimed
    if stored is not None:
        return stored
    return claimed if claimed in UNPROVEN_ROLES else Role.AUDIENCE
