"""Devices on a bad network, and an engine of calls that is as small as it can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from attrs import define, evolve, field

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.call import CallState
from utd_rx.protocol.facts import calls as facts
from utd_rx.protocol.facts import connection, media
from utd_rx.protocol.kinds import AUDIO_CALL
from utd_rx.protocol.wire.calls import call_to_wire

R: TypeAlias = UTDCallEndReason
S: TypeAlias = UTDCallStatus
PARTY: Final = ParticipantPermission(can_publish=True, can_subscribe=True)
AWAY: Final = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)
RING_SECONDS: Final = 30.0
AWAY_SECONDS: Final = 30.0

Reply = UTDCall | UTDStreamException


def refused(code: UTDErrorCode = UTDErrorCode.CONFLICT) -> UTDStreamException:
    status = {UTDErrorCode.CONFLICT: 409, UTDErrorCode.NOT_FOUND: 404}[code]
    return UTDStreamException("no", code=code, status_code=status)


@define
class Ringing:
    """A call at the engine: who is in it, and since when a party is away from its room."""

    call: UTDCall
    devices: dict[str, str]
    rings_until: float
    away_since: dict[str, float] = field(factory=dict)
    is_forgotten: bool = False


@define
class Engine:
    """The whole of it: what is asked is done at once, and news go to `tell` and `room`."""

    tell: Callable[[str, UTDCall, str], None]
    close: Callable[[str], None]
    calls: dict[str, Ringing] = field(factory=dict)
    now: float = 0.0

    def live(self, user: str) -> Ringing | None:
        there = (one for one in self.calls.values() if not one.call.status.is_terminal)
        return next(
            (one for one in there if user in parties(one.call) and not one.is_forgotten), None
        )

    def restart(self) -> None:
        """Know of no call any more."""
        for call_id, there in self.calls.items():
            if not there.is_forgotten:
                there.is_forgotten = True
                self.close(call_id)

    def start(self, user: str, device: str, callee: str) -> Reply:
        mine = self.live(user)
        if mine is not None and mine.call.caller_identity == callee and user not in mine.devices:
            return self.turn(mine, S.ACTIVE, by=device, user=user)
        if mine is not None or self.live(callee) is not None:
            return refused()
        call_id = f"call_{len(self.calls)}"
        call = UTDCall(
            call_id,
            S.INITIATING,
            UTDStreamType.AUDIO_CALL,
            caller_identity=user,
            callee_identity=callee,
        )
        ringing = Ringing(call, {user: device}, self.now + RING_SECONDS, {user: self.now})
        self.calls[call_id] = ringing
        self.tell(callee, call, device)
        return call

    def do(self, verb: str, user: str, device: str, call_id: str) -> Reply:
        there = self.calls.get(call_id)
        if there is None or there.is_forgotten:
            return refused(UTDErrorCode.NOT_FOUND)
        call = there.call
        rings = call.status in (S.INITIATING, S.RINGING)
        is_callee = user == call.callee_identity
        match verb:
            case "get":
                return call
            case "end" if call.status.is_terminal:
                return call
            case "end":
                caller = R.CALLER_CANCELLED if rings else R.CALLER_HANGUP
                return self.turn(there, S.ENDED, R.CALLEE_HANGUP if is_callee else caller, device)
            case "accept" if is_callee and (rings or there.devices.get(user) == device):
                if call.status.is_terminal:
                    return refused()
                return self.turn(there, S.ACTIVE, by=device, user=user)
            case "ringing" if is_callee and rings:
                return self.turn(there, S.RINGING, by=device)
            case "reject" if is_callee and rings:
                return self.turn(there, S.REJECTED, R.REJECTED, device)
        return refused()

    def turn(
        self,
        there: Ringing,
        status: UTDCallStatus,
        reason: UTDCallEndReason | None = None,
        by: str = "",
        user: str | None = None,
    ) -> UTDCall:
        if user is not None and user not in there.devices:
            there.devices[user] = by
            there.away_since[user] = self.now
        if there.call.status is not status:
            seconds = 7.0 if status.is_terminal else None
            there.call = evolve(
                there.call, status=status, end_reason=reason, duration_seconds=seconds
            )
            for party in parties(there.call):
                self.tell(party, there.call, by)
            if status.is_terminal:
                self.close(there.call.call_id)
        return there.call

    def tick(self, now: float) -> None:
        self.now = now
        for there in self.calls.values():
            status = there.call.status
            if there.is_forgotten:
                continue
            if status in (S.INITIATING, S.RINGING) and now >= there.rings_until:
                self.turn(there, S.MISSED, R.RING_TIMEOUT)
            elif not status.is_terminal and any(
                now >= since + AWAY_SECONDS for since in there.away_since.values()
            ):
                self.turn(there, S.ENDED, R.PEER_LOST)


def parties(call: UTDCall) -> tuple[str, str]:
    return call.caller_identity or "", call.callee_identity or ""


@define
class Request:
    """What a device asks the engine, and what it does with the answer."""

    ask: Callable[[], Reply]
    hear: Callable[[Reply], None]


@define
class Device:
    """One device: the rules of the client, and the little that a session does around them."""

    user: str
    name: str
    world: World
    state: CallState = field(init=False)
    requests: list[Request] = field(factory=list)
    news: list[UTDCall] = field(factory=list)
    room: list[object] = field(factory=list)
    in_room: str | None = None
    is_coming: bool = False
    silent: set[str] = field(factory=set)
    ended: dict[str, UTDCallStatus] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        sources = (TrackSource.MICROPHONE,)
        self.state = evolve(AUDIO_CALL.begin(self.user, False), sources=sources)

    def offer(self, *told: object) -> None:
        for fact in told:
            self.state, effects = AUDIO_CALL.step(self.state, fact, self.world.now)
            self.world.check(self)
            for effect in effects:
                self.perform(effect)

    def perform(self, effect: object) -> None:
        match effect:
            case facts.FetchCall(call_id=call_id):
                self.request("get", call_id, self.told(call_id))
            case connection.DisconnectRoom():
                self.leave()
            case media.OpenTrack(source=source, epoch=epoch):
                track = TrackPublication(f"TR_{self.world.now}", source=source)
                self.room.append(media.TrackOpened(source, epoch, track))
            case media.CloseTrack(source=source, epoch=epoch):
                self.room.append(media.TrackClosed(source, epoch))

    # --- what the app asks for, as the session does it -------------------------------------------

    def start(self, callee: str) -> None:
        if self.is_coming or self.state.live_id is not None:
            return
        self.is_coming = True
        ask = self.world.engine.start
        self.requests.append(Request(lambda: ask(self.user, self.name, callee), self.come(None)))

    def accept(self, call_id: str) -> None:
        on_hand = self.state.on_hand
        if self.is_coming or (self.state.live_id is not None and self.state.live_id != call_id):
            return
        if on_hand is not None and not on_hand.is_over and (on_hand.is_joined or on_hand.is_out):
            return
        self.is_coming = True
        self.offer(facts.AcceptStarted(call_id))
        self.request("accept", call_id, self.come(call_id))

    def answer(self, verb: str, call_id: str) -> None:
        if self.state.live_id not in (None, call_id):
            return

        def hear(reply: Reply) -> None:
            if isinstance(reply, UTDCall):
                self.offer(facts.CallAdopted(reply))
            else:
                self.offer(facts.CallDisputed(call_id))

        self.request(verb, call_id, hear)

    def end(self) -> None:
        on_hand = self.state.on_hand
        if on_hand is None or on_hand.is_over or on_hand.is_out:
            return
        if on_hand.is_joined or self.is_coming:
            self.hang_up(on_hand.id)
        else:
            self.decline(on_hand.id)

    def decline(self, call_id: str) -> None:
        told = self.told(call_id, is_end=True)

        def hear(reply: Reply) -> None:
            if isinstance(reply, UTDCall) or reply.status_code != 409:
                told(reply)
            else:
                self.request("get", call_id, told)

        self.offer(facts.CallEnded(call_id))
        self.request("reject", call_id, hear)

    def hang_up(self, call_id: str) -> None:
        self.offer(facts.CallEnded(call_id))
        self.request("end", call_id, self.told(call_id, is_end=True))

    def come(self, call_id: str | None) -> Callable[[Reply], None]:
        def hear(reply: Reply) -> None:
            self.is_coming = False
            if isinstance(reply, UTDCall):
                self.offer(facts.CallJoined(reply))
                if self.state.live_id == reply.call_id and self.in_room is None:
                    self.offer(connection.JoinStarted())
                    self.in_room = reply.call_id
                    self.world.join(self, reply.call_id)
                return
            if call_id is not None:
                if reply.status_code is None:
                    self.hang_up(call_id)
                else:
                    self.offer(facts.CallDisputed(call_id))

        return hear

    def told(self, call_id: str, *, is_end: bool = False) -> Callable[[Reply], None]:
        def hear(reply: Reply) -> None:
            if is_end and (self.state.live_id != call_id or not isinstance(reply, UTDCall)):
                self.silent.add(call_id)  # not told, or so late that it was given up
            if isinstance(reply, UTDCall):
                self.offer(facts.CallTold(reply))
            else:
                self.offer(facts.CallNotTold(call_id, reply, is_last=is_end))

        return hear

    def request(self, verb: str, call_id: str, hear: Callable[[Reply], None]) -> None:
        do = self.world.engine.do
        self.requests.append(Request(lambda: do(verb, self.user, self.name, call_id), hear))

    def leave(self) -> None:
        if self.in_room is not None:
            self.world.away(self, self.in_room)
        self.in_room = None
        self.room.clear()


@define
class World:
    """Everybody, the engine, and the time."""

    now: float = 0.0
    devices: list[Device] = field(init=False)
    engine: Engine = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(self.tell, self.close)
        names = (("ana", "ana"), ("ben", "ben"), ("ben", "ben's tablet"), ("cem", "cem"))
        self.devices = [Device(user, name, self) for user, name in names]

    def tell(self, user: str, call: UTDCall, by: str) -> None:
        for device in self.devices:
            if device.user == user and device.name != by:
                device.news.append(call)
            if device.in_room == call.call_id:
                text = json.dumps({"_call": call_to_wire(call)})
                device.room.append(e.RoomMetadataChanged(text))

    def close(self, call_id: str) -> None:
        for device in self.devices:
            if device.in_room == call_id:
                device.room.append(e.Disconnected(DisconnectReason.ROOM_DELETED))

    def join(self, device: Device, call_id: str) -> None:
        there = self.engine.calls[call_id]
        if there.call.status.is_terminal or there.is_forgotten:
            error = UTDStreamException("no room", code=UTDErrorCode.NOT_FOUND)
            device.room.append(error)
            return
        there.away_since.pop(device.user, None)
        text = json.dumps({"_call": call_to_wire(there.call)})
        local = LocalParticipant(device.user, permission=PARTY)
        device.room.append(e.RoomSnapshot(call_id, local, metadata=text))

    def away(self, device: Device, call_id: str) -> None:
        there = self.engine.calls[call_id]
        if there.devices.get(device.user) == device.name:
            there.away_since.setdefault(device.user, self.now)

    def hear_room(self, device: Device, _: str = "") -> None:
        """Let the next thing happen that a device's room tells."""
        epoch = device.state.session.connection.epoch
        match device.room.pop(0):
            case e.RoomSnapshot() as snapshot:
                device.offer(connection.JoinSucceeded(epoch, snapshot))
            case UTDStreamException() as error:
                call_id, device.in_room = device.in_room or "", None
                device.offer(connection.JoinFailed(epoch, error))
                device.hang_up(call_id)
            case e.Disconnected() as over:
                device.leave()
                device.offer(over)
            case fact:
                device.offer(fact)

    def settle(self, device: Device, index: int, lost: str = "") -> None:
        """Let a request arrive and its answer come back, unless one of them is lost, or late."""
        request = device.requests.pop(index)
        answer: Reply = AWAY if lost == "request" else request.ask()
        if lost == "late":
            device.requests.append(Request(lambda: answer, request.hear))
            return
        request.hear(AWAY if lost == "answer" else answer)

    def advance(self, seconds: float) -> None:
        until, turns = self.now + seconds, 0
        while True:
            turns += 1
            assert turns < 1_000, "a deadline that passes and stays"
            due = [AUDIO_CALL.next_deadline(one.state) for one in self.devices]
            at = min([until, *(max(one, self.now) for one in due if one is not None)])
            self.now = at
            self.engine.tick(at)
            for device, deadline in zip(self.devices, due, strict=True):
                if deadline is not None and deadline <= at:
                    device.offer(connection.DeadlinePassed())
            if at >= until:
                return

    def pending(self) -> list[Callable[[str], None]]:
        """Return everything that the network may do next, each to be done well or badly."""
        found: list[Callable[[str], None]] = []
        for device in self.devices:
            for index in range(len(device.requests)):
                found.append(partial(self.settle, device, index))
            if device.room:
                found.append(partial(self.hear_room, device))
            for call in device.news:
                found.append(partial(hear_news, device, call))
        return found

    def check(self, device: Device) -> None:
        """What holds after every fact, whatever was lost."""
        state: CallState = device.state
        on_hand, status = state.on_hand, state.status
        assert (status is None) is (on_hand is None) is (state.call is None)
        if on_hand is None or status is None or state.call is None:
            return
        call = state.call
        assert (call.status, call.call_id, call.end_reason) == (
            status,
            state.call_id,
            state.end_reason,
        )
        assert (state.end_reason is None) is not status.is_terminal
        assert state.peer in parties(call)
        assert state.peer != device.user
        if status in (S.INITIATING, S.RINGING):
            assert state.duration is None
        if status.is_terminal:
            assert call.duration_seconds == state.duration
            assert not state.session.connection.is_joined
        microphone = state.session.microphone
        if microphone.is_granted or microphone.track is not None:
            assert status is S.ACTIVE
            assert on_hand.is_ours
        known = device.ended.setdefault(call.call_id, status)
        if known.is_terminal:
            assert status is known
        else:
            device.ended[call.call_id] = status

    def calm(self) -> None:
        """Lose nothing more, and let the time pass in which everybody hears of everything."""
        for _ in range(10):
            for device in self.devices:
                device.offer(facts.SignalChanged(False), facts.SignalChanged(True))
            while any(one.requests or one.news or one.room for one in self.devices):
                for device in self.devices:
                    while device.requests:
                        self.settle(device, 0)
                    while device.room:
                        self.hear_room(device)
                    while device.news:
                        device.offer(facts.CallTold(device.news.pop(0)))
            self.up_to_date()
            self.advance(7.0)

    def up_to_date(self) -> None:
        """What holds at once when the socket is back, and nothing is under way."""
        for device in self.devices:
            on_hand = device.state.on_hand
            if on_hand is None or on_hand.is_over or on_hand.is_out:
                continue
            there = self.engine.calls[on_hand.id]
            assert not there.is_forgotten
            assert on_hand.call.status is there.call.status

    def agreed(self) -> None:
        """What holds when everybody has heard of everything."""
        for device in self.devices:
            on_hand = device.state.on_hand
            if on_hand is None:
                continue
            there = self.engine.calls[on_hand.id]
            if not on_hand.is_over:
                assert on_hand.call.status is there.call.status
                assert on_hand.is_joined or on_hand.call.status is not S.ACTIVE
                if on_hand.is_joined:
                    assert there.devices[device.user] == device.name
                    assert device.state.session.connection.is_connected
                continue
            if on_hand.call.end_reason is R.ANSWERED_ELSEWHERE:
                assert there.devices[device.user] != device.name
            else:
                is_own_word = on_hand.id in device.silent or on_hand.call.end_reason is R.LOST
                # Who was not heard when it declined, does not end what another device answers.
                is_elsewhere = there.devices.get(device.user) not in (None, device.name)
                is_over = there.call.status.is_terminal or there.is_forgotten
                assert is_over or (is_own_word and is_elsewhere)
                assert is_own_word or on_hand.call.status is there.call.status
        for user in {device.user for device in self.devices}:
            own = [one.state for one in self.devices if one.user == user]
            active = [one for one in own if one.status is S.ACTIVE]
            assert len(active) <= 1
            live = {one.live_id for one in own if one.live_id is not None}
            assert len(live) <= 1


def hear_news(device: Device, call: UTDCall, how: str) -> None:
    """Let a frame arrive: never, or now, or now and once more."""
    if how != "twice":
        device.news.remove(call)
    if how not in ("request", "answer", "late"):
        device.offer(facts.CallTold(call))
