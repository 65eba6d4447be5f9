"""`POST /livekit/webhook`: what the SFU reports, verified, as facts for the core and a backend.

The SFU retries what is not answered with 200, and a fact may come twice or late: sessions are
known by sid, so neither does harm.
"""

from __future__ import annotations

import asyncio
from typing import Final

import jwt
from aiohttp import web
from google.protobuf.json_format import ParseError
from livekit import api

from utd_rx.engine.call_news import Poster
from utd_rx.engine.core import EngineCore
from utd_rx.engine.livekit_media import participant_of, track_of
from utd_rx.engine.media_facts import MediaReport, take_in
from utd_rx.engine.options import Secrets
from utd_rx.engine.routes.fields import read_bytes
from utd_rx.engine.routes.served import chunks_of
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.serving import trust
from utd_rx.models.connection import DisconnectReason

WEBHOOK_PATH: Final = "/livekit/webhook"

# A room's metadata alone may have 512 KiB (docs/livekit.md, "Sizes").
MAX_WEBHOOK_BYTES: Final = 2 * 1024 * 1024


class MediaReports:
    """Turns webhooks, signed with the LiveKit key of `secrets`, into facts for `core`.

    What a backend may hear of them is posted on by `poster`, before what follows from it.
    """

    def __init__(self, core: EngineCore, secrets: Secrets, poster: Poster) -> None:
        self._core = core
        self._poster = poster
        self._receiver = api.WebhookReceiver(
            api.TokenVerifier(secrets.livekit_api_key, secrets.livekit_api_secret)
        )
        self._is_closed = False
        self.doubt: Final = asyncio.Event()
        """Set when reports were lost: then only asking helps (`presence`)."""

    def close(self) -> None:
        """Answer what still comes and do nothing more: the engine is going away."""
        self._is_closed = True

    async def receive(self, request: web.Request) -> web.Response:
        """Take one webhook; answers when its fact has been carried out."""
        body = await read_bytes(chunks_of(request), MAX_WEBHOOK_BYTES)
        event = self._verify(body, request.headers.get("Authorization", ""))
        trust(request)
        if event.num_dropped:
            self.doubt.set()
        if not self._is_closed:
            await take_in(self._core, self._poster, report_of(event))
        return web.json_response({})

    def _verify(self, body: bytes, authorization: str) -> api.WebhookEvent:
        try:
            return self._receiver.receive(body.decode(), authorization)
        except Exception as error:
            # WebhookReceiver raises a bare Exception for a body that is not the signed one.
            known = isinstance(error, jwt.PyJWTError | ParseError | ValueError)
            if not known and type(error) is not Exception:
                raise
            raise Refusal(Reason.UNAUTHORIZED, "this is no webhook of our media server") from error


def report_of(event: api.WebhookEvent) -> MediaReport:
    """Read LiveKit's report."""
    who, track = event.participant, event.track
    return MediaReport(
        event.event,
        event.room.name,
        event.room.sid,
        participant_of(who) if event.HasField("participant") else None,
        DisconnectReason(who.disconnect_reason),
        track_of(track) if event.HasField("track") else None,
        event.id,
    )
