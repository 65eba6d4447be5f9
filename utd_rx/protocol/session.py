"""What every session type has in common, in one value.

A fact passes first through the connection, which decides what the others may believe; then through
the roster, and what is read from it: the grant of the own tracks, roles, and with them the chat. A
session type adds its own part after these and may narrow the grant.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from attrs import evolve, frozen

from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import DataReceived, Disconnected
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.protocol import bans as ban_rules
from utd_rx.protocol import chat as chat_rules
from utd_rx.protocol import connection as connection_rules
from utd_rx.protocol import publishing as publishing_rules
from utd_rx.protocol import roles as role_rules
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol import subscribing as subscribing_rules
from utd_rx.protocol import transcribing as transcript_rules
from utd_rx.protocol.bans import Bans
from utd_rx.protocol.chat import Chat
from utd_rx.protocol.connection import Connection
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.facts.people import LockHinted
from utd_rx.protocol.facts.words import ChatReceived, ChatSent
from utd_rx.protocol.publishing import SOURCES, Publishing
from utd_rx.protocol.roles import Roles
from utd_rx.protocol.roster import Roster
from utd_rx.protocol.subscribing import Subscribing
from utd_rx.protocol.transcribing import RoomTranscript

RESUME_SECONDS: Final = 10.0
"""How long after an outage the grant may take: a connection on a token from before the seat comes
up without it, and the engine gives it back then."""


@frozen
class OwnPublications:
    microphone: Publishing = Publishing()
    camera: Publishing = Publishing()
    screen: Publishing = Publishing()

    def of(self, source: TrackSource) -> Publishing:
        found: Publishing = getattr(self, SOURCES[source]) if source in SOURCES else Publishing()
        return found


@frozen
class SessionState:
    """The part of a session's state that all session types share.

    `is_host` is a claim until a join says what was granted; `claims_host` is what each join asks.
    """

    connection: Connection = Connection()
    roster: Roster = Roster()
    publications: OwnPublications = OwnPublications()
    roles: Roles = Roles()
    bans: Bans = Bans()
    chat: Chat = Chat()
    is_host: bool = False
    claims_host: bool = False
    subscribing: Subscribing = Subscribing()
    transcript: RoomTranscript = RoomTranscript()

    @property
    def identity(self) -> str:
        """Who this client is in the room; "" before the first connection."""
        return self.roster.identity

    @property
    def microphone(self) -> Publishing:
        return self.publications.microphone


def step(
    state: SessionState,
    fact: object,
    now: float,
    *,
    hint: object = None,
    allowed: Set[TrackSource] = SOURCES.keys(),
    has_engine: bool = True,
) -> tuple[SessionState, Effects]:
    """Return the state after `fact` and what it calls for; total.

    `hint` is what `fact`, a message, hints at, and `allowed` what may be published by what a
    session type asks beyond the server's permission. Where nothing `has_engine`, no metadata says
    who has which role or may write, and nobody can be asked.
    """
    connection = connection_rules.step(state.connection, fact, now)
    match fact:
        case _ if connection.is_closed:
            # What is known stays as it was: nothing more is heard that could make it wrong.
            own, ends = _tracks_after(state, connection, state.roster, fact, now, allowed)
            return evolve(state, connection=connection, publications=own), ends
        case facts.JoinSucceeded() if fact.epoch != connection.epoch:
            return evolve(state, connection=connection), ()  # of a join that is over: counted there
        case facts.JoinAdmitted(epoch=epoch, role=role) if epoch == connection.epoch:
            is_host = state.claims_host if role is None else role == UTDRole.HOST.value
            return evolve(state, is_host=is_host), ()
    roster = _roster_after(state, connection, fact)
    connection, attempts = connection_rules.follow_up(connection, now)
    own, operations = _tracks_after(state, connection, roster, fact, now, allowed)
    roles, bans, chat = state.roles, state.bans, state.chat
    questions: Effects = ()
    if has_engine:
        (roles, bans, chat), questions = _people_after(state, connection, roster, fact, hint, now)
    elif isinstance(fact, DataReceived | ChatSent | ChatReceived) and connection.is_joined:
        identity = roster.identity
        chat = chat_rules.step(chat, fact, now, identity=identity, roles=roles, has_engine=False)
    transcript = state.transcript
    if connection.is_joined:
        transcript = transcript_rules.step(transcript, fact, roster)
    elif state.connection.is_joined:
        transcript = transcript_rules.disconnected(transcript)
    # Not one after the other: in a full room every `evolve` shows.
    wanted, wishes = subscribing_rules.step(state.subscribing, fact, roster)
    after = SessionState(
        connection,
        roster,
        own,
        roles,
        bans,
        chat,
        state.is_host,
        state.claims_host,
        wanted,
        transcript,
    )
    has_exited = connection.state is UTDConnectionState.FORCE_EXIT
    is_over = has_exited and state.connection.state is not UTDConnectionState.FORCE_EXIT
    exits: Effects = (facts.DisconnectRoom(),) if is_over else ()
    return after, (*exits, *attempts, *operations, *questions, *wishes)


def next_deadline(state: SessionState) -> float | None:
    own = state.publications
    return earliest(
        connection_rules.next_deadline(state.connection),
        own.microphone.resume_by,
        own.camera.resume_by,
        own.screen.resume_by,
        ban_rules.next_deadline(state.bans),
        chat_rules.next_deadline(state.chat),
    )


def _tracks_after(
    state: SessionState,
    connection: Connection,
    roster: Roster,
    fact: object,
    now: float,
    allowed: Set[TrackSource],
) -> tuple[OwnPublications, Effects]:
    """Return the own tracks, and what `fact` and the changed connection and roster ask for."""
    changes: dict[str, Publishing] = {}
    effects: Effects = ()
    permission = roster.permission
    concerned = getattr(fact, "source", None)
    is_up = connection.is_joined and not connection.is_lost
    is_news = connection is not state.connection or publishing_rules.concerns(fact)
    for source, name in SOURCES.items():
        before = own = getattr(state.publications, name)
        is_granted = is_up and permission.allows(source) and source in allowed
        if not is_news and is_granted is before.is_granted and before.resume_by is None:
            continue  # as in a full room, where nearly every fact is about somebody else
        if concerned is None or concerned is source:
            own = publishing_rules.step(before, fact, source)
        own = _connected(own, state.connection, connection, now)
        own = publishing_rules.granted(own, is_granted)
        until = own.resume_by
        if until is not None and not connection.is_lost and (source not in allowed or now >= until):
            own = evolve(own, is_wanted=False, resume_by=None)
        own, operations = publishing_rules.follow_up(before, own, fact, source)
        effects = (*effects, *operations)
        if own is not before:
            changes[name] = own
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
    if before.is_lost and not connection.is_lost and publishing.resume_by is not None:
        return evolve(publishing, resume_by=now + RESUME_SECONDS)
    return publishing


def _people_after(
    state: SessionState,
    connection: Connection,
    roster: Roster,
    fact: object,
    hint: object,
    now: float,
) -> tuple[tuple[Roles, Bans, Chat], Effects]:
    """Return roles, bans and chat, and what to ask the engine."""
    identity, bans, chat, roles = roster.identity, state.bans, state.chat, state.roles
    counts = state.connection.is_joined or not isinstance(fact, Disconnected)
    told = (hint or fact) if counts else None
    bans, ask_ban = ban_rules.step(bans, told, now, identity=identity, epoch=connection.epoch)
    ask_role: Effects = ()
    if connection.is_joined:
        roles = role_rules.step(roles, hint or fact, roster)
        about_chat = hint if isinstance(hint, LockHinted) else fact
        chat = chat_rules.step(chat, about_chat, now, identity=identity, roles=roles)
        roles, ask_role = role_rules.follow_up(roles)
    elif state.connection.is_joined:
        roles = role_rules.forgotten(roles)
        chat = chat_rules.disconnected(chat)
    elif roles.asked:
        roles = role_rules.step(roles, fact, roster)
    return (roles, bans, chat), (*ask_ban, *ask_role)


def _roster_after(state: SessionState, connection: Connection, fact: object) -> Roster:
    if isinstance(fact, facts.JoinSucceeded) and connection.is_joined:
        return roster_rules.from_snapshot(fact.snapshot)
    if not connection.is_joined:
        was_there = state.roster.remotes or state.roster.permission.can_publish
        return roster_rules.emptied(state.roster) if was_there else state.roster
    is_reconnecting = connection.state is UTDConnectionState.RECONNECTING
    return roster_rules.step(state.roster, fact, is_reconnecting=is_reconnecting)
