"""Client tools: declared by their signature, bounded in time and size, failures as results."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Annotated, Any

import pytest

from utd_rx import UTDErrorCode, UTDStreamException
from utd_rx.agent.tools import Toolbox, agent_tool
from utd_rx.models.app_json import plain_json
from utd_rx.testing.clock import FakeClock


async def weather(city: Annotated[str, "where"], days: int = 1) -> dict[str, object]:
    """Tell the weather
    of a city.

    Not for the agent.
    """
    return {"city": city, "days": days, "sky": "grau und weiß"}


async def test_a_function_is_declared_as_its_signature_says() -> None:
    declared = agent_tool(weather).declared
    assert (declared.name, declared.description) == ("weather", "Tell the weather of a city.")
    assert (declared.timeout, declared.expects_response) == (15.0, True)
    assert plain_json(declared.parameters) == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "where"},
            "days": {"type": "integer"},
        },
        "additionalProperties": False,
        "required": ["city"],
    }


async def test_a_result_is_json_and_a_string_is_itself() -> None:
    async def plain() -> str:
        return "yes"

    async def nothing() -> None:
        """Say nothing."""

    tools = Toolbox((weather, agent_tool(plain, name="say"), nothing))
    assert [tool.name for tool in tools.declared] == ["weather", "say", "nothing"]
    told = json.loads(await tools.run("weather", {"city": "Wien", "days": 2}))
    assert told == {"city": "Wien", "days": 2, "sky": "grau und weiß"}
    assert await tools.run("say", {}) == "yes"
    assert await tools.run("nothing", {}) == "null"


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("climate", {}, "LookupError: no tool is called climate"),
        ("weather", {"city": 5}, "TypeError: city must be of type string"),
        ("weather", {"city": "Wien", "wind": 1}, "ValueError: no such argument: wind"),
        ("weather", {}, "TypeError: weather() missing 1 required positional argument: 'city'"),
    ],
)
async def test_arguments_are_checked(name: str, arguments: dict[str, Any], error: str) -> None:
    assert json.loads(await Toolbox((weather,)).run(name, arguments)) == {"error": error}


async def test_a_failure_is_a_short_result() -> None:
    async def fail() -> str:
        raise RuntimeError("x" * 500)

    async def cancel() -> str:
        raise asyncio.CancelledError

    async def huge(size: int) -> str:
        return "ü" * size

    async def no_json() -> object:
        return object()

    tools = Toolbox((fail, cancel, huge, no_json))
    told = json.loads(await tools.run("fail", {}))["error"]
    assert told == f"RuntimeError: {'x' * 500}"[:200]
    assert json.loads(await tools.run("cancel", {}))["error"] == "RuntimeError: it was cancelled"
    assert json.loads(await tools.run("no_json", {}))["error"].startswith("TypeError: ")
    assert len((await tools.run("huge", {"size": 32 * 1024})).encode()) == 64 * 1024
    told = json.loads(await tools.run("huge", {"size": 32 * 1024 + 1}))["error"]
    assert told == "ValueError: the result is longer than 64 KiB"


async def test_a_tool_that_takes_too_long_is_cancelled() -> None:
    clock, ended = FakeClock(), asyncio.Event()
    started = asyncio.Event()

    async def slow() -> str:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    running = asyncio.create_task(Toolbox((agent_tool(slow, timeout=2),), clock).run("slow", {}))
    await started.wait()
    clock.advance(1.7)
    await asyncio.sleep(0)
    assert not ended.is_set()
    clock.advance(0.2)
    assert json.loads(await running) == {"error": "TimeoutError: no result within 1.8 s"}
    await ended.wait()
    assert clock.next_at is None


@pytest.mark.parametrize("timeout", [1.0, 15.0, 60.0])
async def test_a_time_out_is_told_before_the_server_has_given_up(timeout: float) -> None:
    clock, started = FakeClock(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await asyncio.Event().wait()

    tools = Toolbox((agent_tool(slow, timeout=timeout),), clock)
    running = asyncio.create_task(tools.run("slow", {}))
    await started.wait()
    clock.advance(timeout - 0.09)
    assert "TimeoutError" in await running


async def test_cancelling_a_call_cancels_the_function() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    running = asyncio.create_task(Toolbox((slow,)).run("slow", {}))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await ended.wait()


def sync() -> str:
    return ""


async def bare(city) -> str:  # type: ignore[no-untyped-def] # what is tested
    return str(city)


async def many(*cities: str) -> str:
    return str(cities)


async def unknown(city: bytes) -> str:
    return str(city)


@pytest.mark.parametrize(
    ("function", "options", "why"),
    [
        (sync, {}, "async def"),
        (bare, {}, "parameter city of bare needs an annotation"),
        (many, {}, "parameter cities of many must have a name"),
        (unknown, {}, "parameter city of unknown is of a type"),
        (partial(weather, days=2), {}, "a tool's name"),
        (weather, {"name": "a b"}, "a tool's name"),
        (weather, {"timeout": 0.5}, "'timeout' must be"),
        (weather, {"timeout": 61}, "'timeout' must be"),
        (weather, {"expects_response": 1}, "expects_response"),
    ],
)
def test_what_is_no_tool_is_refused(function: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(UTDStreamException, match=why) as refused:
        agent_tool(function, **options)
    assert refused.value.code is UTDErrorCode.VALIDATION


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(UTDStreamException, match="two tools are called weather"):
        Toolbox((weather, agent_tool(weather)))


@pytest.mark.parametrize("tools", [weather, agent_tool(weather), None])
def test_tools_that_are_not_in_a_list_are_refused(tools: Any) -> None:
    with pytest.raises(UTDStreamException, match="tools are async functions in a list"):
        Toolbox(tools)
