"""Whatever a network does to calls, nobody is heard outside one, and in the end all agree."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.machines.call_world import Device, World, hear_news
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import Disconnected
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.facts import calls as facts
from utd_rx.protocol.facts.media import PublishingWanted

any_ = st.integers(0, 999)
hows = st.sampled_from(["", "", "", "", "", "twice", "request", "answer", "late", "late"])
"""How the network does something: well, twice, not at all, so that only one side knows, or late."""


class CallMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(rings=st.booleans())
    def begin(self, rings: bool) -> None:
        """Perhaps ana is calling, and it rings on both of ben's devices."""
        if rings:
            ana, ben, tablet, _ = self.world.devices
            ana.start("ben")
            self.good_weather()
            for device in (ben, tablet):
                device.answer("ringing", "call_0")
            self.good_weather()

    def one(self, which: int, *, live: bool = False) -> Device:
        found = [one for one in self.world.devices if not live or one.state.live_id is not None]
        return found[which % len(found)]

    def ringing(self) -> list[tuple[Device, str]]:
        """Who may answer which call: the newest two, over or not."""
        calls = list(self.world.engine.calls.values())[-2:]
        return [
            (device, there.call.call_id)
            for there in calls
            for device in self.world.devices
            if device.user == there.call.callee_identity
        ]

    @rule(which=any_, callee=st.sampled_from(["ben", "ben", "ben", "ana", "cem"]))
    def start(self, which: int, callee: str) -> None:
        device = self.one(which)
        if device.user != callee:
            device.start(callee)

    @precondition(lambda self: self.ringing())
    @rule(which=any_, verb=st.sampled_from(["accept", "accept", "ringing", "ringing", "reject"]))
    def answer(self, which: int, verb: str) -> None:
        found = self.ringing()
        device, call_id = found[which % len(found)]
        if verb == "accept":
            device.accept(call_id)
        else:
            device.answer(verb, call_id)

    @precondition(lambda self: self.ringing())
    @rule(tablet_first=st.booleans(), whichs=st.lists(st.tuples(any_, hows), max_size=4))
    def answer_on_all(self, tablet_first: bool, whichs: list[tuple[int, str]]) -> None:
        """Every device of the callee answers at once: one is first, and the others hear of it."""
        newest = self.ringing()[-1][1]
        devices = [device for device, call_id in self.ringing() if call_id == newest]
        for device in reversed(devices) if tablet_first else devices:
            device.accept(newest)
        self.network(whichs)

    @precondition(lambda self: self.ringing())
    @rule(which=any_)
    def answer_late(self, which: int) -> None:
        """The engine has the answer, and the device asks how the call stands before it hears."""
        found = self.ringing()
        device, call_id = found[which % len(found)]
        if device.requests or device.state.live_id != call_id:
            return
        device.accept(call_id)
        if device.requests:
            self.world.settle(device, 0, "late")
            device.offer(facts.SignalChanged(True))
            for index in reversed(range(1, len(device.requests))):
                self.world.settle(device, index)

    @precondition(lambda self: self.ringing())
    @rule()
    def answer_too_late(self) -> None:
        """While a device answers it hears that the other one has, and then is refused."""
        newest = self.ringing()[-1][1]
        devices = [device for device, call_id in self.ringing() if call_id == newest]
        if len(devices) < 2 or any(one.requests or one.state.live_id != newest for one in devices):
            return
        first, second = devices
        first.accept(newest)
        second.accept(newest)
        if not first.requests or not second.requests:
            return
        self.world.settle(first, 0)
        for call in list(second.news):
            hear_news(second, call, "")
        while second.requests:
            self.world.settle(second, 0)
        if self.world.engine.calls[newest].devices.get(first.user) == first.name:
            assert second.state.live_id != newest

    @precondition(lambda self: any(one.state.live_id for one in self.world.devices))
    @rule()
    def restart(self) -> None:
        """The engine dies, and knows no call when it is back."""
        self.world.engine.restart()

    @precondition(lambda self: any(one.state.live_id for one in self.world.devices))
    @rule(which=any_)
    def end(self, which: int) -> None:
        self.one(which, live=True).end()

    @precondition(lambda self: self.world.pending())
    @rule(whichs=st.lists(st.tuples(any_, hows), min_size=1, max_size=8))
    def arrive(self, whichs: list[tuple[int, str]]) -> None:
        self.network(whichs)

    def network(self, whichs: list[tuple[int, str]]) -> None:
        """Something that is under way arrives, in any order."""
        for which, how in whichs:
            if pending := self.world.pending():
                pending[which % len(pending)](how)

    @precondition(lambda self: self.world.pending())
    @rule()
    def good_weather(self) -> None:
        """Everything that is under way now arrives, in order."""
        for _ in self.world.pending():
            if pending := self.world.pending():
                pending[0]("")

    @rule(which=any_, what=st.sampled_from(["down", "up", "lost", "off", "on"]))
    def trouble(self, which: int, what: str) -> None:
        """The socket or the room goes, or the app switches its microphone."""
        device = self.one(which)
        session = device.state.session
        match what:
            case "down":
                device.news.clear()
                device.offer(facts.SignalChanged(False))
            case "up":
                device.offer(facts.SignalChanged(True))
            case "lost" if device.in_room is not None and session.connection.is_joined:
                device.leave()
                device.offer(Disconnected(DisconnectReason.PARTICIPANT_REMOVED))
            case "on" if session.microphone.is_granted:
                device.offer(PublishingWanted(TrackSource.MICROPHONE, True))
            case "off":
                device.offer(PublishingWanted(TrackSource.MICROPHONE, False))

    @precondition(lambda self: self.in_rooms())
    @rule(which=any_)
    def silence(self, which: int) -> None:
        """The room goes, and for a minute the engine says nothing either."""
        found = self.in_rooms()
        device = found[which % len(found)]
        call_id = device.state.live_id
        device.news.clear()
        device.leave()
        device.offer(Disconnected(DisconnectReason.PARTICIPANT_REMOVED))
        self.world.advance(60.0)
        assert device.state.live_id is None
        assert device.state.call_id == call_id

    def in_rooms(self) -> list[Device]:
        return [
            device
            for device in self.world.devices
            if device.in_room is not None
            and device.state.session.connection.is_joined
            and device.state.live_id is not None
        ]

    @rule(seconds=st.sampled_from([0.5, 0.5, 3.0, 3.0, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    def teardown(self) -> None:
        self.world.calm()
        self.world.agreed()


CallMachine.TestCase.settings = settings(stateful_step_count=40)
TestCalls = CallMachine.TestCase
