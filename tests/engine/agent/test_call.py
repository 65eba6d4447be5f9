"""What an agent's side of a session can do, as a client sees it that knows nothing of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest

from tests.engine.agent.client import caller, kinds, sound_of
from tests.engine.fakes import FakeClock, HastyClock
from utd_rx.engine.agent import AgentCall, LocalAgent, call
from utd_rx.engine.agent.messages import SoundSent, TextSent
from utd_rx.engine.agent.voice import hum

LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


async def idle(call: AgentCall) -> None:
    await call.create()


async def test_a_session_says_who_it_is_and_what_was_agreed() -> None:
    async with LocalAgent(idle) as agent, caller(agent, sample_rate="16000", variables="{}") as who:
        assert await who.hear() == {
            "type": "session.created",
            "session_id": who.call.session_id,
            "call_id": who.call.call_id,
            "sample_rate": 16_000,
            "channels": 1,
        }
        assert who.call.call_id.startswith("CALL-")
        assert who.call.query["variables"] == "{}"


async def test_a_turn_has_a_start_sound_with_its_words_a_stop_and_a_final() -> None:
    sound = hum(1.0, 24_000)

    async def talk(call: AgentCall) -> None:
        await call.say("one two three four", sound)

    async with LocalAgent(talk) as agent, caller(agent) as who:
        events = await who.until("transcript")
    assert np.array_equal(sound_of(events), sound)
    assert kinds(events) == ["agent_start_talking", "agent_stop_talking", "transcript"]
    assert [one["text"] for one in events if one["type"] == "transcript.delta"] == [
        "one",
        "one two",
        "one two three",
        "one two three four",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}", events[0]["timestamp"])
    pieces = [len(one["audio"]) * 3 // 4 for one in events if "audio" in one]
    assert pieces == [960] * 50


@pytest.mark.parametrize("speed", [1.0, 8.0])
async def test_sound_is_sent_as_much_faster_as_it_was_asked_for(speed: float) -> None:
    clock = FakeClock()

    async def talk(call: AgentCall) -> None:
        await call.say("one two three", hum(1.0, 24_000), speed=speed)
        await call.send("done")

    async with LocalAgent(talk, clock=clock) as agent, caller(agent) as who:
        listening = asyncio.create_task(who.until("done"))
        began = clock.now
        while not listening.done():
            await clock.advance(0.001)
        assert clock.now - began == pytest.approx(0.98 / speed, rel=0.1)


async def test_an_interruption_ends_a_turn_where_it_was() -> None:
    async def talk(call: AgentCall) -> None:
        await call.say("one two three four", hum(1.0, 24_000), cut_after=0.5)

    async with LocalAgent(talk) as agent, caller(agent) as who:
        events = await who.until("transcript")
    assert len(sound_of(events)) == 12_000
    assert kinds(events)[1:] == ["interruption", "agent_stop_talking", "transcript"]
    assert events[-1]["text"] == "one two"


async def test_it_hears_what_the_client_sends_and_remembers_it() -> None:
    sound = hum(0.3, 24_000)
    async with LocalAgent(idle) as agent, caller(agent) as who:
        await who.speak(sound)
        await who.send("input_audio_buffer.commit")
        await who.send("input_text.send", text="so it is")
        await who.call.until(lambda call: call.texts)
        assert who.call.heard_seconds == pytest.approx(0.3)
        assert np.array_equal(who.call.heard, sound)
        assert list(who.call.texts) == ["so it is"]
        kept = [message async for message in first(who.call, 16)]
    assert len(kept) == 16


async def first(call: AgentCall, count: int) -> AsyncIterator[SoundSent | TextSent]:
    async for message in call.messages():
        yield message
        count -= 1
        if not count:
            return


async def test_what_is_no_message_is_an_error_and_does_no_harm() -> None:
    async with LocalAgent(idle) as agent, caller(agent) as who:
        await who.hear()
        for frame in ("{", "[]", '{"type": "x"}'):
            await who.ws.send_str(frame)
        await who.ws.send_bytes(b"\0")
        codes = [(await who.hear())["code"] for _ in range(4)]
        assert codes == ["invalid_json", *["invalid_event"] * 3] == list(who.call.faults)
        await who.send("input_text.send", text="still there")
        await who.call.until(lambda call: call.texts)


async def test_tools_are_declared_called_and_answered() -> None:
    clock = FakeClock()
    answers: list[str | None] = []

    async def ask(call: AgentCall) -> None:
        await call.until(lambda call: call.tools)
        for _ in range(2):
            answers.append(await call.call_tool("look", {"where": "here"}))
        answers.append(await call.call_tool("tell", {}))

    async with LocalAgent(ask, clock=clock) as agent, caller(agent) as who:
        tell = {**LOOK, "name": "tell", "expectsResponse": False}
        await who.send("session.update", tools=[LOOK, tell])
        assert await who.hear() == {"type": "session.updated", "tools": ["look", "tell"]}
        asked = await who.hear()
        assert (asked["type"], asked["name"], asked["arguments"]) == (
            "function_call",
            "look",
            {"where": "here"},
        )
        for _ in range(2):
            await who.send("function_call.result", call_id=asked["call_id"], output='"a door"')
        assert {one["type"] for one in (await who.hear(), await who.hear())} == {
            "function_call",
            "error",  # of the second answer
        }
        assert list(who.call.faults) == ["unknown_call_id"]
        await clock.advance(15.0)
        assert (await who.hear())["code"] == "tool_timeout"
        assert (await who.hear())["name"] == "tell"
        await who.call.until(lambda _: len(answers) == 3)
    assert answers == ['"a door"', None, None]


async def test_a_client_that_asks_for_the_end_gets_it() -> None:
    async with LocalAgent(idle) as agent, caller(agent) as who:
        await who.hear()
        await who.send("session.close")
        assert await who.hear() == {"type": "session.closed", "reason": "client_requested"}
        assert await who.end() == 1000
        await who.call.ended()
        assert not who.call.is_open


async def test_a_client_that_closes_has_its_code_kept() -> None:
    async with LocalAgent(idle) as agent, caller(agent) as who:
        await who.ws.close(code=4321)
        await who.call.ended()
        assert who.call.end == 4321


@pytest.mark.parametrize("code", [1000, 1011, 4000, 4401])
async def test_it_closes_with_any_code_what_it_said_before_comesfirst(code: int) -> None:
    async def refuse(call: AgentCall) -> None:
        await call.fail("404", "no such agent")
        await call.close(code)

    async with LocalAgent(refuse) as agent, caller(agent) as who:
        assert await who.hear() == {"type": "error", "code": "404", "message": "no such agent"}
        assert await who.end() == code


async def test_it_breaks_the_connection() -> None:
    async with LocalAgent(lambda call: call.cut()) as agent, caller(agent) as who:
        assert await who.end() is None
        assert who.ws.close_code == 1006


async def test_it_is_gone_without_a_word_until_the_stub_ends() -> None:
    async def go(call: AgentCall) -> None:
        await call.create()
        await call.vanish()
        await call.send("never")

    async with LocalAgent(go) as agent, caller(agent) as who:
        assert (await who.hear())["type"] == "session.created"
        await who.call.ended()
        await who.ws.ping()
        await who.send("session.close")
        nothing = asyncio.create_task(who.ws.receive())
        assert not (await asyncio.wait((nothing,), timeout=0.02))[0]
        await agent.aclose()
        assert (await nothing).type is aiohttp.WSMsgType.CLOSED


async def test_what_is_sent_may_be_anything() -> None:
    async def babble(call: AgentCall) -> None:
        await call.send("future.event", depth=[1, {"a": None}])
        await call.send_raw("no JSON")
        await call.send_raw(b"\x00\x01")
        await call.sound(hum(0.05, 24_000))

    async with LocalAgent(babble) as agent, caller(agent) as who:
        assert await who.hear() == {"type": "future.event", "depth": [1, {"a": None}]}
        assert await who.ws.receive_str() == "no JSON"
        assert await who.ws.receive_bytes() == b"\x00\x01"
        assert kinds([await who.hear() for _ in range(3)]) == []


async def test_an_agent_that_fails_ends_its_session_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def stumble(_: AgentCall) -> None:
        raise KeyError("a mistake of a test")

    async with LocalAgent(stumble) as agent, caller(agent) as who:
        assert await who.end() == 1011
    assert "a mistake of a test" in caplog.text


async def test_an_agent_is_ended_with_its_session() -> None:
    ended = asyncio.Event()

    async def last(_: AgentCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with LocalAgent(last) as agent:
        async with caller(agent):
            pass
        await ended.wait()
        assert ended.is_set()


async def test_what_is_kept_of_large_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "MAX_WAITING_BYTES", 500_000)
    monkeypatch.setattr(call, "MAX_HEARD_BYTES", 1_000_000)
    async with LocalAgent(idle, clock=HastyClock()) as agent, caller(agent) as who:
        for level in range(6):
            await who.speak(np.full(150_000, level, np.int16), rate=50 * 150_000)  # 300 kB
        for text in "abc":
            await who.send("input_text.send", text=text * 200_000)
        await who.call.until(lambda call: len(call.texts) and call.texts[-1][0] == "c")
        assert sorted(set(who.call.heard)) == [3, 4, 5]
        assert [text[0] for text in who.call.texts] == ["b", "c"]
        kept = [message async for message in first(who.call, 2)]
    assert [type(message) for message in kept] == [TextSent, TextSent]


async def test_sound_that_nobody_takes_is_bounded() -> None:
    audio = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 2})
    async with LocalAgent(idle, clock=HastyClock()) as agent, caller(agent) as who:
        for _ in range(3_100):
            await who.ws.send_str(audio)
        await who.send("input_text.send", text="the last")
        await who.call.until(lambda call: call.texts)
        kept = [message async for message in first(who.call, 3_000)]
    assert len(kept) == 3_000
