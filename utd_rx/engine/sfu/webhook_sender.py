"""LiveKit-format webhooks, in order; `livekit.api.WebhookReceiver` verifies them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, Final

import aiohttp
from google.protobuf.json_format import MessageToJson
from livekit.protocol import webhook

from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.publications import new_sid
from utd_rx.engine.sfu.tokens import sign_webhook

_logger = logging.getLogger(__name__)

# Policy when full: drop the newest and say so in the next event's `num_dropped`; but not an end,
# of which each connection and each room has one: who misses it keeps a place for ever.
_MAX_QUEUED: Final = 1024
_ENDS: Final = ("participant_left", "participant_connection_aborted", "room_finished")
_TRIES: Final = 3
_TRY_TIMEOUT: Final = 5.0
_RETRY_DELAY: Final = 0.25
# What is still queued at the end gets this long.
_DRAIN_TIMEOUT: Final = 2.0


class SfuWebhookSender:
    """Does nothing when no URL is configured; keeps `most` events that wait."""

    def __init__(self, options: SfuOptions, most: int = _MAX_QUEUED) -> None:
        self._options = options
        self._most = most
        self._queue: asyncio.Queue[webhook.WebhookEvent] = asyncio.Queue()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._options.webhook_urls:
            self._task = asyncio.create_task(self._run(), name="utd-sfu-webhooks")

    def notify(self, event: str, **about: Any) -> None:
        """Queue one event about a room, a participant, a track; never blocks."""
        if self._task is None:
            return
        if self._queue.qsize() >= self._most and event not in _ENDS:
            self._dropped += 1
            return
        now = int(time.time())
        self._queue.put_nowait(
            webhook.WebhookEvent(
                event=event, id=new_sid("EV"), created_at=now, num_dropped=self._dropped, **about
            )
        )
        self._dropped = 0

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_TRY_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                event = await self._queue.get()
                try:
                    body = MessageToJson(event, indent=None).encode()
                    urls = self._options.webhook_urls
                    await asyncio.gather(*(self._deliver(session, url, body) for url in urls))
                finally:
                    self._queue.task_done()

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
        _logger.error("webhook to %s given up after %d tries: %s", url, attempt + 1, problem)

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._queue.join(), _DRAIN_TIMEOUT)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
