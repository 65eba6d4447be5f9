"""Whose turn it is: the agent talks as long as it is heard, and is silent when it is cut off."""

from __future__ import annotations

import pytest

from tests.protocol.agent.story import INTERRUPTED, STARTED, STOPPED
from utd_rx.protocol.agent import turns as rules
from utd_rx.protocol.agent.turns import AgentTurns, Cue, VoiceState
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.agent import (
    AgentSoundArrived,
    AgentSoundEnded,
    FlushAgentSound,
    UserSpeakingChanged,
)
from utd_rx.protocol.facts.connection import DeadlinePassed

SI, ST, SP, DR, CU = VoiceState
FACTS = {
    Cue.START: STARTED,
    Cue.STOP: STOPPED,
    Cue.SOUND: AgentSoundArrived(0.1),
    Cue.HEARD: AgentSoundEnded(),
    Cue.CUT: INTERRUPTED,
    Cue.LOST: None,
}
TABLE = {
    #    START STOP SOUND HEARD CUT LOST
    SI: (ST, SI, DR, SI, CU, SI),
    ST: (ST, SI, SP, ST, CU, SI),
    SP: (SP, DR, SP, ST, CU, DR),
    DR: (SP, DR, DR, SI, CU, DR),
    CU: (ST, CU, CU, CU, CU, SI),
}


def told(turns: AgentTurns, *facts: object) -> AgentTurns:
    for fact in facts:
        turns, _ = rules.step(turns, fact, 100.0)
    return turns


@pytest.mark.parametrize("voice", VoiceState)
@pytest.mark.parametrize(("column", "cue"), [*enumerate(Cue)])
def test_the_whole_table(voice: VoiceState, column: int, cue: Cue) -> None:
    before = AgentTurns(voice)
    effects: Effects = ()
    if cue is Cue.LOST:
        after = rules.lost(before)
    else:
        after, effects = rules.step(before, FACTS[cue], 100.0)
    assert after.voice is TABLE[voice][column]
    # Whatever is cut off is silent at once, also what nobody knows of here.
    assert effects == (FlushAgentSound(),) * (cue is Cue.CUT)
    assert after.accepts_audio is (after.voice is not CU)
    assert after.is_agent_talking is (after.voice in (ST, SP, DR))


def test_the_last_sound_is_heard_a_device_s_delay_later() -> None:
    turns = told(AgentTurns(), STARTED, AgentSoundArrived(1.0), STOPPED, AgentSoundEnded(0.2))
    assert turns.is_agent_talking
    assert rules.next_deadline(turns) == pytest.approx(100.2)
    early, _ = rules.step(turns, DeadlinePassed(), 100.1)
    assert early == turns
    late, _ = rules.step(turns, DeadlinePassed(), 100.2)
    assert (late.is_agent_talking, rules.next_deadline(late)) == (False, None)


@pytest.mark.parametrize("fact", [AgentSoundArrived(0.1), INTERRUPTED, AgentSoundEnded()])
def test_what_comes_before_the_last_sound_was_heard_takes_its_time_away(fact: object) -> None:
    turns = told(AgentTurns(), AgentSoundArrived(1.0), AgentSoundEnded(0.2), fact)
    assert rules.next_deadline(turns) is None


def test_the_next_turn_begins_while_the_last_sound_of_the_one_before_is_heard() -> None:
    turns = told(AgentTurns(), STARTED, AgentSoundArrived(1.0), STOPPED, AgentSoundEnded(0.2))
    turns = told(turns, STARTED)
    assert rules.next_deadline(turns) == pytest.approx(100.2)
    turns, _ = rules.step(turns, DeadlinePassed(), 101.0)
    assert turns.voice is ST


def test_no_device_is_believed_to_sound_on_for_ever() -> None:
    turns = told(AgentTurns(), AgentSoundArrived(1.0), AgentSoundEnded(1e9))
    assert rules.next_deadline(turns) == 100.0 + rules.LONGEST_TAIL


@pytest.mark.parametrize("sound", [(), (AgentSoundArrived(1.0), AgentSoundEnded())])
def test_an_agent_that_never_says_that_it_stops_is_silent_after_a_while(
    sound: tuple[object, ...],
) -> None:
    turns = told(AgentTurns(), STARTED, *sound)
    assert turns.is_agent_talking
    due = rules.next_deadline(turns)
    assert due == 100.0 + rules.LONGEST_PAUSE
    early, _ = rules.step(turns, DeadlinePassed(), due - 0.1)
    assert early.is_agent_talking
    late, _ = rules.step(turns, DeadlinePassed(), due)
    assert not late.is_agent_talking
    assert rules.next_deadline(late) is None
    # A pause within a turn takes its time anew, and sound has none.
    speaking = told(turns, AgentSoundArrived(1.0))
    assert rules.next_deadline(speaking) is None


def test_nothing_is_flushed_when_nobody_is_heard_and_the_session_is_put_away() -> None:
    assert rules.silenced(AgentTurns()) == (AgentTurns(), ())
    assert rules.silenced(AgentTurns(DR)) == (AgentTurns(SI), (FlushAgentSound(),))


def test_the_microphone_tells_of_the_user() -> None:
    turns = told(AgentTurns(), UserSpeakingChanged(True))
    assert turns.is_user_heard
    assert not told(turns, UserSpeakingChanged(False)).is_user_heard
