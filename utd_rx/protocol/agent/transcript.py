"""What was said: turns of the user and of the agent, as the server tells them.

Theory of operation. A delta has all of its turn so far, so it takes the place of what was told
before. Which turn it belongs to is not said; `Grip` is what the next words of a role do, and
`GRIPS` how that changes. A final ends a turn; without one it ends when the next begins, or with the
session. The rules never look at the text (`protocol.redaction`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from attrs import evolve, frozen

from utd_rx.models.agent import AgentRole, AgentTurn

MAX_TURNS: Final = 500
"""Turns that are kept; older ones are forgotten."""


class Grip(Enum):
    """What the next words of a role do."""

    NEW = "new"
    """Begin a turn."""
    OPEN = "open"
    """Take the place of what the newest turn has."""
    CUT = "cut"
    """As well, and the turn is over: it was spoken over."""
    ENDED = "ended"
    """A delta begins a turn; a final corrects the newest, which is over, and not heard any more."""
    SETTLED = "settled"
    """Begin a turn; the newest had its final, and may still be heard."""


class Saying(Enum):
    """What happens to the turn of a role."""

    DELTA = "words so far"
    FINAL = "the words"
    BEGUN = "its next turn begins, whatever was told of the one before"
    SENT = "the server has sent all of it"
    PASSED = "the other's turn begins"
    CUT = "it is spoken over"


G, S = Grip, Saying

GRIPS: Final[Mapping[tuple[Grip, Saying], Grip]] = {
    (G.NEW, S.DELTA): G.OPEN,
    (G.NEW, S.FINAL): G.SETTLED,
    (G.OPEN, S.FINAL): G.SETTLED,
    (G.OPEN, S.BEGUN): G.ENDED,
    (G.OPEN, S.PASSED): G.ENDED,
    (G.OPEN, S.CUT): G.CUT,
    (G.CUT, S.FINAL): G.SETTLED,
    (G.CUT, S.BEGUN): G.ENDED,
    (G.ENDED, S.DELTA): G.OPEN,
    (G.ENDED, S.FINAL): G.SETTLED,
    (G.ENDED, S.SENT): G.NEW,
    (G.SETTLED, S.DELTA): G.OPEN,
    (G.SETTLED, S.BEGUN): G.NEW,
    (G.SETTLED, S.PASSED): G.NEW,
}
"""A pair that is missing changes nothing."""

CORRECTING: Final = (
    (G.OPEN, S.DELTA),
    (G.OPEN, S.FINAL),
    (G.CUT, S.DELTA),
    (G.CUT, S.FINAL),
    (G.ENDED, S.FINAL),
)
"""Words that take the place of what the newest turn of the role has; others begin one."""


OTHER: Final = {AgentRole.USER: AgentRole.ASSISTANT, AgentRole.ASSISTANT: AgentRole.USER}


@frozen
class Transcript:
    """Turns in the order they began, and what the next words of each role do."""

    turns: tuple[AgentTurn, ...] = ()
    user: Grip = Grip.NEW
    assistant: Grip = Grip.NEW

    def grip(self, role: AgentRole) -> Grip:
        return self.user if role is AgentRole.USER else self.assistant


def said(
    transcript: Transcript, role: AgentRole, text: str, *, is_final: bool, passes: bool = True
) -> Transcript:
    """Return the transcript after words of a role, a delta or a final.

    `passes`: a turn that they begin ends the other's.
    """
    saying = S.FINAL if is_final else S.DELTA
    at = _newest(transcript, role) if (transcript.grip(role), saying) in CORRECTING else None
    if at is not None:
        is_over = transcript.turns[at].is_final or is_final
        transcript = _changed(transcript, at, text=text, is_final=is_over)
    else:
        if passes:
            transcript = passed(transcript, OTHER[role])
        turns = (*transcript.turns, AgentTurn(role, text, is_final))[-MAX_TURNS:]
        transcript = evolve(transcript, turns=turns)
    return _gripped(transcript, role, saying)


def begun(transcript: Transcript) -> Transcript:
    """Return the transcript after the beginning of a turn of the agent's, without a word yet."""
    after = _gripped(_over(transcript, AgentRole.ASSISTANT), AgentRole.ASSISTANT, S.BEGUN)
    return passed(after, AgentRole.USER)


def sent(transcript: Transcript) -> Transcript:
    """Return the transcript after a turn of the agent's: a final is of it, whatever was before."""
    return _gripped(transcript, AgentRole.ASSISTANT, S.SENT)


def passed(transcript: Transcript, role: AgentRole) -> Transcript:
    """Return the transcript after a role's turn, because the other's begins."""
    return _gripped(_over(transcript, role), role, S.PASSED)


def cut(transcript: Transcript) -> Transcript:
    """Return the transcript after the agent was cut off in what it speaks."""
    if transcript.assistant in (G.OPEN, G.CUT, G.SETTLED):  # else the newest was heard before
        transcript = _marked(transcript, AgentRole.ASSISTANT, is_final=True, was_cut=True)
    return _gripped(transcript, AgentRole.ASSISTANT, S.CUT)


def ended(transcript: Transcript) -> Transcript:
    """Return the transcript after the session: nothing that comes corrects it."""
    return Transcript(_over(_over(transcript, AgentRole.USER), AgentRole.ASSISTANT).turns)


def _over(transcript: Transcript, role: AgentRole) -> Transcript:
    return (
        _marked(transcript, role, is_final=True) if transcript.grip(role) is G.OPEN else transcript
    )


def _marked(transcript: Transcript, role: AgentRole, **marks: bool) -> Transcript:
    at = _newest(transcript, role)
    return transcript if at is None else _changed(transcript, at, **marks)


def _changed(transcript: Transcript, at: int, **changes: Any) -> Transcript:
    turns = transcript.turns
    turn = evolve(turns[at], **changes)
    return evolve(transcript, turns=(*turns[:at], turn, *turns[at + 1 :]))


def _newest(transcript: Transcript, role: AgentRole) -> int | None:
    for at in range(len(transcript.turns) - 1, -1, -1):
        if transcript.turns[at].role is role:
            return at
    return None


def _gripped(transcript: Transcript, role: AgentRole, saying: Saying) -> Transcript:
    grip = GRIPS.get((transcript.grip(role), saying))
    if grip is None:
        return transcript
    if role is AgentRole.USER:
        return evolve(transcript, user=grip)
    return evolve(transcript, assistant=grip)
