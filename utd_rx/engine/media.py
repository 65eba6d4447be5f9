"""The SFU behind a port of a few coroutines, and the values that cross it.

A participant or room that is not there is False or empty, never an exception: the SFU and the
engine always see each other a moment late. An SFU that does not answer is `MediaUnavailable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from attrs import field, frozen

from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.roles import Grant
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource

EMPTY_ROOM_SECONDS: Final = 300
"""How long a room nobody joined stays (docs/contract.md, "Rooms")."""

ABANDONED_ROOM_SECONDS: Final = 60
"""How long one outlives its last participant: a host may return (docs/contract.md, "Rooms")."""


class MediaUnavailable(Refusal):
    """The SFU does not answer, or answered with a failure of its own."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.UNAVAILABLE, f"the media server did not answer: {detail}")


@frozen
class MediaTrack:
    sid: str
    kind: str
    source: TrackSource
    is_muted: bool
    width: int = 0
    height: int = 0


@frozen
class MediaParticipant:
    identity: str
    sid: str
    name: str = ""
    state: str = "active"
    joined_at: float = 0.0
    metadata: str = field(default="", repr=False)
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)
    grant: Grant = Grant(can_publish=True)
    tracks: tuple[MediaTrack, ...] = ()


@frozen
class MediaRoom:
    """A room as the SFU sees it; `name` is LiveKit's."""

    name: str
    sid: str
    participant_count: int = 0
    max_participants: int = 0
    created_at: float = 0.0
    metadata: str = field(default="", repr=False)


class Media(Protocol):
    """What the engine asks of an SFU; room names are LiveKit's."""

    async def open_room(self, room: str, metadata: str, most: int = 0) -> MediaRoom: ...
    async def close_room(self, room: str) -> bool: ...
    async def list_rooms(self) -> tuple[MediaRoom, ...]: ...
    async def list_participants(self, room: str) -> tuple[MediaParticipant, ...]: ...
    async def get_participant(self, room: str, identity: str) -> MediaParticipant | None: ...
    async def remove(self, room: str, identity: str) -> bool: ...
    async def set_grant(self, room: str, identity: str, grant: Grant) -> bool: ...
    async def set_metadata(self, room: str, identity: str, metadata: str) -> bool: ...
    async def set_room_metadata(self, room: str, metadata: str) -> bool: ...
    async def send(
        self, room: str, message: Mapping[str, object], to: tuple[str, ...] | None
    ) -> None: ...
    async def mute(self, room: str, identity: str, track: str, *, is_muted: bool) -> bool: ...
    async def aclose(self) -> None: ...
