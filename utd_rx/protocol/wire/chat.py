"""Chat on the wire: the kits' `roomChat` convention (docs/contract.md, "Chat").

It names a sender in the payload, which anybody can write: it is sent for the kits' sake and never
read here.
"""

from __future__ import annotations

from typing import Final

from utd_rx.models.chat import ChatMessage
from utd_rx.protocol.wire.reading import Json, read_number, read_object, read_text

MAX_TEXT: Final = 4_000
"""Characters. Larger than any hand types, small enough that a full history is a few MB."""

MAX_ID: Final = 128

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
    if chat.get("message") != _KIND or not isinstance(text, str) or not text.strip():
        return None
    id_ = read_text(chat.get("messageID")) or ""
    return ChatMessage(id_[:MAX_ID], text[:MAX_TEXT], sender, _seconds(chat.get("timestamp")))


def _seconds(milliseconds: object) -> float | None:
    number = read_number(milliseconds)
    # 2**50 ms are 35,000 years; up to there seconds as a float give the millisecond back.
    return None if number is None or abs(number) > 2**50 else round(number) / 1000
