"""The lifecycle of a media connection (docs/contract.md, "Outages").

A join is an epoch: it is counted when it starts, and a result that carries an older epoch changes
nothing. LiveKit resumes by itself, for about 26 s; then it gives up, and the connection is *lost*:
from there on it is made anew with the last token, at once and then at growing intervals. How much
a session has to read again afterwards, and when to stop hoping:

| outage | what follows |
| --- | --- |
| under 15 s | a light sync: room metadata, which the new snapshot holds |
| 15 s to 60 s | a full sync: metadata and a guarded `GET` |
| 60 s | forced exit, by deadline, also when nothing ever comes back |

A second drop starts the outage anew. A token that is refused then is minted anew, once in an
outage. Who is *displaced*, because the same identity joined from somewhere else, asks the engine
which of the two joined later: a machine that slept comes back on its old token and throws the newer
one out, who takes the place again; the older one ends, and says by what. The state never skips a
row of the table; a fact that has no row in `TRANSITIONS` changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Disconnected, Reconnected, Reconnecting
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import connection as facts
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
    """Where the connection stands; times are monotonic seconds.

    `epoch` counts joins, and `late` the results that came too late and were dropped. In an outage,
    LiveKit has given up when it `is_lost`: nothing is published or received; `retry_at` is None
    while an attempt is under way, one that `mints` takes a fresh token, and `place` is set while
    the engine is to say whether this client was displaced for good. When it `is_closed` nothing
    follows: whatever is told still, as by what the end itself stopped, says nothing new.
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
    is_closed: bool = False

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


class Told(Enum):
    """What the table tells apart among facts of one class."""

    LOST = "a `Disconnected` by which LiveKit gave up, and not that anybody ended it"
    DISPLACED = "a `Disconnected` because the same identity joined from somewhere else"
    PLACE_LOST = "a `PlaceAsked` that says that whoever is there joined later"


S = UTDConnectionState

TRANSITIONS: Final[dict[tuple[UTDConnectionState, type | Told], UTDConnectionState]] = {
    (S.DISCONNECTED, facts.JoinStarted): S.CONNECTING,
    (S.FORCE_EXIT, facts.JoinStarted): S.CONNECTING,
    (S.CONNECTING, facts.JoinSucceeded): S.CONNECTED,
    (S.CONNECTING, facts.JoinFailed): S.DISCONNECTED,
    (S.CONNECTING, facts.LeaveStarted): S.DISCONNECTED,
    (S.CONNECTING, facts.CloseStarted): S.DISCONNECTED,
    (S.CONNECTED, Reconnecting): S.RECONNECTING,
    (S.CONNECTED, Disconnected): S.DISCONNECTED,
    (S.CONNECTED, Told.LOST): S.RECONNECTING,
    (S.CONNECTED, Told.DISPLACED): S.RECONNECTING,
    # Media is there, but what the session type needs besides it did not come.
    (S.CONNECTED, facts.JoinFailed): S.DISCONNECTED,
    (S.CONNECTED, facts.LeaveStarted): S.DISCONNECTED,
    (S.CONNECTED, facts.CloseStarted): S.DISCONNECTED,
    # A resume that was not announced, as after a very short outage: the state stays, the
    # snapshot that comes with it still counts.
    (S.CONNECTED, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Reconnecting): S.RECONNECTING,
    (S.RECONNECTING, Reconnected): S.CONNECTED,
    (S.RECONNECTING, Disconnected): S.DISCONNECTED,
    (S.RECONNECTING, Told.LOST): S.RECONNECTING,
    (S.RECONNECTING, Told.DISPLACED): S.RECONNECTING,
    (S.RECONNECTING, facts.PlaceAsked): S.RECONNECTING,
    (S.RECONNECTING, Told.PLACE_LOST): S.DISCONNECTED,
    (S.RECONNECTING, facts.RejoinFailed): S.RECONNECTING,
    (S.RECONNECTING, facts.JoinFailed): S.DISCONNECTED,
    (S.RECONNECTING, facts.LeaveStarted): S.DISCONNECTED,
    (S.RECONNECTING, facts.CloseStarted): S.DISCONNECTED,
    (S.RECONNECTING, facts.DeadlinePassed): S.FORCE_EXIT,
}

LOSSES: Final = (
    DisconnectReason.UNKNOWN,
    DisconnectReason.STATE_MISMATCH,
    DisconnectReason.JOIN_FAILURE,
    DisconnectReason.MIGRATION,
    DisconnectReason.SIGNAL_CLOSE,
    DisconnectReason.CONNECTION_TIMEOUT,
    DisconnectReason.MEDIA_FAILURE,
)
"""Reasons that nobody decided on; measured: an SFU that is not reachable ends as `UNKNOWN`, and one
that refuses the token when LiveKit makes the connection anew as `JOIN_FAILURE`."""

REFUSALS: Final = (
    UTDErrorCode.BANNED,
    UTDErrorCode.FEATURE_DISABLED,
    UTDErrorCode.FORBIDDEN,
    UTDErrorCode.NOT_FOUND,
    UTDErrorCode.UNAUTHORIZED,
    UTDErrorCode.VALIDATION,
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


def step(connection: Connection, fact: object, now: float) -> Connection:
    """Return the connection after `fact`; total, a fact without a row changes nothing."""
    if connection.is_closed:
        return connection
    is_result = isinstance(
        fact, facts.JoinSucceeded | facts.JoinFailed | facts.RejoinFailed | facts.PlaceAsked
    )
    if is_result and fact.epoch != connection.epoch:  # type: ignore[attr-defined] # one of these
        return evolve(connection, late=connection.late + 1)
    ends_at = connection.force_exit_at
    if isinstance(fact, facts.DeadlinePassed) and (ends_at is None or now < ends_at):
        return connection
    if isinstance(fact, facts.PlaceAsked) and connection.place is None:
        return connection
    after = TRANSITIONS.get((connection.state, _row(connection, fact)))
    if isinstance(fact, facts.CloseStarted):
        failure = connection.failure if after is None else None
        closed = after or connection.state
        return Connection(
            closed,
            connection.epoch,
            last_sync=connection.last_sync,
            failure=failure,
            late=connection.late,
            is_closed=True,
        )
    if after is None:
        return connection
    match fact:
        case facts.JoinStarted():
            return Connection(after, epoch=connection.epoch + 1, late=connection.late)
        case Disconnected() | facts.RejoinFailed() if after is UTDConnectionState.RECONNECTING:
            return _retrying(connection, fact, now)
        case facts.PlaceAsked() if after is UTDConnectionState.RECONNECTING:
            return evolve(connection, place=None, retry_at=now)
        case Reconnecting():
            return evolve(
                connection, state=after, outage_at=now, force_exit_at=now + FORCE_EXIT_AFTER
            )
    sync = connection.last_sync
    if isinstance(fact, Reconnected):
        since = connection.outage_at
        is_long = since is not None and now - since >= LIGHT_SYNC_LIMIT
        sync = Sync.FULL if is_long else Sync.LIGHT
    failure = _failure(fact)
    # Nothing else is left of an outage that is over.
    return Connection(
        after, connection.epoch, last_sync=sync, failure=failure, late=connection.late
    )


def follow_up(connection: Connection, now: float) -> tuple[Connection, Effects]:
    """Ask whose place it is, or connect anew when it is time to."""
    if connection.place is Place.IN_DOUBT:
        return evolve(connection, place=Place.ASKED), (facts.AskPlace(connection.epoch),)
    if connection.retry_at is None or now < connection.retry_at:
        return connection, ()
    trying = evolve(connection, retry_at=None, attempts=connection.attempts + 1)
    return trying, (facts.Rejoin(connection.epoch, connection.mints),)


def next_deadline(connection: Connection) -> float | None:
    return earliest(connection.force_exit_at, connection.retry_at)


NOBODY: Final = '{"_mint": -1}'
"""The metadata of whoever holds an identity that nobody holds: any join is later than that."""


def is_own_place(own: str, theirs: str | None) -> bool:
    """Whether this client joined later than whoever holds its identity now, by both's metadata.

    The engine puts the growing serial of the mint there; None: it is not known.
    """
    mine, other = serial_in_metadata(own), serial_in_metadata(theirs or "")
    return mine is not None and other is not None and mine > other


def displaced() -> UTDStreamException:
    """Return why a session ends whose identity joined from somewhere else."""
    code, message = DISCONNECT_FAILURES[DisconnectReason.DUPLICATE_IDENTITY]
    return UTDStreamException(message, code=code, reason=ConflictReason.REPLACED)


def _row(connection: Connection, fact: object) -> type | Told:
    """Return what the table calls `fact`."""
    match fact:
        case Disconnected(reason=DisconnectReason.DUPLICATE_IDENTITY):
            return Told.DISPLACED
        case Disconnected(reason=reason) if reason in LOSSES:
            return Told.LOST
        case facts.PlaceAsked(is_ours=False):
            return Told.PLACE_LOST
        case facts.RejoinFailed(error=error) if error.code in REFUSALS:
            is_worn = error.code is UTDErrorCode.UNAUTHORIZED and not connection.mints
            return facts.RejoinFailed if is_worn else facts.JoinFailed
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
        case facts.RejoinFailed(error=error) if error.code is UTDErrorCode.UNAUTHORIZED:
            return evolve(retrying, mints=True)
        case facts.RejoinFailed(jitter=jitter):
            step = max(0, min(connection.attempts, len(RETRY_DELAYS)) - 1)
            share = 1 - min(1.0, max(0.0, jitter)) / 2
            return evolve(retrying, retry_at=now + RETRY_DELAYS[step] * share)
    return retrying


def _failure(fact: object) -> UTDStreamException | None:
    match fact:
        case facts.JoinFailed(error=error) | facts.RejoinFailed(error=error):
            return error
        case facts.DeadlinePassed():
            message = (
                f"the connection did not come back within {FORCE_EXIT_AFTER:.0f} s; join again"
            )
            return UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
        case facts.PlaceAsked():
            reason = DisconnectReason.DUPLICATE_IDENTITY
        case Disconnected() if fact.reason is not DisconnectReason.CLIENT_INITIATED:
            reason = fact.reason
        case _:
            return None
    unknown = (UTDErrorCode.NETWORK, f"the connection was lost ({reason.name.lower()})")
    code, message = DISCONNECT_FAILURES.get(reason, unknown)
    replaced = ConflictReason.REPLACED if reason is DisconnectReason.DUPLICATE_IDENTITY else None
    return UTDStreamException(message, code=code, reason=replaced)
