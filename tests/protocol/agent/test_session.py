"""A voice agent's session: what is heard here, what is sent, and what becomes of the devices."""

from __future__ import annotations

import pytest

from tests.protocol.agent.story import (
    CREATED,
    INTERRUPTED,
    STARTED,
    STOPPED,
    in_phase,
    listening,
    said,
    says,
)
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentRole, AgentStatistics, AgentStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.agent.connecting import AgentPhase
from utd_rx.protocol.agent.promises import HasSession, HasStarted
from utd_rx.protocol.agent.session import AgentOptions
from utd_rx.protocol.facts.agent import (
    AgentAudioMeasured,
    AgentMessagesMalformed,
    AgentMuteWanted,
    AgentSoundArrived,
    AgentSoundEnded,
    AgentSoundFailed,
    AgentTextSent,
    AgentUnwanted,
    CallAgentTool,
    EndAgentSession,
    FlushAgentSound,
    OpenAgentSocket,
    ReleaseAgentDevices,
    SilenceMicrophone,
    UserSpeakingChanged,
)
from utd_rx.protocol.waiting import EndWait, WaitStarted

SOUND, HEARD = AgentSoundArrived(1.0), AgentSoundEnded()
TALKS, QUIET = UserSpeakingChanged(True), UserSpeakingChanged(False)


def test_the_agent_talks_until_it_was_heard_and_not_until_it_was_sent() -> None:
    story = listening()
    statuses = []
    for fact in (STARTED, SOUND, STOPPED, HEARD):
        story.hear(fact)
        statuses.append(story.state.status)
    assert statuses == [AgentStatus.SPEAKING] * 3 + [AgentStatus.LISTENING]


def test_late_sound_of_a_turn_that_was_cut_off_is_dropped_until_the_next_start() -> None:
    story = listening()
    story.hear(STARTED, SOUND)
    assert story.hear(INTERRUPTED) == [FlushAgentSound()]
    assert story.state.status is AgentStatus.LISTENING
    for fact in (STOPPED, says("late"), TALKS):
        story.hear(fact)
        assert not story.state.accepts_audio
    story.hear(STARTED)
    assert story.state.accepts_audio


def test_sound_without_a_session_is_dropped() -> None:
    for phase in AgentPhase:
        is_there = phase is AgentPhase.LISTENING
        assert in_phase(phase).state.accepts_audio is is_there


# --- the microphone -----------------------------------------------------------------------------


def test_a_microphone_that_is_muted_while_the_agent_speaks_opens_when_it_was_heard() -> None:
    story = listening(AgentOptions(mutes_while_speaking=True))
    assert story.hear(STARTED) == [SilenceMicrophone(True)]
    assert story.hear(SOUND, STOPPED) == []
    assert story.hear(AgentSoundEnded(0.25)) == []
    assert story.pass_time(0.2) == []
    assert story.pass_time(0.1) == [SilenceMicrophone(False)]


def test_one_that_the_app_muted_stays_so() -> None:
    story = listening(AgentOptions(mutes_while_speaking=True))
    assert story.hear(AgentMuteWanted(True)) == [SilenceMicrophone(True)]
    assert story.hear(STARTED, SOUND, INTERRUPTED) == [FlushAgentSound()]
    assert story.state.is_silenced
    assert story.hear(AgentMuteWanted(True)) == []
    assert story.hear(AgentMuteWanted(False)) == [SilenceMicrophone(False)]


def test_a_muted_user_is_not_heard() -> None:
    story = listening()
    story.hear(TALKS)
    assert story.state.is_user_talking
    story.hear(AgentMuteWanted(True))
    assert not story.state.is_user_talking
    story.hear(AgentMuteWanted(False), QUIET)
    assert not story.state.is_user_talking


def test_without_a_microphone_the_server_s_words_tell_that_the_user_talks() -> None:
    story = listening(AgentOptions(has_microphone=False))
    seen = []
    for fact in (says("Hi", AgentRole.USER), said("Hi!", AgentRole.USER), says("Hello"), TALKS):
        story.hear(fact)
        seen.append(story.state.is_user_talking)
    assert seen == [True, False, False, False]


def test_who_talks_on_through_a_reconnect_is_heard_again_behind_it() -> None:
    story = listening()
    story.hear(TALKS)
    story.end(1006)
    assert not story.state.is_user_talking
    story.pass_time(0.5)
    story.hear(CREATED)
    assert story.state.is_user_talking


# --- barging in ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_user_who_begins_to_talk_cuts_the_agent_off_if_it_is_wanted(is_wanted: bool) -> None:
    story = listening(AgentOptions(barges_in=is_wanted))
    story.hear(STARTED, SOUND, says("Hello"))
    assert story.hear(TALKS) == [FlushAgentSound()] * is_wanted
    assert story.state.accepts_audio is not is_wanted
    assert story.said == [("assistant", "Hello", is_wanted, is_wanted)]
    story.hear(QUIET, STARTED)
    assert story.state.accepts_audio


def test_who_has_not_stopped_talking_yet_does_not_cut_the_answer_off() -> None:
    story = listening(AgentOptions(barges_in=True))
    assert story.hear(TALKS, STARTED, SOUND) == []
    assert story.state.status is AgentStatus.SPEAKING


# --- the end of a session -----------------------------------------------------------------------


def test_what_arrived_before_a_loss_is_heard_to_its_end() -> None:
    story = listening()
    story.hear(STARTED, SOUND)
    assert story.end(1006) == [EndAgentSession()]
    statuses = [story.state.status]
    assert story.state.turns.is_agent_talking
    story.pass_time(0.5)
    for fact in (CREATED, HEARD):
        story.hear(fact)
        statuses.append(story.state.status)
    assert statuses == [AgentStatus.RECONNECTING, AgentStatus.SPEAKING, AgentStatus.LISTENING]


def test_after_the_server_s_end_devices_are_let_go_when_all_was_heard() -> None:
    story = listening()
    story.hear(STARTED, SOUND, STOPPED)
    assert story.end(1000) == [EndAgentSession()]
    assert (story.state.status, story.state.has_devices) == (AgentStatus.CLOSED, True)
    assert story.hear(HEARD) == [ReleaseAgentDevices()]


def test_a_stop_behind_the_server_s_end_is_silence_as_well() -> None:
    story = listening()
    story.hear(STARTED, SOUND, STOPPED)
    story.end(1000)
    assert story.hear(AgentUnwanted()) == [FlushAgentSound(), ReleaseAgentDevices()]


@pytest.mark.parametrize("is_pause", [True, False])
def test_who_puts_it_away_has_silence_at_once(is_pause: bool) -> None:
    story = listening(AgentOptions(mutes_while_speaking=True))
    story.hear(STARTED, SOUND, says("Hello"))
    effects = story.hear(AgentUnwanted(is_pause))
    order = [type(effect).__name__ for effect in effects]
    assert order == [
        "FlushAgentSound",
        "EndAgentSession",
        "CloseAgentSocket",
        "SilenceMicrophone",
        "ReleaseAgentDevices",
    ]
    assert story.said == [("assistant", "Hello", True, True)]
    assert story.hear(AgentUnwanted(is_pause)) == []


def test_a_stop_behind_a_lost_session_silences_what_is_left_of_it() -> None:
    story = listening()
    story.hear(STARTED, SOUND)
    story.end(1006)
    assert story.hear(AgentUnwanted()) == [FlushAgentSound(), ReleaseAgentDevices()]
    assert story.pass_time(60.0) == []


# --- what is counted ----------------------------------------------------------------------------


def test_everything_odd_is_counted_and_survived() -> None:
    story = listening()
    story.hear(
        AgentMessagesMalformed(3),
        e.UnknownAgentEvent("mood.changed"),
        AgentAudioMeasured(7, 40.0, 900.0),
        CREATED,  # a second time
    )
    story.hear(AgentUnwanted(), says("late"), INTERRUPTED)
    assert story.state.statistics == AgentStatistics(7, 1, 3, 3, 0, 40.0, 0.0)
    assert story.said == []


def test_what_was_heard_or_flushed_waits_no_more() -> None:
    for end in (HEARD, INTERRUPTED):
        story = listening()
        story.hear(STARTED, SOUND, AgentAudioMeasured(0, 0.0, 900.0))
        assert story.state.statistics.playback_ms == 900.0
        story.hear(end)
        assert story.state.statistics.playback_ms == 0.0


def test_words_before_a_session_mean_nothing() -> None:
    story = in_phase(AgentPhase.OPENING)
    assert story.hear(says("Hello"), STARTED, AgentTextSent()) == []
    assert (story.said, story.state.statistics.late_events) == ([], 2)


def test_a_tool_is_called_with_what_the_agent_gave() -> None:
    story = listening()
    arguments: FrozenMap[str, object] = FrozenMap({"city": "Pisa"})
    assert story.hear(e.FunctionCalled("c1", "weather", arguments)) == [
        CallAgentTool(1, "c1", "weather", arguments)
    ]


# --- commands -----------------------------------------------------------------------------------


def error_of(effect: object) -> UTDStreamException:
    assert isinstance(effect, EndWait)
    assert effect.error is not None
    return effect.error


def test_a_start_waits_for_as_long_as_a_session_may_come() -> None:
    story = in_phase(AgentPhase.OPENING)
    story.hear(WaitStarted(1, HasStarted(), 1))
    for _ in range(20):
        assert story.end(503) == []
        opened = story.pass_time(30.0)
        assert isinstance(opened[0], OpenAgentSocket)
    assert EndWait(1) in story.hear(CREATED)


def test_a_start_raises_what_is_final_and_that_it_was_stopped() -> None:
    story = in_phase(AgentPhase.OPENING)
    story.hear(WaitStarted(1, HasStarted(), 1))
    [ended] = story.end(401)
    assert error_of(ended).code is UTDErrorCode.UNAUTHORIZED
    story = in_phase(AgentPhase.OPENING)
    story.hear(WaitStarted(1, HasStarted(), 1))
    [*_, ended] = story.hear(AgentUnwanted())
    assert error_of(ended).reason is ConflictReason.LEFT


def test_who_writes_during_a_reconnect_waits_ten_seconds_for_the_next_session() -> None:
    story = listening()
    story.end(1006)
    story.hear(WaitStarted(1, HasSession(), 1))
    story.pass_time(0.5)
    assert EndWait(1) in story.hear(CREATED)
    story.end(1006)
    story.hear(WaitStarted(2, HasSession(), 1))
    story.pass_time(9.0)
    assert story.effects[-1] == OpenAgentSocket(3)
    [ended] = story.pass_time(1.5)
    assert error_of(ended).code is UTDErrorCode.TIMEOUT


def test_a_device_that_does_not_open_ends_it_with_its_error() -> None:
    story = listening()
    story.hear(AgentSoundFailed(1, AgentError("device", "no microphone", True)))
    assert story.state.connection.failure == AgentError("device", "no microphone", False)
    assert ReleaseAgentDevices() in story.effects
