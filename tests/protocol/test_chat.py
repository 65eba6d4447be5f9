"""The chat believes the transport about senders, keeps to the lock, and stays bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.strategies import chat_objects, json_values
from utd_rx.models import events as e
from utd_rx.models.chat import ChatMessage
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.role import UTDRole
from utd_rx.protocol import chat as rules
from utd_rx.protocol.chat import HINT_SECONDS, MAX_HISTORY, Chat
from utd_rx.protocol.facts.people import LockHinted
from utd_rx.protocol.facts.words import ChatSent
from utd_rx.protocol.roles import Roles
from utd_rx.protocol.wire.chat import MAX_TEXT, chat_from_wire, chat_to_wire

ROLES = Roles(FrozenMap({"sara": UTDRole.HOST, "adam": UTDRole.ADMIN, "gil": UTDRole.GUEST,
                         "ana": UTDRole.AUDIENCE, "vic": UTDRole.VISITOR}))  # fmt: skip
LOCKED = e.RoomMetadataChanged('{"_comment_lock": {"locked": true}}')
OPEN = e.RoomMetadataChanged('{"_comment_lock": {"locked": false}}')


def said(
    sender: str | None, text: str = "hello", id_: str = "1", **claims: object
) -> e.DataReceived:
    chat = {"message": "chatMessage", "text": text, "messageID": id_, **claims}
    return e.DataReceived(json.dumps({"roomChat": chat}).encode(), sender)


def after(*facts: object) -> Chat:
    chat = Chat()
    for fact in facts:
        chat = rules.step(chat, fact, 0.0, identity="me", roles=ROLES)
    return chat


def texts(chat: Chat) -> list[tuple[str | None, str]]:
    return [(message.sender, message.text) for message in chat.history]


def test_the_sender_is_the_transports_and_not_the_messages() -> None:
    chat = after(said("ana", senderUserId="sara", senderName="Sara"))
    assert texts(chat) == [("ana", "hello")]
    assert texts(after(said(None, senderUserId="sara"))) == [(None, "hello")]


def test_a_message_counts_once_and_nobody_takes_anothers_id() -> None:
    chat = after(said("ana"), said("ana"), said("adam"), said("ana", id_="2"))
    assert [(m.sender, m.id) for m in chat.history] == [("ana", "1"), ("adam", "1"), ("ana", "2")]


def test_ones_own_message_enters_when_it_was_sent_and_its_echo_does_not() -> None:
    mine = ChatMessage("1", "hi", "me")
    assert after(ChatSent(mine), said("me", "hi")).history == (mine,)


@pytest.mark.parametrize("text", ["", "  ", "\n\t", "\u00a0"])
def test_blank_text_is_dropped(text: str) -> None:
    assert after(said("ana", text)).history == ()


def test_history_is_bounded_and_the_oldest_go() -> None:
    chat = after(*(said("ana", f"m{n}", str(n)) for n in range(MAX_HISTORY + 5)))
    assert len(chat.history) == MAX_HISTORY
    assert chat.history[0].text == "m5"


def test_a_locked_chat_takes_only_whom_the_lock_does_not_concern() -> None:
    senders = ("sara", "adam", "gil", "ana", "vic", "stranger", None)
    chat = after(LOCKED, *(said(sender) for sender in senders))
    assert [message.sender for message in chat.history] == ["sara", "adam", "gil"]
    assert (chat.is_locked, chat.dropped) == (True, 4)
    assert texts(after(LOCKED, OPEN, said("ana"))) == [("ana", "hello")]


def test_a_push_of_the_lock_alone_locks_nothing() -> None:
    push = e.DataReceived(b'{"type": "_comment_lock", "locked": true}', None)
    assert not after(push).is_locked


def test_a_push_of_the_lock_that_no_metadata_follows_is_counted() -> None:
    def later(*facts: object) -> Chat:
        chat = Chat()
        for at, fact in enumerate(facts):
            chat = rules.step(chat, fact, at * HINT_SECONDS, identity="me", roles=ROLES)
        return chat

    assert later(LockHinted(True), object()).disproved == 1
    assert later(LockHinted(True)).is_locked is False
    assert rules.next_deadline(later(LockHinted(True))) == HINT_SECONDS
    borne_out = after(LockHinted(True), LOCKED, LockHinted(True))
    assert (borne_out.is_locked, borne_out.hint, borne_out.disproved) == (True, None, 0)
    assert rules.disconnected(after(LockHinted(True))).hint is None


def test_what_has_a_type_is_no_chat() -> None:
    chat = {"message": "chatMessage", "text": "x", "messageID": "1"}
    wire = {"type": "_banned", "roomChat": chat}
    assert after(e.DataReceived(json.dumps(wire).encode(), "ana")).history == ()


def test_long_text_is_cut() -> None:
    assert len(after(said("ana", "x" * 9_999)).history[0].text) == MAX_TEXT


@given(chat_objects | json_values, st.none() | st.text(max_size=3))
def test_no_object_breaks_the_reader(wire: object, sender: str | None) -> None:
    event = e.DataReceived(json.dumps(wire).encode(), sender)
    message = rules.decode(event)
    assert message is None or (message.sender == sender and message.text.strip())


@given(
    st.text(max_size=8),
    st.text(min_size=1, max_size=40).filter(str.strip),
    st.none() | st.integers(-(2**50), 2**50),
)
def test_what_is_written_is_read(id_: str, text: str, milliseconds: int | None) -> None:
    sent_at = None if milliseconds is None else milliseconds / 1000
    message = ChatMessage(id_, text, "ana", sent_at)
    wire = json.loads(json.dumps(chat_to_wire(message, "Ana")))
    assert chat_from_wire(wire, "ana") == message
