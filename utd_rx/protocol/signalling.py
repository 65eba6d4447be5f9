"""The signal socket: when it is opened, and what becomes of its frames
(docs/contract.md, "Signal socket").

Theory of operation. While the user is signed in there is one socket or a time to open the next; a
socket is an *attempt*, and what an older one reports changes nothing. How a socket ended is one of
three verdicts; `TRANSITIONS` says what follows. A refused bearer is renewed at once, a second
refusal is final until a socket has stood for a while, and so is what trying again cannot change.

What rings is `ringing`'s. The engine is asked about each ringing call that it does not repeat soon
after a reconnect, often while there is no socket, and now and then besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.protocol import ringing
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects, Fact
from utd_rx.protocol.facts.calls import CallNotTold, CallTold, FetchCall, SignalChanged
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.protocol.facts.signalling import (
    CloseSocket,
    FrameHeard,
    FrameRefused,
    OpenSocket,
    SignalUnwanted,
    SignalWanted,
    SocketClosed,
    SocketOpened,
    TellSessions,
)
from utd_rx.protocol.ringing import RingingCalls

FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 30.0
"""Seconds: the upper end of the first wait and of the longest; a wait is a random share of it."""

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds by which the engine can put the next attempt off: a slip of its pen is not for ever."""

STEADY_AFTER: Final = 30.0
"""Seconds a socket has stood when its end says nothing of the attempts before it. Less, and an
engine that takes a bearer and drops the socket at once would be dialled without a pause."""

REPEATED_WITHIN: Final = 1.0
"""Seconds after the opening in which the engine repeats what rings; it does so at once."""

ASK_SOON: Final = 3.0
ASK_LATER: Final = 30.0
"""Seconds between two questions about a ringing call, without a socket and with one."""


class Phase(Enum):
    """Where the signal socket stands."""

    OFF = "nobody wants it, or the engine has none"
    OPENING = "being opened: the bearer, the connection, the engine's consent"
    UP = "the engine took the bearer"
    WAITING = "to be opened again at a time"
    STOPPED = "over until the user signs in again"


class Verdict(Enum):
    """What the end of a socket says about the next one."""

    AGAIN = "later"
    RENEW = "at once, with another bearer"
    FINAL = "never"


class Due(Enum):
    """What the table tells apart among facts of one class."""

    RETRY = "a deadline at which the next socket is due"


UNAUTHORIZED, BANNED, REPLACED = 4001, 4003, 4008
"""Close codes (docs/contract.md, "Signal socket")."""

VERDICTS: Final[Mapping[int, Verdict]] = {
    UNAUTHORIZED: Verdict.RENEW,
    BANNED: Verdict.FINAL,
    REPLACED: Verdict.FINAL,
}
"""By close code; any other is `AGAIN`."""

FINAL_ERRORS: Final = (
    UTDErrorCode.BANNED,
    UTDErrorCode.FEATURE_DISABLED,
    UTDErrorCode.FORBIDDEN,
    UTDErrorCode.UNAUTHORIZED,
    UTDErrorCode.VALIDATION,
)
"""What a mint or a URL is refused with for good, where no code says anything."""

P = Phase

TRANSITIONS: Final[Mapping[tuple[Phase, type[Fact] | Verdict | Due], Phase]] = {
    (P.OFF, SignalWanted): P.OPENING,
    (P.OPENING, SignalWanted): P.OPENING,
    (P.UP, SignalWanted): P.OPENING,
    (P.WAITING, SignalWanted): P.OPENING,
    (P.STOPPED, SignalWanted): P.OPENING,
    (P.OPENING, SignalUnwanted): P.OFF,
    (P.UP, SignalUnwanted): P.OFF,
    (P.WAITING, SignalUnwanted): P.OFF,
    (P.STOPPED, SignalUnwanted): P.OFF,
    (P.OPENING, SocketOpened): P.UP,
    (P.OPENING, Verdict.AGAIN): P.WAITING,
    (P.OPENING, Verdict.RENEW): P.OPENING,
    (P.OPENING, Verdict.FINAL): P.STOPPED,
    (P.UP, Verdict.AGAIN): P.WAITING,
    (P.UP, Verdict.RENEW): P.OPENING,
    (P.UP, Verdict.FINAL): P.STOPPED,
    (P.WAITING, Due.RETRY): P.OPENING,
}
"""A pair that is missing changes nothing."""


@frozen
class SignalState:
    """The signal socket and what it told; times are monotonic seconds.

    Args:
        calls: What rings, and for whom.
        phase: Where the socket stands.
        attempt: The number of the newest socket.
        failures: How many ended without having stood, since one did.
        is_renewed: Whether one of those had its bearer refused.
        up_at: Since when it is up.
        retry_at: When the next one is opened.
        failure: Why it is stopped.
        late: How many facts of older sockets were dropped.
    """

    calls: RingingCalls = RingingCalls()
    phase: Phase = P.OFF
    attempt: int = 0
    failures: int = 0
    is_renewed: bool = False
    up_at: float | None = None
    retry_at: float | None = None
    failure: UTDStreamException | None = None
    late: int = 0

    @property
    def is_up(self) -> bool:
        """Whether the engine tells this client of calls now."""
        return self.phase is P.UP


def step(state: SignalState, fact: object, now: float) -> tuple[SignalState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    calls, again = state.calls, now + (ASK_LATER if state.is_up else ASK_SOON)
    match fact:
        case SignalWanted():
            return _wanted(state, fact, now)
        case SignalUnwanted():
            return _moved(state, SignalUnwanted, now)
        case DeadlinePassed():
            return _due(state, now)
        case CallTold(call=call):
            return evolve(state, calls=ringing.told(calls, call, again)), ()
        case CallNotTold(call_id=call_id, error=error):
            soon = now + ASK_SOON
            return evolve(state, calls=ringing.not_told(calls, call_id, error, soon)), ()
        case SocketOpened() | SocketClosed() | FrameHeard() | FrameRefused():
            if state.phase not in (P.OPENING, P.UP) or fact.attempt != state.attempt:
                return evolve(state, late=state.late + 1), ()
    match fact:
        case SocketOpened():
            return _moved(state, SocketOpened, now)
        case SocketClosed():
            return _closed(state, fact, now)
        case FrameHeard(kind=kind, call=call) if state.is_up:
            calls = ringing.heard(calls, kind, call, again)
            return evolve(state, calls=calls), (TellSessions(CallTold(call)),)
        case FrameHeard() | FrameRefused():
            return evolve(state, calls=ringing.refused(calls)), ()
    return state, ()


def next_deadline(state: SignalState) -> float | None:
    """Return when the timer must fire, in monotonic seconds; None for never."""
    return earliest(state.retry_at, ringing.next_deadline(state.calls))


# --- the socket ---------------------------------------------------------------------------------


def backoff(failures: int, jitter: float) -> float:
    """Return the seconds to wait after so many failures in a row, at least one."""
    return jitter * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10))


def _moved(
    state: SignalState, event: type[Fact] | Verdict | Due, now: float
) -> tuple[SignalState, Effects]:
    """Return the state after a row of the table, and what follows from having changed the phase."""
    phase = TRANSITIONS.get((state.phase, event))
    if phase is None:
        return state, ()
    before = state
    up_at = now if phase is P.UP else None
    state = evolve(state, phase=phase, up_at=up_at, retry_at=None)
    effects: Effects = ()
    if phase is P.OPENING:
        state = evolve(state, attempt=state.attempt + 1)
        effects = (OpenSocket(state.attempt),)
    elif phase is P.OFF:
        effects = (CloseSocket(),)
    if before.is_up is not state.is_up:
        asks_at = now + (REPEATED_WITHIN if state.is_up else ASK_SOON)
        state = evolve(state, calls=ringing.in_doubt(state.calls, asks_at))
        effects = (TellSessions(SignalChanged(state.is_up)), *effects)
    return state, effects


def _wanted(state: SignalState, fact: SignalWanted, now: float) -> tuple[SignalState, Effects]:
    effects: Effects = ()
    if fact.identity != state.calls.identity:
        if state.calls.identity is not None:
            # Whoever listens acts for somebody else, and is told nothing more.
            effects = (TellSessions(SignalChanged(False), is_last=True),)
        state = evolve(state, calls=RingingCalls(fact.identity, refused=state.calls.refused))
    state = evolve(state, failures=0, is_renewed=False, failure=None)
    state, more = _moved(state, SignalWanted if fact.has_socket else SignalUnwanted, now)
    return state, (*effects, *more)


def _closed(state: SignalState, fact: SocketClosed, now: float) -> tuple[SignalState, Effects]:
    if state.up_at is not None and now - state.up_at >= STEADY_AFTER:
        state = evolve(state, failures=0, is_renewed=False)
    verdict = _verdict(fact)
    if verdict is Verdict.RENEW and state.is_renewed:
        verdict = Verdict.FINAL
    state, effects = _moved(state, verdict, now)
    match verdict:
        case Verdict.RENEW:
            state = evolve(state, is_renewed=True)
        case Verdict.FINAL:
            state = evolve(state, failure=fact.error)
        case Verdict.AGAIN:
            failures = state.failures + 1
            asked = min(fact.error.retry_after or 0.0, LONGEST_RETRY_AFTER)
            retry_at = now + asked + backoff(failures, fact.jitter)
            state = evolve(state, failures=failures, retry_at=retry_at)
    return state, effects


def _verdict(fact: SocketClosed) -> Verdict:
    if fact.code is not None:
        return VERDICTS.get(fact.code, Verdict.AGAIN)
    is_final = fact.is_final or fact.error.code in FINAL_ERRORS
    return Verdict.FINAL if is_final else Verdict.AGAIN


def _due(state: SignalState, now: float) -> tuple[SignalState, Effects]:
    effects: Effects = ()
    if state.retry_at is not None and state.retry_at <= now:
        state, effects = _moved(state, Due.RETRY, now)
    calls, due = ringing.asking(state.calls, now)
    return evolve(state, calls=calls), (*effects, *map(FetchCall, due))
