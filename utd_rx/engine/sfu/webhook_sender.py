"""LiveKit-format webhooks, in order; `livekit.api.WebhookReceiver` verifies them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Hashable
from typing import Any, Final

import aiohttp
from google.protobuf.json_format import MessageToJson
from livekit.protocol import webhook

from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.publications import new_sid
from utd_rx.engine.sfu.tokens import sign_webhook

_logger = logging.getLogger(__name__)

# Policy when full: drop the newest and say so in the next event's `num_dropped`; but not an end,
# as who misses it keeps a place for ever: of those the newest of each participant and room waits.
_MAX_QUEUED: Final = 1024
_MAX_QUEUED_BYTES: Final = 16 * 1024 * 1024
# An engine takes 2 MiB. An end that is larger is told without what may be large; others count as
# dropped, which makes the engine ask.
_MAX_BODY: Final = 1024 * 1024
_ENDS: Final = ("participant_left", "participant_connection_aborted", "room_finished")
_TRIES: Final = 3
_TRY_TIMEOUT: Final = 5.0
_RETRY_DELAY: Final = 0.25
# What is still queued at the end gets this long.
_DRAIN_TIMEOUT: Final = 2.0


class SfuWebhookSender:
    """Does nothing when no URL is configured; keeps `most` events that wait, of so many bytes."""

    def __init__(
        self, options: SfuOptions, most: int = _MAX_QUEUED, most_bytes: int = _MAX_QUEUED_BYTES
    ) -> None:
        self._options = options
        self._most = most
        self._most_bytes = most_bytes
        # In order, and how many were dropped before each.
        self._queue: dict[Hashable, tuple[bytes, int]] = {}
        self._queued = 0  # bytes
        self._count = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._options.webhook_urls:
            self._task = asyncio.create_task(self._run(), name="utd-sfu-webhooks")

    def notify(self, event: str, **about: Any) -> None:
        """Queue one event about a room, a participant, a track; never blocks."""
        if self._task is None:
            return
        is_full = len(self._queue) >= self._most or self._queued >= self._most_bytes
        if is_full and event not in _ENDS:
            self._dropped += 1
            return
        now = int(time.time())
        made = webhook.WebhookEvent(event=event, id=new_sid("EV"), created_at=now, **about)
        self._count += 1
        key: Hashable = self._count
        if is_full:
            key = event in _ENDS[:2], made.room.name, made.participant.identity
            if key in self._queue:
                _, dropped = self._take(key)
                self._dropped += 1 + dropped
        made.num_dropped = self._dropped
        body = MessageToJson(made, indent=None).encode()
        if event in _ENDS and (is_full or len(body) > _MAX_BODY):
            body = _shortened(made)
        elif len(body) > _MAX_BODY:
            self._dropped += 1
            return
        self._queue[key] = body, self._dropped
        self._queued += len(body)
        self._dropped = 0
        self._news.set()
        self._idle.clear()

    def _take(self, key: Hashable) -> tuple[bytes, int]:
        body, dropped = self._queue.pop(key)
        self._queued -= len(body)
        return body, dropped

    async def _next(self) -> bytes:
        while not self._queue:
            self._idle.set()
            self._news.clear()
            await self._news.wait()
        body, _ = self._take(next(iter(self._queue)))
        return body

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_TRY_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                body = await self._next()
                urls = self._options.webhook_urls
                await asyncio.gather(*(self._deliver(session, url, body) for url in urls))

    async def _deliver(self, session: aiohttp.ClientSession, url: str, body: bytes) -> None:
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(_RETRY_DELAY * 2**attempt)
            token = sign_webhook(body, self._options)
            headers = {"Authorization": token, "Content-Type": "application/webhook+json"}
            try:
                async with session.post(
                    url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    if response.status < 400:
                        return
                    problem = f"HTTP {response.status}"
                    if response.status < 500:  # it will not be taken the next time either
                        break
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                problem = type(error).__name__
        self._dropped += 1
        _logger.error("webhook to %s given up after %d tries: %s", url, attempt + 1, problem)

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _DRAIN_TIMEOUT)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _shortened(event: webhook.WebhookEvent) -> bytes:
    """Write it without what may be large and says nothing of who went."""
    for name in ("metadata", "attributes", "tracks", "data_tracks"):
        event.participant.ClearField(name)
    event.room.ClearField("metadata")
    return MessageToJson(event, indent=None).encode()
