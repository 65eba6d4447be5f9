"""A session on a fake room, with an engine that the test plays itself."""

from __future__ import annotations

import json
from typing import cast

from attrs import evolve

from utd_rx.audio import ToneSource
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.models.token import UTDTokenResponse
from utd_rx.protocol.wire.seats import grid_to_push
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
        self.bearers: list[str] = []
        self.mints = 0
        self.fetches = 0

    def with_bearer(self, bearer: str) -> EngineStub:
        self.bearers.append(bearer)
        return self

    async def mint_token(self) -> UTDTokenResponse:
        self.mints += 1
        return UTDTokenResponse("token", "ws://127.0.0.1:1", "room", f"bearer{self.mints}")

    async def get_seats(self, room: str) -> UTDSeatGrid:
        self.fetches += 1
        return self.grid

    async def take_seat(self, room: str, index: int) -> None:
        if self.error is not None:
            raise self.error
        self.seat(index, self.room.snapshot.local.identity)
        if self.grants:
            self.room.grant(can_publish=True)

    async def leave_seat(self, room: str) -> None:
        me = self.room.snapshot.local.identity
        for seat in self.grid.seats:
            if seat.identity == me:
                self.seat(seat.index, None)
        self.room.grant(can_publish=False)

    def seat(self, index: int, identity: str | None) -> None:
        seats = tuple(
            evolve(seat, identity=identity) if seat.index == index else seat
            for seat in self.grid.seats
        )
        revision = (self.grid.revision or 0) + 1
        self.grid = evolve(self.grid, seats=seats, revision=revision)
        if not self.is_silent:
            self.push(self.grid)

    def push(self, grid: UTDSeatGrid, *, sender: str | None = None) -> None:
        message = {"type": "_seat_update", **grid_to_push(grid)}
        self.room.push(json.dumps(message).encode(), sender=sender)


class Stage:
    """One audio room session, its fake room and its engine."""

    def __init__(self, *, microphone: AudioInput | None = TONE) -> None:
        self.room = FakeRoom("me")
        self.engine = EngineStub(self.room)
        self.session = UTDAudioRoomSession(
            "me",
            "room",
            is_host=False,
            room=self.room,
            api=cast("UTDApi", self.engine),
            mint=self.engine.mint_token,
            microphone=microphone,
        )
