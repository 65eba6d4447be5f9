"""A voice agent in a world: genuine sessions and the genuine local agent, on virtual time."""

from __future__ import annotations

import numpy as np
import pytest

from utd_rx import AgentStatus, AtomsAgentSession, UTDErrorCode, UTDStreamException
from utd_rx.engine.agent import AgentCall
from utd_rx.models.audio import AudioFrame
from utd_rx.testing import FakeWorld


async def clerk(call: AgentCall) -> None:
    """Greet, wait for a word, and take leave."""
    await call.create()
    await call.say("Hello, who is there?")
    await call.until(lambda call: call.texts)
    await call.say(f"Good bye, {call.texts[-1]}.")
    await call.finish()


def status(session: AtomsAgentSession) -> AgentStatus:
    return session.status.value


def test_it_speaks_in_real_time_which_takes_none() -> None:
    heard: list[AudioFrame] = []
    with FakeWorld() as world:
        anna = world.agent("anna", clerk, speaker=heard.append)
        assert type(anna) is AtomsAgentSession
        assert status(anna) is AgentStatus.SPEAKING
        world.advance(5.0)
        assert status(anna) is AgentStatus.LISTENING
        assert sum(len(frame.samples) for frame in heard) / heard[0].sample_rate > 1.0
        world.run(anna.send_text("Anna"))
        world.advance(5.0)
        assert status(anna) is AgentStatus.CLOSED
        assert [turn.text for turn in anna.transcript.value] == [
            "Hello, who is there?",
            "Good bye, Anna.",
        ]


def test_it_hears_what_the_microphone_says() -> None:
    with FakeWorld() as world:
        microphone = world.microphone("anna")
        anna = world.agent("anna", microphone=microphone)  # an echo
        call = world.run(world.agents.next_call())
        world.run(microphone.say(1.0))
        world.run(anna.agent_talking.until(True, timeout=5.0))
        world.run(anna.agent_talking.until(False, timeout=5.0))
        loud = np.abs(call.heard) > 1000
        assert 0.8 < loud.sum() / call.sample_rate < 1.2


def test_a_connection_that_is_lost_comes_back() -> None:
    with FakeWorld() as world:
        anna = world.agent("anna")
        seen: list[AgentStatus] = []
        anna.status.subscribe(seen.append)
        world.network.interrupt("anna")
        world.advance(30.0)
        assert seen == [AgentStatus.LISTENING, AgentStatus.RECONNECTING, AgentStatus.LISTENING]
        world.network.partition("anna")
        world.advance(40.0)
        assert seen[-1:] == [AgentStatus.RECONNECTING]
        world.network.heal()
        world.advance(40.0)
        assert seen[-1:] == [AgentStatus.LISTENING]


def test_who_is_refused_is_told() -> None:
    with FakeWorld() as world:
        world.agents.refuses_with = 403
        with pytest.raises(UTDStreamException) as refused:
            world.agent("anna")
        assert refused.value.code is UTDErrorCode.FORBIDDEN
        world.agents.refuses_with = None
        world.agent("anna")


def test_who_is_killed_says_nothing_to_it() -> None:
    with FakeWorld() as world:
        anna = world.agent("anna")
        call = world.run(world.agents.next_call())
        world.kill("anna")
        world.advance(1.0)
        assert call.end is None
        with pytest.raises(UTDStreamException, match="closed"):
            world.run(anna.send_text("hello"))
