"""Chat and the app's own data, through a session."""

from __future__ import annotations

import json

import pytest

from tests.sessions.stage import Stage, code_of
from tests.sessions.watching import settle
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import (
    DataReceived,
    ParticipantConnected,
    ParticipantMetadataChanged,
    RoomMetadataChanged,
)
from utd_rx.models.participant import RemoteParticipant
from utd_rx.ports.data import MAX_DATA

LOCK = RoomMetadataChanged('{"_comment_lock": {"locked": true}}')


def chat_of(text: str, id_: str = "1") -> bytes:
    chat = {"message": "chatMessage", "text": text, "messageID": id_, "senderUserId": "sara"}
    return json.dumps({"roomChat": chat}).encode()


async def test_what_is_sent_is_in_the_history_and_on_the_wire(joined: Stage) -> None:
    message = await joined.session.chat.send("hello 李雷")
    assert joined.session.chat.history.value == (message,)
    assert (message.sender, message.text) == ("me", "hello 李雷")
    [(payload, topic, to)] = joined.room.sent
    wire = json.loads(payload)["roomChat"]
    assert (wire["text"], wire["messageID"], topic, to) == ("hello 李雷", message.id, "", None)


async def test_what_others_write_is_theirs_whatever_it_claims(joined: Stage) -> None:
    joined.room.push(chat_of("hi"), sender="ana")
    await settle()
    [message] = joined.session.chat_history.value
    assert message.sender == "ana"


@pytest.mark.parametrize("text", ["", " \n", "x" * 4_001])
async def test_blank_and_endless_text_is_refused(joined: Stage, text: str) -> None:
    with pytest.raises(UTDStreamException) as raised:
        await joined.session.chat.send(text)
    assert code_of(raised) is UTDErrorCode.VALIDATION
    assert joined.room.sent == []


async def test_a_locked_chat_is_closed_to_the_audience_both_ways(joined: Stage) -> None:
    session, room = joined.session, joined.room
    room.emit(ParticipantConnected(RemoteParticipant("sara", metadata='{"role": "host"}')), LOCK)
    room.push(chat_of("hi"), sender="ana")
    room.push(chat_of("calm down", "2"), sender="sara")
    await settle()
    assert session.chat_locked.value
    assert [message.text for message in session.chat_history.value] == ["calm down"]
    with pytest.raises(UTDStreamException) as raised:
        await session.chat.send("why?")
    assert code_of(raised) is UTDErrorCode.FORBIDDEN
    room.emit(ParticipantMetadataChanged("me", '{"role": "admin"}'))
    await settle()
    await session.chat.send("as you wish")
    await session.send_data(b"a heart", reliable=False)
    assert len(room.sent) == 2


async def test_app_messages_come_by_topic_and_without_the_engines_and_chat(joined: Stage) -> None:
    hearts: list[bytes] = []
    everything: list[DataReceived] = []
    joined.session.messages("heart").subscribe(lambda message: hearts.append(message.payload))
    joined.session.data.subscribe(everything.append)
    for payload, topic in ((b"1", "heart"), (b"2", "gift"), (b'{"type": "_mine"}', "heart")):
        joined.room.push(payload, sender="ana", topic=topic)
    joined.room.push(chat_of("hi"), sender="ana", topic="heart")
    joined.engine.push(joined.engine.grid)
    await settle()
    assert hearts == [b"1", b'{"type": "_mine"}']
    assert len(everything) == 3


async def test_a_payload_beyond_the_limit_is_a_clear_error(joined: Stage) -> None:
    await joined.session.send_data(b"x" * MAX_DATA)
    with pytest.raises(UTDStreamException, match=str(MAX_DATA)) as raised:
        await joined.session.send_data(b"x" * MAX_DATA, topic="t")
    assert code_of(raised) is UTDErrorCode.VALIDATION
