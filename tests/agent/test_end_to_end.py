"""The session against the local agent, over real sockets: two implementations of one protocol."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.audio.virtual_clock import VirtualClock
from utd_rx import (
    AgentReplay,
    UTDErrorCode,
    UTDStreamException,
    WavRecorder,
    WavSource,
    record,
    replay,
)
from utd_rx.agent.registering import register_call
from utd_rx.agent.session import AtomsAgentSession
from utd_rx.audio import read_wav
from utd_rx.engine.agent import AgentCall, LocalAgent, ScriptedAgent
from utd_rx.engine.agent.script import Step
from utd_rx.models.agent import AgentRole
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.protocol.agent.connecting import AgentPhase
from utd_rx.testing.contracts import PATIENCE

RATE = 24_000
AGENT = "6" * 24
KEY = "sk_0123456789abcdef0123"

_RANDOM = np.random.default_rng(7)


def noise(seconds: float) -> Samples:
    return _RANDOM.integers(1, 9_000, round(seconds * RATE)).astype(np.int16)


def write(path: Path, samples: Samples) -> Path:
    with WavRecorder(path) as wav:
        for at in range(0, len(samples), RATE // 100):
            wav.write(AudioFrame(samples[at : at + RATE // 100, np.newaxis], RATE))
    return path


async def test_what_was_said_is_what_was_heard_on_both_sides(tmp_path: Path) -> None:
    mine, yours = noise(0.3), noise(0.4)
    script: list[Step] = [lambda call: call.create(), lambda call: call.say("hello", yours)]
    async with LocalAgent(ScriptedAgent(script)) as agent, asyncio.timeout(PATIENCE):
        with WavRecorder(tmp_path / "heard.wav") as wav:
            async with AtomsAgentSession(
                agent.api_key,
                AGENT,
                base_url=agent.base_url,
                microphone=WavSource(write(tmp_path / "said.wav", mine)),
                speaker=wav,
            ) as session:
                await session.start()
                call = await agent.next_call()
                await call.until(lambda call: call.heard_seconds > 0.4)
                await session.agent_talking.until(False)
    told, heard = read_wav(tmp_path / "heard.wav", loop=False)
    assert told == AudioFormat(RATE)
    assert np.array_equal(np.trim_zeros(heard[:, 0]), yours)
    assert np.array_equal(np.trim_zeros(call.heard), mine)


async def test_an_interruption_cuts_at_the_sample_and_nothing_old_follows(tmp_path: Path) -> None:
    first, late, second = noise(3.0), noise(0.2), noise(0.2)

    async def act(call: AgentCall) -> None:
        await call.create()
        await call.say("a long story", first)  # three seconds of it, at once
        await call.until(lambda call: call.texts)
        await call.interrupt()
        await call.sound(late)
        await call.say("well", second)

    async with LocalAgent(act) as agent, asyncio.timeout(PATIENCE):
        with WavRecorder(tmp_path / "heard.wav") as wav:
            async with AtomsAgentSession(
                agent.api_key, AGENT, base_url=agent.base_url, speaker=wav
            ) as session:
                talking: list[bool] = []
                session.agent_talking.subscribe(talking.append)
                await session.start()
                await session.select(lambda state: state.statistics.playback_ms).until(
                    lambda left: 0 < left < 2_800
                )
                said_until = round(wav.duration * RATE)
                await session.send_text("stop it")
                await session.transcript.until(lambda turns: turns[-1].text == "well")
                await session.agent_talking.until(False)
                assert talking == [False, True, False, True, False]
                cut = [turn.was_cut for turn in session.transcript.value]
    assert cut == [True, False]
    _, heard = read_wav(tmp_path / "heard.wav", loop=False)
    sound = np.trim_zeros(heard[:, 0])
    assert np.array_equal(sound[-len(second) :], second)
    begin = sound[: -len(second)]
    whole = next(at for at, one in enumerate(begin) if one != first[at])  # where the fade begins
    assert said_until <= whole
    assert len(np.trim_zeros(begin, "b")) - whole <= 0.02 * RATE
    assert not np.isin(late[:50], begin).all()


BASE: tuple[Step, ...] = (
    lambda call: call.create(),
    lambda call: call.until(lambda call: call.tools),
    lambda call: call.send("agent_start_talking"),
    lambda call: call.sound(noise(0.1)),
    lambda call: call.send("transcript.delta", role="assistant", text="I"),
    lambda call: call.call_tool("wait", {}),
    lambda call: call.send("interruption"),
    lambda call: call.send("agent_stop_talking"),
    lambda call: call.send("transcript", role="assistant", text="I see"),
)
ENDS: tuple[Step, ...] = (lambda call: call.cut(), lambda call: call.close(1011))


@pytest.mark.parametrize("end", ENDS, ids=["cut", "closed"])
async def test_a_socket_that_ends_at_any_point_is_followed_by_another(end: Step) -> None:
    async def wait() -> str:
        return "done"

    points = range(len(BASE) + 1)
    scripts = [(*BASE[:point], end) for point in points]
    clock = VirtualClock()
    async with (
        asyncio.timeout(PATIENCE),
        LocalAgent(ScriptedAgent(*scripts, BASE[:1])) as agent,
        AtomsAgentSession(
            agent.api_key, AGENT, base_url=agent.base_url, tools=[wait], clock=clock
        ) as session,
    ):
        where = session.select(lambda s: (s.connection.attempt, s.connection.phase))
        starting = asyncio.create_task(session.start())
        for point in points:
            await where.until((point + 1, AgentPhase.WAITING))
            due = session.state.value.connection.retry_at
            assert due is not None
            await clock.advance(due - clock.now())
        await where.until((len(points) + 1, AgentPhase.LISTENING))
        await starting
        await session.send_text("still there?")
        *_, call = [await agent.next_call() for _ in range(len(points) + 1)]
        await call.until(lambda call: call.texts)
        assert session.statistics.value.reconnects == len(points) - 1
        assert agent.attempts == len(points) + 1


async def test_a_token_is_registered_for_each_attempt_and_the_key_stays_at_home() -> None:
    async with LocalAgent() as agent, asyncio.timeout(PATIENCE):
        mint = partial(register_call, agent.api_key, AGENT, base_url=agent.base_url)
        async with AtomsAgentSession(token_source=mint, base_url=agent.base_url) as session:
            await session.start()
            call = await agent.next_call()
            assert call.sample_rate == 24_000
            await session.stop()
            await session.start()
            assert (agent.registered, agent.attempts) == (2, 2)
        async with AtomsAgentSession(token=await mint(), base_url=agent.base_url) as session:
            await session.start()
            await session.stop()
            with pytest.raises(UTDStreamException) as used:
                await session.start()
            assert used.value.code is UTDErrorCode.UNAUTHORIZED
        with pytest.raises(UTDStreamException) as refused:
            await register_call("sk_wrong", AGENT, base_url=agent.base_url)
        assert refused.value.code is UTDErrorCode.UNAUTHORIZED
        agent.refuses_with = 503
        with pytest.raises(UTDStreamException) as busy:
            await mint()
        assert busy.value.status_code == 503


async def test_no_log_recording_or_exception_holds_the_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    script: list[Step] = [
        lambda call: call.create(),
        lambda call: call.fail("internal_error", f"your key {KEY} is worn"),
        lambda call: call.hear(f"my key is {KEY}"),
        lambda call: call.close(4401, f"{KEY} is refused"),
    ]
    agent = LocalAgent(ScriptedAgent(script), api_key=KEY)
    path = tmp_path / "session.jsonl"
    async with agent, asyncio.timeout(PATIENCE):
        async with (
            AtomsAgentSession(KEY, AGENT, base_url=agent.base_url) as session,
            record(session, path, keep_payloads=True),
        ):
            session.events.subscribe(lambda event: told.append(f"{event!r}"))
            await session.start()
            await session.connected.until(False)
            told += [repr(session), repr(session.state.value), repr(session.failure.value)]
        async with AtomsAgentSession(f"{KEY}x", AGENT, base_url=agent.base_url) as session:
            with pytest.raises(UTDStreamException) as refused:
                await session.start()
            told += [repr(refused.value), repr(refused.value.__cause__)]
    told += [path.read_text(), caplog.text]
    assert len(told) > 5
    assert not [text for text in told if KEY in text]


async def test_a_recording_tells_what_the_session_told(tmp_path: Path) -> None:
    script: list[Step] = [
        lambda call: call.create(),
        lambda call: call.hear("hello"),
        lambda call: call.say("hello yourself", noise(0.2)),
    ]
    path = tmp_path / "session.jsonl"
    async with (
        asyncio.timeout(PATIENCE),
        LocalAgent(ScriptedAgent(script)) as agent,
        AtomsAgentSession(agent.api_key, AGENT, base_url=agent.base_url) as session,
    ):
        talking: list[bool] = []
        session.agent_talking.subscribe(talking.append)
        async with record(session, path, keep_payloads=True):
            await session.start()
            await session.transcript.until(lambda turns: len(turns) == 2 and turns[-1].is_final)
            await session.agent_talking.until(False)
            await session.stop()
        said = session.transcript.value
    played = replay(path, AgentReplay)
    again: list[bool] = []
    played.agent_talking.subscribe(again.append)
    await played.run(None)
    assert (again, played.transcript.value) == (talking, said)
    assert [turn.role for turn in said] == [AgentRole.USER, AgentRole.ASSISTANT]


async def test_a_goodbye_is_heard_as_one() -> None:
    async with LocalAgent() as agent, asyncio.timeout(PATIENCE):
        async with AtomsAgentSession(agent.api_key, AGENT, base_url=agent.base_url) as session:
            await session.start()
            call = await agent.next_call()
            await session.pause()
            await call.ended()
            await session.resume()
            again = await agent.next_call()
            assert session.session_id.value == again.session_id
            await session.send_text("hello")
            await again.until(lambda call: call.texts)
            await session.transcript.until(lambda turns: any(turn.is_final for turn in turns))
        await again.ended()
    assert (call.faults, again.faults) == (again.faults, call.faults)
