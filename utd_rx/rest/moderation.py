"""Muting, kicking and banning (docs/contract.md, "Participants")."""

from __future__ import annotations

from utd_rx.models.ban import UTDBan
from utd_rx.models.checks import whole
from utd_rx.models.role import UTDRole
from utd_rx.protocol.wire.moderation import bans_from_wire
from utd_rx.protocol.wire.reading import read_text, without_none
from utd_rx.rest.checks import checked_choice, checked_identity, checked_room
from utd_rx.rest.endpoints import Endpoints


class ModerationEndpoints(Endpoints):
    """For hosts and admins; nobody may act against the host."""

    async def kick_participant(self, room: str, identity: str) -> None:
        """Remove `identity` from the room; once: by a second try they may be back, rightly."""
        await self._in_room("DELETE", room, "participants", checked_identity(identity))

    async def mute_participant(
        self,
        room: str,
        identity: str,
        *,
        audio: bool = True,
        video: bool = False,
        muted: bool = True,
    ) -> None:
        """Mute or unmute microphone and camera of `identity` on the media server; repeats."""
        path = ("participants", checked_identity(identity), "mute")
        body = {"audio": audio, "video": video, "muted": muted}
        await self._in_room("PUT", room, *path, body=body, is_safe=True)

    async def participant_metadata(self, room: str, identity: str) -> str:
        """Return the metadata of somebody who is in the room, "" where it is not told; repeats."""
        wire = await self._in_room("GET", room, "participants", checked_identity(identity))
        return read_text(wire.get("metadata")) or ""

    async def get_role(self, room: str, identity: str) -> UTDRole | None:
        """Return the role of somebody who is in the room, None for one not known; repeats."""
        wire = await self._in_room("GET", room, "participants", checked_identity(identity))
        role = read_text(wire.get("role"))
        return next((known for known in UTDRole if known.value == role), None)

    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None:
        """Give somebody a role they have not; the owner alone does (docs/contract.md, "Roles")."""
        path = ("participants", checked_identity(identity), "role")
        body = {"role": checked_choice(UTDRole, role, "role")}
        await self._in_room("PUT", room, *path, body=body)

    async def lock_chat(self, room: str, locked: bool) -> None:
        """Close or open the chat of the audience; repeats."""
        body = {"locked": locked}
        await self._in_room("PUT", room, "comments", "lock", body=body, is_safe=True)

    async def ban(
        self,
        identity: str,
        *,
        room: str | None = None,
        reason: str | None = None,
        duration: int | None = None,
    ) -> None:
        """Ban `identity` and remove them.

        Args:
            identity: Who is banned.
            room: From where; None means the whole project.
            reason: Shown to them.
            duration: Seconds; None means for ever.
        """
        seconds = None if duration is None else whole(duration, "duration", 1)
        body = without_none(**_ban_key(identity, room), reason=reason, duration=seconds)
        await self._engine.post("/rooms/ban", body, bearer=self._bearer)

    async def unban(self, identity: str, *, room: str | None = None) -> None:
        """Lift the ban from `room`, or all of them when it is None; repeats."""
        body = _ban_key(identity, room)
        await self._engine.delete("/rooms/ban", body, bearer=self._bearer, is_safe=True)

    async def bans(self, *, page: int = 1, per_page: int = 100) -> tuple[UTDBan, ...]:
        """Return one page of the active bans, newest first; repeats.

        Args:
            page: From 1; the last page is shorter than `per_page`.
            per_page: 1 to 100 (docs/contract.md, "Requests and replies").
        """
        params = {
            "page": whole(page, "page", 1),
            "per_page": whole(per_page, "per_page", 1, 100),
        }
        wire = await self._engine.get("/rooms/bans", params=params, bearer=self._bearer)
        return bans_from_wire(wire)


def _ban_key(identity: str, room: str | None) -> dict[str, object]:
    name = None if room is None else checked_room(room)
    return without_none(identity=checked_identity(identity), room_name=name)
