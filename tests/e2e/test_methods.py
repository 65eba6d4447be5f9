"""Methods on both SFUs, between a session and a client that is LiveKit's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest
from livekit import rtc
from livekit.protocol import rtc as signal

from tests.e2e.bare import Pair, meeting
from tests.hostile.lying_server import LyingProxy, served
from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from utd_rx import (
    ConflictReason,
    MethodFailed,
    MethodInvocation,
    UTDErrorCode,
    UTDStreamException,
    open_room,
)


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[Pair]:
    async with meeting(sfu) as pair:
        yield pair


async def test_calls_of_a_bare_client_and_to_it(pair: Pair) -> None:
    assert await pair.ana.call("echo", "ü", to="ben", timeout=PATIENCE) == "ü"
    large = "x" * 100_000
    assert await pair.ana.call("echo", large, to="ben", timeout=PATIENCE) == large

    async def greet(asked: MethodInvocation) -> str:
        if asked.payload == "forbidden":
            raise UTDStreamException("not you", code=UTDErrorCode.FORBIDDEN)
        if asked.payload == "numbered":
            raise MethodFailed("mine", number=7, data="more")
        if asked.payload == "bug":
            raise KeyError("a secret")
        return f"{asked.payload}, {asked.caller}"

    pair.ana.serve("greet", greet)
    assert await pair.call_of_ben("greet", "hello") == "hello, ben"
    numbers = {}
    for payload in ("forbidden", "numbered", "bug"):
        with pytest.raises(rtc.RpcError) as failed:
            await pair.call_of_ben("greet", payload)
        numbers[payload] = (failed.value.code, failed.value.message, failed.value.data)
    assert numbers == {
        "forbidden": (2000, "not you", '{"code": "forbidden"}'),
        "numbered": (7, "mine", "more"),
        "bug": (1500, "the method failed", ""),
    }


@pytest.mark.long
async def test_what_a_bare_client_raises_comes_typed(pair: Pair) -> None:
    def fail(asked: rtc.RpcInvocationData) -> str:
        if asked.payload:
            raise rtc.RpcError(42, "no\x1b[31m", "more")
        raise KeyError

    pair.ben.local_participant.register_rpc_method("fail", fail)
    failed = []
    for method, payload in (("fail", "numbered"), ("fail", ""), ("unheard-of", "")):
        with pytest.raises(UTDStreamException) as raised:
            await pair.ana.call(method, payload, to="ben")
        failed.append(raised.value)
    numbered, unsaid, unknown = failed
    assert isinstance(numbered, MethodFailed)
    assert (numbered.number, numbered.data, numbered.code) == (42, "more", UTDErrorCode.UNKNOWN)
    assert "\x1b" not in str(numbered)
    assert (unsaid.code, unknown.code) == (UTDErrorCode.SERVER, UTDErrorCode.NOT_FOUND)


async def test_who_leaves_is_waited_for_no_longer(pair: Pair) -> None:
    called, ended = asyncio.Event(), asyncio.Event()

    async def never(asked: rtc.RpcInvocationData) -> str:
        called.set()
        return str(await asyncio.get_running_loop().create_future())

    async def slow(asked: MethodInvocation) -> str:
        called.set()
        try:
            return str(await asyncio.get_running_loop().create_future())
        finally:
            ended.set()

    pair.ben.local_participant.register_rpc_method("never", never)
    pair.ana.serve("slow", slow)
    calling = asyncio.ensure_future(pair.ana.call("never", to="ben", timeout=60))
    await asyncio.wait_for(called.wait(), PATIENCE)
    called.clear()
    of_ben = asyncio.ensure_future(pair.call_of_ben("slow"))
    await asyncio.wait_for(called.wait(), PATIENCE)
    began = time.monotonic()
    await pair.ben.disconnect()
    with pytest.raises(UTDStreamException) as gone:
        await calling
    assert gone.value.code is UTDErrorCode.NOT_FOUND
    await asyncio.wait_for(ended.wait(), PATIENCE)
    assert time.monotonic() - began < PATIENCE
    with pytest.raises(rtc.RpcError):
        await of_ben


@pytest.mark.long
async def test_a_session_that_ends_lets_go_of_both_sides(pair: Pair) -> None:
    called = asyncio.Event()

    async def never(asked: rtc.RpcInvocationData | MethodInvocation) -> str:
        called.set()
        return str(await asyncio.get_running_loop().create_future())

    pair.ben.local_participant.register_rpc_method("never", never)
    pair.ana.serve("slow", never)
    calling = asyncio.ensure_future(pair.ana.call("never", to="ben", timeout=60))
    await asyncio.wait_for(called.wait(), PATIENCE)
    called.clear()
    of_ben = asyncio.ensure_future(pair.call_of_ben("slow"))
    await asyncio.wait_for(called.wait(), PATIENCE)
    await pair.ana.aclose()
    with pytest.raises(UTDStreamException) as left:
        await calling
    assert left.value.reason is ConflictReason.LEFT
    with pytest.raises(rtc.RpcError):
        await of_ben


@pytest.mark.long
@pytest.mark.parametrize("sfu_kind", ["embedded"])
@pytest.mark.parametrize("version", ["", "1.x", "no number"])
async def test_a_version_that_is_none_harms_no_call(sfu: RunningSfu, version: str) -> None:
    """Some sources of LiveKit's unwrap it, which would be the end of the process."""

    def tell(said: signal.SignalResponse, _: Random) -> Iterator[signal.SignalResponse]:
        if said.WhichOneof("message") == "join":
            said.join.server_version = said.join.server_info.version = version
        yield said

    async with (
        served(LyingProxy(sfu.url, lambda _: tell)) as (lying, _),
        open_room(f"{lying}/version", token(sfu, "ana")) as ana,
        open_room(sfu.url, token(sfu, "ben")) as ben,
    ):

        async def echo(asked: MethodInvocation) -> str:
            return asked.payload

        ben.serve("echo", echo)
        await ana.remote_participants.until(bool, timeout=PATIENCE)
        assert await ana.call("echo", "still", to="ben", timeout=PATIENCE) == "still"
