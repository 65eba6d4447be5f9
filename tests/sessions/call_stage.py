"""A call session on the fakes: a room, an engine, signals and a clock that the test plays."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from attrs import evolve

from tests.sessions.stage import TONE
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.audio import AudioInput
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.events import RoomMetadataChanged
from utd_rx.models.participant import ParticipantPermission
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.facts.calls import CallTold, SignalChanged
from utd_rx.protocol.wire.calls import call_to_wire
from utd_rx.sessions.call import UTDCallSession
from utd_rx.sessions.signals import CallHolder
from utd_rx.testing.calls import FakeCallEngine
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom
from utd_rx.video import TestPattern

R: TypeAlias = UTDCallEndReason
S: TypeAlias = UTDCallStatus
Sink = Callable[[CallTold | SignalChanged], None]
PARTY = ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)


class Switchboard:
    """A client's signals, whose socket is the test."""

    def __init__(self) -> None:
        self.is_up = False
        self.sinks: list[Sink] = []
        self.holders: dict[str, CallHolder] = {}
        self.heard: list[UTDCall] = []

    def listen(self, sink: Sink) -> Callable[[], None]:
        self.sinks.append(sink)
        sink(SignalChanged(self.is_up))
        return lambda: self.sinks.remove(sink) if sink in self.sinks else None

    def told(self, call: UTDCall, by: Sink) -> None:
        self.heard.append(call)
        for sink in [one for one in self.sinks if one != by]:
            sink(CallTold(call))

    def claim(self, call_id: str, owner: CallHolder, *, takes_part: bool = False) -> None:
        holder = self.holders.setdefault(call_id, owner)
        if holder is not owner and not (takes_part and holder.lets_go(call_id)):
            raise conflict(ConflictReason.ALREADY, "another session has it")
        self.holders[call_id] = owner

    def release(self, call_id: str, owner: CallHolder) -> None:
        if self.holders.get(call_id) is owner:
            del self.holders[call_id]

    def tell(self, call: UTDCall) -> None:
        for sink in list(self.sinks):
            sink(CallTold(call))

    def turn(self, is_up: bool) -> None:
        self.is_up = is_up
        for sink in list(self.sinks):
            sink(SignalChanged(is_up))


class CallStage:
    """One call session of "me" on fakes; "ana" is at the other end."""

    def __init__(
        self,
        *,
        type_: UTDStreamType = UTDStreamType.AUDIO_CALL,
        microphone: AudioInput | None = TONE,
        clock: FakeClock | None = None,
        room: FakeRoom | None = None,
    ) -> None:
        self.clock = clock or FakeClock(100.0)
        self.room = room or FakeRoom("me")
        local = evolve(self.room.snapshot.local, permission=PARTY)
        self.room.snapshot = evolve(self.room.snapshot, local=local)
        self.engine = FakeCallEngine(self.room)
        self.signals = Switchboard()
        self.session = self.another(type_, self.room, microphone)

    def another(
        self, type_: UTDStreamType, room: FakeRoom, microphone: AudioInput | None = TONE
    ) -> UTDCallSession:
        """Return a session of the same client."""
        return UTDCallSession(
            "me",
            type_,
            room=room,
            engine=self.engine,
            signals=self.signals,
            microphone=microphone,
            camera=TestPattern(),
            clock=self.clock,
        )

    def incoming(self) -> str:
        """Have ana call me; return the call's id."""
        return self.engine.dial("ana", "me").call_id

    def news(self, status: UTDCallStatus, reason: UTDCallEndReason | None = None) -> UTDCall:
        """Have the newest call stand so, and tell it by the socket."""
        call = self.engine.turn(list(self.engine.calls)[-1], status, reason)
        self.signals.tell(call)
        return call

    def metadata(self, call: UTDCall) -> None:
        """Have the room's metadata carry the call."""
        text = json.dumps({"_call": call_to_wire(call)})
        self.room.snapshot = evolve(self.room.snapshot, metadata=text)
        self.room.emit(RoomMetadataChanged(text))

    async def talking(self) -> UTDCall:
        """Have me call ana, who answers."""
        call = await self.session.start("ana")
        return self.news(S.ACTIVE) if call.status is not S.ACTIVE else call


AUDIO, VIDEO = UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL
DOWN = UTDStreamException("down", code=UTDErrorCode.NETWORK)
Command = Callable[[CallStage], Awaitable[object]]


async def refused(command: Awaitable[object]) -> UTDStreamException:
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value


def shown(session: UTDCallSession) -> tuple[object, ...]:
    return (session.status.value, session.call_id.value, session.peer.value)


def starting(stage: CallStage) -> Awaitable[object]:
    return stage.session.start("ana")


def accepting(stage: CallStage) -> Awaitable[object]:
    return stage.session.accept(stage.incoming())


def taking(stage: CallStage) -> Awaitable[object]:
    call_id = stage.incoming()

    async def take() -> None:
        await stage.session.ringing(call_id)
        await stage.session.accept(call_id)

    return take()
