"""`utd-rx demo agent`: nora talks to a voice agent, which says back what she said."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen

from utd_rx import ArraySource, AtomsAgentSession, AudioComparison, WavSource
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.report import Finding, Step, hears, in_order
from utd_rx.cli.demo.sound import LEAD, Speech, Way, silence
from utd_rx.cli.demo.story import PATIENCE, TAIL, Story
from utd_rx.engine.agent import LocalAgent
from utd_rx.models.agent import AgentStatus

NORA: Final = "nora"
VOICE: Final = Way("sent", ("heard",))

PROMISED: Final[Mapping[str, tuple[Step, ...]]] = {
    "it is called, listens, speaks, listens again and is left": tuple(
        (NORA, "status", status)
        for status in ("connecting", "listening", "speaking", "listening", "closed")
    ),
    "it speaks once nora has": (
        (NORA, "user_talking", True),
        (NORA, "user_talking", False),
        (NORA, "agent_talking", True),
        (NORA, "agent_talking", False),
    ),
}
"""What must have happened in this order."""


@frozen
class Echo:
    """What the story leaves to be judged."""

    comparison: AudioComparison

    @property
    def figures(self) -> Mapping[str, object]:
        return {"audio": self.comparison}


async def play(_: str, journal: DemoJournal, speech: WavSource, out: Path) -> Echo:
    """Play the story: nora says `speech`, and what the agent says is recorded."""
    speech_format, samples = read_wav(speech.path)
    rate = speech_format.sample_rate
    said = np.concatenate((silence(samples, rate, LEAD), samples, samples * 0, samples * 0))
    sound = Speech(journal, VOICE, ArraySource(said, rate), out)
    async with AsyncExitStack() as stack:
        stack.callback(journal.say, "the agent is down")
        agent = await stack.enter_async_context(LocalAgent())
        journal.say("the agent is up")
        (ear,) = sound.sinks(stack)
        session = await stack.enter_async_context(
            AtomsAgentSession(
                agent.api_key,
                "echo",
                base_url=agent.base_url,
                microphone=sound.mouth,
                speaker=ear,
            )
        )
        for name in AGENT.watched:
            journal.watch(NORA, name, getattr(session, name))
        await session.start()
        journal.say(f"{NORA} is through to it")
        limit = PATIENCE + speech.duration
        for status, remark in (
            (AgentStatus.SPEAKING, "it says back what it heard"),
            (AgentStatus.LISTENING, "it has said it"),
        ):
            await session.status.until(status, timeout=limit)
            journal.say(remark)
        await asyncio.sleep(TAIL)
        await session.stop()
        journal.say(f"{NORA} left")
    return Echo(sound.compare(said, rate)[VOICE.ends[0]])


def judge(journal: DemoJournal, echo: Echo) -> tuple[Finding, ...]:
    """Return every promise of the demo with its verdict."""
    return (
        hears("what nora said came back", echo.comparison),
        *(Finding(promise, *in_order(journal, steps)) for promise, steps in PROMISED.items()),
    )


AGENT: Final = Story(
    name="agent",
    users=(NORA,),
    watched=("status", "connected", "user_talking", "agent_talking", "muted", "failure"),
    lanes={NORA: ("status", "user_talking", "agent_talking")},
    columns={"status": "status", "talks": "user_talking", "agent talks": "agent_talking"},
    ways=(VOICE,),
    play=play,
    judge=judge,
    has_sfu=False,
)
