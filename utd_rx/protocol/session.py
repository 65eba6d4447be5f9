"""What every session type has in common: connection, roster and microphone in one value.

`step` is the order in which one fact passes through the three: the connection first, because it
decides what the others may believe; then the roster; then the microphone, whose grant is read
from the roster. A session type adds its own part after these and may narrow the grant.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import evolve, frozen

from utd_rx.models.connection import UTDConnectionState
from utd_rx.models.participant import TrackSource
from utd_rx.protocol import connection as connection_rules
from utd_rx.protocol import publishing as publishing_rules
from utd_rx.protocol import roster as roster_rules
from utd_rx.protocol.connection import Connection
from utd_rx.protocol.facts import DisconnectRoom, JoinSucceeded
from utd_rx.protocol.publishing import Publishing
from utd_rx.protocol.roster import Roster

Effects: TypeAlias = tuple[object, ...]


@frozen
class SessionState:
    """The part of a session's state that all session types share."""

    connection: Connection = Connection()
    roster: Roster = Roster()
    microphone: Publishing = Publishing()


def step(
    state: SessionState,
    fact: object,
    now: float,
    *,
    may_publish: bool = True,
) -> tuple[SessionState, Effects]:
    """Return the state after `fact` and what it calls for; total.

    Args:
        state: Before.
        fact: A room event or one of `utd_rx.protocol.facts`.
        now: Monotonic seconds.
        may_publish: Whether what a session type asks beyond the server's permission is given.
    """
    connection = connection_rules.step(state.connection, fact, now)
    roster = _roster_after(state, connection, fact)
    microphone = publishing_rules.step(state.microphone, fact)
    if state.connection.is_joined and not connection.is_joined:
        microphone = publishing_rules.disconnected(microphone)
    is_granted = (
        connection.is_joined and roster.permission.allows(TrackSource.MICROPHONE) and may_publish
    )
    microphone = publishing_rules.granted(microphone, is_granted)
    microphone, operations = publishing_rules.follow_up(state.microphone, microphone, fact)
    exit_: Effects = ()
    if (
        connection.state is UTDConnectionState.FORCE_EXIT
        and state.connection.state is not UTDConnectionState.FORCE_EXIT
    ):
        exit_ = (DisconnectRoom(),)
    after = evolve(state, connection=connection, roster=roster, microphone=microphone)
    return after, (*exit_, *operations)


def next_deadline(state: SessionState) -> float | None:
    """Return when the session's timer must fire, in monotonic seconds; None for never."""
    return state.connection.force_exit_at


def _roster_after(state: SessionState, connection: Connection, fact: object) -> Roster:
    if isinstance(fact, JoinSucceeded):
        is_current = fact.epoch == state.connection.epoch and connection.is_joined
        return roster_rules.from_snapshot(fact.snapshot) if is_current else state.roster
    if not connection.is_joined:
        was_there = state.roster.remotes or state.roster.permission.can_publish
        return roster_rules.emptied(state.roster) if was_there else state.roster
    is_reconnecting = connection.state is UTDConnectionState.RECONNECTING
    return roster_rules.step(state.roster, fact, is_reconnecting=is_reconnecting)
