"""An agent whose devices live in a media process, over two virtual cables, and that one's death."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import numpy as np
import pytest
from attrs import frozen

from tests.audio.cable import TIMEOUT, Heard, Kept
from tests.support.pulse import CABLE_A, CABLE_B
from utd_rx import AtomsAgentSession, ToneSource
from utd_rx.audio import read_wav, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.engine.agent import AgentCall, LocalAgent, ScriptedAgent
from utd_rx.media.house import house
from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.testing.sound import compare

pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime]

RATE = 48_000
LOUD = -40.0
WAYS = 0.01
"""Seconds for a socket and a pipe on the way from the agent to the card."""


DEAF = 0.3
"""Seconds without any sound that no agent hears: it would take them for the end of a turn."""


@frozen
class Talk:
    """A session, the agent's side of it, and what is at the other ends of the cables.

    Attributes:
        call: What the agent hears, and can do.
        mouth: A voice in what the session's microphone hears.
        ear: What the session's speaker plays.
    """

    session: AtomsAgentSession
    call: AgentCall
    microphone: Microphone
    speaker: Speaker
    mouth: Speaker
    ear: Heard


@pytest.fixture
async def talk(kept: Kept) -> AsyncIterator[Talk]:
    mouth, heard = kept(Speaker(CABLE_A, media="inline")), Heard()
    ear = kept(Microphone(CABLE_B, media="inline"))
    microphone = kept(Microphone(CABLE_A, media="process"))
    speaker = kept(Speaker(CABLE_B, media="process"))
    async with (
        LocalAgent(ScriptedAgent([lambda call: call.create()])) as agent,
        AtomsAgentSession(
            agent.api_key,
            "6" * 24,
            base_url=agent.base_url,
            sample_rate=RATE,
            microphone=microphone,
            speaker=speaker,
        ) as session,
    ):
        await mouth.open()
        await ear.open(heard)
        await session.start()
        call = await agent.next_call()
        await speaker.device.until(lambda device: device is not None, timeout=TIMEOUT)
        await microphone.device.until(lambda device: device is not None, timeout=TIMEOUT)
        await heard.more(100)  # a virtual card settles in its first second
        yield Talk(session, call, microphone, speaker, mouth, heard)


def pid() -> int:
    """Of the process in which the devices live."""
    process = house().succession.current
    assert process is not None
    assert process.pid != os.getpid()
    return int(process.pid)


def speech() -> Samples:
    """One second of it, mono."""
    return read_wav(speech_path())[1][:RATE, 0]


async def test_it_speaks_and_hears_through_a_process_of_its_own(talk: Talk) -> None:
    said, here = speech(), talk.call.heard_seconds
    levels: list[float] = []
    talk.speaker.level.subscribe(levels.append)
    talk.ear.frames.clear()
    await talk.call.say("hello", said)
    voice = talk.mouth.voice("somebody", margin=0.05)  # all of it is there at once
    voice(AudioFrame(said[:, np.newaxis], RATE))
    async with asyncio.timeout(TIMEOUT):
        await talk.microphone.level.until(lambda level: level > LOUD)
        await talk.session.agent_talking.until(True)
        await talk.session.agent_talking.until(False)
        await talk.call.until(lambda call: call.heard_seconds > here + 1.5)
    await talk.ear.more(20)
    spoken = compare(said, talk.ear.sound[:, 0], RATE)
    assert spoken.is_match
    assert spoken.lost_seconds == 0.0
    assert spoken.delay_max == pytest.approx(spoken.delay_min, abs=0.001)
    heard = compare(said, talk.call.heard, RATE)
    assert heard.is_match
    assert heard.lost_seconds == 0.0
    assert max(levels) > LOUD


async def test_an_interruption_is_silent_at_once(talk: Talk) -> None:
    tail: list[float] = []
    for _ in range(3):  # one of them without a stall of this machine
        saying = asyncio.create_task(talk.call.say("a story", np.full(10 * RATE, 8_000, np.int16)))
        await talk.ear.loud()
        await saying
        await talk.ear.more(10)
        at = time.monotonic()
        await talk.call.interrupt()
        await talk.ear.more(20)
        loud = [frame.at for frame in talk.ear.frames if frame.samples.any()]
        tail.append(loud[-1] + 0.01 - at)
        await talk.session.agent_talking.until(False, timeout=TIMEOUT)
    # With what the cable holds: 10 ms to the card and as many from it.
    assert min(tail) < 0.02 + 0.02 + WAYS


async def test_the_talk_goes_on_when_the_process_is_killed(kept: Kept, talk: Talk) -> None:
    kept(await ToneSource().open(talk.mouth.voice("somebody")))
    async with asyncio.timeout(TIMEOUT):
        await talk.call.until(lambda call: call.heard[-RATE // 10 :].any())
        saying = asyncio.create_task(talk.call.say("a story", np.full(10 * RATE, 8_000, np.int16)))
        await talk.ear.loud()
        await saying
    failures: list[object] = []
    talk.microphone.failure.subscribe(failures.append)
    heard_at: list[float] = []
    hearing = asyncio.create_task(talk.call.until(lambda _: heard_at.append(time.monotonic())))
    kept.callback(hearing.cancel)
    before = pid()
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(TIMEOUT):
        await talk.speaker.failure.until(lambda failure: failure is not None)
        await talk.session.agent_talking.until(False)  # what waited is gone with it
        await talk.speaker.failure.until(None)
        await talk.microphone.failure.until(None)
        await talk.call.until(lambda call: call.heard[-RATE // 10 :].any())
        await talk.call.say("where was I", speech())
        await talk.ear.loud()
        await talk.session.agent_talking.until(False)
    # Silence took the place of the microphone until that was back.
    assert max(b - a for a, b in pairwise(heard_at)) < DEAF
    assert any(failures)
    assert pid() != before
    assert talk.session.connected.value
    assert talk.session.statistics.value.reconnects == 0
    assert [turn.text for turn in talk.session.transcript.value] == ["a story", "where was I"]
