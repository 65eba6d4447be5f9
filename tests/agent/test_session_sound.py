"""What is heard and said in a voice agent's session, on virtual time."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from tests.agent.stage import CUT, RATE, START, STOP, noise, sound, staged
from utd_rx import UTDErrorCode, UTDStreamException
from utd_rx.models.agent import AgentStatus
from utd_rx.models.agent_events import AgentAudio, AgentEvent, UnknownAgentEvent
from utd_rx.models.audio import AudioFormat, AudioInputStream, FrameSink

# --- what is heard ------------------------------------------------------------------------------


async def test_the_agent_talks_until_it_was_heard_and_not_until_it_was_sent() -> None:
    async with staged() as stage:
        await stage.start()
        said = noise(3.0)
        stage.tell(START, *map(sound, np.array_split(said, 150)), STOP)
        await stage.clock.advance(2.9)
        assert stage.session.agent_talking.value
        await stage.clock.advance(0.3)
        assert not stage.session.agent_talking.value
        assert np.array_equal(stage.heard, said)


async def test_an_interruption_is_silent_at_once_and_what_is_late_is_dropped() -> None:
    async with staged() as stage:
        await stage.start()
        first, late, second = noise(3.0), noise(0.5), noise(0.5)
        stage.tell(START, sound(first))
        await stage.clock.advance(1.0)
        stage.tell(CUT, sound(late))
        assert not stage.session.agent_talking.value
        cut_at = len(stage.heard)
        stage.tell(sound(late))
        await stage.clock.advance(1.0)
        heard = stage.heard
        assert cut_at <= len(heard) <= cut_at + 0.02 * RATE
        assert np.array_equal(heard[:cut_at], first[:cut_at])
        assert 0.9 * RATE <= cut_at <= 1.02 * RATE
        stage.tell(START, sound(second), STOP)
        await stage.clock.advance(1.0)
        assert np.array_equal(stage.heard[-len(second) :], second)
        assert not np.isin(stage.heard[len(heard) :], late[:100]).all()


async def test_all_of_it_may_come_in_one_turn_of_the_loop() -> None:
    """Sound is judged by what came before it, not by what was known before the batch."""
    async with staged() as stage:
        await stage.start()
        void, said = noise(0.3), noise(0.3)
        stage.tell(START, sound(void), CUT, sound(void), START, sound(said), STOP)
        await stage.clock.advance(1.0)
        assert np.array_equal(stage.heard[-len(said) :], said)
        assert len(stage.heard) <= len(said) + 0.02 * RATE


async def test_what_arrived_before_a_loss_is_heard_to_its_end_and_marked() -> None:
    async with staged() as stage:
        await stage.start()
        first, second = noise(2.0), noise(0.2)
        told = {"type": "transcript.delta", "role": "assistant", "text": "I was about"}
        stage.tell(START, sound(first), told)
        await stage.clock.advance(0.1)
        stage.socket.lose()
        await stage.clock.advance(1.0)
        stage.create()
        stage.tell(START, sound(second), STOP)
        await stage.clock.advance(3.0)
        assert np.array_equal(stage.heard, np.concatenate([first, second]))
        assert [turn.was_cut for turn in stage.session.transcript.value] == [True]


async def test_events_are_told_after_what_they_changed() -> None:
    async with staged() as stage:
        await stage.start()
        seen: list[tuple[AgentEvent, bool]] = []
        session = stage.session
        session.events.subscribe(lambda event: seen.append((event, session.agent_talking.value)))
        stage.tell(START, sound(noise(0.1)), {"type": "weather", "sky": "blue"})
        assert [told for _, told in seen] == [True, True, True]
        assert isinstance(seen[1][0], AgentAudio)
        assert isinstance(seen[2][0], UnknownAgentEvent)
        assert session.statistics.value.unknown_events == 1
        stage.socket.tell("{", "[]", json.dumps({"type": "output_audio.delta", "audio": "!"}))
        stage.socket.babble()
        assert session.statistics.value.malformed_messages == 4
        assert session.connected.value


# --- what is said -------------------------------------------------------------------------------


async def test_the_microphone_is_sent_when_the_session_is_there_and_to_the_sample() -> None:
    said = noise(0.4)
    async with staged(said) as stage:
        starting = asyncio.create_task(stage.session.start())
        await stage.clock.advance(1.0)
        assert stage.socket.sent == []
        stage.create()
        await starting
        await stage.clock.advance(1.0)
        assert np.array_equal(np.trim_zeros(stage.said), said)


async def test_who_is_muted_sends_silence() -> None:
    async with staged(noise(9.0)) as stage:
        await stage.start()
        await stage.session.mute()
        await stage.clock.advance(1.0)
        assert stage.session.muted.value
        assert len(stage.said) > 0.9 * RATE
        assert not stage.said[round(0.1 * RATE) :].any()
        await stage.session.unmute()
        before = len(stage.said)
        await stage.clock.advance(1.0)
        assert stage.said[before + round(0.1 * RATE) :].all()


async def test_the_microphone_is_shut_until_the_agent_was_heard() -> None:
    async with staged(noise(9.0), mute_while_agent_speaks=True) as stage:
        await stage.start()
        await stage.clock.advance(0.5)
        stage.tell(START, sound(noise(2.0)), STOP)  # the server is done; the speaker is not
        before = len(stage.said)
        await stage.clock.advance(1.9)
        assert not stage.said[before + round(0.05 * RATE) :].any()
        await stage.clock.advance(0.4)
        before = len(stage.said)
        await stage.clock.advance(0.5)
        assert stage.said[before:].all()


async def test_what_the_peer_does_not_take_is_dropped_but_no_message() -> None:
    async with staged(noise(30.0)) as stage:
        await stage.start()
        stage.socket.is_stuck = True
        await stage.clock.advance(10.0)
        writing = asyncio.create_task(stage.session.send_text("hello"))
        await stage.clock.advance(0.5)
        statistics = stage.session.statistics.value
        assert statistics.audio_dropped > 400
        assert 800 <= statistics.queue_ms <= 1_100
        stage.socket.unstick()
        await writing
        assert {"type": "input_text.send", "text": "hello"} in stage.sent


async def test_what_is_said_between_two_sessions_is_for_nobody() -> None:
    async with staged(noise(9.0)) as stage:
        await stage.start()
        await stage.clock.advance(0.5)
        stage.socket.is_stuck = True
        await stage.clock.advance(0.1)  # some of it waits
        stage.socket.refuse(503)
        stage.socket.lose()
        stage.socket.unstick()
        await stage.clock.advance(4.0)
        stage.socket.end_of_all = None
        await stage.clock.advance(8.0)
        before = len(stage.said)
        stage.create()
        await stage.clock.advance(0.5)
        assert len(stage.said) - before <= 0.55 * RATE
        assert stage.session.statistics.value.audio_dropped == 0


async def test_who_speaks_is_heard_here_and_cuts_the_agent_off_if_told_so() -> None:
    silence = np.zeros(2 * RATE, np.int16)
    said = np.concatenate([silence, noise(1.0), silence])
    async with staged(said, local_barge_in=True) as stage:
        await stage.start()
        talking: list[bool] = []
        stage.session.user_talking.subscribe(talking.append)
        stage.tell(START, sound(noise(9.0)))
        await stage.clock.advance(1.9)
        assert stage.session.agent_talking.value
        await stage.clock.advance(0.6)
        assert talking == [False, True]
        assert not stage.session.agent_talking.value
        heard = len(stage.heard)
        assert heard < 2.5 * RATE
        stage.tell(sound(noise(1.0)))  # the server has not noticed yet
        await stage.clock.advance(2.5)
        assert len(stage.heard) == heard
        assert talking == [False, True, False]


@pytest.mark.parametrize("rate", [8_000, 48_000])
async def test_the_wire_has_the_rate_that_the_server_says(rate: int) -> None:
    async with staged(np.full(RATE, 1_000, np.int16)) as stage:
        await stage.start(rate)
        stage.tell(START, sound(np.full(rate, 500, np.int16)), STOP)
        await stage.clock.advance(2.0)
        assert len(np.trim_zeros(stage.said)) == pytest.approx(rate, rel=0.01)
        assert len(stage.heard) == pytest.approx(RATE, rel=0.01)  # the sink keeps its own
        assert np.median(stage.heard) == 500


async def test_a_microphone_that_does_not_open_ends_the_session_and_says_why() -> None:
    class Broken:
        format = AudioFormat(RATE)

        async def open(self, sink: FrameSink) -> AudioInputStream:
            raise UTDStreamException("it is on fire", code=UTDErrorCode.NOT_FOUND)

    async with staged(microphone=Broken()) as stage:
        await stage.start()
        await stage.session.status.until(AgentStatus.CLOSED)
        failure = stage.session.failure.value
        assert failure is not None
        assert (failure.message, failure.retryable) == ("it is on fire", False)
        await stage.session.stop()
        assert stage.socket.goodbyes == [1000]
