"""What a call session says to the engine, and what is undone when nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models import checks
from utd_rx.models.call import UTDCall
from utd_rx.models.token import UTDTokenResponse
from utd_rx.ports.engine import CallCalls, EnginePort
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.call import CallState
from utd_rx.protocol.call_lifecycle import CallOnHand, is_caller
from utd_rx.protocol.facts import calls as facts
from utd_rx.sessions.errands import Errands
from utd_rx.sessions.rules_runner import Handlers
from utd_rx.sessions.runner import Runner
from utd_rx.sessions.signals import CallHolder, SignalListener

NO_ROUTE: Final = (404, 405)
"""What an engine answers that cannot make another token for a call."""


class CallEngine(EnginePort, CallCalls, Protocol):
    """The engine, as a user may ask it about calls and their rooms."""


class CallSignals(Protocol):
    """What a session hears of its client's signal socket, and which call is whose."""

    def listen(self, sink: SignalListener) -> Callable[[], None]:
        """Tell `sink` of every call, and whether the socket is up; the result ends it."""

    def told(self, call: UTDCall, by: SignalListener) -> None:
        """Hear how a call stands, and tell all sessions but that which listens as `by`."""

    def claim(self, call_id: str, owner: CallHolder, *, takes_part: bool = False) -> None:
        """Have a call belong to `owner`; `CONFLICT`, already so, where it is another's.

        Who `takes_part` gets it from one that only rings.
        """

    def release(self, call_id: str, owner: CallHolder) -> None:
        """Let go of a call; nothing where it is not `owner`'s."""


class Calling:
    """One session's dealings with the engine about its calls.

    What may have begun a call at the engine, and what ends one, goes on when whoever waits for it
    is cancelled; a call that turns out to be unwanted is ended.
    """

    def __init__(
        self, runner: Runner[CallState], room: RoomPort, engine: CallEngine, signals: CallSignals
    ) -> None:
        self._runner = runner
        self._room = room
        self._engine = engine
        self._signals = signals
        self._errands = Errands()
        self._called_off: asyncio.Event | None = None
        self._claimed: str | None = None
        self._fresh: UTDTokenResponse | None = None
        self._admission: UTDTokenResponse | None = None
        self._unlisten = signals.listen(runner.offer)
        live = runner.machine.select(lambda state: state.live_id, name="live call")
        live.subscribe(lambda _: self.unclaim())

    @property
    def handlers(self) -> Handlers:
        return {facts.FetchCall: self._fetch}

    # --- beginning ------------------------------------------------------------------------------

    @contextmanager
    def coming(self, call_id: str | None) -> Iterator[None]:
        """Let one `start` or `accept` be under way at a time, and none in another call."""
        if self._called_off is not None:
            raise conflict(ConflictReason.ALREADY, "a call is being started or accepted already")
        on_hand = self._runner.state.on_hand
        if on_hand is None or not on_hand.is_out:
            self.require_free(call_id)
        self._called_off = asyncio.Event()
        try:
            if call_id is None:
                # What is dialled has no id yet, and is to be hung up when the client closes.
                self.claim(f"dialled by {id(self)}")
            yield
        finally:
            self._called_off = None
            self.unclaim()

    async def settled(self, call_id: str | None) -> None:
        """Wait until the engine has heard what it is being told: the last call may be ending."""
        await self._errands.settled()
        self.require_free(call_id)

    def require_free(self, call_id: str | None) -> None:
        """Raise `CONFLICT` in a call other than `call_id`, or in that by this device already."""
        on_hand = self._runner.state.on_hand
        if on_hand is None or on_hand.is_over:
            return
        if on_hand.id != call_id or on_hand.is_joined or on_hand.is_out:
            raise conflict(ConflictReason.ALREADY, "in a call already: end it first")

    def taking_part(self, call_id: str) -> UTDCall | None:
        """Return the call of that id when this device answered it and is in it."""
        on_hand = self._runner.state.on_hand
        if on_hand is None or on_hand.id != call_id or self._called_off is not None:
            return None
        is_answered = on_hand.is_ours and not is_caller(on_hand.call, self._runner.session.identity)
        return on_hand.call if is_answered else None

    async def asked(self, ask: Callable[[], Awaitable[UTDCall]]) -> UTDCall:
        """Return the call that the engine answers with; one that is called off is ended."""
        called_off = self._called_off
        assert called_off is not None

        async def answered() -> UTDCall:
            call = await ask()
            if called_off.is_set():
                if self._may_end(call.call_id):
                    await self._end(call.call_id)
                raise conflict(ConflictReason.LEFT, "hung up before the engine answered")
            return call

        answer = self._errands.begin(answered(), "call")
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            called_off.set()
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                call_id = answer.result().call_id
                if self._may_end(call_id):
                    self.hanging_up(call_id)
            raise

    def take_part(self, call: UTDCall) -> None:
        """Have `call` on hand, with what its room is joined with."""
        self._admission = self._fresh = _admission_of(call)
        self._signals.told(call, self._runner.offer)
        self._runner.offer(facts.CallJoined(call))

    async def credentials(self) -> UTDTokenResponse:
        """Return those of `start` or `accept`, once; then fresh ones, where the engine has any."""
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            return fresh
        try:
            call = await self._engine.rejoin_call(self._runner.room_name)
        except UTDStreamException as error:
            if error.status_code in NO_ROUTE and self._admission is not None:
                return self._admission
            raise
        self._admission = _admission_of(call)
        return self._admission

    # --- answering ------------------------------------------------------------------------------

    async def answer(self, call_id: str, ask: Callable[[str], Awaitable[UTDCall]]) -> None:
        """Tell the engine something about an incoming call; its reply says how that stands."""
        checks.identity(call_id, "id")
        self.claim(call_id)
        try:
            call = await ask(call_id)
            self._signals.told(call, self._runner.offer)
            self._runner.offer(facts.CallAdopted(call))
        except UTDStreamException:
            self._runner.offer(facts.CallDisputed(call_id))
            raise
        finally:
            self.unclaim()

    def claim(self, call_id: str, *, takes_part: bool = False) -> None:
        """Have a call to this session alone, or raise `CONFLICT`; see `CallSignals.claim`."""
        self._signals.claim(call_id, self, takes_part=takes_part)
        if self._claimed not in (None, call_id):
            self._signals.release(self._claimed or "", self)
        self._claimed = call_id

    def unclaim(self) -> None:
        """Let go of a call that is not on hand, unless it is about to be."""
        claimed = self._claimed
        is_held = self._called_off is not None or claimed == self._runner.state.live_id
        if claimed is not None and (self._runner.machine.closed or not is_held):
            self._claimed = None
            self._signals.release(claimed, self)

    def lets_go(self, call_id: str) -> bool:
        """Return whether another session may take part in a call that this one holds."""
        on_hand = self._runner.state.on_hand
        is_in = on_hand is not None and on_hand.id == call_id and on_hand.is_joined
        return self._called_off is None and not is_in

    # --- ending ---------------------------------------------------------------------------------

    @property
    def going(self) -> CallOnHand | None:
        """The call on hand, unless it is over or hung up."""
        on_hand = self._runner.state.on_hand
        return None if on_hand is None or on_hand.is_over or on_hand.is_out else on_hand

    async def end(self) -> None:
        """Hang up what goes on, call off what is being begun; see `UTDCallSession.end`."""
        if self._called_off is not None:
            self._called_off.set()
        if self.going is not None:
            await asyncio.shield(self.hanging_up(self.going.id))
        else:
            await self._errands.settled()

    async def give_up(self, call_id: str) -> None:
        """Hang up a call that this session cannot take part in."""
        on_hand = self._runner.state.on_hand
        is_done = on_hand is not None and on_hand.id == call_id and self.going is None
        with suppress(UTDStreamException):
            await (self._errands.settled() if is_done else asyncio.shield(self.hanging_up(call_id)))

    def hanging_up(self, call_id: str) -> asyncio.Task[None]:
        """Begin to leave a call, and to tell the engine; that goes on whoever is cancelled."""
        on_hand = self._runner.state.on_hand
        is_in = on_hand is None or on_hand.id != call_id or on_hand.is_joined
        # What only rings here may have been answered on another device, and goes on there.
        tell = self._end if is_in or self._called_off is not None else self._decline
        self._runner.offer(facts.CallEnded(call_id))

        async def hang_up() -> None:
            leaving = self._errands.begin(self._room.disconnect(), "leaving")
            try:
                await tell(call_id)
            finally:
                await asyncio.shield(leaving)

        return self._errands.begin(hang_up(), "hang-up")

    async def hang_up(self, timeout: float) -> None:
        """Leave a call that this device is in, and wait for the engine to have heard of it."""
        self._begin_to_hang_up()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._errands.settled(), timeout)

    async def aclose(self, timeout: float) -> None:
        """Hang up, wait for the engine to have heard of it, and hear nothing more. Idempotent."""
        self._begin_to_hang_up()
        try:
            await self._errands.aclose(timeout)
        finally:
            on_hand = self._runner.state.on_hand
            if on_hand is not None and on_hand.is_out:
                silence = UTDStreamException("not told in time", code=UTDErrorCode.TIMEOUT)
                self._runner.offer(facts.CallNotTold(on_hand.id, silence, is_last=True))
            self._unlisten()

    # --- inside ---------------------------------------------------------------------------------

    def _begin_to_hang_up(self) -> None:
        if self._called_off is not None:
            self._called_off.set()
        if self.going is not None and self.going.is_joined:
            self.hanging_up(self.going.id)

    def _may_end(self, call_id: str) -> bool:
        """Return whether no other session takes part in what is nobody's wish here any more."""
        try:
            self.claim(call_id, takes_part=True)
        except UTDStreamException:
            return False
        self.unclaim()
        return True

    async def _end(self, call_id: str) -> None:
        """Tell the engine that a call is over; that it is, or knows no such call, is fine."""
        await self._undo(call_id, self._engine.end_call)

    async def _decline(self, call_id: str) -> None:
        """Tell the engine that a call is not to ring any more; see `_end`."""

        async def decline(call_id: str) -> UTDCall:
            try:
                return await self._engine.reject_call(call_id)
            except UTDStreamException as error:
                if error.code is not UTDErrorCode.CONFLICT:
                    raise
                return await self._engine.get_call(call_id)

        await self._undo(call_id, decline)

    async def _undo(self, call_id: str, ask: Callable[[str], Awaitable[UTDCall]]) -> None:
        try:
            call = await ask(call_id)
            self._tell(call)
            if call.call_id != call_id or not call.status.is_terminal:
                odd = UTDStreamException("not said to be over", code=UTDErrorCode.UNKNOWN)
                self._runner.offer(facts.CallNotTold(call_id, odd, is_last=True))
        except UTDStreamException as error:
            self._runner.offer(facts.CallNotTold(call_id, error, is_last=True))
            is_refused = error.code is UTDErrorCode.CONFLICT and error.status_code is not None
            if error.code is not UTDErrorCode.NOT_FOUND and not is_refused:
                raise

    async def _fetch(self, effect: facts.FetchCall) -> None:
        try:
            self._tell(await self._engine.get_call(effect.call_id))
        except UTDStreamException as error:
            self._runner.offer(facts.CallNotTold(effect.call_id, error))

    def _tell(self, call: UTDCall) -> None:
        self._signals.told(call, self._runner.offer)
        self._runner.offer(facts.CallTold(call))


def _admission_of(call: UTDCall) -> UTDTokenResponse:
    if call.token is None or call.url is None:
        raise UTDStreamException(
            "the engine's reply lacks what the call's room is joined with",
            code=UTDErrorCode.MALFORMED_RESPONSE,
        )
    return UTDTokenResponse(call.token, call.url, call.room_name or call.call_id, user_token="")
