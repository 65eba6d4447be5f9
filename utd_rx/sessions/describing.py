"""What this client says of itself: attributes, metadata, a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.ports.data import SelfDescription
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.room_promises import IsDescribed
from utd_rx.protocol.waiting import Waiting
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.runner import Runner

St = TypeVar("St", bound=Waiting)


class Describing(MediaView[St]):
    """The part of a session that says who one is.

    Each command returns when the session's own state shows what was said, and takes a token with
    `canUpdateOwnMetadata`, which an engine's has not.
    """

    _runner: Runner[St]
    _room: RoomPort

    @command
    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Say some attributes of this client, for everybody; the others stay.

        Args:
            attributes: Text by key; an empty one ends the attribute. 64 KiB at most, LiveKit's
                limit for all of a participant's together.

        Raises:
            UTDStreamException: `FORBIDDEN` at once without the grant; `VALIDATION` what cannot be
                said, or is beyond the server's limit; `CONFLICT` not joined, or left meanwhile;
                `TIMEOUT`.

        Cancelling is safe; it may have been said.
        """
        await self._describe(SelfDescription(attributes=attributes))

    @command
    async def set_metadata(self, metadata: str) -> None:
        """Say this client's metadata, 1 byte to 512 KiB; raises as `set_attributes`.

        LiveKit takes an empty one for none: metadata can be replaced and not taken back.
        """
        await self._describe(SelfDescription(metadata=metadata))

    @command
    async def set_name(self, name: str) -> None:
        """Change this client's display name, of 1 to 256 bytes; raises as `set_attributes`."""
        await self._describe(SelfDescription(name=name))

    async def _describe(self, description: SelfDescription) -> None:
        epoch = self._runner.require_joined()
        if all(said is None for said in (description.name, description.metadata)) and (
            description.attributes is None
        ):
            raise invalid("name, metadata and attributes are not None")
        if not self._runner.session.roster.permission.can_update_metadata:
            message = "the token does not let this client say it: it takes canUpdateOwnMetadata"
            raise UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)
        await self._room.describe(description)
        said = description.name, description.metadata, description.attributes
        await self._runner.wait(IsDescribed(*said), epoch)
