"""A voice agent's session is recorded and replayed as every other: what happened, and no word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.protocol.agent.story import INTERRUPTED, STARTED, STOPPED, said, says
from utd_rx.errors import UTDStreamException
from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentRole, AgentStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.agent.promises import HasStarted
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.facts.agent import (
    AgentAttemptEnded,
    AgentAttemptOpened,
    AgentAudioMeasured,
    AgentMuteWanted,
    AgentSoundArrived,
    AgentSoundEnded,
    AgentWanted,
    UserSpeakingChanged,
)
from utd_rx.protocol.kinds import VOICE_AGENT
from utd_rx.protocol.waiting import WaitStarted
from utd_rx.sessions.agent_view import AgentView
from utd_rx.sessions.recording import record
from utd_rx.sessions.replay import AgentReplay, CallReplay, replay
from utd_rx.sessions.rules_runner import RulesRunner
from utd_rx.state.events import EventStream
from utd_rx.testing.clock import FakeClock

SECRET = "s3cr3t"
STREAMS = (
    "status", "connected", "agent_talking", "user_talking", "muted", "session_id", "call_id",
    "transcript", "failure", "statistics",
)  # fmt: skip
HISTORY: tuple[tuple[object, ...], ...] = (
    (AgentWanted(), WaitStarted(1, HasStarted(), 1)),
    (AgentAttemptOpened(1), e.AgentSessionCreated("s1", "CALL-1", 24_000)),
    (UserSpeakingChanged(True), says(SECRET, AgentRole.USER)),
    (UserSpeakingChanged(False), said(SECRET, AgentRole.USER)),
    (STARTED, AgentSoundArrived(2.0), says(SECRET)),
    (e.FunctionCalled("c1", "weather", FrozenMap({"city": SECRET})),),
    (e.UnknownAgentEvent("mood.changed", FrozenMap({"why": SECRET})), AgentMuteWanted(True)),
    (INTERRUPTED, AgentAudioMeasured(3, 20.0, 0.0)),
    (STARTED, AgentSoundArrived(1.0), STOPPED, said("ok")),
    (AgentSoundEnded(0.1),),
    (AgentAttemptEnded(1, AgentError("1006", "it broke", True), 1006, 0.5),),
)


class TalkingTo(AgentView):
    """A session that is told what a test tells it, and carries nothing out."""

    def __init__(self, clock: FakeClock) -> None:
        self._agent_id = "agent_1"
        self.told: EventStream[e.AgentEvent] = EventStream()
        self.runner = RulesRunner(VOICE_AGENT, AgentState(), clock=clock)
        ignored: dict[type, Any] = dict.fromkeys(VOICE_AGENT.effects, lambda _: None)
        self.runner.start(ignored)
        super().__init__(self.runner.machine, self.told)

    def tell(self, *facts: object) -> None:
        self.runner.offer(*facts)
        for fact in facts:
            if isinstance(fact, e.AgentEvent):
                self.told.emit(fact)


async def recorded(path: Path, *, keeps: bool) -> tuple[list[AgentState], list[object]]:
    """Record the history; return the states as they are to be seen again, and the events."""
    clock = FakeClock()
    session = TalkingTo(clock)
    recording = record(session, path, keep_payloads=keeps)
    states: list[AgentState] = []
    events: list[object] = []
    session.state.subscribe(states.append)
    session.events.subscribe(events.append)
    for facts in HISTORY:
        session.tell(*facts)
        clock.advance(0.25)
    await session.runner.aclose()
    await recording.aclose()
    assert recording.failure is None
    return [recording.redact(state) for state in states], [recording.redact(one) for one in events]


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_recording_shows_the_same_states_and_events(tmp_path: Path, keeps: bool) -> None:
    path = tmp_path / "agent.jsonl"
    states, events = await recorded(path, keeps=keeps)
    again = replay(path, AgentReplay)
    shown: list[AgentState] = []
    heard: list[object] = []
    again.state.subscribe(shown.append)
    again.events.subscribe(heard.append)
    while again.step():
        pass
    assert again.journal.skipped == 0
    assert shown == states
    assert heard == events
    assert (again.agent_id, again.status.value) == ("agent_1", AgentStatus.RECONNECTING)
    assert [turn.was_cut for turn in again.transcript.value] == [False, True, False]
    assert (SECRET in path.read_text()) is keeps


async def test_every_stream_has_its_values_again(tmp_path: Path) -> None:
    path = tmp_path / "agent.jsonl"
    states, _ = await recorded(path, keeps=False)
    again = replay(path, AgentReplay)
    seen: dict[str, list[object]] = {name: [] for name in STREAMS}
    for name in STREAMS:
        getattr(again, name).subscribe(seen[name].append)
    await again.run(None)
    assert seen["status"] == [
        AgentStatus.IDLE,
        AgentStatus.CONNECTING,
        AgentStatus.LISTENING,
        AgentStatus.SPEAKING,
        AgentStatus.LISTENING,
        AgentStatus.SPEAKING,
        AgentStatus.LISTENING,
        AgentStatus.RECONNECTING,
    ]
    assert seen["agent_talking"] == [False, True, False, True, False]
    assert seen["user_talking"] == [False, True, False]
    assert seen["muted"] == [False, True]
    assert seen["failure"][-1] == AgentError("1006", "it broke", True)
    assert states[-1].statistics == seen["statistics"][-1]


async def test_a_recording_of_an_agent_is_one_of_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "agent.jsonl"
    await recorded(path, keeps=True)
    for kind in ((), (CallReplay,)):
        with pytest.raises(UTDStreamException, match="AgentReplay"):
            replay(path, *kind)
