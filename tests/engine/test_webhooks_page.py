"""The receiver of docs/webhooks.md runs as it stands, and takes what the engine sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from attrs import Factory, frozen

from tests.engine.backend import PATIENCE, SECRET
from utd_rx import WebhookEvent
from utd_rx.engine.engine_clock import LoopEngineClock
from utd_rx.engine.webhooks import WebhookSender
from utd_rx.protocol.wire.webhooks import signature_of

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"


@frozen
class Receiver:
    """The page's; every event that it handled is in `handled`."""

    url: str
    handled: asyncio.Queue[WebhookEvent] = Factory(asyncio.Queue)


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    monkeypatch.setenv("UTD_APP_SECRET", SECRET)
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    runner = web.AppRunner(names["app"], access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        found, handle = Receiver(f"http://{host}:{port}/hooks"), names["handle"]

        def handle_and_say(event: WebhookEvent) -> None:
            handle(event)
            found.handled.put_nowait(event)

        names["handle"] = handle_and_say
        yield found
    finally:
        await runner.cleanup()


async def answer(url: str, body: bytes, signature: str | None) -> int:
    headers = {} if signature is None else {"X-UTD-Stream-Signature": signature}
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as reply:
        return reply.status


async def test_it_takes_an_event_once_and_nothing_of_strangers(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    body = b'{"event": "user_online", "id": "evt_1", "participant": {"identity": "mona"}}'
    good = signature_of(body, SECRET)
    assert [await answer(receiver.url, body, good) for _ in range(2)] == [204, 204]
    assert await answer(receiver.url, body + b" ", good) == 401
    assert await answer(receiver.url, body, None) == 401
    assert capsys.readouterr().out == "mona is there\n"


async def test_it_takes_what_the_engine_sends(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    call = {"call_id": "call_1", "caller_identity": "sara", "callee_identity": "mona"}
    sender = WebhookSender(receiver.url, SECRET, LoopEngineClock())
    sender.start()
    try:
        sender.post("message_sent", message="hi")  # which it does not know
        sender.post("call_missed", call=call)
        async with asyncio.timeout(PATIENCE):
            events = [(await receiver.handled.get()).event for _ in range(2)]
    finally:
        await sender.aclose()
    assert events == ["message_sent", "call_missed"]
    assert capsys.readouterr().out == "mona missed sara\n"
