"""A signal socket in bad weather: frames are lost, doubled, late and out of order, sockets break,
answers are old. Nobody hears a call twice or one that they know is over, and nothing rings on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import IncomingCall, UTDCall, UTDCallStatus
from utd_rx.protocol.facts.calls import CallTold, SignalChanged
from utd_rx.protocol.ringing import RINGS
from utd_rx.protocol.signalling import Phase
from utd_rx.sessions.signals import SignalAccess, Signals
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts.signal import a_call
from utd_rx.testing.signal import FakeSignal

S = UTDCallStatus
FRAMES = {
    S.INITIATING: "incoming",
    S.RINGING: "ringing",
    S.ACTIVE: "accepted",
    S.REJECTED: "rejected",
    S.BUSY: "busy",
    S.ENDED: "ended",
    S.MISSED: "missed",
}
AWAY = UTDStreamException("away", code=UTDErrorCode.NETWORK)
NO_CALL = UTDStreamException("no call", code=UTDErrorCode.NOT_FOUND, status_code=404)
CALLS = st.integers(0, 3)


class Clock(FakeClock):
    """With a jitter that the weather chooses."""

    share = 0.5

    def jitter(self) -> float:
        return self.share


class Observer:
    """Somebody who hears of calls, and what was known to be over as they heard of each."""

    def __init__(self, signals: Signals, over: set[str]) -> None:
        self.heard: list[str] = []
        self.wrong: list[str] = []
        self.over = over
        self.subscription = signals.incoming.subscribe(self.hear)

    def hear(self, call: IncomingCall) -> None:
        self.heard.append(call.call_id)
        if call.call_id in self.over:
            self.wrong.append(call.call_id)


class SignalMachine(RuleBasedStateMachine):
    """One client, one engine, and everything between them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.socket = FakeSignal()
        self.signals = Signals(self.socket, clock=self.clock)
        self.identity = ""
        self.calls: dict[str, UTDCall] = {}
        self.flying: list[tuple[str, UTDCall]] = []
        self.questions: list[tuple[asyncio.Future[UTDCall], UTDCall | None]] = []
        self.over: set[str] = set()
        self.observers: list[Observer] = []
        self.told: list[object] = []
        self.dialled: set[str] = set()
        self.is_away = False
        self.minted = 0
        self.steps = 0
        self.last: dict[str, int] = {}
        self.stopped_after: int | None = None

    # --- the engine -----------------------------------------------------------------------------

    async def token(self, refused: str | None) -> str:
        if self.is_away:
            raise AWAY
        self.minted += 1
        return f"bearer{self.minted}"

    async def get_call(self, call_id: str) -> UTDCall:
        answer = self.loop.create_future()
        self.questions.append((answer, self.calls.get(call_id)))
        call: UTDCall = await answer
        return call

    def rings(self, call: UTDCall) -> bool:
        return call.status in RINGS and call.callee_identity == self.identity

    def is_time(self, what: str, steps: int) -> bool:
        """Whether so many steps were taken since the last of its kind: else nothing comes far."""
        return self.steps - self.last.get(what, 0) >= steps

    def become(self, call: UTDCall) -> None:
        self.calls[call.call_id] = call
        if call.callee_identity == self.identity:
            self.flying.append((FRAMES[call.status], call))
        self.socket.ringing = tuple(one for one in self.calls.values() if self.rings(one))

    def reach(self, call: UTDCall) -> None:
        """The client is about to hear how a call stands."""
        if call.status not in RINGS:
            self.over.add(call.call_id)

    def run(self, act: Callable[[], object] = lambda: None) -> None:
        """Do something on the loop, and let every task run as far as it can."""

        async def settled() -> None:
            done = act()
            if isinstance(done, Awaitable):
                await done
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(settled())

    # --- what happens ---------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.sign_in("mona")

    @precondition(lambda self: self.is_time("sign_in", 15))
    @rule(identity=st.sampled_from(["mona"] * 4 + ["omar"]))
    def sign_in(self, identity: str) -> None:
        self.last["sign_in"] = self.steps
        if identity != self.identity:
            # Another one's calls: nobody remembers those, and sessions are let go.
            self.over = set()
            self.observers = []
            self.flying = []
            self.questions = []
            self.told = []
        self.identity = identity
        self.socket.ringing = tuple(one for one in self.calls.values() if self.rings(one))
        self.stopped_after = None

        access = SignalAccess(identity, "ws://127.0.0.1:1/s", self.token, self.get_call)
        self.run(lambda: self.signals.sign_in(access))
        if not self.told:
            self.signals.listen(self.told.append)

    @precondition(lambda self: len(self.observers) < 2)
    @rule()
    def watch(self) -> None:
        self.observers.append(Observer(self.signals, self.over))

    @rule(number=CALLS)
    def dial(self, number: int) -> None:
        call = evolve(a_call(number), callee_identity=self.identity)
        call = evolve(call, call_id=f"{self.identity}{number}")
        if call.call_id not in self.dialled:  # no id comes twice
            self.dialled.add(call.call_id)
            self.become(call)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        call = self.calls[data.draw(st.sampled_from(sorted(self.calls)))]
        later = {S.INITIATING: [*S][1:], S.RINGING: [*S][2:], S.ACTIVE: [S.ENDED]}
        if call.status in later:
            status = data.draw(st.sampled_from(later[call.status]))
            self.become(evolve(call, status=status))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_session_says(self, data: st.DataObject) -> None:
        call = self.calls[data.draw(st.sampled_from(sorted(self.calls)))]
        if call.callee_identity == self.identity:
            self.reach(call)
            self.signals.told(call)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """Some frames, in any order, and they may all come again."""
        for frame in data.draw(st.lists(st.sampled_from(self.flying), min_size=1, max_size=6)):
            if self.socket.is_open:
                self.reach(frame[1])
                self.socket.tell(frame)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def get_lost(self, data: st.DataObject) -> None:
        self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))

    @precondition(lambda self: self.questions)
    @rule(data=st.data(), fails=st.booleans())
    def answer(self, data: st.DataObject, fails: bool) -> None:
        """With how the call stood when it was asked for, which may be long ago."""
        future, call = self.questions.pop(data.draw(st.integers(0, len(self.questions) - 1)))
        self._answer(future, call, fails=fails or self.is_away)

    def _answer(
        self, future: asyncio.Future[UTDCall], call: UTDCall | None, *, fails: bool = False
    ) -> None:
        if future.done():
            return
        if fails:
            future.set_exception(AWAY)
        elif call is None:
            future.set_exception(NO_CALL)
        else:
            self.reach(call)
            future.set_result(call)
        self.run()

    @precondition(lambda self: self.is_time("break", 4))
    @rule(code=st.sampled_from([None] * 4 + [1001, 1012, 4001, 4008]))
    def break_off(self, code: int | None) -> None:
        self.last["break"] = self.steps
        self.run(lambda: self.socket.end(code))

    @precondition(lambda self: self.is_time("weather", 8))
    @rule(
        weather=st.sampled_from(["fine", "fine", "fine", "away", "silent"]),
        share=st.floats(0.0, 1.0),
    )
    def change_weather(self, weather: str, share: float) -> None:
        self.last["weather"] = self.steps
        self.is_away, self.clock.share = weather == "away", share
        self.socket.is_silent = weather == "silent"
        self.socket.error = AWAY if self.is_away else None

    @precondition(lambda self: self.socket.live and not self.socket.is_open)
    @rule()
    def take_the_bearer(self) -> None:
        self.run(self.socket.accept)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.run(lambda: self.clock.advance(seconds))

    @precondition(lambda self: self.is_time("restart", 25))
    @rule()
    def restart_the_engine(self) -> None:
        """It forgets every call."""
        self.last["restart"] = self.steps
        self.calls = {}
        self.flying = []
        self.socket.ringing = ()
        self.break_off(1012)

    # --- what must be so ------------------------------------------------------------------------

    @invariant()
    def there_is_one_socket_at_most(self) -> None:
        self.steps += 1
        assert self.socket.most <= 1
        assert self.signals.connected.value is self.socket.is_open

    @invariant()
    def what_was_final_stays_so(self) -> None:
        if self.signals.state.phase is Phase.STOPPED:
            if self.stopped_after is None:
                self.stopped_after = len(self.socket.dialled)
            assert len(self.socket.dialled) == self.stopped_after
            assert self.signals.failure.value is not None
        else:
            assert self.stopped_after is None

    @invariant()
    def nobody_hears_a_call_twice_or_one_that_is_over(self) -> None:
        ringing = [call.call_id for call in self.signals.ringing.value]
        assert not self.over.intersection(ringing)
        for observer in self.observers:
            assert len(set(observer.heard)) == len(observer.heard)
            assert observer.wrong == []
            assert set(ringing) <= set(observer.heard)

    @invariant()
    def sessions_know_of_the_socket(self) -> None:
        changes = [fact.is_up for fact in self.told if isinstance(fact, SignalChanged)]
        if changes:
            assert changes[-1] is self.signals.connected.value
            assert all(before is not after for before, after in pairwise(changes))
        assert all(isinstance(fact, SignalChanged | CallTold) for fact in self.told)

    @precondition(lambda self: self.is_time("calm", 25))
    @rule()
    def calm_down(self) -> None:
        """The engine is there again: in a minute everything is as it says."""
        self.last["calm"] = self.steps
        self.change_weather(weather="fine", share=0.5)
        if not self.socket.is_open:
            self.socket.end()  # who waited for an answer gets none
        self.flying = []
        self.run()
        for _ in range(25):
            while self.questions:
                future, call = self.questions.pop()
                self._answer(future, call and self.calls.get(call.call_id))
            self.run(lambda: self.clock.advance(3.0))
        ringing = {call.call_id for call in self.signals.ringing.value}
        assert ringing <= {one.call_id for one in self.calls.values() if self.rings(one)}
        assert self.signals.connected.value is (self.signals.state.phase is not Phase.STOPPED)
        if self.signals.connected.value:
            self.break_off(None)
            self.pass_time(1.0)
            ringing = {call.call_id for call in self.signals.ringing.value}
            rings = {one.call_id for one in self.calls.values() if self.rings(one)}
            assert ringing == rings - self.over
            assert not rings & self.over

    def teardown(self) -> None:
        self.calm_down()
        self.run(self.signals.aclose)
        assert (self.socket.live, self.clock.next_at) == (0, None)
        assert asyncio.all_tasks(self.loop) == set()
        self.loop.close()


TestSignals = SignalMachine.TestCase
