"""Calls, texts and files while a connection is resumed, or made anew, on both SFUs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit import rtc
from reactivex import operators as ops

from tests.e2e.bare import Pair, meeting
from tests.rtc.bench import PATIENCE
from tests.support.sfu import RunningSfu
from tests.support.simulator import simulate
from utd_rx import (
    ConflictReason,
    IncomingFile,
    MethodInvocation,
    UTDConnectionState,
    UTDErrorCode,
    UTDStreamException,
)
from utd_rx.models.events import Reconnected

pytestmark = pytest.mark.long

RESUME = rtc.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT
ANEW = rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT
SIZE = 2_000_000


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[Pair]:
    async with meeting(sfu) as pair:
        yield pair


async def interrupted(pair: Pair, scenario: rtc.SimulateScenarioKind.ValueType) -> None:
    """Interrupt ana's connection, and wait until it is back."""
    back = asyncio.ensure_future(pair.ana.on(Reconnected).pipe(ops.first()))
    await simulate(pair.ana, scenario)
    await asyncio.wait_for(back, PATIENCE)
    await pair.ana.connection_state.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)


def outcome(done: asyncio.Future[Any]) -> object:
    """How something ended that may fail: typed, or with what was to come of it."""
    error = done.exception()
    if error is None:
        return done.result()
    if isinstance(error, UTDStreamException):
        return error.code
    assert isinstance(error, rtc.RpcError), error
    return error.code


@pytest.mark.parametrize("scenario", [RESUME, ANEW], ids=["resumed", "anew"])
async def test_calls_under_way_end_and_others_follow(
    pair: Pair, scenario: rtc.SimulateScenarioKind.ValueType
) -> None:
    """A resume loses none; one that is made anew may, and says so."""
    go_on = asyncio.Event()

    async def slow(asked: MethodInvocation) -> str:
        await go_on.wait()
        return f"late, {asked.caller}"

    async def slow_there(asked: rtc.RpcInvocationData) -> str:
        await go_on.wait()
        return f"late, {asked.caller_identity}"

    pair.ana.serve("slow", slow)
    pair.ben.local_participant.register_rpc_method("slow", slow_there)
    async with asyncio.timeout(2 * PATIENCE):
        asked = asyncio.ensure_future(pair.ana.call("slow", to="ben", timeout=PATIENCE))
        asked_by_ben = asyncio.ensure_future(
            pair.ben.local_participant.perform_rpc(
                destination_identity="ana", method="slow", payload="", response_timeout=PATIENCE
            )
        )
        assert await pair.ana.call("echo", "before", to="ben") == "before"
        await interrupted(pair, scenario)
        go_on.set()
        await asyncio.wait([asked, asked_by_ben])
        ends = outcome(asked), outcome(asked_by_ben)
        if scenario == RESUME:
            assert ends == ("late, ana", "late, ben")
        lost = {UTDErrorCode.TIMEOUT, UTDErrorCode.NOT_FOUND, *range(1400, 1600)}
        assert ends[0] == "late, ana" or ends[0] in lost
        assert ends[1] == "late, ben" or ends[1] in lost
        # Both methods are served in the connection that followed.
        assert await pair.ana.call("slow", to="ben", timeout=PATIENCE) == "late, ana"
        assert await pair.call_of_ben("slow") == "late, ben"


@pytest.mark.parametrize("scenario", [RESUME, ANEW], ids=["resumed", "anew"])
async def test_a_file_on_its_way_is_whole_or_failed_at_both_ends_and_others_follow(
    pair: Pair, scenario: rtc.SimulateScenarioKind.ValueType, tmp_path: Path
) -> None:
    blob = bytes(range(256)) * (SIZE // 256)
    path = tmp_path / "blob.bin"
    path.write_bytes(blob)
    got: asyncio.Queue[asyncio.Future[bytes]] = asyncio.Queue()

    async def read(reader: rtc.ByteStreamReader) -> bytes:
        return b"".join([part async for part in reader])

    pair.ben.register_byte_stream_handler(
        "things", lambda reader, who: got.put_nowait(asyncio.ensure_future(read(reader)))
    )
    come: asyncio.Queue[IncomingFile] = asyncio.Queue()
    pair.ana.files("things").subscribe(come.put_nowait)
    async with asyncio.timeout(3 * PATIENCE):
        sending = pair.ana.send_file(path, topic="things")
        sending_there = asyncio.ensure_future(
            pair.ben.local_participant.send_file(str(path), topic="things")
        )
        reading_there = await got.get()
        reading = asyncio.ensure_future((await come.get()).read())
        await interrupted(pair, scenario)

        async def sent() -> None:
            await sending

        ends: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(sent()),
            reading_there,
            sending_there,
            reading,
        ]
        await asyncio.wait(ends)
        errors = [end.exception() for end in ends]
        if scenario == RESUME:
            assert errors == [None] * 4
        for end, error in ((reading_there, errors[1]), (reading, errors[3])):
            assert error is not None or end.result() == blob, "half a file passed for whole"
        assert all(
            error is None or isinstance(error, UTDStreamException | rtc.data_stream.StreamError)
            for error in errors
        )
        # The next ones arrive.
        path.write_bytes(blob[:1000])
        await pair.ana.send_file(path, topic="things")
        assert await (await got.get()) == blob[:1000]
        await pair.ben.local_participant.send_file(str(path), topic="things")
        assert await (await come.get()).read() == blob[:1000]


async def test_what_is_asked_for_while_the_connection_is_gone_ends_typed(pair: Pair) -> None:
    lost = asyncio.ensure_future(pair.ana.connection_state.until(UTDConnectionState.RECONNECTING))
    await simulate(pair.ana, ANEW)
    async with asyncio.timeout(2 * PATIENCE):
        await lost
        asked = asyncio.ensure_future(pair.ana.call("echo", "x", to="ben", timeout=5))
        said = asyncio.ensure_future(pair.ana.send_text("x", topic="words"))
        await asyncio.wait([asked, said])
    for done in (asked, said):
        error = done.exception()
        assert error is None or isinstance(error, UTDStreamException)
        assert error is None or error.reason is not ConflictReason.CLOSED
    await pair.ana.connection_state.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)
    assert await pair.ana.call("echo", "after", to="ben", timeout=PATIENCE) == "after"
