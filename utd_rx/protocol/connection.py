"""The lifecycle of a media connection (facts/utd-engine.md §4.6).

Theory of operation. A join is an epoch: it is counted when it starts, and a result that carries
an older epoch changes nothing. LiveKit resumes by itself; what is decided here is how much a
session has to read again afterwards and when to stop hoping:

| outage | what follows |
| --- | --- |
| under 15 s | a light sync: room metadata, which the new snapshot holds |
| 15 s to 60 s | a full sync: metadata and a guarded `GET` |
| 60 s | forced exit, by deadline, also when nothing ever comes back |

A second drop starts the outage anew. The state never skips a row of the table; a fact that has
no row is in `IGNORED` and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Disconnected, Reconnected, Reconnecting
from utd_rx.protocol.facts import (
    DeadlinePassed,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
)

LIGHT_SYNC_LIMIT: Final = 15.0
FORCE_EXIT_AFTER: Final = 60.0
"""Seconds of outage; the engine's tiers (facts/utd-engine.md §4.6)."""


class Sync(Enum):
    """How much to read again after a reconnect."""

    LIGHT = "light"
    FULL = "full"


@frozen
class Connection:
    """Where the connection stands.

    Args:
        state: The lifecycle.
        epoch: Counts joins.
        outage_at: When the current outage began, monotonic seconds.
        force_exit_at: The deadline of the current outage, monotonic seconds.
        last_sync: What the last reconnect asked for.
        failure: Why the connection is not there, None while it is or was never asked for.
        late: How many results came too late and were dropped.
    """

    state: UTDConnectionState = UTDConnectionState.DISCONNECTED
    epoch: int = 0
    outage_at: float | None = None
    force_exit_at: float | None = None
    last_sync: Sync | None = None
    failure: UTDStreamException | None = None
    late: int = 0

    @property
    def is_connected(self) -> bool:
        """Whether media flows now."""
        return self.state is UTDConnectionState.CONNECTED

    @property
    def is_joined(self) -> bool:
        """Whether the room is joined, also while LiveKit restores the connection."""
        return self.state in (UTDConnectionState.CONNECTED, UTDConnectionState.RECONNECTING)


S = UTDConnectionState

TRANSITIONS: Final[dict[tuple[UTDConnectionState, type], UTDConnectionState]] = {
    (S.DISCONNECTED, JoinStarted): S.CONNECTING,
    (S.FORCE_EXIT, JoinStarted): S.CONNECTING,
    (S.CONNECTING, JoinSucceeded): S.CONNECTED,
    (S.CONNECTING, JoinFailed): S.DISCONNECTED,
    (S.CONNECTING, LeaveStarted): S.DISCONNECTED,
    (S.CONNECTED, Reconnecting): S.RECONNECTING,
    (S.CONNECTED, Disconnected): S.DISCONNECTED,
    (S.CONNECTED, LeaveStarted): S.DISCONNECTED,
    # A resume that was not announced, as after a very short outage: the state stays, the
    # snapshot that comes with it still counts.
    (S.CONNECTED, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Reconnecting): S.RECONNECTING,
    (S.RECONNECTING, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Disconnected): S.DISCONNECTED,
    (S.RECONNECTING, LeaveStarted): S.DISCONNECTED,
    (S.RECONNECTING, DeadlinePassed): S.FORCE_EXIT,
}

IGNORED: Final[frozenset[tuple[UTDConnectionState, type]]] = frozenset(
    {
        # Late echoes of a connection that is over or not up yet.
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTING, S.FORCE_EXIT)
            for fact in (Reconnecting, Reconnected, Disconnected, DeadlinePassed)
        ),
        # Results of a join that was left or replaced: counted as late.
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTED, S.RECONNECTING, S.FORCE_EXIT)
            for fact in (JoinSucceeded, JoinFailed)
        ),
        # Commands are checked before they become facts; a second one changes nothing.
        *((state, JoinStarted) for state in (S.CONNECTING, S.CONNECTED, S.RECONNECTING)),
        *((state, LeaveStarted) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        (S.CONNECTED, DeadlinePassed),
    }
)

FACTS: Final = (
    JoinStarted, JoinSucceeded, JoinFailed, LeaveStarted,
    Reconnecting, Reconnected, Disconnected, DeadlinePassed,
)  # fmt: skip
"""Everything these rules look at."""

DISCONNECT_FAILURES: Final[dict[DisconnectReason, tuple[UTDErrorCode, str]]] = {
    DisconnectReason.DUPLICATE_IDENTITY: (
        UTDErrorCode.CONFLICT,
        "the same identity joined from somewhere else and took this connection's place",
    ),
    DisconnectReason.PARTICIPANT_REMOVED: (
        UTDErrorCode.FORBIDDEN,
        "the server removed this participant from the room",
    ),
    DisconnectReason.ROOM_DELETED: (UTDErrorCode.NOT_FOUND, "the room was closed"),
    DisconnectReason.ROOM_CLOSED: (UTDErrorCode.NOT_FOUND, "the room was closed"),
    DisconnectReason.SERVER_SHUTDOWN: (UTDErrorCode.SERVER, "the media server shut down"),
}
"""What an end of the connection means to an app; other reasons are a lost network."""


def step(connection: Connection, fact: object, now: float) -> Connection:
    """Return the connection after `fact`; total over `FACTS`, anything else changes nothing."""
    if isinstance(fact, JoinSucceeded | JoinFailed) and fact.epoch != connection.epoch:
        return evolve(connection, late=connection.late + 1)
    key = (connection.state, type(fact))
    if isinstance(fact, DeadlinePassed) and not is_due(connection, now):
        return connection
    after = TRANSITIONS.get(key)
    if after is None:
        return connection
    match fact:
        case JoinStarted():
            return Connection(after, epoch=connection.epoch + 1, late=connection.late)
        case Reconnecting():
            return evolve(
                connection, state=after, outage_at=now, force_exit_at=now + FORCE_EXIT_AFTER
            )
        case Reconnected():
            since = connection.outage_at
            full = since is not None and now - since >= LIGHT_SYNC_LIMIT
            return evolve(
                connection,
                state=after,
                outage_at=None,
                force_exit_at=None,
                last_sync=Sync.FULL if full else Sync.LIGHT,
            )
        case _:
            return evolve(
                connection,
                state=after,
                outage_at=None,
                force_exit_at=None,
                failure=_failure(fact),
            )


def is_due(connection: Connection, now: float) -> bool:
    """Whether the deadline of the outage has passed."""
    return connection.force_exit_at is not None and now >= connection.force_exit_at


def _failure(fact: object) -> UTDStreamException | None:
    match fact:
        case JoinFailed(error=error):
            return error
        case Disconnected(reason=DisconnectReason.CLIENT_INITIATED):
            return None
        case Disconnected(reason=reason):
            code, message = DISCONNECT_FAILURES.get(
                reason,
                (UTDErrorCode.NETWORK, f"the connection was lost ({reason.name.lower()})"),
            )
            return UTDStreamException(message, code=code)
        case DeadlinePassed():
            return UTDStreamException(
                f"the connection did not come back within {FORCE_EXIT_AFTER:.0f} s; join again",
                code=UTDErrorCode.TIMEOUT,
            )
        case _:
            return None
