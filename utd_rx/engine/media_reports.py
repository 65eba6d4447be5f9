"""`POST /livekit/webhook`: what the SFU reports, verified, as facts for the core and a backend.

The SFU retries what is not answered with 200, and a fact may come twice or late: sessions are
known by sid, so neither does harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import jwt
from aiohttp import web
from google.protobuf.json_format import ParseError
from livekit import api

from utd_rx.engine.call_news import Poster
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media import participant_of
from utd_rx.engine.options import Secrets
from utd_rx.engine.routes.fields import read_bytes
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS, DEPARTURE_SECONDS
from utd_rx.engine.serving import trust
from utd_rx.protocol.wire.reading import without_none

WEBHOOK_PATH: Final = "/livekit/webhook"

# A room's metadata alone may have 512 KiB (docs/livekit.md, "Sizes").
MAX_WEBHOOK_BYTES: Final = 2 * 1024 * 1024

GRACE: Final[Mapping[int, float]] = {
    api.DisconnectReason.CLIENT_INITIATED: DEPARTURE_SECONDS,
    api.DisconnectReason.PARTICIPANT_REMOVED: 0.0,
    api.DisconnectReason.ROOM_DELETED: 0.0,
    api.DisconnectReason.ROOM_CLOSED: 0.0,
}
"""How long a seat waits, by why its holder left; for any other reason `ABSENCE_SECONDS`."""


TOLD: Final = (
    *("room_started", "room_finished", "participant_joined", "participant_left"),
    *("track_published", "track_unpublished"),
)
"""What a backend hears of (docs/contract.md, "Webhooks")."""


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

    def close(self) -> None:
        """Answer what still comes and do nothing more: the engine is going away."""
        self._is_closed = True

    async def receive(self, request: web.Request) -> web.Response:
        """Take one webhook; answers when its fact has been carried out."""
        event = self._verify(
            await read_bytes(request, MAX_WEBHOOK_BYTES), request.headers.get("Authorization", "")
        )
        trust(request)
        room = self._core.rooms.engine_name(event.room.name)
        if room is not None and not self._is_closed:
            if event.event in TOLD:
                self._poster.post(event.event, **_body_of(room, event))
            await _tell(self._core, room, event)
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


def _body_of(room: str, event: api.WebhookEvent) -> dict[str, object]:
    """Return what a backend is told, with the report's own id: it may come twice."""
    who, track = event.participant, event.track
    sid = event.room.sid
    body: dict[str, object] = {"room": {"name": room, "room_name": room, "sid": sid}}
    if event.id:
        body["id"] = event.id
    if event.HasField("participant"):
        body["participant"] = without_none(identity=who.identity, name=who.name or None)
    if event.HasField("track"):
        size = {"width": track.width, "height": track.height}
        body["track"] = {"sid": track.sid, "type": track.type, **size}
    return body


async def _tell(core: EngineCore, room: str, event: api.WebhookEvent) -> None:
    """Tell the core what it lives by; every other event is ignored."""
    who = event.participant
    match event.event:
        case "participant_joined":
            await core.participant_joined(room, participant_of(who))
        case "participant_left" | "participant_connection_aborted":
            grace = GRACE.get(who.disconnect_reason, ABSENCE_SECONDS)
            await core.participant_left(room, who.identity, who.sid, grace)
        case "track_published":
            await core.track_published(room, who.identity)
        # No webhook tells of a mute, but the last one of a track tells how it was left.
        case "track_unpublished" if event.track.type == api.TrackType.AUDIO:
            if not event.track.muted:
                await core.microphone_opened(room, who.identity)
        case "room_started":
            await core.room_started(room, event.room.sid)
        case "room_finished":
            await core.room_finished(room, event.room.sid)
