"""The lifecycle of a media connection (docs/contract.md, "Outages").

Theory of operation. A join is an epoch: it is counted when it starts, and a result that carries
an older epoch changes nothing. LiveKit resumes by itself, for about 26 s; then it gives up, and
the connection is *lost*: from there on it is made anew with the last token, at once and then at
growing intervals. How much a session has to read again afterwards, and when to stop hoping:

| outage | what follows |
| --- | --- |
| under 15 s | a light sync: room metadata, which the new snapshot holds |
| 15 s to 60 s | a full sync: metadata and a guarded `GET` |
| 60 s | forced exit, by deadline, also when nothing ever comes back |

A second drop starts the outage anew. A token that is refused then is minted anew, once in an
outage. Who is *displaced*, because the same identity joined from somewhere else, asks the engine
which of the two joined later: a machine that slept comes back on its old token and throws the newer
one out, who takes the place again; the older one ends, and says by what. The state never skips a
row of the table; a fact that has no row is in `IGNORED` and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

from attrs import evolve, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Disconnected, Reconnected, Reconnecting
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts.connection import (
    AskPlace,
    CloseStarted,
    ConnectionEffect,
    DeadlinePassed,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
    PlaceAsked,
    Rejoin,
    RejoinFailed,
)
from utd_rx.protocol.wire.tokens import serial_in_metadata

LIGHT_SYNC_LIMIT: Final = 15.0
FORCE_EXIT_AFTER: Final = 60.0
"""Seconds of outage; the engine's tiers (docs/contract.md, "Outages")."""


RETRY_DELAYS: Final = (0.5, 1.0, 2.0, 4.0, 5.0)
"""Seconds between the attempts to connect anew, the last one repeats; each is shortened by up to
half, so that not everybody in a room comes back at the same moment."""


class Sync(Enum):
    """How much to read again after a reconnect."""

    LIGHT = "light"
    FULL = "full"


class Place(Enum):
    """Whose place it is, after another connection of this identity took it."""

    IN_DOUBT = "in doubt"
    ASKED = "asked"


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
        is_lost: Whether LiveKit gave up in this outage, so that nothing is published or received.
        retry_at: When to connect anew, monotonic seconds; None while it is being tried.
        attempts: How often that has been tried in this outage.
        mints: Whether it is tried with a fresh token, as the last one was refused.
        place: Set while the engine is to say whether this client was displaced for good.
    """

    state: UTDConnectionState = UTDConnectionState.DISCONNECTED
    epoch: int = 0
    outage_at: float | None = None
    force_exit_at: float | None = None
    last_sync: Sync | None = None
    failure: UTDStreamException | None = None
    late: int = 0
    is_lost: bool = False
    retry_at: float | None = None
    attempts: int = 0
    mints: bool = False
    place: Place | None = None

    @property
    def is_connected(self) -> bool:
        """Whether media flows now."""
        return self.state is UTDConnectionState.CONNECTED

    @property
    def is_joined(self) -> bool:
        """Whether the room is joined, also while LiveKit restores the connection."""
        return self.state in (UTDConnectionState.CONNECTED, UTDConnectionState.RECONNECTING)

    @property
    def is_resting(self) -> bool:
        """Whether nothing is under way, so that a join may begin."""
        return self.state in (UTDConnectionState.DISCONNECTED, UTDConnectionState.FORCE_EXIT)


class Lost:
    """A `Disconnected` by which LiveKit says that it gave up, and not that anybody ended it."""


class Displaced:
    """A `Disconnected` because the same identity joined from somewhere else."""


class PlaceLost:
    """A `PlaceAsked` that says that whoever is there joined later."""


S = UTDConnectionState

_Key: TypeAlias = tuple[UTDConnectionState, type]

TRANSITIONS: Final[dict[_Key, UTDConnectionState]] = {
    (S.DISCONNECTED, JoinStarted): S.CONNECTING,
    (S.FORCE_EXIT, JoinStarted): S.CONNECTING,
    (S.CONNECTING, JoinSucceeded): S.CONNECTED,
    (S.CONNECTING, JoinFailed): S.DISCONNECTED,
    (S.CONNECTING, LeaveStarted): S.DISCONNECTED,
    (S.CONNECTING, CloseStarted): S.DISCONNECTED,
    (S.CONNECTED, Reconnecting): S.RECONNECTING,
    (S.CONNECTED, Disconnected): S.DISCONNECTED,
    (S.CONNECTED, Lost): S.RECONNECTING,
    (S.CONNECTED, Displaced): S.RECONNECTING,
    # Media is there, but what the session type needs besides it did not come.
    (S.CONNECTED, JoinFailed): S.DISCONNECTED,
    (S.CONNECTED, LeaveStarted): S.DISCONNECTED,
    (S.CONNECTED, CloseStarted): S.DISCONNECTED,
    # A resume that was not announced, as after a very short outage: the state stays, the
    # snapshot that comes with it still counts.
    (S.CONNECTED, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Reconnecting): S.RECONNECTING,
    (S.RECONNECTING, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Disconnected): S.DISCONNECTED,
    (S.RECONNECTING, Lost): S.RECONNECTING,
    (S.RECONNECTING, Displaced): S.RECONNECTING,
    (S.RECONNECTING, PlaceAsked): S.RECONNECTING,
    (S.RECONNECTING, PlaceLost): S.DISCONNECTED,
    (S.RECONNECTING, RejoinFailed): S.RECONNECTING,
    (S.RECONNECTING, JoinFailed): S.DISCONNECTED,
    (S.RECONNECTING, LeaveStarted): S.DISCONNECTED,
    (S.RECONNECTING, CloseStarted): S.DISCONNECTED,
    (S.RECONNECTING, DeadlinePassed): S.FORCE_EXIT,
}

IGNORED: Final[frozenset[_Key]] = frozenset(
    {
        # Late echoes of a connection that is over or not up yet.
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTING, S.FORCE_EXIT)
            for fact in (Reconnecting, Reconnected, Disconnected, Lost, Displaced, DeadlinePassed)
        ),
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTING, S.CONNECTED, S.FORCE_EXIT)
            for fact in (RejoinFailed, PlaceAsked, PlaceLost)
        ),
        # Results of a join that is over: of an older epoch they are counted as late.
        *((state, JoinSucceeded) for state in (S.DISCONNECTED, S.CONNECTED)),
        *((state, JoinSucceeded) for state in (S.RECONNECTING, S.FORCE_EXIT)),
        *((state, JoinFailed) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        # Commands are checked before they become facts; a second one changes nothing.
        *((state, JoinStarted) for state in (S.CONNECTING, S.CONNECTED, S.RECONNECTING)),
        *((state, LeaveStarted) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        *((state, CloseStarted) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        (S.CONNECTED, DeadlinePassed),
    }
)

FACTS: Final = (
    JoinStarted, JoinSucceeded, JoinFailed, LeaveStarted, CloseStarted, DeadlinePassed,
    Reconnecting, Reconnected, Disconnected, Lost, Displaced, RejoinFailed, PlaceAsked, PlaceLost,
)  # fmt: skip
"""Everything these rules look at."""

LOSSES: Final = frozenset(
    {
        DisconnectReason.UNKNOWN,
        DisconnectReason.STATE_MISMATCH,
        DisconnectReason.MIGRATION,
        DisconnectReason.SIGNAL_CLOSE,
        DisconnectReason.CONNECTION_TIMEOUT,
        DisconnectReason.MEDIA_FAILURE,
    }
)
"""Reasons that nobody decided on; measured: an SFU that is not reachable ends as `UNKNOWN`."""

REFUSALS: Final = frozenset(
    {
        UTDErrorCode.BANNED,
        UTDErrorCode.FORBIDDEN,
        UTDErrorCode.NOT_FOUND,
        UTDErrorCode.UNAUTHORIZED,
        UTDErrorCode.VALIDATION,
    }
)
"""What another attempt with the same token would be answered with again."""

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


_AT_REST: Final[dict[str, Any]] = {
    "outage_at": None,
    "force_exit_at": None,
    "is_lost": False,
    "retry_at": None,
    "attempts": 0,
    "mints": False,
    "place": None,
}
"""What is left of an outage when it is over."""


def step(connection: Connection, fact: object, now: float) -> Connection:
    """Return the connection after `fact`; total over `FACTS`, anything else changes nothing."""
    is_result = isinstance(fact, JoinSucceeded | JoinFailed | RejoinFailed | PlaceAsked)
    if is_result and fact.epoch != connection.epoch:  # type: ignore[attr-defined] # one of these
        return evolve(connection, late=connection.late + 1)
    if isinstance(fact, DeadlinePassed) and not is_due(connection, now):
        return connection
    if isinstance(fact, PlaceAsked) and connection.place is None:
        return connection
    after = TRANSITIONS.get((connection.state, _row(connection, fact)))
    if after is None:
        return connection
    match fact:
        case JoinStarted():
            return Connection(after, epoch=connection.epoch + 1, late=connection.late)
        case Disconnected() | RejoinFailed() if after is UTDConnectionState.RECONNECTING:
            return _retrying(connection, fact, now)
        case PlaceAsked() if after is UTDConnectionState.RECONNECTING:
            return evolve(connection, place=None, retry_at=now)
        case Reconnecting():
            return evolve(
                connection, state=after, outage_at=now, force_exit_at=now + FORCE_EXIT_AFTER
            )
        case Reconnected():
            since = connection.outage_at
            full = since is not None and now - since >= LIGHT_SYNC_LIMIT
            sync = Sync.FULL if full else Sync.LIGHT
            return evolve(connection, **{**_AT_REST, "state": after, "last_sync": sync})
        case _:
            failure = _failure(fact)
            return evolve(connection, **{**_AT_REST, "state": after, "failure": failure})


def follow_up(
    connection: Connection, now: float
) -> tuple[Connection, tuple[ConnectionEffect, ...]]:
    """Ask whose place it is, or connect anew when it is time to."""
    if connection.place is Place.IN_DOUBT:
        return evolve(connection, place=Place.ASKED), (AskPlace(connection.epoch),)
    if connection.retry_at is None or now < connection.retry_at:
        return connection, ()
    trying = evolve(connection, retry_at=None, attempts=connection.attempts + 1)
    return trying, (Rejoin(connection.epoch, connection.mints),)


def next_deadline(connection: Connection) -> float | None:
    """Return when time alone changes something, None for never."""
    return earliest(connection.force_exit_at, connection.retry_at)


def is_own_place(own: str, theirs: str | None) -> bool:
    """Whether this client joined later than whoever holds its identity now.

    Args:
        own: The metadata it joined with, where the engine put the growing serial of its mint.
        theirs: That of whoever is there; None when nobody is, or it is not known.
    """
    mine, other = serial_in_metadata(own), serial_in_metadata(theirs or "")
    return mine is not None and other is not None and mine > other


def _row(connection: Connection, fact: object) -> type:
    """Return what the tables call `fact`."""
    match fact:
        case Disconnected(reason=DisconnectReason.DUPLICATE_IDENTITY):
            return Displaced
        case Disconnected(reason=reason) if reason in LOSSES:
            return Lost
        case PlaceAsked(is_ours=False):
            return PlaceLost
        case RejoinFailed(error=error) if error.code in REFUSALS:
            is_worn = error.code is UTDErrorCode.UNAUTHORIZED and not connection.mints
            return RejoinFailed if is_worn else JoinFailed
        case _:
            return type(fact)


def _retrying(connection: Connection, fact: object, now: float) -> Connection:
    """Return the connection that is to be made anew: at once, or after a failed attempt later."""
    since = now if connection.outage_at is None else connection.outage_at
    retrying = evolve(
        connection,
        state=UTDConnectionState.RECONNECTING,
        outage_at=since,
        force_exit_at=since + FORCE_EXIT_AFTER,
        is_lost=True,
        retry_at=now,
    )
    match fact:
        case Disconnected(reason=DisconnectReason.DUPLICATE_IDENTITY):
            return evolve(retrying, retry_at=None, place=Place.IN_DOUBT)
        case _ if connection.place is not None:
            return evolve(retrying, retry_at=None)  # the answer says whose it is, and then
        case RejoinFailed(error=error) if error.code is UTDErrorCode.UNAUTHORIZED:
            return evolve(retrying, mints=True)
        case RejoinFailed(jitter=jitter):
            step = max(0, min(connection.attempts, len(RETRY_DELAYS)) - 1)
            share = 1 - min(1.0, max(0.0, jitter)) / 2
            return evolve(retrying, retry_at=now + RETRY_DELAYS[step] * share)
        case _:
            return retrying


def is_due(connection: Connection, now: float) -> bool:
    """Whether the deadline of the outage has passed."""
    return connection.force_exit_at is not None and now >= connection.force_exit_at


def _failure(fact: object) -> UTDStreamException | None:
    match fact:
        case JoinFailed(error=error) | RejoinFailed(error=error):
            return error
        case PlaceAsked():
            return _ended(DisconnectReason.DUPLICATE_IDENTITY)
        case Disconnected(reason=DisconnectReason.CLIENT_INITIATED):
            return None
        case Disconnected(reason=reason):
            return _ended(reason)
        case DeadlinePassed():
            return UTDStreamException(
                f"the connection did not come back within {FORCE_EXIT_AFTER:.0f} s; join again",
                code=UTDErrorCode.TIMEOUT,
            )
        case _:
            return None


def _ended(reason: DisconnectReason) -> UTDStreamException:
    code, message = DISCONNECT_FAILURES.get(
        reason, (UTDErrorCode.NETWORK, f"the connection was lost ({reason.name.lower()})")
    )
    is_replaced = reason is DisconnectReason.DUPLICATE_IDENTITY
    return UTDStreamException(
        message, code=code, reason=ConflictReason.REPLACED if is_replaced else None
    )
