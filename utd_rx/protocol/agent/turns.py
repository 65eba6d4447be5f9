"""Whose turn it is: what the agent speaks, as it is *heard*, and what the user says.

Theory of operation. The agent's voice comes faster than it sounds and says not of which turn it is,
so the server's start and stop tell when it arrives, and the player tells when it was heard.
`VoiceState` is both in one word, and `VOICES` says how it changes. What is interrupted is silent at
once, and whatever arrives until the next start is of the turn that was cut off, and dropped. The
player is told to be silent by an effect, `FlushAgentSound`, and does not tell then that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from attrs import evolve, frozen

from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentRole
from utd_rx.protocol.agent import transcript as t
from utd_rx.protocol.agent.transcript import Grip, Transcript
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.agent import (
    AgentSoundArrived,
    AgentSoundEnded,
    AgentTextSent,
    FlushAgentSound,
    UserSpeakingChanged,
)
from utd_rx.protocol.facts.connection import DeadlinePassed

LONGEST_TAIL: Final = 5.0
"""Seconds that a speaker may take for its last sound; no device has more, and a lie is no mute."""


LONGEST_PAUSE: Final = 10.0
"""Seconds in which a turn that is under way may bring no sound. A server that does not say when it
stops would keep the microphone silent for ever, where that is so while the agent speaks."""


class VoiceState(Enum):
    """What there is of the agent's voice."""

    SILENT = "silent"
    STARTED = "started"
    """Its turn is under way, and no sound of it waits."""
    SPEAKING = "speaking"
    """Its turn is under way, and sound waits."""
    DRAINING = "draining"
    """Sound waits, and no more is to come."""
    CUT = "cut"
    """Cut off: what comes until the next start is dropped."""

    @property
    def is_talking(self) -> bool:
        """Whether the agent is heard, or to be heard at any moment."""
        return self in (VoiceState.STARTED, VoiceState.SPEAKING, VoiceState.DRAINING)

    @property
    def is_under_way(self) -> bool:
        """Whether the server has begun a turn and not ended it."""
        return self in (VoiceState.STARTED, VoiceState.SPEAKING)

    @property
    def has_sound(self) -> bool:
        """Whether sound waits to be heard."""
        return self in (VoiceState.SPEAKING, VoiceState.DRAINING)


class Cue(Enum):
    """What changes it."""

    START = "the server begins a turn"
    STOP = "the server has sent all of it"
    SOUND = "sound waits"
    HEARD = "all of it was heard"
    CUT = "somebody speaks over it"
    LOST = "the connection is over; what arrived is still played"


V, C = VoiceState, Cue

VOICES: Final[Mapping[tuple[VoiceState, Cue], VoiceState]] = {
    (V.SILENT, C.START): V.STARTED,
    (V.SILENT, C.SOUND): V.DRAINING,  # an agent that does not say when it starts
    (V.SILENT, C.CUT): V.CUT,
    (V.STARTED, C.STOP): V.SILENT,
    (V.STARTED, C.SOUND): V.SPEAKING,
    (V.STARTED, C.CUT): V.CUT,
    (V.STARTED, C.LOST): V.SILENT,
    (V.SPEAKING, C.STOP): V.DRAINING,
    (V.SPEAKING, C.HEARD): V.STARTED,  # the network is late
    (V.SPEAKING, C.CUT): V.CUT,
    (V.SPEAKING, C.LOST): V.DRAINING,
    (V.DRAINING, C.START): V.SPEAKING,  # the next turn, while the one before is heard
    (V.DRAINING, C.HEARD): V.SILENT,
    (V.DRAINING, C.CUT): V.CUT,
    (V.CUT, C.START): V.STARTED,
    (V.CUT, C.LOST): V.SILENT,
}
"""A pair that is missing changes nothing."""

EVENTS: Final[Mapping[type, Cue]] = {
    e.AgentStartedTalking: C.START,
    e.AgentStoppedTalking: C.STOP,
    e.AgentInterrupted: C.CUT,
    AgentSoundArrived: C.SOUND,
}
"""What the table calls an event or fact."""


@frozen
class AgentTurns:
    """Whose turn it is, and what was said.

    Args:
        voice: What there is of the agent's voice.
        heard_at: When the last of it is heard, monotonic seconds, None while more waits or nothing.
        quiet_at: When a turn under way that brings no sound is taken for over.
        is_user_heard: The microphone's voice activity.
        transcript: What was said.
    """

    voice: VoiceState = V.SILENT
    heard_at: float | None = None
    quiet_at: float | None = None
    is_user_heard: bool = False
    transcript: Transcript = Transcript()

    @property
    def accepts_audio(self) -> bool:
        """Whether what arrives of the agent's voice is to be played."""
        return self.voice is not V.CUT

    @property
    def is_agent_talking(self) -> bool:
        """Whether the agent is heard, or to be heard at any moment."""
        return self.voice.is_talking

    @property
    def has_user_words(self) -> bool:
        """Whether the server hears a turn of the user that has no end yet."""
        return self.transcript.user is Grip.OPEN


def step(turns: AgentTurns, fact: object, now: float) -> tuple[AgentTurns, Effects]:
    """Return the turns after `fact` and what they call for; total."""
    after, effects = _step(turns, fact, now)
    if after.voice is V.STARTED and turns.voice is not V.STARTED:
        after = evolve(after, quiet_at=now + LONGEST_PAUSE)
    return after, effects


def _step(turns: AgentTurns, fact: object, now: float) -> tuple[AgentTurns, Effects]:
    match fact:
        case e.TranscriptDelta(role=role, text=text):
            return _said(turns, role, text, is_final=False), ()
        case e.TranscriptFinal(role=role, text=text):
            return _said(turns, role, text, is_final=True), ()
        case AgentTextSent() if not turns.is_agent_talking:
            return evolve(turns, transcript=t.passed(turns.transcript, AgentRole.ASSISTANT)), ()
        case UserSpeakingChanged(is_speaking=is_speaking):
            return evolve(turns, is_user_heard=is_speaking), ()
        case AgentSoundEnded(tail=tail) if turns.voice.has_sound:
            if tail <= 0:
                return _cued(turns, C.HEARD)
            return evolve(turns, heard_at=now + min(tail, LONGEST_TAIL)), ()
        case DeadlinePassed() if turns.heard_at is not None and turns.heard_at <= now:
            return _cued(turns, C.HEARD)
        case DeadlinePassed() if turns.quiet_at is not None and turns.quiet_at <= now:
            return _cued(turns, C.STOP)
    cue = EVENTS.get(type(fact))
    return (turns, ()) if cue is None else _cued(turns, cue)


def cut(turns: AgentTurns) -> tuple[AgentTurns, Effects]:
    """Return the turns after somebody spoke over the agent here, before the server said so."""
    return _cued(turns, C.CUT)


def lost(turns: AgentTurns) -> AgentTurns:
    """Return the turns after the session: what arrived is played, what is to come is not."""
    cut_off = t.cut(turns.transcript) if turns.voice.is_under_way else turns.transcript
    turns, _ = _cued(turns, C.LOST)
    return evolve(turns, transcript=t.ended(cut_off))


def silenced(turns: AgentTurns) -> tuple[AgentTurns, Effects]:
    """Return the turns after the session, when nothing is to be heard any more."""
    turns, effects = _cued(turns, C.CUT) if turns.is_agent_talking else (turns, ())
    return lost(turns), effects


def next_deadline(turns: AgentTurns) -> float | None:
    return earliest(turns.heard_at, turns.quiet_at)


def _cued(turns: AgentTurns, cue: Cue) -> tuple[AgentTurns, Effects]:
    """Return the turns after a row of the table, and what follows from it."""
    voice = VOICES.get((turns.voice, cue), turns.voice)
    transcript = turns.transcript
    effects: Effects = ()
    match cue:
        case C.START if voice is not turns.voice:  # told twice, in both spellings, it is one
            transcript = t.begun(transcript)
        case C.STOP if turns.voice.is_under_way:
            transcript = t.sent(transcript)
        case C.CUT:
            if turns.is_agent_talking:
                transcript = t.cut(transcript)
            effects = (FlushAgentSound(),)
    # Any sound, and any end of it, makes what was about to be heard a matter of the past.
    heard_at = None if cue in (C.SOUND, C.HEARD) or not voice.has_sound else turns.heard_at
    quiet_at = turns.quiet_at if voice is V.STARTED else None
    return AgentTurns(voice, heard_at, quiet_at, turns.is_user_heard, transcript), effects


def _said(turns: AgentTurns, role: AgentRole, text: str, *, is_final: bool) -> AgentTurns:
    # A user who begins while the agent talks does not end its turn: an interruption would.
    passes = role is AgentRole.ASSISTANT or not turns.is_agent_talking
    transcript = t.said(turns.transcript, role, text, is_final=is_final, passes=passes)
    return evolve(turns, transcript=transcript)
