"""`Signals`: one socket is kept up, everybody hears each call once, nothing outlives the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.call import IncomingCall, UTDCall, UTDCallStatus
from utd_rx.protocol import signalling
from utd_rx.protocol.facts.calls import CallTold, SignalChanged
from utd_rx.protocol.facts.signalling import FrameHeard
from utd_rx.protocol.signalling import Phase, SignalState
from utd_rx.protocol.wire.calls import without_credentials
from utd_rx.sessions.signals import SignalAccess, Signals
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import refusal
from utd_rx.testing.contracts.signal import a_call
from utd_rx.testing.signal import FakeSignal

URL = "ws://127.0.0.1:1/api/v1/signal"
S = UTDCallStatus
NETWORK = UTDStreamException("gone", code=UTDErrorCode.NETWORK)


class Desk:
    """Signals, the engine at their other end, and a clock."""

    def __init__(self) -> None:
        self.socket = FakeSignal()
        self.clock = FakeClock()
        self.signals = Signals(self.socket, clock=self.clock)
        self.calls: dict[str, UTDCall] = {}
        self.asked: list[str] = []
        self.refused: list[str | None] = []
        self.mint_error: Exception | None = None
        self.defect: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def token(self, refused: str | None) -> str:
        self.refused.append(refused)
        await self.gate.wait()
        if self.mint_error is not None:
            raise self.mint_error
        return f"bearer{len(self.refused)}"

    async def get_call(self, call_id: str) -> UTDCall:
        self.asked.append(call_id)
        if self.defect is not None:
            raise self.defect
        if call_id not in self.calls:
            raise UTDStreamException("no call", code=UTDErrorCode.NOT_FOUND, status_code=404)
        return self.calls[call_id]

    def access(self, identity: str = "mona", url: str | None = URL) -> SignalAccess:
        return SignalAccess(identity, url, self.token, self.get_call)

    async def sign_in(self, identity: str = "mona", url: str | None = URL) -> None:
        self.signals.sign_in(self.access(identity, url))
        await settle()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()

    @property
    def ringing(self) -> list[str]:
        return [call.call_id for call in self.signals.ringing.value]


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.signals.aclose()
    assert (desk.socket.live, desk.clock.next_at) == (0, None)


async def test_nothing_happens_before_somebody_signs_in(desk: Desk) -> None:
    await desk.pass_time(100.0)
    assert (desk.socket.dialled, desk.signals.connected.value) == ([], False)
    assert (desk.signals.ringing.value, desk.signals.failure.value) == ((), None)


async def test_signing_in_brings_the_socket_up_and_closing_ends_it(desk: Desk) -> None:
    seen: list[object] = []
    desk.signals.connected.subscribe(seen.append, on_completed=lambda: seen.append("end"))
    await desk.sign_in()
    assert desk.socket.dialled == ["bearer1"]
    for _ in range(2):
        await desk.signals.aclose()
    assert seen == [False, True, False, "end"]
    assert desk.socket.live == 0


async def test_without_a_url_there_is_no_socket_and_no_failure(desk: Desk) -> None:
    await desk.sign_in(url=None)
    assert (desk.socket.dialled, desk.signals.failure.value) == ([], None)


async def test_a_call_is_told_once_to_each_and_late_comers_hear_what_still_rings(
    desk: Desk,
) -> None:
    early: list[IncomingCall] = []
    desk.signals.incoming.subscribe(early.append)
    await desk.sign_in()
    for number in (1, 2, 1):
        desk.socket.tell(("incoming", a_call(number)))
    desk.socket.tell(("ended", a_call(1, S.ENDED)), ("incoming", a_call(1)))
    late: list[IncomingCall] = []
    desk.signals.incoming.subscribe(late.append)
    desk.socket.tell(("incoming", a_call(3)))
    assert [call.call_id for call in early] == [a_call(n).call_id for n in (1, 2, 3)]
    assert [call.call_id for call in late] == [a_call(n).call_id for n in (2, 3)]
    assert (early[0].caller_identity, early[0].type) == ("sara", a_call().type)


async def test_who_stops_listening_hears_nothing_more(desk: Desk) -> None:
    heard: list[IncomingCall] = []
    subscription = desk.signals.incoming.subscribe(heard.append)
    subscription.dispose()
    await desk.sign_in()
    desk.socket.tell(("incoming", a_call()))
    assert heard == []


async def test_what_a_session_says_ends_the_ringing(desk: Desk) -> None:
    await desk.sign_in()
    desk.socket.tell(("incoming", a_call()))
    desk.signals.told(a_call(1, S.ACTIVE))
    assert desk.ringing == []


async def test_sessions_hear_of_the_socket_and_of_every_call_in_order(desk: Desk) -> None:
    heard: list[object] = []
    stop = desk.signals.listen(heard.append)
    await desk.sign_in()
    desk.socket.tell(("ringing", a_call(1, S.RINGING)), ("accepted", a_call(1, S.ACTIVE)))
    desk.socket.end()
    await settle()
    told = [CallTold(without_credentials(a_call(1, one))) for one in (S.RINGING, S.ACTIVE)]
    assert heard == [SignalChanged(False), SignalChanged(True), *told, SignalChanged(False)]
    stop()
    stop()
    await desk.pass_time(30.0)
    assert len(heard) == 5
    later: list[object] = []
    desk.signals.listen(later.append)
    assert later == [SignalChanged(True)]


@frozen(eq=False)
class Session:
    """One that may have a call."""

    only_rings: bool = False

    def lets_go(self, call_id: str) -> bool:
        return self.only_rings

    async def hang_up(self, timeout: float) -> None:
        raise AssertionError("nobody hangs up here")


async def test_a_call_belongs_to_one_session(desk: Desk) -> None:
    one, other = Session(), Session()
    desk.signals.claim("call_1", one)
    desk.signals.claim("call_1", one)
    for takes_part in (False, True):
        with pytest.raises(UTDStreamException) as caught:
            desk.signals.claim("call_1", other, takes_part=takes_part)
        assert caught.value.reason is ConflictReason.ALREADY
    desk.signals.release("call_1", other)
    desk.signals.claim("call_1", one)
    desk.signals.release("call_1", one)
    desk.signals.release("call_1", one)
    desk.signals.claim("call_1", other)


async def test_one_that_only_rings_lets_go_of_it_for_one_that_takes_part(desk: Desk) -> None:
    rings, other = Session(only_rings=True), Session()
    desk.signals.claim("call_1", rings)
    with pytest.raises(UTDStreamException):
        desk.signals.claim("call_1", other)
    desk.signals.claim("call_1", other, takes_part=True)
    desk.signals.release("call_1", rings)
    with pytest.raises(UTDStreamException):
        desk.signals.claim("call_1", rings, takes_part=True)


async def test_what_a_session_says_the_others_hear(desk: Desk) -> None:
    heard: dict[str, list[object]] = {"one": [], "other": []}
    one = heard["one"].append
    desk.signals.listen(one)
    desk.signals.listen(heard["other"].append)
    desk.signals.told(a_call(1, S.ACTIVE), by=one)
    assert heard["one"] == [SignalChanged(False)]
    assert heard["other"][1:] == [CallTold(without_credentials(a_call(1, S.ACTIVE)))]


# --- a socket that dies -------------------------------------------------------------------------


async def test_a_mint_that_fails_is_tried_again(desk: Desk) -> None:
    desk.mint_error = NETWORK
    await desk.sign_in()
    assert (desk.socket.dialled, desk.signals.state.phase) == ([], Phase.WAITING)
    desk.mint_error = None
    await desk.pass_time(30.0)
    assert desk.signals.connected.value


@pytest.mark.parametrize("what", ["bearer", "socket"])
async def test_a_defect_in_the_port_is_no_end_of_trying(desk: Desk, what: str) -> None:
    if what == "bearer":
        desk.mint_error = RuntimeError("defect")
    else:
        desk.signals = Signals(Defective(), clock=desk.clock)
    await desk.sign_in()
    assert desk.signals.state.phase is Phase.WAITING
    await desk.pass_time(0.5)
    assert desk.signals.state.attempt == 2


async def test_a_frame_that_cannot_be_folded_takes_no_other_of_its_turn_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def step(state: SignalState, item: object, now: float) -> tuple[SignalState, Sequence[object]]:
        if isinstance(item, FrameHeard) and item.call.call_id == a_call(2).call_id:
            raise OverflowError
        return whole(state, item, now)

    whole = signalling.step
    monkeypatch.setattr(signalling, "step", step)
    desk = Desk()
    await desk.sign_in()
    desk.socket.tell(*(("incoming", a_call(number)) for number in (1, 2, 3)))
    assert desk.ringing == [a_call(1).call_id, a_call(3).call_id]
    assert "the step of a FrameHeard, now dropped, raised: OverflowError" in caplog.text
    await desk.signals.aclose()


class Defective:
    """A port that says nothing of its end."""

    async def run(self, *_: object) -> None:
        return


@pytest.mark.parametrize("when", ["opening", "up", "up for long"])
async def test_a_socket_that_breaks_is_opened_again(desk: Desk, when: str) -> None:
    desk.socket.is_silent = when == "opening"
    await desk.sign_in()
    if when == "up for long":
        await desk.pass_time(100.0)
    desk.socket.is_silent = False
    desk.socket.end()
    await settle()
    assert (desk.signals.connected.value, desk.socket.live) == (False, 0)
    await desk.pass_time(1.0)
    assert desk.signals.connected.value
    assert desk.socket.most == 1


async def test_an_engine_that_is_away_is_dialled_until_it_is_back(desk: Desk) -> None:
    desk.socket.error = NETWORK
    await desk.sign_in()
    for _ in range(10):
        await desk.pass_time(30.0)
    assert 5 < len(desk.socket.dialled) <= 40
    desk.socket.error = None
    await desk.pass_time(30.0)
    assert desk.signals.connected.value


async def test_a_refused_bearer_is_replaced_once_and_then_it_is_over(desk: Desk) -> None:
    desk.socket.refuses = {"bearer1"}
    await desk.sign_in()
    assert (desk.refused, desk.signals.connected.value) == ([None, "bearer1"], True)
    desk.socket.end(4001)
    await settle()
    assert desk.signals.state.phase is Phase.STOPPED
    await desk.pass_time(10_000.0)
    assert len(desk.socket.dialled) == 2
    failure = desk.signals.failure.value
    assert failure is not None
    assert failure.code is UTDErrorCode.UNAUTHORIZED


@pytest.mark.parametrize("code", [4003, 4008])
async def test_what_cannot_be_changed_is_not_tried_again_until_the_next_sign_in(
    desk: Desk, code: int
) -> None:
    await desk.sign_in()
    desk.socket.end(code)
    await settle()
    await desk.pass_time(10_000.0)
    assert (len(desk.socket.dialled), desk.signals.connected.value) == (1, False)
    assert desk.signals.failure.value is not None
    await desk.sign_in()
    assert desk.signals.connected.value
    assert desk.signals.state.failure is None


async def test_a_url_that_no_bearer_goes_to_is_a_failure(desk: Desk) -> None:
    await desk.sign_in(url="ws://signal.example.com/api/v1/signal")
    failure = desk.signals.failure.value
    assert failure is not None
    assert (failure.code, desk.socket.dialled) == (UTDErrorCode.VALIDATION, [])


# --- signing in again ---------------------------------------------------------------------------


async def test_as_somebody_else_everything_is_replaced(desk: Desk) -> None:
    heard: list[object] = []
    desk.signals.listen(heard.append)
    await desk.sign_in()
    desk.socket.tell(("incoming", a_call()))
    await desk.sign_in("omar")
    assert (desk.ringing, desk.socket.live, desk.socket.most) == ([], 1, 1)
    told = [fact for fact in heard if isinstance(fact, SignalChanged)]
    assert [fact.is_up for fact in told] == [False, True, False]
    desk.socket.tell(("incoming", a_call()))  # another one's
    assert desk.ringing == []


async def test_signing_in_twice_at_once_leaves_one_socket(desk: Desk) -> None:
    desk.gate.clear()
    for _ in range(3):
        desk.signals.sign_in(desk.access())
    desk.gate.set()
    await settle()
    assert (desk.socket.live, desk.socket.most, desk.signals.connected.value) == (1, 1, True)


# --- asking -------------------------------------------------------------------------------------


async def test_after_a_reconnect_each_call_is_asked_for_that_is_not_repeated(desk: Desk) -> None:
    await desk.sign_in()
    for number in (1, 2, 3):
        desk.socket.tell(("incoming", a_call(number)))
    desk.calls = {a_call(2).call_id: a_call(2), a_call(3).call_id: a_call(3, S.MISSED)}
    desk.socket.ringing = (a_call(2),)
    desk.socket.end()
    await settle()
    await desk.pass_time(0.5)
    assert (desk.signals.connected.value, desk.asked) == (True, [])
    await desk.pass_time(1.0)
    assert desk.asked == [a_call(1).call_id, a_call(3).call_id]
    assert desk.ringing == [a_call(2).call_id]


async def test_a_defect_in_asking_does_not_ring_for_ever(desk: Desk) -> None:
    await desk.sign_in()
    desk.socket.tell(("incoming", a_call()))
    desk.defect = RuntimeError("defect")
    await desk.pass_time(30.0)
    assert desk.ringing == [a_call().call_id]
    desk.defect = None
    await desk.pass_time(3.0)
    assert desk.ringing == []


# --- ending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["minting", "opening", "up", "waiting", "asking", "stopped"])
async def test_closing_ends_whatever_is_under_way(desk: Desk, when: str) -> None:
    never = asyncio.Event()

    async def hang(_: str) -> UTDCall:
        await never.wait()
        raise AssertionError

    if when == "minting":
        desk.gate.clear()
    desk.socket.is_silent = when == "opening"
    desk.signals.sign_in(SignalAccess("mona", URL, desk.token, hang))
    await settle()
    if when == "waiting":
        desk.socket.end()
    elif when == "stopped":
        desk.socket.end(4008)
    elif when == "asking":
        desk.socket.tell(("incoming", a_call()))
        await desk.pass_time(30.0)
    await settle()
    await asyncio.gather(desk.signals.aclose(), desk.signals.aclose())
    assert (desk.socket.live, desk.clock.next_at) == (0, None)
    assert not desk.signals.connected.value
    assert (desk.signals.failure.value is not None) is (when == "stopped")
    with pytest.raises(UTDStreamException) as caught:
        desk.signals.sign_in(desk.access())
    assert caught.value.reason is ConflictReason.CLOSED
    dialled = len(desk.socket.dialled)
    await desk.pass_time(1_000.0)
    assert len(desk.socket.dialled) == dialled


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("ends", [None, 4001, 4008])
async def test_closing_at_any_turn_of_the_loop_leaves_nothing(
    desk: Desk, turns: int, ends: int | None
) -> None:
    desk.signals.sign_in(desk.access())
    for _ in range(turns // 2):
        await asyncio.sleep(0)
    desk.socket.end(ends)
    for _ in range(turns - turns // 2):
        await asyncio.sleep(0)
    await desk.signals.aclose()
    assert (desk.socket.live, desk.socket.most <= 1, desk.clock.next_at) == (0, True, None)
    assert not desk.signals.connected.value


async def test_closing_that_is_cancelled_closes_all_the_same(desk: Desk) -> None:
    await desk.sign_in()
    closing = asyncio.create_task(desk.signals.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    await settle()
    assert desk.socket.live == 0


async def test_another_loop_is_refused(desk: Desk) -> None:
    await desk.sign_in()
    errors: list[UTDStreamException] = []

    async def elsewhere() -> None:
        errors.append(await refusal(desk.signals.aclose()))
        with pytest.raises(UTDStreamException) as caught:
            desk.signals.sign_in(desk.access())
        errors.append(caught.value)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [error.reason for error in errors] == [ConflictReason.FOREIGN_LOOP] * 2
    assert desk.signals.connected.value
