"""1:1 calls (docs/contract.md, "Calls")."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.call import UTDCall
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.calls import call_from_wire, call_id_from_wire
from utd_rx.protocol.wire.reading import Json, without_none
from utd_rx.rest.bearer import Bearer
from utd_rx.rest.checks import checked_identity, checked_room, path_of
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.failures import malformed


class CallEndpoints(Endpoints):
    """Calling, answering and hanging up, as whoever acts: a party of the call.

    Each returns the call as it stands then; those that join it, with `token` and `url`.
    """

    async def start_call(
        self,
        callee: str,
        kind: UTDStreamType,
        *,
        caller_name: str | None = None,
        callee_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> UTDCall:
        """Call somebody; once, since an engine may refuse a second try because of the first.

        Ours does not: who dials again after a lost answer joins the call that is there.

        Args:
            callee: Whom.
            kind: `AUDIO_CALL` or `VIDEO_CALL`.
            caller_name: This user's display name, for them to see.
            callee_name: Theirs.
            metadata: JSON for them to see, 4 KiB at most.

        Raises:
            UTDStreamException: `CONFLICT`: they are on a call (busy), or this user is (already
                so).
        """
        if not kind.is_call:
            raise invalid(f"{kind.value} is no type of calls")
        body = without_none(
            caller_identity=self._actor,
            callee_identity=checked_identity(callee, "callee_identity"),
            type=kind.value,
            caller_name=caller_name,
            callee_name=callee_name,
            metadata=None if metadata is None else dict(metadata),
        )
        wire = await self._engine.post("/calls", body, bearer=self._bearer)
        try:
            return _call(wire)
        except UTDStreamException:
            # It rings all the same, and nobody else could end it.
            if (named := call_id_from_wire(wire)) is not None:
                with suppress(UTDStreamException):
                    await self.end_call(named)
            raise

    async def accept_call(self, call_id: str) -> UTDCall:
        """Answer; repeats, on the same device."""
        return await self._about(call_id, "accept", is_safe=True)

    async def rejoin_call(self, call_id: str) -> UTDCall:
        """Return a call that this device is in with fresh credentials; repeats.

        Our engine's extension: another one answers `NOT_FOUND`.
        """
        return await self._about(call_id, "join", is_safe=True)

    async def ringing_call(self, call_id: str) -> UTDCall:
        """Tell the caller that it rings; repeats."""
        return await self._about(call_id, "ringing", "ringing", is_safe=True)

    async def reject_call(self, call_id: str) -> UTDCall:
        """Decline."""
        return await self._about(call_id, "reject", "rejected")

    async def busy_call(self, call_id: str) -> UTDCall:
        """Decline because of another call."""
        return await self._about(call_id, "busy", "busy")

    async def end_call(self, call_id: str) -> UTDCall:
        """Hang up; repeats, since a call that is over stays as it is."""
        return await self._about(call_id, "end", "ended", is_safe=True)

    async def get_call(self, call_id: str) -> UTDCall:
        """Return how a call stands; repeats."""
        path = path_of("calls", checked_room(call_id, "call id"))
        return _call(await self._engine.get(path, bearer=self._bearer), call_id)

    async def _about(
        self, call_id: str, verb: str, becomes: str | None = None, *, is_safe: bool = False
    ) -> UTDCall:
        """Ask for `verb`; where the call then `becomes` that, the reply may leave it out."""
        path = path_of("calls", checked_room(call_id, "call id"), verb)
        body = without_none(identity=self._actor)
        wire = await self._engine.post(path, body, bearer=self._bearer, is_safe=is_safe)
        if becomes is not None:
            wire = {"call_id": call_id, "status": becomes, **wire}
        return _call(wire, call_id)

    @property
    def _actor(self) -> str | None:
        """Who acts, where it is known: another engine wants it in the body."""
        return self._bearer.identity if isinstance(self._bearer, Bearer) else None


def _call(wire: Json, call_id: str | None = None) -> UTDCall:
    """Return the call that a reply tells of: `call_id`, where that was asked about."""
    call = call_from_wire(wire)
    if call is None:
        raise malformed("the engine's reply is no call")
    if call_id not in (None, call.call_id):
        raise malformed("the engine's reply is about another call")
    return call
