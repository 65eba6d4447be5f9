"""What was said, whatever of it the server tells: deltas, finals, both, or neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.agent.story import CREATED, INTERRUPTED, STARTED, STOPPED, listening, said, says
from utd_rx.models.agent import AgentRole
from utd_rx.protocol.agent.transcript import MAX_TURNS, Transcript
from utd_rx.protocol.agent.transcript import said as words
from utd_rx.protocol.facts.agent import (
    AgentSoundArrived,
    AgentSoundEnded,
    AgentTextSent,
    AgentUnwanted,
    AgentWanted,
)

USER = AgentRole.USER
SOUND, HEARD = AgentSoundArrived(1.0), AgentSoundEnded()
ME, IT = "user", "assistant"


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        # A delta has all of its turn, a final ends it.
        ((says("He"), says("Hello")), [(IT, "Hello", False, False)]),
        ((says("He"), says("Hello"), said("Hello.")), [(IT, "Hello.", True, False)]),
        ((said("Hello."), says("A")), [(IT, "Hello.", True, False), (IT, "A", False, False)]),
        ((said("Yes"), said("Yes")), [(IT, "Yes", True, False)] * 2),
        # The agent's turn ends the user's, and the user's the agent's.
        ((says("Hi", USER), STARTED), [(ME, "Hi", True, False)]),
        ((says("Hi", USER), says("He")), [(ME, "Hi", True, False), (IT, "He", False, False)]),
        ((says("He"), says("Hi", USER)), [(IT, "He", True, False), (ME, "Hi", False, False)]),
        (
            (says("He"), AgentTextSent(), says("A")),
            [(IT, "He", True, False), (IT, "A", False, False)],
        ),
        # A turn that has an end has it also when its final comes late.
        (
            (says("Hi", USER), STARTED, said("Hi!", USER), says("He")),
            [(ME, "Hi!", True, False), (IT, "He", False, False)],
        ),
        (
            (STARTED, says("One"), STOPPED, STARTED, said("One."), says("Two")),
            [(IT, "One.", True, False), (IT, "Two", False, False)],
        ),
        (
            (STARTED, says("One"), INTERRUPTED, STARTED, STOPPED, said("Two.")),
            [(IT, "One", True, True), (IT, "Two.", True, False)],
        ),
        # Two turns without a final are two.
        (
            (STARTED, says("One"), STOPPED, STARTED, says("Two")),
            [(IT, "One", True, False), (IT, "Two", False, False)],
        ),
        (
            (says("Hi", USER), STARTED, says("He"), STOPPED, says("Bye", USER)),
            [(ME, "Hi", True, False), (IT, "He", True, False), (ME, "Bye", False, False)],
        ),
        # Told in both spellings, one start is one.
        ((STARTED, STARTED, says("He"), STARTED, says("Hello")), [(IT, "Hello", False, False)]),
        # Who is spoken over goes on, until the server says that it does not.
        (
            (STARTED, says("He"), says("No", USER), says("Hello")),
            [(IT, "Hello", False, False), (ME, "No", False, False)],
        ),
        (
            (STARTED, says("Hello you"), says("No", USER), INTERRUPTED, says("Hello")),
            [(IT, "Hello", True, True), (ME, "No", False, False)],
        ),
        (
            (STARTED, says("Hello you"), INTERRUPTED, said("Hello"), STARTED, says("Yes")),
            [(IT, "Hello", True, True), (IT, "Yes", False, False)],
        ),
        (
            (STARTED, says("Hello you"), INTERRUPTED, STARTED, said("Hello"), says("Yes")),
            [(IT, "Hello", True, True), (IT, "Yes", False, False)],
        ),
        # Cut is what was heard: also when the server was long done with it.
        (
            (STARTED, SOUND, says("Hello"), STOPPED, said("Hello."), INTERRUPTED),
            [(IT, "Hello.", True, True)],
        ),
        (
            (STARTED, SOUND, says("Hello"), STOPPED, said("Hello."), HEARD, INTERRUPTED),
            [(IT, "Hello.", True, False)],
        ),
        ((said("Hello."), STARTED, INTERRUPTED), [(IT, "Hello.", True, False)]),
        ((says("Hello"), STARTED, INTERRUPTED), [(IT, "Hello", True, False)]),
    ],
)
def test_turns(told: tuple[object, ...], wanted: list[tuple[str, str, bool, bool]]) -> None:
    story = listening()
    story.hear(*told)
    assert story.said == wanted


def test_the_session_s_end_ends_what_is_said_and_nothing_corrects_it() -> None:
    story = listening()
    story.hear(says("Hi", USER), STARTED, says("He"))
    story.end(1006)
    story.pass_time(0.5)
    assert story.said == [(ME, "Hi", True, False), (IT, "He", True, True)]
    story.hear(CREATED, said("Hello"), said("Hm", USER))
    assert story.said[2:] == [(IT, "Hello", True, False), (ME, "Hm", True, False)]


@pytest.mark.parametrize(("is_pause", "kept"), [(True, 1), (False, 0)])
def test_a_pause_keeps_the_transcript_and_a_stop_lasts_until_the_next_start(
    is_pause: bool, kept: int
) -> None:
    story = listening()
    story.hear(says("Hi", USER), AgentUnwanted(is_pause))
    assert story.said == [(ME, "Hi", True, False)]
    story.hear(AgentWanted())
    assert len(story.said) == kept


@given(st.lists(st.tuples(st.sampled_from(AgentRole), st.booleans()), max_size=30))
def test_newest_words_are_found_whatever_was_forgotten(told: list[tuple[AgentRole, bool]]) -> None:
    transcript = Transcript()
    for number in range(MAX_TURNS):
        transcript = words(transcript, AgentRole.USER, str(number), is_final=True)
    for number, (role, is_final) in enumerate(told):
        transcript = words(transcript, role, f"new {number}", is_final=is_final)
        assert len(transcript.turns) == MAX_TURNS
        newest = next(turn for turn in reversed(transcript.turns) if turn.role is role)
        assert (newest.text, newest.is_final) == (f"new {number}", is_final)
