"""The engine port: what a session asks of the engine, as the one participant it is.

`rest.UTDApi` serves it over HTTP (`UTDApi.acting_as`) and says what each call does and raises;
`FakeEngine` serves it for tests. Arguments, results and errors are values. Each call carries its
own credential and sees to it: the bearer is renewed before it expires, and once when the engine
refuses it, so no caller hears of that. No command is sent twice unless that is as good as once.
"""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from utd_rx.models.ban import UTDBan
from utd_rx.models.checks import typed
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.speakers import ListedInvitation


@frozen(field_transformer=typed)
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
    """Seats, requests to speak and invitations of an audio room; a reply may leave out the index
    or id that it would return, and the grid that it was done in."""

    async def get_seats(self, room: str) -> UTDSeatGrid: ...
    async def setup_seats(
        self,
        room: str,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid: ...
    async def take_seat(self, room: str, index: int) -> None: ...
    async def leave_seat(self, room: str) -> None: ...
    async def move_seat(self, room: str, target: int) -> None: ...
    async def kick_seat(self, room: str, index: int) -> None: ...
    async def lock_seat(self, room: str, index: int) -> None: ...
    async def unlock_seat(self, room: str, index: int) -> None: ...
    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None: ...
    async def unmute_seat(self, room: str, index: int) -> UTDSeatGrid | None: ...
    async def request_to_speak(self, room: str) -> int | None: ...
    async def cancel_request(self, room: str) -> None: ...
    async def approve_speaker(self, room: str, request_id: int) -> int | None: ...
    async def reject_speaker(self, room: str, request_id: int) -> None: ...
    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None: ...
    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]: ...
    async def accept_invitation(self, room: str, invitation_id: int) -> int | None: ...
    async def decline_invitation(self, room: str, invitation_id: int) -> None: ...


class ModerationCalls(Protocol):
    """What hosts and admins do to others, and what everybody may ask about people."""

    async def mute_participant(
        self, room: str, identity: str, *, audio: bool, video: bool, muted: bool
    ) -> None: ...
    async def kick_participant(self, room: str, identity: str) -> None: ...
    async def ban(
        self, identity: str, *, room: str | None, reason: str | None, duration: int | None
    ) -> None: ...
    async def unban(self, identity: str, *, room: str | None) -> None: ...
    async def bans(self, *, page: int, per_page: int) -> tuple[UTDBan, ...]: ...
    async def participant_metadata(self, room: str, identity: str) -> str: ...
    async def get_role(self, room: str, identity: str) -> UTDRole | None: ...
    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None: ...
    async def lock_chat(self, room: str, locked: bool) -> None: ...


class EnginePort(SeatCalls, ModerationCalls, Protocol):
    """The engine, as one participant of one room may ask it."""

    async def mint(self) -> UTDTokenResponse:
        """Return fresh credentials to join the room, and act with them from now on.

        Repeats: a second mint gives the same person the same rights.

        Raises:
            UTDStreamException: `BANNED`, `FORBIDDEN`, `UNAUTHORIZED`, `NETWORK`, `TIMEOUT`, …
        """
