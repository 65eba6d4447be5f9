"""The rules of the signal socket, driven through a story by hand."""

from __future__ import annotations

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import UTDCallStatus
from utd_rx.protocol import signalling as rules
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.protocol.facts.signalling import (
    FrameHeard,
    SignalWanted,
    SocketClosed,
    SocketOpened,
)
from utd_rx.protocol.signalling import Phase, SignalState, next_deadline
from utd_rx.testing.contracts.signal import a_call

ME = "mona"
S = UTDCallStatus
OVER = (S.ACTIVE, S.ENDED, S.REJECTED, S.BUSY, S.MISSED)
NETWORK = UTDStreamException("gone", code=UTDErrorCode.NETWORK)
REFUSED = UTDStreamException("bad bearer", code=UTDErrorCode.UNAUTHORIZED)
ENDS = {
    "broken": (None, NETWORK),
    "shut down": (1001, NETWORK),
    "bad bearer": (4001, REFUSED),
    "banned": (4003, UTDStreamException("banned", code=UTDErrorCode.BANNED)),
    "replaced": (4008, conflict(ConflictReason.REPLACED, "replaced")),
    "no mint": (None, REFUSED),
    "no url": (None, UTDStreamException("ws", code=UTDErrorCode.VALIDATION)),
}


class Signalling:
    """The rules, and what they asked for since it was last looked at."""

    def __init__(self) -> None:
        self.state = SignalState()
        self.now = 0.0
        self.asked: list[Effect] = []

    def hear(self, *told: Fact) -> list[Effect]:
        """Hear facts; return what that calls for."""
        effects: list[Effect] = []
        for fact in told:
            self.state, more = rules.step(self.state, fact, self.now)
            effects += more
        return effects

    def end(self, how: str, jitter: float = 0.5) -> list[Effect]:
        code, error = ENDS[how]
        return self.hear(SocketClosed(self.state.attempt, code, error, jitter))

    def frame(self, kind: str, number: int = 1, status: UTDCallStatus = S.INITIATING) -> None:
        self.hear(FrameHeard(self.state.attempt, kind, a_call(number, status)))

    def come_up(self) -> None:
        self.hear(SocketOpened(self.state.attempt))

    def pass_time(self, seconds: float) -> list[Effect]:
        """Let time pass, with every deadline at its time."""
        until, effects = self.now + seconds, list[Effect]()
        while (at := next_deadline(self.state)) is not None and at <= until:
            self.now = max(self.now, at)
            effects += self.hear(DeadlinePassed())
        self.now = until
        return effects

    @property
    def ringing(self) -> list[str]:
        return [call.call_id for call in self.state.calls.incoming]


def in_phase(phase: Phase) -> Signalling:
    signalling = Signalling()
    if phase is not Phase.OFF:
        signalling.hear(SignalWanted(ME, True))
    if phase is Phase.UP:
        signalling.come_up()
    elif phase is Phase.WAITING:
        signalling.end("broken")
    elif phase is Phase.STOPPED:
        signalling.end("replaced")
    assert signalling.state.phase is phase
    return signalling
