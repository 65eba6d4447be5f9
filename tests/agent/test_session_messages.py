"""The texts and tools of a voice agent's session, on virtual time."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.agent.stage import staged
from utd_rx import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.agent.tool_calls import MAX_RUNNING
from utd_rx.agent.tools import agent_tool


async def test_a_text_waits_for_the_session() -> None:
    async with staged() as stage:
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.send_text("hello")
        assert refused.value.reason is ConflictReason.NOT_JOINED
        await stage.start()
        await stage.session.send_text("one")
        stage.socket.lose()
        writing = asyncio.create_task(stage.session.send_text("two"))
        await stage.clock.advance(1.0)
        stage.create()
        await writing
        assert [one["text"] for one in stage.sent] == ["one", "two"]
        stage.socket.lose()
        stage.socket.refuse(503)
        writing = asyncio.create_task(stage.session.send_text("three"))
        await stage.clock.advance(11.0)
        with pytest.raises(UTDStreamException) as late:
            await writing
        assert late.value.code is UTDErrorCode.TIMEOUT


@pytest.mark.parametrize("text", ["", "x" * (64 * 1024 + 1), None, b"hello"])
async def test_what_is_no_text_is_refused(text: str) -> None:
    async with staged() as stage:
        await stage.start()
        with pytest.raises(UTDStreamException) as refused:
            await stage.session.send_text(text)
        assert refused.value.code is UTDErrorCode.VALIDATION


async def test_a_tool_is_declared_called_and_answered_once() -> None:
    asked: list[str] = []

    async def weather(city: str) -> str:
        asked.append(city)
        return f"sunny in {city}"

    async def note(text: str) -> None:
        asked.append(text)

    tools = weather, agent_tool(note, expects_response=False)
    async with staged(tools=tools) as stage:
        await stage.start()
        [declared] = stage.sent
        assert declared["type"] == "session.update"
        assert [tool["name"] for tool in declared["tools"]] == ["weather", "note"]
        call = {"type": "function_call", "name": "weather", "arguments": {"city": "Wien"}}
        written = {"type": "function_call", "name": "note", "arguments": {"text": "a"}}
        stage.tell({**call, "call_id": "1"}, {**call, "call_id": "1"}, {**written, "call_id": "2"})
        stage.tell({**call, "name": "climate", "call_id": "3"})
        await stage.clock.advance(0.1)
        assert sorted(asked) == ["Wien", "a"]
        told = {one["call_id"]: one["output"] for one in stage.sent[1:]}
        assert told["1"] == "sunny in Wien"
        assert json.loads(told["3"]) == {"error": "LookupError: no tool is called climate"}
        assert sorted(told) == ["1", "3"]


async def test_a_result_is_for_the_session_that_asked() -> None:
    go_on = asyncio.Event()

    async def slow() -> str:
        await go_on.wait()
        return "late"

    async with staged(tools=[slow]) as stage:
        await stage.start()
        stage.tell({"type": "function_call", "name": "slow", "arguments": {}, "call_id": "1"})
        stage.socket.lose()
        await stage.clock.advance(1.0)
        stage.create()
        await stage.session.session_id.until("s2")
        go_on.set()
        await stage.clock.advance(0.1)
        assert [one["type"] for one in stage.sent] == ["session.update", "session.update"]


async def test_calls_beyond_a_bound_are_answered_with_an_error() -> None:
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()

    async with staged(tools=[slow]) as stage:
        await stage.start()
        call = {"type": "function_call", "name": "slow", "arguments": {}}
        stage.tell(*({**call, "call_id": str(number)} for number in range(MAX_RUNNING + 1)))
        await stage.clock.advance(0.1)
        [told] = stage.sent[1:]
        assert told["call_id"] == str(MAX_RUNNING)
        assert json.loads(told["output"]) == {"error": "RuntimeError: 32 calls are running"}
        go_on.set()
        await stage.clock.advance(0.1)
        assert len(stage.sent) == MAX_RUNNING + 2
