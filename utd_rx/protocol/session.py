"""What every session type has in common: connection, roster, roles, chat, own tracks in one value.

`step` is the order in which one fact passes through the parts: the connection first, because it
decides what the others may believe; then the roster, and what is read from it: roles, and with
them the chat; then the own tracks, whose grant is read from the roster. A session type adds its
own part after these and may narrow the grant.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final, TypeAlias

from attrs import evolve, frozen

from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import Disconnected
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.protocol import bans as ban_rules
from utd_rx.protocol import chat as chat_rules
from utd_rx.protocol import connection as connection_rules
from utd_rx.protocol import publishing as publishing_rules
from utd_rx.protocol import roles as role_rules
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol.bans import Bans
from utd_rx.protocol.chat import Chat
from utd_rx.protocol.connection import Connection
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts.connection import (
    CloseStarted,
    DisconnectRoom,
    JoinAdmitted,
    JoinSucceeded,
)
from utd_rx.protocol.facts.people import LockHinted
from utd_rx.protocol.publishing import SOURCES, Publishing
from utd_rx.protocol.roles import Roles
from utd_rx.protocol.roster import Roster

Effects: TypeAlias = tuple[object, ...]

RESUME_SECONDS: Final = 10.0
"""How long after an outage the grant may take: a connection on a token from before the seat comes
up without it, and the engine gives it back then."""


@frozen
class Publications:
    """This client's own tracks, by source."""

    microphone: Publishing = Publishing()
    camera: Publishing = Publishing()
    screen: Publishing = Publishing()

    def of(self, source: TrackSource) -> Publishing:
        """Return where `source` stands."""
        found: Publishing = getattr(self, SOURCES[source])
        return found


@frozen
class SessionState:
    """The part of a session's state that all session types share.

    Args:
        connection: To the media room.
        roster: Who is there.
        publications: This client's own tracks.
        roles: Who may do what.
        bans: Whether this client is banned.
        chat: What was said.
        is_host: Whether this client is the host: a claim, until a join says what was granted.
        claims_host: What each join asks for.
    """

    connection: Connection = Connection()
    roster: Roster = Roster()
    publications: Publications = Publications()
    roles: Roles = Roles()
    bans: Bans = Bans()
    chat: Chat = Chat()
    is_host: bool = False
    claims_host: bool = False

    @property
    def identity(self) -> str:
        """Who this client is in the room; "" before the first connection."""
        return "" if self.roster.local is None else self.roster.local.identity

    @property
    def microphone(self) -> Publishing:
        """This client's microphone."""
        return self.publications.microphone


def step(
    state: SessionState,
    fact: object,
    now: float,
    *,
    hint: object = None,
    allowed: Set[TrackSource] = SOURCES.keys(),
) -> tuple[SessionState, Effects]:
    """Return the state after `fact` and what it calls for; total.

    Args:
        state: Before.
        fact: A room event or one of `utd_rx.protocol.facts`.
        now: Monotonic seconds.
        hint: What `fact`, a message, hints at; None when it hints at nothing.
        allowed: What may be published, by what a session type asks beyond the server's permission.
    """
    connection = connection_rules.step(state.connection, fact, now)
    match fact:
        case JoinSucceeded() if fact.epoch != connection.epoch:
            return evolve(state, connection=connection), ()  # of a join that is over: counted there
        case JoinAdmitted(epoch=epoch, role=role) if epoch == connection.epoch:
            is_host = state.claims_host if role is None else role == UTDRole.HOST.value
            return evolve(state, is_host=is_host), ()
        case CloseStarted():
            # What is known stays as it was: nothing more is heard that could make it wrong.
            publications, ends = _publications_after(
                state, connection, state.roster, fact, now, allowed
            )
            return evolve(state, connection=connection, publications=publications), ends
    roster = _roster_after(state, connection, fact)
    connection, attempts = connection_rules.follow_up(connection, now)
    publications, operations = _publications_after(state, connection, roster, fact, now, allowed)
    exit_: Effects = ()
    if (
        connection.state is UTDConnectionState.FORCE_EXIT
        and state.connection.state is not UTDConnectionState.FORCE_EXIT
    ):
        exit_ = (DisconnectRoom(),)
    (roles, bans, chat), questions = _people_after(state, connection, roster, fact, hint, now)
    after = evolve(
        state,
        connection=connection,
        roster=roster,
        publications=publications,
        roles=roles,
        bans=bans,
        chat=chat,
    )
    return after, (*exit_, *attempts, *operations, *questions)


def next_deadline(state: SessionState) -> float | None:
    """Return when the session's timer must fire, in monotonic seconds; None for never."""
    own = state.publications
    return earliest(
        connection_rules.next_deadline(state.connection),
        own.microphone.resume_by,
        own.camera.resume_by,
        own.screen.resume_by,
        ban_rules.next_deadline(state.bans),
        chat_rules.next_deadline(state.chat),
    )


def _publications_after(
    state: SessionState,
    connection: Connection,
    roster: Roster,
    fact: object,
    now: float,
    allowed: Set[TrackSource],
) -> tuple[Publications, Effects]:
    changes: dict[str, Publishing] = {}
    effects: Effects = ()
    concerned = getattr(fact, "source", None)
    is_up = connection.is_joined and not connection.is_lost
    is_news = connection is not state.connection or publishing_rules.concerns(fact)
    permission = roster.permission
    for source, name in SOURCES.items():
        before = after = getattr(state.publications, name)
        is_granted = is_up and permission.allows(source) and source in allowed
        if not is_news and is_granted is before.is_granted and before.resume_by is None:
            continue  # as in a full room, where nearly every fact is about somebody else
        if concerned is None or concerned is source:
            after = publishing_rules.step(before, fact, source)
        after = _connected(after, state.connection, connection, now)
        after = publishing_rules.granted(after, is_granted)
        until = after.resume_by
        if until is not None and not connection.is_lost and (source not in allowed or now >= until):
            after = publishing_rules.given_up(after)
        after, operations = publishing_rules.follow_up(before, after, fact, source)
        effects = (*effects, *operations)
        if after is not before:
            changes[name] = after
    return evolve(state.publications, **changes) if changes else state.publications, effects


def _connected(
    publishing: Publishing, before: Connection, connection: Connection, now: float
) -> Publishing:
    """Return what the change of the connection makes of an own track."""
    if before.is_joined and not connection.is_joined:
        return publishing_rules.disconnected(publishing)
    if connection.is_lost and not before.is_lost:
        at = connection.force_exit_at or now
        return publishing_rules.suspended(publishing, at + RESUME_SECONDS)
    if before.is_lost and not connection.is_lost:
        return publishing_rules.resuming(publishing, now + RESUME_SECONDS)
    return publishing


def _people_after(
    before: SessionState,
    connection: Connection,
    roster: Roster,
    fact: object,
    hint: object,
    now: float,
) -> tuple[tuple[Roles, Bans, Chat], Effects]:
    """Return the roles, bans and chat, and what to ask the engine."""
    identity = "" if roster.local is None else roster.local.identity
    counts = before.connection.is_joined or not isinstance(fact, Disconnected)
    bans, ask_ban = ban_rules.step(
        before.bans,
        (hint or fact) if counts else None,
        now,
        identity=identity,
        epoch=connection.epoch,
    )
    chat, roles = before.chat, before.roles
    ask_role: Effects = ()
    if connection.is_joined:
        roles = role_rules.step(roles, hint or fact, roster)
        about_chat = hint if isinstance(hint, LockHinted) else fact
        chat = chat_rules.step(chat, about_chat, now, identity=identity, roles=roles)
        roles, ask_role = role_rules.follow_up(roles)
    elif before.connection.is_joined:
        roles = role_rules.forgotten(roles)
        chat = chat_rules.disconnected(chat)
    else:
        roles = role_rules.step(roles, fact, roster) if roles.asked else roles
    return (roles, bans, chat), (*ask_ban, *ask_role)


def _roster_after(state: SessionState, connection: Connection, fact: object) -> Roster:
    if isinstance(fact, JoinSucceeded) and connection.is_joined:
        return roster_rules.from_snapshot(fact.snapshot)
    if not connection.is_joined:
        was_there = state.roster.remotes or state.roster.permission.can_publish
        return roster_rules.emptied(state.roster) if was_there else state.roster
    is_reconnecting = connection.state is UTDConnectionState.RECONNECTING
    return roster_rules.step(state.roster, fact, is_reconnecting=is_reconnecting)
