"""The engine's webhooks to a customer's backend: one queue, in order, each tried six times
(docs/contract.md, "Webhooks").

One is under way at a time, so that they arrive in order: while a backend does not answer, those
behind wait. At most 1,000 do, of 8 MiB together; then the oldest are dropped.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, TypeAlias

import aiohttp
from attrs import frozen

from utd_rx.engine.engine_clock import EngineClock, to_iso
from utd_rx.engine.newest import Newest
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.protocol.wire.webhooks import ATTEMPT, EVENT, SIGNATURE, signature_of

logger = logging.getLogger(__name__)

TRY_SECONDS: Final = 5.0
"""How long one try may take."""

PAUSES: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds between the tries."""

MAX_WAITING: Final = 1000
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024


def pause_after(attempt: int, status: int | None) -> float | None:
    """Return the seconds until the next try, None for none; `status` None was no answer.

    What was taken, or refused for good, is not sent again.
    """
    is_settled = status is not None and status // 100 in (2, 4)
    return None if is_settled or attempt > len(PAUSES) else PAUSES[attempt - 1]


@frozen
class _Event:
    name: str
    id: str
    body: bytes
    signature: str


_Post: TypeAlias = Callable[..., AbstractAsyncContextManager[aiohttp.ClientResponse]]


class WebhookSender:
    """Posts events to `url`, None for nowhere, signed with the app secret, once started."""

    def __init__(self, url: str | None, secret: str, clock: EngineClock) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._waiting = Newest[_Event](MAX_WAITING, MAX_WAITING_BYTES, lambda one: len(one.body))
        self._posted = asyncio.Event()
        self._tasks = OwnedTasks()

    def start(self) -> None:
        """Begin to send; what was posted before waits."""
        if self._url is not None:
            self._tasks.spawn(self._send_all(self._url), "engine-webhooks")

    async def aclose(self) -> None:
        """Stop, also in the middle of a try; what waits is lost. Idempotent."""
        await self._tasks.aclose()
        if self._waiting:
            logger.warning("%d webhooks were not sent any more", len(self._waiting))
            self._waiting.clear()

    def post(self, event: str, **body: object) -> None:
        """Queue an event; never waits, never raises. An `id` of the body's own goes before ours."""
        if self._url is None:
            return
        wire: dict[str, object] = {
            "event": event,
            "id": f"evt_{secrets.token_hex(12)}",
            "created_at": to_iso(self._clock.wall()),
            **body,
        }
        raw = json.dumps(wire).encode()
        signature = signature_of(raw, self._secret)
        for dropped in self._waiting.append(_Event(event, str(wire["id"]), raw, signature)):
            logger.warning("webhook %s %s dropped: too many wait", dropped.name, dropped.id)
        self._posted.set()

    async def _send_all(self, url: str) -> None:
        # No cookies, and no redirect below: a backend's answer is its status.
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            post = partial(http.post, url, allow_redirects=False)
            while True:
                await self._posted.wait()
                self._posted.clear()
                while self._waiting:
                    await self._send(post, self._waiting.popleft())

    async def _send(self, post: _Post, event: _Event) -> None:
        attempt = 0
        while True:
            attempt += 1
            status = await self._try(post, event, attempt)
            pause = pause_after(attempt, status)
            if pause is None:
                break
            await self._clock.sleep(pause)
        if status is None or status // 100 != 2:
            told = "no answer" if status is None else status
            logger.warning("webhook %s %s given up: %s", event.name, event.id, told)

    async def _try(self, post: _Post, event: _Event, attempt: int) -> int | None:
        """Return the status of the answer, None where there is none in time."""
        headers = {
            "Content-Type": "application/json",
            SIGNATURE: event.signature,
            EVENT: event.name,
            ATTEMPT: str(attempt),
        }
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                due = self._clock.monotonic() + TRY_SECONDS
                timer = self._clock.call_at(due, lambda: limit.reschedule(loop.time()))
                try:
                    async with post(data=event.body, headers=headers) as reply:
                        return reply.status
                finally:
                    timer.cancel()
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            logger.info("webhook %s %s, try %d: %r", event.name, event.id, attempt, error)
            return None
