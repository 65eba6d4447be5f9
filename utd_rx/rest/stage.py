"""The stage of a live stream (docs/contract.md, "Stage")."""

from __future__ import annotations

from utd_rx.ports.engine import StageReply
from utd_rx.protocol.wire.reading import Json
from utd_rx.protocol.wire.stage import requests_in_stage, stage_from_wire
from utd_rx.rest.checks import checked_identity
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.failures import malformed


class StageEndpoints(Endpoints):
    """Reading and changing who is on the stage, raising hands, and ending the broadcast.

    A change returns the stage as it is then, None where the engine leaves it out of its reply: the
    command has been carried out all the same.
    """

    async def get_stage(self, room: str) -> StageReply:
        """Return the stage, with the hands that the caller may see; repeats."""
        reply = _reply_or_none(await self._in_room("GET", room, "stage"))
        if reply is None:
            raise malformed("the engine's reply is no stage")
        return reply

    async def add_to_stage(self, room: str, identity: str) -> StageReply | None:
        """Let `identity`, who is in the room, publish from now on (hosts and admins)."""
        return await self._change(room, "add", target_identity=checked_identity(identity))

    async def remove_from_stage(self, room: str, identity: str) -> StageReply | None:
        """Take `identity` off the stage (hosts and admins); who is not on it stays off."""
        return await self._change(room, "remove", target_identity=checked_identity(identity))

    async def leave_stage(self, room: str) -> StageReply | None:
        """Step down, which revokes publishing; off the stage nothing happens."""
        return await self._change(room, "leave")

    async def request_stage(self, room: str) -> None:
        """Raise one's hand; repeats, since one that is up keeps its place."""
        await self._in_room("POST", room, "stage", "request", is_safe=True)

    async def cancel_stage_request(self, room: str) -> None:
        """Take one's hand down; repeats, since without one nothing happens."""
        await self._in_room("DELETE", room, "stage", "request", is_safe=True)

    async def dismiss_stage_request(self, room: str, identity: str) -> StageReply | None:
        """Take the hand of `identity` down (hosts and admins)."""
        target = checked_identity(identity)
        return await self._change(room, "request", "dismiss", target_identity=target)

    async def end_live(self, room: str) -> StageReply | None:
        """End the broadcast and keep the room (the host); repeats.

        Our engine's extension: another one answers `NOT_FOUND`.
        """
        return _reply_or_none(await self._in_room("POST", room, "live", "end", is_safe=True))

    async def _change(self, room: str, *verb: str, **body: str) -> StageReply | None:
        return _reply_or_none(await self._in_room("POST", room, "stage", *verb, body=body or None))


def _reply_or_none(wire: Json) -> StageReply | None:
    # An object without the list is no stage, and reading it as one would empty it.
    if not isinstance(wire.get("members"), list):
        return None
    return StageReply(stage_from_wire(wire), requests_in_stage(wire))
