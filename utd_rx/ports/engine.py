"""The engine port: what a session asks of the engine, as the one participant it is.

`rest.UTDApi` serves it over HTTP (`UTDApi.acting_as`), `FakeEngine` for tests. Arguments, results
and errors are values. Each call carries its own credential and sees to it: the bearer is renewed
before it expires, and once when the engine refuses it, so no caller hears of that. No command is
sent twice unless that is as good as once.
"""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from utd_rx.models.ban import UTDBan
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.speakers import ListedInvitation


@frozen
class JoinRequest:
    """What a mint is asked for; what is None is not said.

    Args:
        identity: Who joins; a claim, as long as the app key is what proves it.
        room_name: Without the project's prefix.
        type: The room's product type.
        role: What is asked for; the reply's `role` is what was granted.
        name: Display name.
        device_id: Tells the devices of one identity apart.
        seat_count: 1 to 100; this and the next three count for the host alone.
        seat_mode: Free or by request.
        mode_id: An app's own name of the layout.
        host_seat: The seat reserved for the host.
    """

    identity: str
    room_name: str
    type: UTDStreamType
    role: str = field(default="audience", kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    device_id: str | None = field(default=None, kw_only=True)
    seat_count: int | None = field(default=None, kw_only=True)
    seat_mode: UTDSeatMode | str | None = field(default=None, kw_only=True)
    mode_id: str | None = field(default=None, kw_only=True)
    host_seat: int | None = field(default=None, kw_only=True)


class SeatCalls(Protocol):
    """Seats, requests to speak and invitations of an audio room."""

    async def get_seats(self, room: str) -> UTDSeatGrid:
        """Return the grid."""

    async def setup_seats(
        self,
        room: str,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Configure the grid and return it; what is None stays as it is."""

    async def take_seat(self, room: str, index: int) -> None:
        """Sit down, which grants publishing."""

    async def leave_seat(self, room: str) -> None:
        """Get up, which revokes publishing; without a seat nothing happens."""

    async def move_seat(self, room: str, target: int) -> None:
        """Change to another seat without losing the right to publish in between."""

    async def kick_seat(self, room: str, index: int) -> None:
        """Make the occupant stand up."""

    async def lock_seat(self, room: str, index: int) -> None:
        """Close a seat, which first kicks its occupant."""

    async def unlock_seat(self, room: str, index: int) -> None:
        """Open a seat again."""

    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Mute the occupant; returns the grid it was done in, where the engine tells it."""

    async def unmute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Unmute the occupant; as `mute_seat`."""

    async def request_to_speak(self, room: str) -> int | None:
        """Queue for a seat; returns the request's id, where the engine tells it."""

    async def cancel_request(self, room: str) -> None:
        """Withdraw one's own request."""

    async def approve_speaker(self, room: str, request_id: int) -> int | None:
        """Seat whoever asked; returns where, where the engine tells it."""

    async def reject_speaker(self, room: str, request_id: int) -> None:
        """Refuse a request."""

    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None:
        """Offer a seat; returns the invitation's id, where the engine tells it."""

    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]:
        """Return what the caller was offered; `NOT_FOUND` of an engine that has no such list."""

    async def accept_invitation(self, room: str, invitation_id: int) -> int | None:
        """Take the seat that was offered; returns which, where the engine tells it."""

    async def decline_invitation(self, room: str, invitation_id: int) -> None:
        """Refuse the offer."""


class ModerationCalls(Protocol):
    """What hosts and admins do to others."""

    async def mute_participant(
        self, room: str, identity: str, *, audio: bool, video: bool, muted: bool
    ) -> None:
        """Mute or unmute tracks at the media server."""

    async def kick_participant(self, room: str, identity: str) -> None:
        """Remove somebody."""

    async def ban(
        self, identity: str, *, room: str | None, reason: str | None, duration: int | None
    ) -> None:
        """Ban somebody, for `duration` seconds or for ever, and remove them."""

    async def unban(self, identity: str, *, room: str | None) -> None:
        """Lift a ban; without one nothing happens."""

    async def bans(self, *, page: int, per_page: int) -> tuple[UTDBan, ...]:
        """Return active bans, newest first; the last page is shorter than `per_page`."""

    async def participant_metadata(self, room: str, identity: str) -> str:
        """Return the metadata of who is in the room as `identity`; `NOT_FOUND` when nobody is."""

    async def get_role(self, room: str, identity: str) -> UTDRole | None:
        """Return somebody's role."""

    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None:
        """Give somebody a role."""

    async def lock_chat(self, room: str, locked: bool) -> None:
        """Close or open the chat for the audience."""


class EnginePort(SeatCalls, ModerationCalls, Protocol):
    """The engine, as one participant of one room may ask it."""

    async def mint(self) -> UTDTokenResponse:
        """Return fresh credentials to join the room, and act with them from now on.

        Repeats: a second mint gives the same person the same rights.

        Raises:
            UTDStreamException: `BANNED`, `FORBIDDEN`, `UNAUTHORIZED`, `NETWORK`, `TIMEOUT`, …
        """
