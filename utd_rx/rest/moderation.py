"""Muting, kicking and banning (facts/utd-engine.md §3.6)."""

from __future__ import annotations

from utd_rx.models.ban import UTDBan
from utd_rx.models.role import UTDRole
from utd_rx.protocol.wire.bans import bans_from_wire
from utd_rx.protocol.wire.reading import read_text
from utd_rx.rest.checks import checked_identity, checked_int, checked_role, checked_room
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.urls import path_of


class ModerationEndpoints(Endpoints):
    """For hosts and admins; nobody may act against the host."""

    async def kick_participant(self, room: str, identity: str) -> None:
        """Remove `identity` from the room.

        Sent once: by the time of a second try they may be back, rightly.
        """
        await self._engine.delete(_participant(room, identity), bearer=self._bearer)

    async def mute_participant(
        self,
        room: str,
        identity: str,
        *,
        audio: bool = True,
        video: bool = False,
        muted: bool = True,
    ) -> None:
        """Mute or unmute the microphone and the camera of `identity` on the media server.

        Repeats: it names a state, not a change.
        """
        body = {"audio": audio, "video": video, "muted": muted}
        path = _participant(room, identity, "mute")
        await self._engine.put(path, body, bearer=self._bearer, is_safe=True)

    async def get_role(self, room: str, identity: str) -> UTDRole | None:
        """Return the role of somebody who is in the room, None for one not known; repeats."""
        wire = await self._engine.get(_participant(room, identity), bearer=self._bearer)
        role = read_text(wire.get("role"))
        return next((known for known in UTDRole if known.value == role), None)

    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None:
        """Give somebody a role; the owner alone does (§4.5).

        Sent once: the engine refuses a role somebody has already.
        """
        body = {"role": checked_role(role)}
        await self._engine.put(_participant(room, identity, "role"), body, bearer=self._bearer)

    async def lock_chat(self, room: str, locked: bool) -> None:
        """Close or open the chat of the audience; repeats."""
        path = path_of("rooms", checked_room(room), "comments", "lock")
        await self._engine.put(path, {"locked": locked}, bearer=self._bearer, is_safe=True)

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
        body = _ban_key(identity, room)
        if reason is not None:
            body["reason"] = reason
        if duration is not None:
            body["duration"] = checked_int(duration, "duration", 1)
        await self._engine.post(path_of("rooms", "ban"), body, bearer=self._bearer)

    async def unban(self, identity: str, *, room: str | None = None) -> None:
        """Lift the ban from `room`, or all of them when it is None; repeats."""
        body = _ban_key(identity, room)
        path = path_of("rooms", "ban")
        await self._engine.delete(path, body, bearer=self._bearer, is_safe=True)

    async def bans(self, *, page: int = 1, per_page: int = 100) -> tuple[UTDBan, ...]:
        """Return one page of the active bans, newest first; repeats.

        Args:
            page: From 1; the last page is shorter than `per_page`.
            per_page: 1 to 100 (§3.1).
        """
        params = {
            "page": checked_int(page, "page", 1),
            "per_page": checked_int(per_page, "per_page", 1, 100),
        }
        path = path_of("rooms", "bans")
        return bans_from_wire(await self._engine.get(path, params=params, bearer=self._bearer))


def _participant(room: str, identity: str, *rest: str) -> str:
    who = checked_identity(identity)
    return path_of("rooms", checked_room(room), "participants", who, *rest)


def _ban_key(identity: str, room: str | None) -> dict[str, object]:
    key: dict[str, object] = {"identity": checked_identity(identity)}
    if room is not None:
        key["room_name"] = checked_room(room)
    return key
