"""What every session type has in common: connection, roster, roles, chat, microphone in one value.

`step` is the order in which one fact passes through the parts: the connection first, because it
decides what the others may believe; then the roster, and what is read from it: roles, and with
them the chat; then the microphone, whose grant is read from the roster. A session type adds its
own part after these and may narrow the grant.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import evolve, frozen

from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.events import Disconnected
from utd_rx.models.participant import TrackSource
from utd_rx.protocol import bans as ban_rules
from utd_rx.protocol import chat as chat_rules
from utd_rx.protocol import connection as connection_rules
from utd_rx.protocol import publishing as publishing_rules
from utd_rx.protocol import roles as role_rules
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol.bans import Bans
from utd_rx.protocol.chat import Chat
from utd_rx.protocol.connection import Connection
from utd_rx.protocol.facts import DisconnectRoom, JoinSucceeded, LockHinted
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.roles import Roles
from utd_rx.protocol.roster import Roster

Effects: TypeAlias = tuple[object, ...]

RESUME_SECONDS: Final = 10.0
"""How long after an outage the grant may take: a connection on a token from before the seat comes
up without it, and the engine gives it back then (facts/utd-engine.md §7.2, 11)."""


@frozen
class SessionState:
    """The part of a session's state that all session types share."""

    connection: Connection = Connection()
    roster: Roster = Roster()
    microphone: Publishing = Publishing()
    roles: Roles = Roles()
    bans: Bans = Bans()
    chat: Chat = Chat()

    @property
    def identity(self) -> str:
        """Who this client is in the room; "" before the first connection."""
        return "" if self.roster.local is None else self.roster.local.identity


def step(
    state: SessionState,
    fact: object,
    now: float,
    *,
    told: object = None,
    may_publish: bool = True,
) -> tuple[SessionState, Effects]:
    """Return the state after `fact` and what it calls for; total.

    Args:
        state: Before.
        fact: A room event or one of `utd_rx.protocol.facts`.
        now: Monotonic seconds.
        told: What `fact`, a message, hints at; None when it hints at nothing.
        may_publish: Whether what a session type asks beyond the server's permission is given.
    """
    connection = connection_rules.step(state.connection, fact, now)
    if isinstance(fact, JoinSucceeded) and fact.epoch != connection.epoch:
        return evolve(state, connection=connection), ()  # of a join that is over: counted there
    roster = _roster_after(state, connection, fact)
    connection, rejoins = connection_rules.follow_up(connection, now)
    microphone = _microphone_after(state, connection, roster, fact, now, may_publish)
    microphone, operations = publishing_rules.follow_up(state.microphone, microphone, fact)
    exit_: Effects = ()
    if (
        connection.state is UTDConnectionState.FORCE_EXIT
        and state.connection.state is not UTDConnectionState.FORCE_EXIT
    ):
        exit_ = (DisconnectRoom(),)
    after = evolve(state, connection=connection, roster=roster, microphone=microphone)
    after, questions = _people_after(state, after, fact, told, now)
    return after, (*exit_, *rejoins, *operations, *questions)


def next_deadline(state: SessionState) -> float | None:
    """Return when the session's timer must fire, in monotonic seconds; None for never."""
    deadlines = (
        connection_rules.next_deadline(state.connection),
        state.microphone.resume_by,
        ban_rules.next_deadline(state.bans),
        chat_rules.next_deadline(state.chat),
    )
    return min((at for at in deadlines if at is not None), default=None)


def _microphone_after(
    state: SessionState,
    connection: Connection,
    roster: Roster,
    fact: object,
    now: float,
    may_publish: bool,
) -> Publishing:
    """Return the microphone, before its next operation is chosen."""
    microphone = publishing_rules.step(state.microphone, fact)
    if state.connection.is_joined and not connection.is_joined:
        microphone = publishing_rules.disconnected(microphone)
    elif connection.is_lost and not state.connection.is_lost:
        at = connection.force_exit_at or now
        microphone = publishing_rules.suspended(microphone, at + RESUME_SECONDS)
    elif state.connection.is_lost and not connection.is_lost:
        microphone = publishing_rules.resuming(microphone, now + RESUME_SECONDS)
    is_granted = (
        connection.is_joined
        and not connection.is_lost
        and roster.permission.allows(TrackSource.MICROPHONE)
        and may_publish
    )
    microphone = publishing_rules.granted(microphone, is_granted)
    until = microphone.resume_by
    if until is None or connection.is_lost or (may_publish and now < until):
        return microphone
    return publishing_rules.given_up(microphone)


def _people_after(
    before: SessionState, after: SessionState, fact: object, told: object, now: float
) -> tuple[SessionState, Effects]:
    """Return the session with its roles, bans and chat, and what to ask the engine."""
    connection, identity = after.connection, after.identity
    counts = before.connection.is_joined or not isinstance(fact, Disconnected)
    bans, ask_ban = ban_rules.step(
        after.bans,
        (told or fact) if counts else None,
        now,
        identity=identity,
        epoch=connection.epoch,
    )
    chat, roles = after.chat, after.roles
    ask_role: Effects = ()
    if connection.is_joined:
        roles = role_rules.step(roles, told or fact, after.roster)
        about_chat = told if isinstance(told, LockHinted) else fact
        chat = chat_rules.step(chat, about_chat, now, identity=identity, roles=roles)
        roles, ask_role = role_rules.follow_up(roles)
    elif before.connection.is_joined:
        roles = role_rules.forgotten(roles)
        chat = chat_rules.disconnected(chat)
    else:
        roles = role_rules.step(roles, fact, after.roster) if roles.asked else roles
    return evolve(after, roles=roles, bans=bans, chat=chat), (*ask_ban, *ask_role)


def _roster_after(state: SessionState, connection: Connection, fact: object) -> Roster:
    if isinstance(fact, JoinSucceeded) and connection.is_joined:
        return roster_rules.from_snapshot(fact.snapshot)
    if not connection.is_joined:
        was_there = state.roster.remotes or state.roster.permission.can_publish
        return roster_rules.emptied(state.roster) if was_there else state.roster
    is_reconnecting = connection.state is UTDConnectionState.RECONNECTING
    return roster_rules.step(state.roster, fact, is_reconnecting=is_reconnecting)
