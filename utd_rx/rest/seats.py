"""The seats of an audio room, and how one comes by one (docs/contract.md, "Seats")."""

from __future__ import annotations

from utd_rx.models.checks import whole
from utd_rx.models.seats import SpeakRequest, UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.reading import Json, read_int, without_none
from utd_rx.protocol.wire.seats import grid_from_wire, requests_from_wire
from utd_rx.protocol.wire.speakers import ListedInvitation, invitations_from_wire
from utd_rx.rest.checks import checked_grid, checked_identity
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.failures import malformed


class SeatEndpoints(Endpoints):
    """Reading and changing seats, asking for one and offering one.

    What became of the grid comes by push or `get_seats`; muting, which no grid shows, returns the
    grid it was done in, where the engine answers with one. An id or seat index that the engine
    leaves out of its reply comes as None: the command has been carried out all the same.
    """

    async def get_seats(self, room: str) -> UTDSeatGrid:
        """Return the grid; repeats."""
        return _grid(await self._in_room("GET", room, "seats"))

    async def setup_seats(
        self,
        room: str,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Configure the grid (hosts and admins) and return it; what is None stays as it is."""
        body = checked_grid(seat_count, seat_mode, mode_id)
        return _grid(await self._in_room("POST", room, "seats", "setup", body=body))

    async def take_seat(self, room: str, index: int) -> None:
        """Sit down on `index`, which grants publishing."""
        await self._in_room("POST", room, "seats", _seat(index), "take")

    async def leave_seat(self, room: str) -> None:
        """Get up, which revokes publishing; without a seat nothing happens."""
        await self._in_room("POST", room, "seats", "leave")

    async def move_seat(self, room: str, target: int) -> None:
        """Change to seat `target` without losing the right to publish in between."""
        body = {"target_seat": whole(target, "target seat")}
        await self._in_room("POST", room, "seats", "move", body=body)

    async def kick_seat(self, room: str, index: int) -> None:
        """Make the occupant get up (hosts and admins)."""
        await self._in_room("POST", room, "seats", _seat(index), "kick")

    async def lock_seat(self, room: str, index: int) -> None:
        """Close the seat, which first kicks its occupant (hosts and admins)."""
        await self._in_room("POST", room, "seats", _seat(index), "lock")

    async def unlock_seat(self, room: str, index: int) -> None:
        """Open the seat again (hosts and admins)."""
        await self._in_room("POST", room, "seats", _seat(index), "unlock")

    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Mute the occupant's microphone on the media server (hosts and admins)."""
        return _grid_or_none(await self._in_room("POST", room, "seats", _seat(index), "mute"))

    async def unmute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Unmute the occupant's microphone; 409 where the media server forbids it."""
        return _grid_or_none(await self._in_room("POST", room, "seats", _seat(index), "unmute"))

    async def request_to_speak(self, room: str) -> int | None:
        """Ask for a seat in request mode; return the request's id."""
        wire = await self._in_room("POST", room, "speakers", "request")
        return read_int(wire.get("request_id"))

    async def cancel_request(self, room: str) -> None:
        """Withdraw one's own request; repeats, since without one nothing happens."""
        await self._in_room("DELETE", room, "speakers", "request", is_safe=True)

    async def speak_requests(self, room: str) -> tuple[SpeakRequest, ...]:
        """Return the pending requests in order; repeats."""
        wire = await self._in_room("GET", room, "speakers", "requests")
        # A bare list arrives under "data".
        return requests_from_wire(wire.get("requests", wire.get("data")))

    async def approve_speaker(self, room: str, request_id: int) -> int | None:
        """Seat whoever asked on the first free seat (hosts and admins); return its index."""
        return await self._answer(room, "requests", request_id, "approve")

    async def reject_speaker(self, room: str, request_id: int) -> None:
        """Refuse a request (hosts and admins)."""
        await self._answer(room, "requests", request_id, "reject")

    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None:
        """Offer a present listener a seat (hosts and admins); return the invitation's id."""
        index = None if seat_index is None else whole(seat_index, "seat index")
        body = without_none(target_identity=checked_identity(identity), seat_index=index)
        wire = await self._in_room("POST", room, "speakers", "invite", body=body)
        return read_int(wire.get("invitation_id"))

    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]:
        """Return what one was offered and may still accept; repeats.

        Our engine's extension: another one answers `NOT_FOUND`.
        """
        wire = await self._in_room("GET", room, "speakers", "invitations")
        listed = wire.get("invitations")
        # Anything without the list is no answer; reading it as none would end every offer.
        if not isinstance(listed, list):
            raise malformed("the engine's reply is no list of invitations")
        return invitations_from_wire(listed)

    async def accept_invitation(self, room: str, invitation_id: int) -> int | None:
        """Take the offered seat; return its index."""
        return await self._answer(room, "invitations", invitation_id, "accept")

    async def decline_invitation(self, room: str, invitation_id: int) -> None:
        """Refuse the offer."""
        await self._answer(room, "invitations", invitation_id, "decline")

    async def _answer(self, room: str, kind: str, id_: int, verb: str) -> int | None:
        path = (kind, whole(id_, "id"), verb)
        wire = await self._in_room("POST", room, "speakers", *path)
        return read_int(wire.get("seat_index"))


def _seat(index: int) -> int:
    return whole(index, "seat index")


def _grid(wire: Json) -> UTDSeatGrid:
    grid = _grid_or_none(wire)
    if grid is None:
        raise malformed("the engine's reply is no seat grid")
    return grid


def _grid_or_none(wire: Json) -> UTDSeatGrid | None:
    # Each of the three may be missing, but an object with none of them is no grid, and reading
    # it as one would clear the room.
    has_seats = any(key in wire for key in ("seats", "seat_count", "count"))
    return grid_from_wire(wire) if has_seats else None
