"""A whole audio room without a network (`tests.machines.room_world`): its seats and offers."""

from __future__ import annotations

import json

from attrs import evolve, frozen

from tests.machines.room_world import FAILED, HOST, PEOPLE, Client, RoomWorld
from utd_rx.engine.rules import speakers as speaker_rules
from utd_rx.engine.rules.effects import PublishSeats
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import Admission
from utd_rx.engine.rules.seat_state import SetUpSeats
from utd_rx.models import events as e
from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.seats import (
    FetchInvitations,
    FetchSeats,
    InvitationsListed,
    InvitationsNotListed,
    SeatGridFetched,
    SeatsNotFetched,
)
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.protocol.promises import GridPromise
from utd_rx.protocol.wire.seats import grid_to_push
from utd_rx.protocol.wire.speakers import ListedInvitation


@frozen
class Kind:
    """Which engine it is; ours has all of these, another one may lack any."""

    numbers: bool = True
    """Whether its grids have revisions."""
    lists: bool = True
    """Whether it can be asked for invitations."""
    revokes: bool = True
    """Whether it takes the permission back with the seat (docs/contract.md, "Seats")."""


class World(RoomWorld):
    """The room; every method is one thing that happens."""

    rules = AUDIO_ROOM

    def __init__(self, mode: UTDSeatMode, count: int, kind: Kind) -> None:
        self.kind = kind
        self.revokes = kind.revokes
        self.grids: list[UTDSeatGrid] = []
        """All that there were, in order; without revisions one may be there twice."""
        self.offered: dict[int, tuple[str, float]] = {}
        asked = Admission(HOST, UTDStreamType.AUDIO_ROOM, Role.HOST, seats=SetUpSeats(count, mode))
        super().__init__(asked, {who: AudioRoomState(who) for who in PEOPLE})

    @property
    def grid(self) -> UTDSeatGrid:
        """The engine's grid, as this kind of engine tells it."""
        grid = self.engine.seats.grid
        return grid if self.kind.numbers else evolve(grid, revision=None)

    def promise(self, who: str, promise: GridPromise) -> None:
        """The engine said yes to a command of `who`, who waits for it to show."""
        assert promise.holds_in(self.engine.seats.grid), "a command that was accepted took effect"
        self.wait(who, promise)

    def get_seats(self, who: str) -> None:
        """The app asks for the grid, whatever else is being asked."""
        client = self.clients[who]
        if client.state.session.connection.is_joined:
            seats = client.state.seats
            client.tasks.append(FetchSeats(seats.generation, seats.answers))

    def remember(self) -> None:
        if not self.grids or self.grids[-1] != self.grid:
            self.grids.append(self.grid)
        for offer in self.engine.seats.invitations:
            made = (offer.invitation.target, offer.expires_at)
            self.offered.setdefault(offer.invitation.id, made)

    def announce(self, effect: object) -> None:
        if isinstance(effect, PublishSeats):
            self.publish()
            self.push("_seat_update", grid_to_push(self.grid), None)

    def room_metadata(self) -> str:
        metadata = json.loads(super().room_metadata())
        return json.dumps({**metadata, "_seats": grid_to_push(self.grid)})

    def answers_of(self, client: Client, question: object, succeeds: bool) -> tuple[object, ...]:
        match question:
            case FetchSeats(generation, answers, wait_id):
                told = SeatGridFetched(self.grid, generation, answers, wait_id)
                return (told if succeeds else SeatsNotFetched(FAILED, wait_id),)
            case FetchInvitations(epoch=epoch):
                if not (succeeds and self.kind.lists):
                    return (InvitationsNotListed(epoch, is_absent=not self.kind.lists),)
                me = client.state.identity
                offers = speaker_rules.invitations_of(self.engine.seats, me, self.now)
                listed = (ListedInvitation(o.invitation, o.expires_at - self.now) for o in offers)
                return (InvitationsListed(epoch, tuple(listed)),)
        return super().answers_of(client, question, succeeds)

    def check_step(self, before: AudioRoomState, after: AudioRoomState, fact: object) -> None:
        known, seen = before.seats.grid, after.seats.grid
        is_replaced = before.seats.is_known and after.seats.is_known and known != seen
        # Without revisions, metadata that was overtaken by a `GET` is still believed.
        if is_replaced and (self.kind.numbers or isinstance(fact, SeatGridFetched)):
            newest = len(self.grids) - 1 - self.grids[::-1].index(seen)
            assert newest >= self.grids.index(known), "an older grid replaced a newer one"
        if isinstance(fact, e.DataReceived):
            assert after.seats.grid is before.seats.grid, "a message moved a seat"
