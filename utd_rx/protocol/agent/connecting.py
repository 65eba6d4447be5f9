"""The connection of a voice agent: when a socket is opened, what its end means, and when the next
one is due (docs/agent.md, "Reconnecting").

Theory of operation. While the app wants the agent there is one socket, an *attempt*, or a time to
open the next; what an older attempt reports changes nothing. There is no resume: each attempt that
comes up is a new session. How one ended is a verdict, `AGAIN` or `FINAL`, and `TRANSITIONS` says
what follows. A start of the app's is an *epoch*, and what waits for it ends with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError
from utd_rx.protocol.agent.endings import FINAL_CODES, NORMAL, SETUP_FAILED, error_of
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.agent import (
    AgentAttemptEnded,
    AgentAttemptOpened,
    AgentSoundFailed,
    AgentUnwanted,
    AgentWanted,
    CloseAgentSocket,
    OpenAgentSocket,
)
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.protocol.wire.atoms import PASSING, is_fatal

FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 30.0
"""Seconds before the second attempt and between attempts at most, of which a wait is from half to
all (docs/agent.md, "Reconnecting")."""

LONGEST_RETRY_AFTER: Final = 300.0
"""Seconds by which the server can put the next attempt off: a slip of its pen is not for ever."""

STEADY_AFTER: Final = 30.0
"""Seconds a session has listened when its end says nothing of the attempts before it."""

TOLD_WITHIN: Final = 10.0
"""Seconds before the end of a session in which an error says something of it: after others the
socket stayed open."""

SETUP_WITHIN: Final = 30.0
"""Seconds from the beginning of an attempt, a mint included, to its session."""

CLOSES_WITHIN: Final = 5.0
"""Seconds from `session.closed` to the end of the socket."""


class AgentPhase(Enum):
    """Where the connection stands."""

    IDLE = "idle"
    """Never wanted."""
    OPENING = "opening"
    """An attempt is under way, up to `session.created`."""
    LISTENING = "listening"
    """A session is there."""
    WAITING = "waiting"
    """For the time of the next attempt."""
    PAUSED = "paused"
    """The app put it away."""
    OVER = "over"
    """Stopped, ended by the server, or failed for good."""


class Move(Enum):
    """What the table tells apart among facts of one class."""

    WANT = "the app starts it, or goes on"
    PAUSE = "the app puts it away"
    STOP = "the app stops it"
    CREATED = "the session is there"
    AGAIN = "the attempt is over, and another may go well"
    FINAL = "the attempt is over, and no other is to follow"
    RETRY = "a deadline at which the next attempt is due"


P, M = AgentPhase, Move

TRANSITIONS: Final[Mapping[tuple[AgentPhase, Move], AgentPhase]] = {
    (P.IDLE, M.WANT): P.OPENING,
    (P.PAUSED, M.WANT): P.OPENING,
    (P.OVER, M.WANT): P.OPENING,
    (P.OPENING, M.PAUSE): P.PAUSED,
    (P.LISTENING, M.PAUSE): P.PAUSED,
    (P.WAITING, M.PAUSE): P.PAUSED,
    (P.OPENING, M.STOP): P.OVER,
    (P.LISTENING, M.STOP): P.OVER,
    (P.WAITING, M.STOP): P.OVER,
    (P.PAUSED, M.STOP): P.OVER,
    (P.OPENING, M.CREATED): P.LISTENING,
    (P.OPENING, M.AGAIN): P.WAITING,
    (P.OPENING, M.FINAL): P.OVER,
    (P.LISTENING, M.AGAIN): P.WAITING,
    (P.LISTENING, M.FINAL): P.OVER,
    (P.WAITING, M.RETRY): P.OPENING,
}
"""A pair that is missing changes nothing."""


@frozen
class AgentConnection:
    """Where the connection stands; times are monotonic seconds.

    Args:
        phase: Where.
        epoch: The number of the newest start.
        attempt: The number of the newest socket.
        has_listened: Whether there was a session since the start.
        failures: How many attempts in a row came to nothing, or stood for a short time only.
        listening_at: Since when the session listens.
        ends_at: When the attempt is given up: the session does not come, or its end does not.
        retry_at: When the next attempt is due.
        told: The last error of this attempt that may say something of its end.
        told_at: When it was told.
        is_closed: Whether the server said that this session is over.
        failure: Why there is no session, None while there is one or none is wanted.
        late: How many facts of older attempts were dropped.
    """

    phase: AgentPhase = P.IDLE
    epoch: int = 0
    attempt: int = 0
    has_listened: bool = False
    failures: int = 0
    listening_at: float | None = None
    ends_at: float | None = None
    retry_at: float | None = None
    told: AgentError | None = None
    told_at: float = 0.0
    is_closed: bool = False
    failure: AgentError | None = None
    late: int = 0

    @property
    def is_listening(self) -> bool:
        """Whether a session is there."""
        return self.phase is P.LISTENING

    @property
    def is_joined(self) -> bool:
        """Whether the app wants one, and it is there or may come."""
        return self.phase in (P.OPENING, P.LISTENING, P.WAITING)


def step(connection: AgentConnection, fact: object, now: float) -> tuple[AgentConnection, Effects]:
    """Return the connection after `fact` and what it calls for; total."""
    match fact:
        case AgentWanted():
            return _moved(connection, M.WANT, now)
        case AgentUnwanted(is_pause=is_pause):
            return _put_away(connection, M.PAUSE if is_pause else M.STOP, now)
        case AgentAttemptOpened() | AgentAttemptEnded() | AgentSoundFailed() if (
            connection.phase not in _UP or fact.attempt != connection.attempt
        ):
            return evolve(connection, late=connection.late + 1), ()
        case AgentAttemptEnded():
            return _ended(connection, fact, now), ()
        case AgentSoundFailed(error=error):
            return _failed(connection, error, now)
        case e.AgentSessionCreated():
            return _moved(connection, M.CREATED, now)
        case e.AgentSessionClosed() if connection.phase in _UP:
            ends_at = earliest(connection.ends_at, now + CLOSES_WITHIN)
            return evolve(connection, is_closed=True, ends_at=ends_at), ()
        case e.AgentErrorReceived(error=error) if connection.phase in _UP:
            return _told(connection, error, now)
        case DeadlinePassed():
            return _due(connection, now)
    return connection, ()


def next_deadline(connection: AgentConnection) -> float | None:
    return earliest(connection.ends_at, connection.retry_at)


def backoff(failures: int, jitter: float) -> float:
    """Return the seconds to wait after so many failures in a row, at least one."""
    share = 1 - min(1.0, max(0.0, jitter)) / 2
    return share * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10))


_UP: Final = (P.OPENING, P.LISTENING)


def _moved(connection: AgentConnection, move: Move, now: float) -> tuple[AgentConnection, Effects]:
    """Return the connection after a row of the table, and what follows from its new phase."""
    phase = TRANSITIONS.get((connection.phase, move))
    if phase is None:
        return connection, ()
    moved = evolve(connection, phase=phase, listening_at=None, ends_at=None, retry_at=None)
    if move is M.WANT:
        moved = AgentConnection(
            phase, connection.epoch + 1, connection.attempt, late=connection.late
        )
    match phase:
        case P.OPENING:
            attempt = connection.attempt + 1
            ends_at = now + SETUP_WITHIN
            moved = evolve(moved, attempt=attempt, ends_at=ends_at, told=None, is_closed=False)
            return moved, (OpenAgentSocket(attempt),)
        case P.LISTENING:
            return evolve(moved, has_listened=True, listening_at=now, failure=None), ()
    return moved, ()


def _put_away(
    connection: AgentConnection, move: Move, now: float
) -> tuple[AgentConnection, Effects]:
    moved, _ = _moved(connection, move, now)
    if moved is connection:
        return connection, ()
    is_up = connection.phase in _UP
    return evolve(moved, failure=None), (CloseAgentSocket(connection.attempt),) if is_up else ()


def _ended(connection: AgentConnection, fact: AgentAttemptEnded, now: float) -> AgentConnection:
    """Return the connection after its socket: the verdict, and when the next one is due."""
    move, why = _verdict(connection, fact, now)
    if move is M.FINAL:
        is_normal = connection.is_listening and why is fact.error and _is_normal(connection, fact)
        moved, _ = _moved(connection, move, now)
        return evolve(moved, failure=None if is_normal else evolve(why, retryable=False))
    since = connection.listening_at
    failures = 0 if since is not None and now - since >= STEADY_AFTER else connection.failures
    asked = min(max(0.0, fact.retry_after or 0.0), LONGEST_RETRY_AFTER)
    moved, _ = _moved(connection, move, now)
    return evolve(
        moved,
        failures=failures + 1,
        failure=why,
        retry_at=now + asked + backoff(failures + 1, fact.jitter),
    )


def _verdict(
    connection: AgentConnection, fact: AgentAttemptEnded, now: float
) -> tuple[Move, AgentError]:
    """Return whether there is another attempt, and why the socket ended."""
    told, code = connection.told, fact.close_code
    if connection.is_listening and now - connection.told_at > TOLD_WITHIN:
        told = None
    is_quiet = code is None and connection.is_closed
    is_decided = is_quiet or code == SETUP_FAILED
    if told is not None and (is_fatal(told.code) or (is_decided and not told.retryable)):
        return M.FINAL, told
    is_refused = not fact.error.retryable
    if _is_normal(connection, fact) or code in FINAL_CODES or is_refused:
        return M.FINAL, fact.error
    return M.AGAIN, fact.error if told is None else told


def _is_normal(connection: AgentConnection, fact: AgentAttemptEnded) -> bool:
    """Whether the server ended the session as it is meant to."""
    is_quiet = fact.close_code is None and connection.is_closed
    return fact.close_code == NORMAL or (is_quiet and connection.is_listening)


def _told(
    connection: AgentConnection, error: AgentError, now: float
) -> tuple[AgentConnection, Effects]:
    """Return the connection after an error that the server told: its end may follow."""
    if error.code in PASSING:
        return connection, ()
    if connection.phase is P.OPENING and is_fatal(error.code):
        return _failed(connection, error, now)
    is_worse = connection.told is None or not is_fatal(connection.told.code)
    return evolve(connection, told=error, told_at=now) if is_worse else connection, ()


def _failed(
    connection: AgentConnection, error: AgentError, now: float
) -> tuple[AgentConnection, Effects]:
    """Return the connection that is given up for good while it stands."""
    moved, _ = _moved(connection, M.FINAL, now)
    failure = evolve(error, retryable=False)
    return evolve(moved, failure=failure), (CloseAgentSocket(connection.attempt),)


def _due(connection: AgentConnection, now: float) -> tuple[AgentConnection, Effects]:
    if connection.retry_at is not None and connection.retry_at <= now:
        return _moved(connection, M.RETRY, now)
    if connection.ends_at is None or now < connection.ends_at:
        return connection, ()
    what = "the server did not end it" if connection.is_closed else "no session came"
    error = error_of(None, f"{what} within the time it has", is_silent=True)
    # Without a random share: nobody else's deadline is at this moment.
    ended = _ended(connection, AgentAttemptEnded(connection.attempt, error), now)
    return ended, (CloseAgentSocket(connection.attempt, is_clean=False),)
