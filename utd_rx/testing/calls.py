"""`FakeCallEngine`: the engine port of a call session, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Final

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.app_json import frozen_json
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom

S, R = UTDCallStatus, UTDCallEndReason

URL: Final = "ws://127.0.0.1:1"


class FakeCallEngine(FakeEngine):
    """Calls that answer at once; it tells nobody of them: pushing is the test's.

    It acts for one device of the participant that `room` joins as. Engines that share `calls` are
    one engine, asked by several devices.

    Attributes:
        calls: Every call by id, as the engine would tell it now.
        device: Which of the user's this is.
        busy: Identities that are on a call which is not in `calls`.
        loses_replies: Whether it does what it is asked and the answer is lost: `NETWORK`.
        can_rejoin: Whether it has the route that makes another token; if not, 404.
    """

    def __init__(
        self, room: FakeRoom, *, calls: dict[str, UTDCall] | None = None, device: str = "phone"
    ) -> None:
        super().__init__(room)
        self.calls: dict[str, UTDCall] = {} if calls is None else calls
        self.device = device
        self.busy: set[str] = set()
        self.loses_replies = False
        self.can_rejoin = True
        self._tokens = count(1)

    # --- what it does by itself -----------------------------------------------------------------

    def dial(
        self,
        caller: str,
        callee: str,
        kind: UTDStreamType = UTDStreamType.AUDIO_CALL,
        *,
        caller_name: str | None = None,
        callee_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> UTDCall:
        """Have somebody call somebody, and return the call."""
        call_id = f"call_{len(self.calls) + 1:024x}"
        call = UTDCall(
            call_id,
            S.INITIATING,
            kind,
            room_name=call_id,
            caller_identity=caller,
            callee_identity=callee,
            caller_name=caller_name,
            callee_name=callee_name,
            metadata=FrozenMap((key, frozen_json(one)) for key, one in (metadata or {}).items()),
            created_at="2026-05-04T10:00:00.000Z",
        )
        self.calls[call_id] = call
        return call

    def turn(
        self, call_id: str, status: UTDCallStatus, reason: UTDCallEndReason | None = None
    ) -> UTDCall:
        """Have a call stand so from now on, and return it."""
        seconds = 0.0 if status.is_terminal else None
        call = evolve(
            self.calls[call_id], status=status, end_reason=reason, duration_seconds=seconds
        )
        self.calls[call_id] = call
        return call

    def forget(self) -> None:
        """Know of no call any more, as an engine that was started anew."""
        self.calls.clear()

    # --- the port -------------------------------------------------------------------------------

    async def start_call(
        self,
        callee: str,
        kind: UTDStreamType,
        *,
        caller_name: str | None = None,
        callee_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> UTDCall:
        await self._ask("start_call")
        both = self._call_of(self.me)
        if both is not None and both.caller_identity == callee:
            return self._admit(self._accepted(both))
        if both is not None:
            raise _refused("You are already on a call", ConflictReason.ALREADY)
        if callee in self.busy or self._call_of(callee) is not None:
            raise _refused("Callee is already on a call", ConflictReason.BUSY)
        names = {"caller_name": caller_name, "callee_name": callee_name}
        call = self.dial(self.me, callee, kind, **names, metadata=metadata)
        return self._admit(call)

    async def accept_call(self, call_id: str) -> UTDCall:
        await self._ask("accept_call")
        call = self._found(call_id, callee_only=True)
        if call.status.is_terminal or call.answered_by not in (None, self.device):
            raise _refused("the call was answered or is over")
        return self._admit(self._accepted(call))

    async def rejoin_call(self, call_id: str) -> UTDCall:
        await self._ask("rejoin_call")
        if not self.can_rejoin:
            raise _unknown("no such route")
        call = self._found(call_id)
        is_elsewhere = call.callee_identity == self.me and call.answered_by != self.device
        if call.status.is_terminal or is_elsewhere:
            raise _refused("this device is not in the call")
        return self._admit(call)

    async def ringing_call(self, call_id: str) -> UTDCall:
        await self._ask("ringing_call")
        call = self._found(call_id, callee_only=True)
        if call.status not in (S.INITIATING, S.RINGING):
            raise _refused("the call does not ring any more")
        return self._replied(self.turn(call_id, S.RINGING))

    async def reject_call(self, call_id: str) -> UTDCall:
        return await self._decline("reject_call", call_id, S.REJECTED, R.REJECTED)

    async def busy_call(self, call_id: str) -> UTDCall:
        return await self._decline("busy_call", call_id, S.BUSY, R.BUSY)

    async def end_call(self, call_id: str) -> UTDCall:
        await self._ask("end_call")
        call = self._found(call_id)
        if not call.status.is_terminal:
            is_caller, is_active = call.caller_identity == self.me, call.status is S.ACTIVE
            reason = R.CALLEE_HANGUP
            if is_caller:
                reason = R.CALLER_HANGUP if is_active else R.CALLER_CANCELLED
            call = self.turn(call_id, S.ENDED, reason)
        return self._replied(call)

    async def get_call(self, call_id: str) -> UTDCall:
        self.asked.append("get_call")
        if self.read_error is not None:
            raise self.read_error
        return self._found(call_id)

    # --- inside ---------------------------------------------------------------------------------

    async def _decline(
        self, name: str, call_id: str, status: UTDCallStatus, reason: UTDCallEndReason
    ) -> UTDCall:
        await self._ask(name)
        call = self._found(call_id, callee_only=True)
        if call.status not in (S.INITIATING, S.RINGING):
            raise _refused("the call does not ring any more")
        return self._replied(self.turn(call_id, status, reason))

    def _found(self, call_id: str, *, callee_only: bool = False) -> UTDCall:
        call = self.calls.get(call_id)
        if call is None:
            raise _unknown("no such call")
        parties = (call.callee_identity,) if callee_only else _parties(call)
        if self.me not in parties:
            raise UTDStreamException(
                "not yours to do", code=UTDErrorCode.FORBIDDEN, status_code=403
            )
        return call

    def _call_of(self, identity: str) -> UTDCall | None:
        live = (call for call in self.calls.values() if not call.status.is_terminal)
        return next((call for call in live if identity in _parties(call)), None)

    def _accepted(self, call: UTDCall) -> UTDCall:
        accepted = evolve(call, status=S.ACTIVE, answered_by=self.device)
        self.calls[call.call_id] = accepted
        return accepted

    def _admit(self, call: UTDCall) -> UTDCall:
        return self._replied(evolve(call, token=f"{self.me}-token{next(self._tokens)}", url=URL))

    def _replied(self, call: UTDCall) -> UTDCall:
        if self.loses_replies:
            raise UTDStreamException("the answer was lost", code=UTDErrorCode.NETWORK)
        return call


def _parties(call: UTDCall) -> tuple[str | None, str | None]:
    return call.caller_identity, call.callee_identity


def _refused(message: str, reason: ConflictReason = ConflictReason.REFUSED) -> UTDStreamException:
    return UTDStreamException(message, code=UTDErrorCode.CONFLICT, status_code=409, reason=reason)


def _unknown(message: str) -> UTDStreamException:
    return UTDStreamException(message, code=UTDErrorCode.NOT_FOUND, status_code=404)
