"""A voice agent's session on virtual time, with the test as its agent."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from tests.audio.virtual_clock import VirtualClock
from utd_rx import ArraySource
from utd_rx.agent.session import AtomsAgentSession
from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.testing.agent_socket import FakeAgentSocket

RATE = 24_000
KEY = "sk_0123456789abcdef"
AGENT = "6" * 24

START, STOP, CUT = "agent_start_talking", "agent_stop_talking", "interruption"

_RANDOM = np.random.default_rng(13)


def noise(seconds: float) -> Samples:
    """Samples that are like no others, and never 0."""
    return _RANDOM.integers(1, 9_000, round(seconds * RATE)).astype(np.int16)


class AgentStage:
    """The session, its socket, its clock, and what was heard of the agent."""

    def __init__(self, says: Samples | None = None, **options: Any) -> None:
        self.clock = VirtualClock()
        self.socket = FakeAgentSocket()
        self.frames: list[AudioFrame] = []
        self.statuses: list[str] = []
        given: dict[str, Any] = {"speaker": self.frames.append, **options}
        if says is not None:
            given["microphone"] = ArraySource(says, RATE, clock=self.clock)
        if not given.keys() & {"token", "token_source"}:
            given |= {"api_key": KEY, "agent_id": AGENT}
        self.session = AtomsAgentSession(socket=self.socket, clock=self.clock, **given)
        self.session.status.subscribe(lambda status: self.statuses.append(status.value))

    @property
    def heard(self) -> Samples:
        """What was heard of the agent, without silence before and behind it."""
        told = [frame.samples[:, 0] for frame in self.frames]
        return np.trim_zeros(np.concatenate(told)) if told else np.zeros(0, np.int16)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The messages that were sent, without sound."""
        told = map(json.loads, self.socket.sent)
        return [one for one in told if one["type"] != "input_audio_buffer.append"]

    @property
    def said(self) -> Samples:
        """The sound that was sent."""
        told = map(json.loads, self.socket.sent)
        sound = [one["audio"] for one in told if one["type"] == "input_audio_buffer.append"]
        return np.frombuffer(b"".join(map(base64.b64decode, sound)), "<i2").astype(np.int16)

    def tell(self, *kinds: str | dict[str, Any]) -> None:
        """Send events in one turn: types alone, or with their fields."""
        told = [{"type": one} if isinstance(one, str) else one for one in kinds]
        self.socket.tell(*map(json.dumps, told))

    def create(self, rate: int = RATE) -> None:
        """Say that the session is there."""
        number = len(self.socket.addresses)
        names = {"session_id": f"s{number}", "call_id": f"CALL-{number}"}
        self.tell({"type": "session.created", **names, "sample_rate": rate, "channels": 1})

    async def start(self, rate: int = RATE) -> None:
        """Begin a session."""
        number = len(self.socket.addresses)
        task = asyncio.create_task(self.session.start())
        await self.socket.until(lambda socket: socket.is_open and len(socket.addresses) > number)
        self.create(rate)
        await task


def sound(samples: Samples) -> dict[str, Any]:
    """Return an event with some of the agent's voice."""
    return {"type": "output_audio.delta", "audio": base64.b64encode(samples.tobytes()).decode()}


@asynccontextmanager
async def staged(says: Samples | None = None, **options: Any) -> AsyncIterator[AgentStage]:
    """Give a session that was not started, whose microphone hears `says`, and close it."""
    stage = AgentStage(says, **options)
    async with stage.session:
        yield stage
    await stage.clock.advance(1.0)
