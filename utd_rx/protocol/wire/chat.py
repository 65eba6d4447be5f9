"""Chat on the wire: the kits' `roomChat` convention (docs/contract.md, "Chat"), and in plain rooms
LiveKit's components' (docs/livekit.md, "Chat of components").

The first names a sender in the payload, which anybody can write: it is sent for the kits' sake and
never read here.
"""

from __future__ import annotations

from typing import Final

from utd_rx.models.chat import ChatMessage
from utd_rx.protocol.wire.reading import Json, read_number, read_object, read_text

MAX_TEXT: Final = 4_000
"""Characters. Larger than any hand types, small enough that a full history is a few MB."""

MAX_ID: Final = 128

TOPIC: Final = "lk.chat"
"""Of the texts that LiveKit's own components write."""

LEGACY_TOPIC: Final = "lk-chat-topic"
"""Of the data that older ones write, and newer ones as well, marked for those alone."""

_KIND: Final = "chatMessage"


def chat_to_wire(message: ChatMessage, name: str) -> dict[str, object]:
    """Write a message; `name` is what the kits show."""
    return {
        "roomChat": {
            "message": _KIND,
            "senderUserId": message.sender,
            "senderName": name,
            "text": message.text,
            "timestamp": None if message.sent_at is None else round(message.sent_at * 1000),
            "messageID": message.id,
        }
    }


def chat_from_wire(wire: Json, sender: str | None) -> ChatMessage | None:
    """Read a message that `sender` sent; None for anything else, and for a blank text."""
    chat = read_object(wire.get("roomChat"))
    text = chat.get("text")
    if chat.get("message") != _KIND or not isinstance(text, str):
        return None
    id_ = read_text(chat.get("messageID")) or ""
    return from_text(text, id_, sender, _seconds(chat.get("timestamp")))


def legacy_to_wire(message: ChatMessage, *, is_copy: bool) -> dict[str, object]:
    """Write a message for older components; `is_copy` of one that newer ones get as a text."""
    at = None if message.sent_at is None else round(message.sent_at * 1000)
    wire: dict[str, object] = {"id": message.id, "timestamp": at, "message": message.text}
    return {**wire, "ignoreLegacy": True} if is_copy else wire


def legacy_from_wire(wire: Json, sender: str | None) -> ChatMessage | None:
    """Read what older components write; None also for the copy of what comes as a text."""
    text = wire.get("message")
    if wire.get("ignoreLegacy") is True or not isinstance(text, str):
        return None
    id_ = read_text(wire.get("id")) or ""
    return from_text(text, id_, sender, _seconds(wire.get("timestamp")))


def from_text(text: str, id_: str, sender: str | None, at: float | None) -> ChatMessage | None:
    """Return what somebody wrote as a message; None for a blank text."""
    return ChatMessage(id_[:MAX_ID], text[:MAX_TEXT], sender, at) if text.strip() else None


def _seconds(milliseconds: object) -> float | None:
    number = read_number(milliseconds)
    # 2**50 ms are 35,000 years; up to there seconds as a float give the millisecond back.
    return None if number is None or abs(number) > 2**50 else round(number) / 1000
