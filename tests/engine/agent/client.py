"""A client of the agent stub that is no client of ours: frames of JSON, and nothing around them."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from attrs import define

from utd_rx.engine.agent import AgentCall, LocalAgent
from utd_rx.models.audio import Samples

AGENT_ID = "0123456789abcdef01234567"


@define
class Caller:
    """One connection, and the stub's side of it."""

    ws: aiohttp.ClientWebSocketResponse
    call: AgentCall

    async def send(self, kind: str, **fields: object) -> None:
        await self.ws.send_json({"type": kind, **fields})

    async def speak(self, samples: Samples, rate: int = 24_000) -> None:
        """Send sound in pieces of 20 ms."""
        size = rate // 50
        for at in range(0, len(samples), size):
            audio = base64.b64encode(samples[at : at + size].astype("<i2").tobytes()).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def hear(self) -> dict[str, Any]:
        """Take the next event."""
        event: dict[str, Any] = await self.ws.receive_json()
        return event

    async def until(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Take events up to one of that type with those fields; return all."""
        heard = [await self.hear()]
        while not {"type": kind, **fields}.items() <= heard[-1].items():
            heard.append(await self.hear())
        return heard

    async def end(self) -> int | None:
        """Take events to the end of the socket; return the code that it was closed with."""
        while (frame := await self.ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        return frame.data if frame.type is aiohttp.WSMsgType.CLOSE else None


@asynccontextmanager
async def caller(agent: LocalAgent, **parameters: str) -> AsyncIterator[Caller]:
    """Connect with the key."""
    async with dialled(agent, agent_id=AGENT_ID, **parameters) as ws:
        yield Caller(ws, await agent.next_call())


@asynccontextmanager
async def dialled(
    agent: LocalAgent, *, key: str = "", **parameters: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect with the key, another one, or the query's token."""
    headers = {} if "token" in parameters else {"Authorization": f"Bearer {key or agent.api_key}"}
    url = f"{agent.base_url}/atoms/v1/agent/connect"
    timeout = aiohttp.ClientWSTimeout(ws_close=0.1)
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(url, params=parameters, timeout=timeout) as ws,
    ):
        yield ws


async def register(agent: LocalAgent, body: object, key: str = "") -> tuple[int, dict[str, Any]]:
    """Ask for a token; return status and reply."""
    url = f"{agent.base_url}/atoms/v1/conversation/register-call"
    headers = {"Authorization": f"Bearer {key or agent.api_key}"}
    data = body if isinstance(body, str) else json.dumps(body)
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, data=data) as reply:
        return reply.status, await reply.json()


def sound_of(events: list[dict[str, Any]]) -> Samples:
    """Return what the agent said in these events."""
    pieces = [base64.b64decode(one["audio"]) for one in events if "audio" in one]
    return np.frombuffer(b"".join(pieces), dtype="<i2").astype(np.int16)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of events, without the sound's and the growing transcript's."""
    return [one["type"] for one in events if not one["type"].endswith(".delta")]
