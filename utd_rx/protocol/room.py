"""A plain room of LiveKit's: a session with no engine behind it.

What anybody writes in metadata or sends there is the app's own, and nobody can be asked whose an
identity is: whoever joined with it later keeps the place, as the media server says.
"""

from __future__ import annotations

from attrs import evolve, frozen

from utd_rx.protocol import session as session_rules
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import AskPlace, PlaceAsked
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import Wait


@frozen
class PlainRoomState:
    """The whole state of a session in a plain room.

    Args:
        identity: This client's, as its token says; "" while there was none that does.
        session: The common part.
        waits: The commands that wait.
    """

    identity: str
    session: SessionState = SessionState()
    waits: tuple[Wait, ...] = ()


def step(state: PlainRoomState, fact: object, now: float) -> tuple[PlainRoomState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    session, effects = session_rules.step(state.session, fact, now, has_engine=False)
    answered: Effects = ()
    for effect in effects:
        if isinstance(effect, AskPlace):
            answer = PlaceAsked(effect.epoch, is_ours=False)
            session, more = session_rules.step(session, answer, now, has_engine=False)
        else:
            more = (effect,)
        answered = (*answered, *more)
    return evolve(state, session=session), answered


def next_deadline(state: PlainRoomState) -> float | None:
    return session_rules.next_deadline(state.session)
