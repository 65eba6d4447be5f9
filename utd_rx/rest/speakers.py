"""Speak requests and invitations (facts/utd-engine.md §3.4)."""

from __future__ import annotations

from utd_rx.models.seats import SpeakRequest
from utd_rx.protocol.wire.reading import read_int
from utd_rx.protocol.wire.seats import requests_from_wire
from utd_rx.protocol.wire.speakers import ListedInvitation, invitations_from_wire
from utd_rx.rest.checks import checked_identity, checked_int, checked_room, checked_seat
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.failures import malformed
from utd_rx.rest.urls import path_of


class SpeakerEndpoints(Endpoints):
    """Asking for a seat and offering one.

    An id or seat index that the engine leaves out of its reply comes as None: the command has
    been carried out all the same.
    """

    async def request_to_speak(self, room: str) -> int | None:
        """Ask for a seat in request mode; return the request's id."""
        wire = await self._engine.post(_speakers(room, "request"), bearer=self._bearer)
        return read_int(wire.get("request_id"))

    async def cancel_request(self, room: str) -> None:
        """Withdraw one's own request; repeats, since without one nothing happens (§7.4, 25)."""
        path = _speakers(room, "request")
        await self._engine.delete(path, bearer=self._bearer, is_safe=True)

    async def speak_requests(self, room: str) -> tuple[SpeakRequest, ...]:
        """Return the pending requests in order; repeats."""
        wire = await self._engine.get(_speakers(room, "requests"), bearer=self._bearer)
        # A bare list arrives under "data".
        return requests_from_wire(wire.get("requests", wire.get("data")))

    async def approve_speaker(self, room: str, request_id: int) -> int | None:
        """Seat whoever asked on the first free seat (hosts and admins); return its index."""
        path = _speakers(room, "requests", _id(request_id), "approve")
        wire = await self._engine.post(path, bearer=self._bearer)
        return read_int(wire.get("seat_index"))

    async def reject_speaker(self, room: str, request_id: int) -> None:
        """Refuse a request (hosts and admins)."""
        path = _speakers(room, "requests", _id(request_id), "reject")
        await self._engine.post(path, bearer=self._bearer)

    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None:
        """Offer a present listener a seat (hosts and admins); return the invitation's id."""
        body: dict[str, object] = {"target_identity": checked_identity(identity)}
        if seat_index is not None:
            body["seat_index"] = checked_seat(seat_index)
        wire = await self._engine.post(_speakers(room, "invite"), body, bearer=self._bearer)
        return read_int(wire.get("invitation_id"))

    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]:
        """Return what one was offered and may still accept; repeats.

        Our engine's extension: another one answers `NOT_FOUND`.
        """
        wire = await self._engine.get(_speakers(room, "invitations"), bearer=self._bearer)
        listed = wire.get("invitations")
        # Anything without the list is no answer; reading it as none would end every offer.
        if not isinstance(listed, list):
            raise malformed("the engine's reply is no list of invitations")
        return invitations_from_wire(listed)

    async def accept_invitation(self, room: str, invitation_id: int) -> int | None:
        """Take the offered seat; return its index."""
        path = _speakers(room, "invitations", _id(invitation_id), "accept")
        wire = await self._engine.post(path, bearer=self._bearer)
        return read_int(wire.get("seat_index"))

    async def decline_invitation(self, room: str, invitation_id: int) -> None:
        """Refuse the offer."""
        path = _speakers(room, "invitations", _id(invitation_id), "decline")
        await self._engine.post(path, bearer=self._bearer)


def _speakers(room: str, *rest: str | int) -> str:
    return path_of("rooms", checked_room(room), "speakers", *rest)


def _id(value: int) -> int:
    return checked_int(value, "id")
