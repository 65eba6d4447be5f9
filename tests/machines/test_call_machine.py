"""Whatever a network does to calls, nobody is heard outside one, and in the end all agree."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.machines.call_world import Device, World
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import Disconnected
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.facts import calls as facts
from utd_rx.protocol.facts.media import PublishingWanted

indices = st.integers(0, 3)
any_ = st.integers(0, 999)


class CallMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def device(self, index: int) -> Device:
        return self.world.devices[index]

    @rule(index=indices, callee=st.sampled_from(["ana", "ben", "cem"]))
    def start(self, index: int, callee: str) -> None:
        if self.device(index).user != callee:
            self.device(index).start(callee)

    @precondition(lambda self: self.world.engine.calls)
    @rule(index=indices, which=any_, verb=st.sampled_from(["accept", "ringing", "reject"]))
    def answer(self, index: int, which: int, verb: str) -> None:
        device, calls = self.device(index), self.world.engine.calls
        mine = [one for one, there in calls.items() if there.call.callee_identity == device.user]
        if not mine:
            return
        call_id = mine[-1 - which % min(2, len(mine))]
        if verb == "accept":
            device.accept(call_id)
        else:
            device.answer(verb, call_id)

    @rule(index=indices)
    def end(self, index: int) -> None:
        self.device(index).end()

    @rule(index=indices, which=any_, lost=st.sampled_from(["", "", "", "request", "answer"]))
    def settle(self, index: int, which: int, lost: str) -> None:
        device = self.device(index)
        if device.requests:
            self.world.settle(device, which % len(device.requests), lost=lost)

    @rule(index=indices)
    def hear_room(self, index: int) -> None:
        if self.device(index).room:
            self.world.hear_room(self.device(index))

    @rule(index=indices, which=any_, how=st.sampled_from(["once", "once", "twice", "never"]))
    def hear_news(self, index: int, which: int, how: str) -> None:
        """In any order, perhaps again later, perhaps not at all."""
        device = self.device(index)
        if device.news:
            place = which % len(device.news)
            call = device.news[place] if how == "twice" else device.news.pop(place)
            if how != "never":
                device.offer(facts.CallTold(call))

    @rule(index=indices, is_up=st.booleans())
    def turn_the_socket(self, index: int, is_up: bool) -> None:
        if not is_up:
            self.device(index).news.clear()
        self.device(index).offer(facts.SignalChanged(is_up))

    @rule(index=indices)
    def lose_the_room(self, index: int) -> None:
        device = self.device(index)
        if device.in_room is not None and device.state.session.connection.is_joined:
            device.leave()
            device.offer(Disconnected(DisconnectReason.PARTICIPANT_REMOVED))

    @rule(index=indices, enabled=st.booleans())
    def switch(self, index: int, enabled: bool) -> None:
        device = self.device(index)
        if device.state.session.microphone.is_granted or not enabled:
            device.offer(PublishingWanted(TrackSource.MICROPHONE, enabled))

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 10.0, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule()
    def calm(self) -> None:
        self.world.calm()
        self.world.agreed()

    def teardown(self) -> None:
        self.world.calm()
        self.world.agreed()


CallMachine.TestCase.settings = settings(stateful_step_count=40)
TestCalls = CallMachine.TestCase
