"""`FakeEngine`: an engine port without a network, for one participant and one room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Any

from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.ban import UTDBan
from utd_rx.models.checks import whole
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.seats import grid_to_push
from utd_rx.protocol.wire.speakers import ListedInvitation
from utd_rx.rest.checks import checked_choice, checked_grid, checked_identity
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.unknown import Fake


class FakeEngine(Fake):
    """Seats that answer at once and push what they did, unless told to be silent.

    It acts for the participant that `room` joins as, and is the server's side of that room: it
    grants, and pushes what the engine pushes. Who may do what is the test's to say; what cannot be,
    as a seat that there is not, it refuses as the engine does.

    Attributes:
        room: The room it seats in.
        grid: The seats.
        asked: The names of the calls so far, in order.
        mints: How many there were.
        role: What the next mint grants, None for an engine that does not say.
        error: What every call but the reading ones raises, until it is None again.
        mint_error: What every mint raises.
        read_error: What every reading of grid and roles raises.
        gate: The calls that are not readings wait for it; set it to let them through.
        is_silent: Whether it pushes nothing.
        grants: Whether sitting grants publishing.
        accept_seat: Where an accepted invitation seats; None: it seats nobody, and does not say.
        invitations: Those listed; None for an engine that has no such list.
        offered: The invitations that may be accepted or declined, by id; those pushed are.
        invitation_id: What an invitation of this participant is numbered.
        roles: By identity, as it tells them when it is asked.
        metadata: Of participants by identity, as it tells them when it is asked.
        banned: The active bans, newest first.
    """

    def __init__(self, room: FakeRoom, seats: int = 4) -> None:
        self.room = room
        self.grid = UTDSeatGrid(tuple(UTDSeat(i) for i in range(seats)), revision=1)
        self.asked: list[str] = []
        self.mints = 0
        self.role: str | None = None
        self.error: UTDStreamException | None = None
        self.mint_error: UTDStreamException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.read_error: UTDStreamException | None = None
        self.is_silent = False
        self.grants = True
        self.accept_seat: int | None = 1
        self.invitations: tuple[ListedInvitation, ...] | None = None
        self.offered: set[int] = set()
        self.invitation_id = 4
        self.roles: dict[str, UTDRole] = {}
        self.metadata: dict[str, str] = {}
        self.banned: tuple[UTDBan, ...] = ()

    # --- what it does by itself -----------------------------------------------------------------

    @property
    def me(self) -> str:
        """For whom it acts."""
        return self.room.snapshot.local.identity

    def change(self, index: int, **changes: Any) -> None:
        """Change one seat, and push it."""
        seats = (evolve(s, **changes) if s.index == index else s for s in self.grid.seats)
        self.become(seats=tuple(seats))

    def seat(self, index: int, identity: str | None) -> None:
        """Seat somebody, or None, and push it."""
        self.change(index, identity=identity)

    def request(self, request_id: int, identity: str) -> None:
        """Put a request to speak in the queue, and push it."""
        request = SpeakRequest(request_id, identity, "2026-05-04T10:00:05Z")
        self.become(requests=(*self.grid.requests, request))

    def become(self, **changes: Any) -> None:
        """Change the grid, and push it."""
        self.grid = evolve(self.grid, revision=(self.grid.revision or 0) + 1, **changes)
        if not self.is_silent:
            self.push(self.grid)

    def push(self, grid: UTDSeatGrid, *, sender: str | None = None) -> None:
        """Push a grid; with a sender it is a participant's forgery."""
        self.tell("_seat_update", grid_to_push(grid), sender=sender)

    def tell(self, type_: str, payload: dict[str, object], *, sender: str | None = None) -> None:
        """Push any engine message."""
        if type_ == "_speaker_invitation" and isinstance(id_ := payload["invitation_id"], int):
            self.offered.add(id_)
        self.room.push(json.dumps({"type": type_, **payload}).encode(), sender=sender)

    # --- the port -------------------------------------------------------------------------------

    async def mint(self) -> UTDTokenResponse:
        self.mints += 1
        if self.mint_error is not None:
            raise self.mint_error
        name = self.room.snapshot.name
        return UTDTokenResponse(
            f"token{self.mints}", "ws://127.0.0.1:1", name, f"bearer{self.mints}", role=self.role
        )

    async def get_seats(self, room: str) -> UTDSeatGrid:
        self._read("get_seats")
        return self.grid

    async def setup_seats(
        self,
        room: str,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        checked_grid(seat_count, seat_mode, mode_id)
        await self._ask("setup_seats")
        count = self.grid.count if seat_count is None else seat_count
        seats = (*self.grid.seats, *map(UTDSeat, range(self.grid.count, count)))[:count]
        mode = self.grid.mode if seat_mode is None else UTDSeatMode(seat_mode)
        self.become(seats=seats, mode=mode, mode_id=mode_id or self.grid.mode_id)
        return self.grid

    async def take_seat(self, room: str, index: int) -> None:
        await self._ask_seat("take_seat", index)
        self._sit(index)

    async def leave_seat(self, room: str) -> None:
        await self._ask("leave_seat")
        for seat in self.grid.seats:
            if seat.identity == self.me:
                self.seat(seat.index, None)
        self.room.grant(can_publish=False)

    async def move_seat(self, room: str, target: int) -> None:
        await self._ask_seat("move_seat", target)
        left = (evolve(s, identity=None) if s.identity == self.me else s for s in self.grid.seats)
        seats = (evolve(s, identity=self.me) if s.index == target else s for s in left)
        self.become(seats=tuple(seats))

    async def kick_seat(self, room: str, index: int) -> None:
        await self._ask_seat("kick_seat", index)
        self.seat(index, None)

    async def lock_seat(self, room: str, index: int) -> None:
        await self._ask_seat("lock_seat", index)
        self.change(index, is_locked=True, identity=None)

    async def unlock_seat(self, room: str, index: int) -> None:
        await self._ask_seat("unlock_seat", index)
        self.change(index, is_locked=False)

    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        await self._ask_seat("mute_seat", index)
        return None

    async def unmute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        await self._ask_seat("unmute_seat", index)
        return None

    async def request_to_speak(self, room: str) -> int | None:
        await self._ask("request_to_speak")
        self.request(7, self.me)
        return 7

    async def cancel_request(self, room: str) -> None:
        await self._ask("cancel_request")
        self.become(requests=tuple(r for r in self.grid.requests if r.identity != self.me))

    async def approve_speaker(self, room: str, request_id: int) -> int | None:
        await self._ask_answer(
            "approve_speaker", request_id, [asked.id for asked in self.grid.requests]
        )
        self.become(requests=tuple(r for r in self.grid.requests if r.id != request_id))
        return 0

    async def reject_speaker(self, room: str, request_id: int) -> None:
        await self._ask_answer(
            "reject_speaker", request_id, [asked.id for asked in self.grid.requests]
        )
        self.become(requests=tuple(r for r in self.grid.requests if r.id != request_id))

    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None:
        checked_identity(identity)
        if seat_index is not None:
            whole(seat_index, "seat index")
        await self._ask("invite_to_speak")
        return self.invitation_id

    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]:
        self.asked.append("speaker_invitations")
        if self.invitations is None:
            raise UTDStreamException("no route", code=UTDErrorCode.NOT_FOUND, status_code=404)
        if self.error is not None:
            raise self.error
        return self.invitations

    async def accept_invitation(self, room: str, invitation_id: int) -> int | None:
        await self._ask_answer("accept_invitation", invitation_id, self.offered)
        if self.accept_seat is not None:
            self._sit(self.accept_seat)
        return self.accept_seat

    async def decline_invitation(self, room: str, invitation_id: int) -> None:
        await self._ask_answer("decline_invitation", invitation_id, self.offered)

    async def mute_participant(
        self, room: str, identity: str, *, audio: bool, video: bool, muted: bool
    ) -> None:
        checked_identity(identity)
        await self._ask("mute_participant")

    async def kick_participant(self, room: str, identity: str) -> None:
        checked_identity(identity)
        await self._ask("kick_participant")

    async def ban(
        self, identity: str, *, room: str | None, reason: str | None, duration: int | None
    ) -> None:
        checked_identity(identity)
        if duration is not None:
            whole(duration, "duration", 1)
        await self._ask("ban")
        self.banned = (UTDBan(identity, room_name=room, reason=reason), *self.banned)

    async def unban(self, identity: str, *, room: str | None) -> None:
        checked_identity(identity)
        await self._ask("unban")
        self.banned = tuple(ban for ban in self.banned if ban.identity != identity)

    async def bans(self, *, page: int, per_page: int) -> tuple[UTDBan, ...]:
        whole(page, "page", 1)
        whole(per_page, "per_page", 1, 100)
        await self._ask("bans")
        return self.banned[(page - 1) * per_page :][:per_page]

    async def participant_metadata(self, room: str, identity: str) -> str:
        checked_identity(identity)
        self.asked.append("participant_metadata")
        if identity not in self.metadata:
            raise UTDStreamException("not here", code=UTDErrorCode.NOT_FOUND, status_code=404)
        return self.metadata[identity]

    async def get_role(self, room: str, identity: str) -> UTDRole | None:
        checked_identity(identity)
        self._read(f"get_role {identity}")
        return self.roles.get(identity)

    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None:
        checked_identity(identity)
        given = UTDRole(checked_choice(UTDRole, role, "role"))
        await self._ask("set_role")
        self.roles[identity] = given

    async def lock_chat(self, room: str, locked: bool) -> None:
        await self._ask("lock_chat")

    def _read(self, call: str) -> None:
        self.asked.append(call)
        if self.read_error is not None:
            raise self.read_error

    async def _ask(self, call: str) -> None:
        self.asked.append(call)
        await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def _ask_seat(self, call: str, index: int) -> None:
        whole(index, "seat index")
        await self._ask(call)
        if index >= self.grid.count:
            raise UTDStreamException("no such seat", code=UTDErrorCode.VALIDATION, status_code=422)

    async def _ask_answer(self, call: str, id_: int, pending: Collection[int]) -> None:
        whole(id_, "id")
        await self._ask(call)
        if id_ not in pending:
            raise UTDStreamException("not pending", code=UTDErrorCode.NOT_FOUND, status_code=404)

    def _sit(self, index: int) -> None:
        self.seat(index, self.me)
        if self.grants:
            self.room.grant(can_publish=True)
