"""`CallMachine`: people who call each other, for an app's own rules."""

from __future__ import annotations

from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from utd_rx.client import UTDStreamClient
from utd_rx.models.call import UTDCallEndReason, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.sessions.call import UTDCallSession
from utd_rx.testing.machines.base import PEOPLE, PRESENT, WorldMachine, is_anybody_there

NOT_TOLD: Final = (UTDCallEndReason.ANSWERED_ELSEWHERE, UTDCallEndReason.LOST)
"""Ends that one side alone knows of."""


class CallMachine(WorldMachine[UTDCallSession]):
    """People with a phone each, who call each other, answer, decline and hang up.

    After each step whoever is on a call has a peer, and whoever is on none is not heard. In the end
    nothing rings any more, and two who are on a call are on the same one.

    Attributes:
        type: What kind of calls.
    """

    type: ClassVar[UTDStreamType] = UTDStreamType.AUDIO_CALL

    @initialize()
    def open(self) -> None:
        """Everybody signs in."""
        self.begin()

    def come(self, who: str) -> None:
        """Let somebody sign in with a program of theirs that has not."""
        if who not in self.sessions:
            self.command(self._sign_in(who, self.world.client(who)))

    async def _sign_in(self, who: str, client: UTDStreamClient) -> None:
        await client.authenticate(who)
        if who not in self.sessions:
            camera = self.world.camera(who) if self.type.has_video else None
            self.sessions[who] = client.call_session(self.type, camera=camera)

    # --- calling --------------------------------------------------------------------------------

    @is_anybody_there
    @rule(who=PRESENT, callee=PEOPLE)
    def call(self, who: str, callee: str) -> None:
        self.command(self.sessions[who].start(callee))

    @is_anybody_there
    @rule(who=PRESENT)
    def ring(self, who: str) -> None:
        """Somebody's phone tells the caller that it rings."""
        for call_id in self.ringing(who):
            self.command(self.sessions[who].ringing(call_id))

    @is_anybody_there
    @rule(who=PRESENT)
    def accept(self, who: str) -> None:
        for call_id in self.ringing(who):
            self.command(self.sessions[who].accept(call_id))

    @is_anybody_there
    @rule(who=PRESENT, is_busy=st.booleans())
    def decline(self, who: str, is_busy: bool) -> None:
        session = self.sessions[who]
        for call_id in self.ringing(who):
            self.command(session.busy(call_id) if is_busy else session.reject(call_id))

    @is_anybody_there
    @rule(who=PRESENT)
    def leave(self, who: str) -> None:
        """Somebody hangs up."""
        self.command(self.sessions[who].end())

    @is_anybody_there
    @rule(who=PRESENT, enabled=st.booleans())
    def switch_microphone(self, who: str, enabled: bool) -> None:
        self.command(self.sessions[who].set_microphone(enabled))

    def ringing(self, who: str) -> tuple[str, ...]:
        """Return the id of the call that has rung for longest, if any does."""
        return tuple(call.call_id for call in self.world.client(who).ringing_calls.value[:1])

    # --- what always holds ----------------------------------------------------------------------

    def always(self) -> None:
        for who, session in self.sessions.items():
            status = session.status.value
            if status is UTDCallStatus.ACTIVE:
                assert session.peer.value not in (None, who), f"{who} talks to nobody"
            is_over = status is None or status.is_terminal
            assert not (is_over and session.microphone_enabled.value), f"{who} is still heard"

    def when_calm(self) -> None:
        for who, session in self.sessions.items():
            status, call_id = session.status.value, session.call_id.value
            assert self.ringing(who) == (), f"it still rings for {who}"
            assert status not in (UTDCallStatus.INITIATING, UTDCallStatus.RINGING), who
            peer = self.sessions.get(session.peer.value or "")
            if status is UTDCallStatus.ACTIVE:
                assert peer is not None, f"{who} talks to somebody who is gone"
                assert peer.call_id.value == call_id, f"{who} talks to nobody"
                assert peer.status.value is status, f"{who} talks to nobody"
            elif peer is not None and peer.call_id.value == call_id is not None:
                whys = {one.end_reason.value for one in (session, peer)} - {*NOT_TOLD}
                assert len(whys) < 2, f"{who} and {session.peer.value} were told {whys}"
