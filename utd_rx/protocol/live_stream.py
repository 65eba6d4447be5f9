"""A live stream: a session in which the host publishes, and who is on the stage beside them.

The server's permission is what lets somebody publish, whoever gave it: a backend may grant it to
somebody who is on no stage. But an engine may leave it in place when it takes somebody off the
stage: then their tracks end by the roster, and publishing is refused until the permission has been
taken, or is given anew.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as e
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.models.stage import Stage
from utd_rx.protocol import broadcast as broadcast_rules
from utd_rx.protocol import data
from utd_rx.protocol import session as session_rules
from utd_rx.protocol import stage as stage_rules
from utd_rx.protocol.broadcast import Broadcast
from utd_rx.protocol.connection import Sync
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import CloseStarted, JoinSucceeded
from utd_rx.protocol.publishing import SOURCES, Operation
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.stage import StageCopy
from utd_rx.protocol.waiting import Wait

DECODERS: Final = {**data.PEOPLE, **data.STAGE}
"""The engine's messages that a live stream listens to."""

_NOTHING: Final[frozenset[TrackSource]] = frozenset()


@frozen
class LiveStreamState:
    """The whole state of a live stream's session.

    Args:
        identity: This client's.
        session: The common part.
        stage: Who is on the stage, and the raised hands.
        broadcast: Whether it is over.
        is_demoted: Whether it was taken off the stage, and the permission is still there.
        shown: How many of those on the stage are in the room, this client among them; None while
            this client is not.
        waits: The commands that wait.
        forged: How many messages a participant forged that only the engine, or the host, may send.
    """

    identity: str
    session: SessionState = SessionState()
    stage: StageCopy = StageCopy()
    broadcast: Broadcast = Broadcast()
    is_demoted: bool = False
    shown: int | None = None
    waits: tuple[Wait, ...] = ()
    forged: int = 0

    @property
    def viewer_count(self) -> int:
        """How many are in the room and not on the stage; this client is one unless it hosts."""
        if self.shown is None:
            return 0
        is_host_off = self.session.is_host and not self.stage.stage.has(self.identity)
        return len(self.session.roster.remotes) + 1 - self.shown - is_host_off

    @property
    def is_broadcasting(self) -> bool:
        """Whether this client hosts a broadcast that is not over, or begins one."""
        session = self.session
        if not (session.is_host and session.connection.is_joined):
            return False
        own = [session.publications.of(source) for source in SOURCES]
        if any(one.operation is Operation.OPEN for one in own):
            return True
        is_on = self.stage.stage.is_live is True or any(one.track is not None for one in own)
        return is_on and not self.broadcast.is_over

    @property
    def refused(self) -> int:
        """How many messages were forged, or told of something that the engine denies."""
        session = self.session
        parts = (self.stage, self.broadcast, session.roles, session.bans, session.chat)
        return self.forged + sum(part.disproved for part in parts)


def require_host(session: SessionState) -> None:
    """Raise `FORBIDDEN` unless the engine granted this client the host's role."""
    if not session.is_host:
        message = "only the host goes live: join with as_host=True, as the room's owner"
        raise UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)


def step(state: LiveStreamState, fact: object, now: float) -> tuple[LiveStreamState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    before = state.stage
    if isinstance(fact, JoinSucceeded) and fact.epoch != state.session.connection.epoch:
        session, effects = session_rules.step(state.session, fact, now)
        return evolve(state, session=session), effects
    hint = data.decode(fact, DECODERS) if isinstance(fact, e.DataReceived) else None
    heard = fact if hint is None else hint
    is_closing = isinstance(fact, CloseStarted) or state.session.connection.is_closed
    stage = before if is_closing else _stage_after(state, heard, now)
    is_demoted = _is_demoted(state, stage.stage, heard)
    allowed: Set[TrackSource] = _NOTHING if is_demoted else SOURCES.keys()
    session, effects = session_rules.step(state.session, fact, now, hint=hint, allowed=allowed)
    is_demoted = is_demoted and session.roster.permission.can_publish
    if is_closing:
        return evolve(state, session=session, is_demoted=is_demoted), effects
    connection = session.connection
    if not connection.is_joined:
        # What was over stays so until the next join: an app may look at it when it has left.
        stage = stage_rules.forgotten(stage)
        broadcast = broadcast_rules.disconnected(state.broadcast)
        left = LiveStreamState(
            state.identity, session, stage, broadcast, waits=state.waits, forged=state.forged
        )
        return left, effects
    stage = stage_rules.moderating(stage, _moderates(session, state.identity), now)
    if isinstance(fact, JoinSucceeded | e.Reconnected):
        is_resynced = isinstance(fact, e.Reconnected) and connection.last_sync is Sync.FULL
        stage = stage_rules.joined(stage, now, is_resynced=is_resynced)
    stage, questions = stage_rules.follow_up(stage)
    broadcast = broadcast_rules.step(state.broadcast, heard, now, before=before, session=session)
    broadcast = broadcast_rules.judged(broadcast, now, before=before, stage=stage, session=session)
    after = LiveStreamState(
        state.identity,
        session,
        stage,
        broadcast,
        is_demoted,
        _shown(state, session, stage.stage, fact),
        state.waits,
        state.forged + (isinstance(fact, e.DataReceived) and _is_forged(fact, session)),
    )
    return after, (*effects, *questions)


def next_deadline(state: LiveStreamState) -> float | None:
    return earliest(
        session_rules.next_deadline(state.session),
        stage_rules.next_deadline(state.stage),
        broadcast_rules.next_deadline(state.broadcast),
    )


def _stage_after(state: LiveStreamState, fact: object, now: float) -> StageCopy:
    me, epoch = state.identity, state.session.connection.epoch
    metadata = data.metadata_in(fact)
    told = fact if metadata is None else data.stage_in_room(metadata)
    return stage_rules.step(state.stage, told, now, identity=me, epoch=epoch)


def _is_demoted(state: LiveStreamState, stage: Stage, fact: object) -> bool:
    """Whether this client's tracks are to end though the permission may be there."""
    me = state.identity
    if state.session.is_host or stage.has(me):
        return False
    match fact:
        case e.ParticipantPermissionsChanged(identity=who) if who == me:
            return False
    return state.is_demoted or (stage is not state.stage.stage and state.stage.stage.has(me))


def _moderates(session: SessionState, identity: str) -> bool:
    return session.is_host or session.roles.known.get(identity) is UTDRole.ADMIN


def _is_forged(event: e.DataReceived, session: SessionState) -> bool:
    if data.is_forged(event):
        return True
    is_theirs = event.sender is None or broadcast_rules.is_host(session, event.sender)
    return not is_theirs and data.type_of(event) == data.LIVE_ENDED


def _shown(state: LiveStreamState, session: SessionState, stage: Stage, fact: object) -> int:
    """Return how many of those on the stage are in the room: counted only when that may change."""
    is_same = stage is state.stage.stage and not isinstance(fact, _ARRIVALS)
    if is_same and state.shown is not None:
        return state.shown
    return sum(session.roster.find(member.identity) is not None for member in stage.members)


_ARRIVALS: Final = (
    JoinSucceeded, e.Reconnected, e.RoomMoved, e.ParticipantConnected, e.ParticipantDisconnected
)  # fmt: skip
