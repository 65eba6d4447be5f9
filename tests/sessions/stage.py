"""A session on a fake room, with an engine that the test plays itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from attrs import evolve

from utd_rx.audio import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.ban import UTDBan
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.seats import grid_to_push
from utd_rx.protocol.wire.speakers import ListedInvitation
from utd_rx.rest.api import UTDApi
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing.room import FakeRoom

TONE = ToneSource()


class EngineStub:
    """Seats that answer at once and push what they did, unless told to be silent."""

    def __init__(self, room: FakeRoom, seats: int = 4) -> None:
        self.room = room
        self.grid = UTDSeatGrid(tuple(UTDSeat(i) for i in range(seats)), revision=1)
        self.is_silent = False
        self.grants = True
        self.error: UTDStreamException | None = None
        self.accept_seat: int | None = 1
        self.invitations: tuple[ListedInvitation, ...] | None = None
        self.invitation_fetches = 0
        self.asked_for, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self.seats_error: UTDStreamException | None = None
        self.mint_error: UTDStreamException | None = None
        self.banned: list[UTDBan] = []
        self.roles: dict[str, UTDRole] = {}
        self.questions: list[str] = []
        self.bearers: list[str] = []
        self.mints = 0
        self.granted_role: str | None = None
        self.fetches = 0

    def with_bearer(self, bearer: str) -> EngineStub:
        self.bearers.append(bearer)
        return self

    async def mint_token(self) -> UTDTokenResponse:
        self.mints += 1
        if self.mint_error is not None:
            raise self.mint_error
        bearer, role = f"bearer{self.mints}", self.granted_role
        return UTDTokenResponse("token", "ws://127.0.0.1:1", "room", bearer, role=role)

    async def get_seats(self, room: str) -> UTDSeatGrid:
        self.fetches += 1
        if self.seats_error is not None:
            raise self.seats_error
        return self.grid

    async def take_seat(self, room: str, index: int) -> None:
        self._require()
        self.seat(index, self.room.snapshot.local.identity)
        if self.grants:
            self.room.grant(can_publish=True)

    async def leave_seat(self, room: str) -> None:
        me = self.room.snapshot.local.identity
        for seat in self.grid.seats:
            if seat.identity == me:
                self.seat(seat.index, None)
        self.room.grant(can_publish=False)

    async def move_seat(self, room: str, target: int) -> None:
        self._require()
        me = self.me
        seats = (
            evolve(seat, identity=me if seat.index == target else None)
            if me in (seat.identity, me if seat.index == target else None)
            else seat
            for seat in self.grid.seats
        )
        self.become(seats=tuple(seats))

    async def lock_seat(self, room: str, index: int) -> None:
        self._require()
        self.change(index, is_locked=True, identity=None)

    async def unlock_seat(self, room: str, index: int) -> None:
        self._require()
        self.change(index, is_locked=False)

    async def kick_seat(self, room: str, index: int) -> None:
        self._require()
        self.change(index, identity=None)

    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        self._require()
        return None

    unmute_seat = mute_seat

    async def request_to_speak(self, room: str) -> int | None:
        self._require()
        self.asked(7, self.me)
        return 7

    async def cancel_request(self, room: str) -> None:
        self.become(requests=())

    async def approve_speaker(self, room: str, request_id: int) -> int | None:
        self._require()
        self.become(requests=())
        return 0

    reject_speaker = approve_speaker

    async def invite_to_speak(
        self, room: str, identity: str, *, seat_index: int | None = None
    ) -> int | None:
        self._require()
        return 4

    async def speaker_invitations(self, room: str) -> tuple[ListedInvitation, ...]:
        self.invitation_fetches += 1
        if self.invitations is None:
            raise UTDStreamException("no route", code=UTDErrorCode.NOT_FOUND, status_code=404)
        if self.error is not None:
            raise self.error
        return self.invitations

    async def accept_invitation(self, room: str, invitation_id: int) -> int | None:
        self._require()
        if self.accept_seat is not None:
            await self.take_seat(room, self.accept_seat)
        return self.accept_seat

    async def decline_invitation(self, room: str, invitation_id: int) -> None:
        self._require()

    async def mute_participant(
        self, room: str, identity: str, *, audio: bool, video: bool, muted: bool
    ) -> None:
        self._require()
        await self._think()

    async def kick_participant(self, room: str, identity: str) -> None:
        self._require()
        await self._think()

    async def ban(
        self, identity: str, *, room: str, reason: str | None, duration: int | None
    ) -> None:
        self._require()
        await self._think()
        self.banned.append(UTDBan(identity, room_name=room, reason=reason))

    async def unban(self, identity: str, *, room: str) -> None:
        self._require()
        self.banned = [ban for ban in self.banned if ban.identity != identity]

    async def bans(self, *, page: int, per_page: int) -> tuple[UTDBan, ...]:
        self._require()
        return tuple(self.banned[(page - 1) * per_page :][:per_page])

    async def set_role(self, room: str, identity: str, role: UTDRole | str) -> None:
        self._require()
        await self._think()

    async def get_role(self, room: str, identity: str) -> UTDRole | None:
        self.questions.append(identity)
        return self.roles.get(identity)

    async def lock_chat(self, room: str, locked: bool) -> None:
        self._require()
        await self._think()

    # --- what it does by itself ---

    @property
    def me(self) -> str:
        return self.room.snapshot.local.identity

    def seat(self, index: int, identity: str | None) -> None:
        self.change(index, identity=identity)

    def asked(self, request_id: int, identity: str) -> None:
        request = SpeakRequest(request_id, identity, "2026-05-04T10:00:05Z")
        self.become(requests=(*self.grid.requests, request))

    def change(self, index: int, **changes: Any) -> None:
        self.become(
            seats=tuple(
                evolve(seat, **changes) if seat.index == index else seat for seat in self.grid.seats
            )
        )

    def become(self, **changes: Any) -> None:
        revision = (self.grid.revision or 0) + 1
        self.grid = evolve(self.grid, revision=revision, **changes)
        if not self.is_silent:
            self.push(self.grid)

    def tell(self, type_: str, **payload: object) -> None:
        """Push any other engine message."""
        self.room.push(json.dumps({"type": type_, **payload}).encode())

    async def _think(self) -> None:
        self.asked_for.set()
        await self.go_on.wait()

    def _require(self) -> None:
        if self.error is not None:
            raise self.error

    def push(self, grid: UTDSeatGrid, *, sender: str | None = None) -> None:
        message = {"type": "_seat_update", **grid_to_push(grid)}
        self.room.push(json.dumps(message).encode(), sender=sender)


class Stage:
    """One audio room session, its fake room and its engine."""

    def __init__(
        self,
        *,
        microphone: AudioInput | None = TONE,
        is_host: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.room = FakeRoom("me")
        self.engine = EngineStub(self.room)
        self.session = UTDAudioRoomSession(
            "me",
            "room",
            is_host=is_host,
            room=self.room,
            api=cast("UTDApi", self.engine),
            mint=self.engine.mint_token,
            microphone=microphone,
            now=now,
        )


def code_of(raised: pytest.ExceptionInfo[UTDStreamException]) -> UTDErrorCode:
    """Return what kind of failure was raised."""
    return raised.value.code
