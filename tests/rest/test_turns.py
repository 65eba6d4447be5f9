"""However many ask at once: their time begins with their turn, in order, and too many are told."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.rest.conftest import APP_ID, APP_KEY, MakeClient
from tests.rest.engines import ScriptedEngine, reply
from utd_rx.errors import ConflictReason, UTDStreamException
from utd_rx.rest import UTDApiClient, turns


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AT_A_TIME", 2)
    monkeypatch.setattr(turns, "MAX_WAITING", 3)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_time_stands_while_a_call_waits_for_its_turn() -> None:
    line, now = turns.Turns(None), asyncio.get_running_loop().time
    leave = asyncio.Event()

    async def hold() -> None:
        async with asyncio.timeout(5) as limit, line.take(limit):
            await leave.wait()

    holding = [asyncio.create_task(hold()) for _ in range(2)]
    await settle()
    limits: list[asyncio.Timeout] = []

    async def wait() -> tuple[float, float]:
        async with asyncio.timeout(5) as limit:
            ends_at = limit.when() or 0.0
            began = now()
            limits.append(limit)
            async with line.take(limit):
                return now() - began, (limit.when() or 0.0) - ends_at

    waiting = asyncio.create_task(wait())
    await settle()
    assert limits[0].when() is None
    leave.set()
    waited, longer = await waiting
    assert waited > 0
    assert longer == pytest.approx(waited, abs=0.1)
    await asyncio.gather(*holding)


async def test_who_waits_is_sent_in_order_and_who_is_too_many_is_told_at_once(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    engine.will(engine.hang, engine.hang, reply())
    client = make_client()
    calls = [asyncio.create_task(client.post(f"/{n}")) for n in range(5)]
    async with asyncio.timeout(20):
        while len(engine.seen) < 2:  # noqa: ASYNC110 - the engine tells nobody
            await asyncio.sleep(0.01)
    with pytest.raises(UTDStreamException, match="was not sent") as raised:
        await client.post("/more")
    assert raised.value.reason is ConflictReason.BUSY
    assert len(engine.seen) == 2
    engine.never.set()
    await asyncio.gather(*calls)
    assert [one.raw_path[-1] for one in engine.seen[2:]] == ["2", "3", "4"]
    assert await client.post("/again") == {}


async def test_who_stops_waiting_makes_room(
    engine: ScriptedEngine, make_client: MakeClient
) -> None:
    engine.will(engine.hang, engine.hang, reply())
    client = make_client()
    calls = [asyncio.create_task(client.post(f"/{n}")) for n in range(5)]
    await settle()
    calls[3].cancel()
    await settle()
    last = asyncio.create_task(client.post("/5"))
    await settle()
    assert not last.done()
    engine.never.set()
    await asyncio.gather(*calls[:3], calls[4], last)
    assert sorted(one.raw_path[-1] for one in engine.seen) == ["0", "1", "2", "4", "5"]


async def test_a_shared_session_with_fewer_connections_has_fewer_turns(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 0)
    engine.will(engine.hang)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        client = UTDApiClient(engine.base_url, app_id=APP_ID, app_key=APP_KEY, session=session)
        first = asyncio.create_task(client.post("/a"))
        await settle()
        with pytest.raises(UTDStreamException, match="was not sent"):
            await client.post("/b")
        engine.never.set()
        await asyncio.gather(first, return_exceptions=True)
