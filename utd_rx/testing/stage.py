"""`FakeStageEngine`: the engine port of a live stream, without a network."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, evolve, field

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import RoomMetadataChanged
from utd_rx.models.role import UTDRole
from utd_rx.models.stage import Stage, StageRequest, UTDStageMember
from utd_rx.ports.engine import StageReply
from utd_rx.protocol.wire.stage import STAGE_KEY, stage_request_to_wire, stage_to_wire
from utd_rx.rest.checks import checked_identity
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom


@define
class FakeStage:
    """What there is of a live stream, for all who ask about it.

    Attributes:
        stage: Who is on it.
        hands: The raised ones, oldest first.
        people: Who is in the room.
    """

    stage: Stage = Stage(revision=1, is_live=False)
    hands: tuple[StageRequest, ...] = ()
    people: set[str] = field(factory=set)


class FakeStageEngine(FakeEngine):
    """A stage that changes at once, and tells of it by room metadata and by push.

    It acts for the participant that `room` joins as, and tells that room alone. Who may do what is
    the test's to say; what cannot be it refuses as the engine does.

    Attributes:
        there: The stage; engines that share it are one engine, asked by several people.
        writes: Whether room metadata carries the stage.
        tells_hands: Whether its answers do, as they do for hosts and admins.
        replies: Whether a change answers with the stage.
        ends: Whether it has the route that ends a broadcast; if not, 404.
    """

    def __init__(self, room: FakeRoom, *, there: FakeStage | None = None) -> None:
        super().__init__(room)
        self.there = FakeStage() if there is None else there
        self.there.people.add(self.me)
        self.writes = True
        self.tells_hands = True
        self.replies = True
        self.ends = True

    # --- what it does by itself -----------------------------------------------------------------

    def turn(self, **changes: Any) -> None:
        """Change the stage, and tell it unless it is silent."""
        before = self.there.stage
        stage = evolve(before, revision=(before.revision or 0) + 1, **changes)
        self.there.stage = stage
        if self.writes:
            metadata = json.dumps({STAGE_KEY: stage_to_wire(stage)})
            self.room.snapshot = evolve(self.room.snapshot, metadata=metadata)
            if not self.is_silent:
                self.room.emit(RoomMetadataChanged(metadata))
        if not self.is_silent:
            self.tell("_stage_update", stage_to_wire(stage))

    def promote(self, identity: str, role: UTDRole = UTDRole.AUDIENCE) -> None:
        """Put somebody on the stage, whose hand goes down."""
        self.lower_hand(identity)
        member = UTDStageMember(identity, identity.title(), role.value)
        self.turn(members=(*self.there.stage.members, member))
        if identity == self.me and self.grants:
            self.room.grant(can_publish=True)

    def demote(self, identity: str) -> None:
        """Take somebody off the stage."""
        if identity == self.me and self.grants:
            self.room.grant(can_publish=False)
        self.turn(
            members=tuple(one for one in self.there.stage.members if one.identity != identity)
        )

    def raise_hand(self, identity: str) -> None:
        """Put up somebody's hand, or find it up."""
        known = next((one for one in self.there.hands if one.identity == identity), None)
        asked = known or StageRequest(identity, identity.title(), "2026-05-04T10:00:05.000Z")
        self.there.hands = self.there.hands if known else (*self.there.hands, asked)
        if not self.is_silent:
            self.tell("_stage_request", stage_request_to_wire(asked))

    def lower_hand(self, identity: str) -> None:
        """Take down somebody's hand, if it is up."""
        if any(asked.identity == identity for asked in self.there.hands):
            self.there.hands = tuple(
                asked for asked in self.there.hands if asked.identity != identity
            )
            if not self.is_silent:
                self.tell("_stage_request_closed", {"identity": identity})

    def end(self) -> None:
        """End the broadcast: nobody but the host is on the stage, and no hand is up."""
        self.there.hands = ()
        host = tuple(one for one in self.there.stage.members if one.role == UTDRole.HOST.value)
        self.turn(members=host, is_live=False)
        if not self.is_silent:
            self.tell("_live_ended", {})

    # --- the port -------------------------------------------------------------------------------

    async def get_stage(self, room: str) -> StageReply:
        self._read("get_stage")
        return self._told()

    async def add_to_stage(self, room: str, identity: str) -> StageReply | None:
        checked_identity(identity)
        await self._ask("add_to_stage")
        if identity not in self.there.people:
            raise _refused(UTDErrorCode.NOT_FOUND, 404)
        if self.there.stage.has(identity):
            raise _refused(UTDErrorCode.CONFLICT, 409)
        self.promote(identity)
        return self._replied()

    async def remove_from_stage(self, room: str, identity: str) -> StageReply | None:
        checked_identity(identity)
        await self._ask("remove_from_stage")
        self._refuse_host(identity)
        if self.there.stage.has(identity):
            self.demote(identity)
        return self._replied()

    async def leave_stage(self, room: str) -> StageReply | None:
        await self._ask("leave_stage")
        self._refuse_host(self.me)
        if self.there.stage.has(self.me):
            self.demote(self.me)
        return self._replied()

    async def request_stage(self, room: str) -> None:
        await self._ask("request_stage")
        if self.there.stage.has(self.me):
            raise _refused(UTDErrorCode.CONFLICT, 409)
        self.raise_hand(self.me)

    async def cancel_stage_request(self, room: str) -> None:
        await self._ask("cancel_stage_request")
        self.lower_hand(self.me)

    async def dismiss_stage_request(self, room: str, identity: str) -> StageReply | None:
        checked_identity(identity)
        await self._ask("dismiss_stage_request")
        if all(asked.identity != identity for asked in self.there.hands):
            raise _refused(UTDErrorCode.NOT_FOUND, 404)
        self.lower_hand(identity)
        return self._replied()

    async def end_live(self, room: str) -> StageReply | None:
        await self._ask("end_live")
        if not self.ends:
            raise _refused(UTDErrorCode.NOT_FOUND, 404)
        self.end()
        return self._replied()

    def _told(self) -> StageReply:
        return StageReply(self.there.stage, self.there.hands if self.tells_hands else None)

    def _replied(self) -> StageReply | None:
        return self._told() if self.replies else None

    def _refuse_host(self, identity: str) -> None:
        if any(
            one.identity == identity and one.role == UTDRole.HOST.value
            for one in self.there.stage.members
        ):
            raise _refused(UTDErrorCode.CONFLICT, 409)


def _refused(code: UTDErrorCode, status: int) -> UTDStreamException:
    return UTDStreamException("it cannot be", code=code, status_code=status)
