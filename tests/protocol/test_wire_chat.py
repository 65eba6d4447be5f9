"""Chat is written as the kits write it, and read whatever a participant sends."""

from __future__ import annotations

import pytest

from utd_rx.models.chat import ChatMessage
from utd_rx.protocol.wire.chat import MAX_ID, MAX_TEXT, chat_from_wire, chat_to_wire

MESSAGE = ChatMessage("m1", "hi", "ana", 1_700_000_000.123)
WIRE = {
    "message": "chatMessage",
    "senderUserId": "ana",
    "senderName": "Ana",
    "text": "hi",
    "timestamp": 1_700_000_000_123,
    "messageID": "m1",
}


def test_a_message_is_written_to_the_letter() -> None:
    assert chat_to_wire(MESSAGE, "Ana") == {"roomChat": WIRE}


def test_who_sent_it_is_not_for_the_payload_to_say() -> None:
    read = chat_from_wire({"roomChat": {**WIRE, "senderUserId": "mallory"}}, "ana")
    assert read == MESSAGE
    assert chat_from_wire({"roomChat": WIRE}, None) == ChatMessage(
        "m1", "hi", None, MESSAGE.sent_at
    )


@pytest.mark.parametrize(
    "change", [{"message": "gift"}, {"text": " \n"}, {"text": 7}, {"text": None}, {"message": None}]
)
def test_what_says_nothing_is_no_message(change: dict[str, object]) -> None:
    assert chat_from_wire({"roomChat": {**WIRE, **change}}, "ana") is None


@pytest.mark.parametrize("wire", [{}, {"roomChat": None}, {"roomChat": [WIRE]}, WIRE])
def test_what_is_no_chat_is_no_message(wire: dict[str, object]) -> None:
    assert chat_from_wire(wire, "ana") is None


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        (1500, 1.5),
        (1500.4, 1.5),
        (-1, -0.001),
        (2**50, 2**50 / 1000),
        (2**50 + 1, None),
        (True, None),
        ("1500", None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        pytest.param(10**400, None, id="400 zeros"),
    ],
)
def test_a_time_is_told_or_unknown(timestamp: object, seconds: float | None) -> None:
    read = chat_from_wire({"roomChat": {**WIRE, "timestamp": timestamp}}, "ana")
    assert read is not None
    assert read.sent_at == seconds


def test_what_is_too_long_is_cut() -> None:
    wire = {"roomChat": {**WIRE, "text": "x" * 9_999, "messageID": "i" * 999}}
    read = chat_from_wire(wire, "ana")
    assert read is not None
    assert (len(read.text), len(read.id)) == (MAX_TEXT, MAX_ID)
