"""Webhooks to a customer's backend: how they are signed, checked and read
(docs/contract.md, "Webhooks").
"""

from __future__ import annotations

import hmac
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.call import UTDCallStatus
from utd_rx.models.checks import payload
from utd_rx.models.participant import TrackKind
from utd_rx.models.webhook import WebhookEvent, WebhookParticipant, WebhookRoom, WebhookTrack
from utd_rx.protocol.wire.calls import call_from_wire, without_credentials
from utd_rx.protocol.wire.reading import Json, parse_object, read_int, read_object, read_text

SIGNATURE: Final = "X-UTD-Stream-Signature"
EVENT: Final = "X-UTD-Stream-Event"
ATTEMPT: Final = "X-UTD-Stream-Attempt"

_PREFIX: Final = "sha256="

_KINDS: Final = {
    "0": TrackKind.AUDIO,
    "1": TrackKind.VIDEO,
    "AUDIO": TrackKind.AUDIO,
    "VIDEO": TrackKind.VIDEO,
}
"""Both generations' spellings of a track's type."""

_STATUSES: Final = {
    "call_initiated": UTDCallStatus.INITIATING,
    "call_accepted": UTDCallStatus.ACTIVE,
    **{f"call_{status.value}": status for status in UTDCallStatus},
}
"""Where a call stands by its event, for engines that do not say it in the call."""


def signature_of(body: bytes, secret: str) -> str:
    """Return the value of `X-UTD-Stream-Signature` for a raw body."""
    return _PREFIX + hmac.new(secret.encode(), body, "sha256").hexdigest()


def verify_webhook(body: bytes, signature: str | None, secret: str) -> WebhookEvent:
    """Check that a webhook is of your engine, and read it (docs/webhooks.md).

    Args:
        body: The request's body exactly as it came, before anything parses it.
        signature: Its header `X-UTD-Stream-Signature`, or `X-UTD-Voice-Signature` of older
            engines: 64 hexadecimal digits, with `sha256=` before them or not; None where the
            request has neither.
        secret: The app secret, with which the engine signs.

    Returns:
        What happened. A field that is missing or of an odd type is None, never an error.

    Raises:
        UTDStreamException: `UNAUTHORIZED` for a body that is not signed with `secret`: answer
            401 and do nothing else. `MALFORMED_RESPONSE` for one that is signed and no event.
            `VALIDATION` for an empty secret, and for a body that is not bytes.
    """
    if not isinstance(secret, str) or not secret:
        raise invalid("secret is the app secret: an empty one would let anybody sign")
    body = payload(body, "body")
    given = signature.strip().lower().removeprefix(_PREFIX) if isinstance(signature, str) else ""
    expected = signature_of(body, secret).removeprefix(_PREFIX)
    # The time that it takes says nothing of where they differ.
    if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
        raise UTDStreamException(
            "the webhook is not signed with this app secret", code=UTDErrorCode.UNAUTHORIZED
        )
    event = event_from_wire(parse_object(body) or {})
    if event is None:
        raise UTDStreamException(
            "the webhook is signed, but no JSON object with an event",
            code=UTDErrorCode.MALFORMED_RESPONSE,
        )
    return event


def event_from_wire(wire: Json) -> WebhookEvent | None:
    """Read an event; None without its name."""
    event = read_text(wire.get("event"))
    if event is None:
        return None
    status, told = _STATUSES.get(event), read_object(wire.get("call"))
    call = call_from_wire({**({} if status is None else {"status": status.value}), **told})
    return WebhookEvent(
        event,
        id=read_text(wire.get("id")),
        created_at=read_text(wire.get("created_at")),
        room=_room(read_object(wire.get("room"))),
        participant=_participant(read_object(wire.get("participant"))),
        track=_track(read_object(wire.get("track"))),
        call=None if call is None else without_credentials(call),
    )


def _room(wire: Json) -> WebhookRoom | None:
    name = read_text(wire.get("name")) or read_text(wire.get("room_name"))
    return None if name is None else WebhookRoom(name, read_text(wire.get("sid")))


def _participant(wire: Json) -> WebhookParticipant | None:
    identity = read_text(wire.get("identity"))
    return None if identity is None else WebhookParticipant(identity, read_text(wire.get("name")))


def _track(wire: Json) -> WebhookTrack | None:
    if not wire:
        return None
    kind = _KINDS.get((read_text(wire.get("type")) or "").upper(), TrackKind.UNKNOWN)
    width, height = read_int(wire.get("width")) or 0, read_int(wire.get("height")) or 0
    return WebhookTrack(kind, read_text(wire.get("sid")), width, height)
