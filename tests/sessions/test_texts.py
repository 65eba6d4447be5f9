"""Texts that a session takes itself: transcriptions, and the chat of a plain room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.sessions.test_room import TOKEN, URL
from tests.sessions.watching import settle
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.events import DataReceived, ParticipantConnected
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import RemoteParticipant
from utd_rx.models.transcript import TranscriptTurn
from utd_rx.models.transfers import TransferInfo
from utd_rx.protocol.transcribing import MAX_LABEL, MAX_WORDS
from utd_rx.sessions.room import RoomSession
from utd_rx.sessions.text_order import HOLD
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.room import FakeRoom


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom("me")


@pytest.fixture
async def room(fake: FakeRoom) -> AsyncIterator[RoomSession]:
    async with RoomSession(URL, TOKEN, room=fake) as session:
        await session.join()
        fake.emit(ParticipantConnected(RemoteParticipant("ben")))
        await settle()
        yield session


def begin(
    fake: FakeRoom, topic: str, id_: str = "s", *, sender: str = "ben", **attributes: str
) -> int:
    said = FrozenMap({f"lk.{key}": value for key, value in attributes.items()})
    info = TransferInfo(id_, sender, topic, attributes=said, sent_at=7.5)
    return fake.transfers.begin(info, is_text=True)


def written(room: RoomSession) -> list[str]:
    return [one.text for one in room.chat_history.value]


async def test_a_transcription_grows_until_its_final(room: RoomSession, fake: FakeRoom) -> None:
    marks = {"segment_id": "1", "transcription_language": "en", "transcribed_track_id": "TR_x"}
    number = begin(fake, "lk.transcription", transcription_final="false", **marks)
    fake.transfers.part(number, b"good ")
    fake.transfers.part(number, b"morn")
    turn = TranscriptTurn("1", "ben", "good morn", told_by="ben", track_sid="TR_x", language="en")
    assert room.transcript.value == (turn,)
    fake.transfers.finish(number)
    assert not room.transcript.value[0].is_final
    number = begin(fake, "lk.transcription", transcription_final="true", segment_id="1")
    fake.transfers.part(number, b"Good morning.")
    fake.transfers.finish(number)
    [turn] = room.transcript.value
    assert (turn.text, turn.is_final, turn.was_cut) == ("Good morning.", True, False)


async def test_its_end_may_say_that_it_was_the_final(room: RoomSession, fake: FakeRoom) -> None:
    number = begin(fake, "lk.transcription", transcription_final="false")
    fake.transfers.part(number, b"hello")
    fake.transfers.finish(number, added={"lk.transcription_final": "true"})
    number = begin(fake, "lk.transcription", "plain", transcription_language="x" * 300)
    fake.transfers.part(number, b"x" * (MAX_WORDS + 9))
    fake.transfers.part(number, b"x")
    fake.transfers.finish(number)
    first, second = room.transcript.value
    assert (first.id, first.is_final) == ("s", True)
    assert (second.id, second.is_final, len(second.text)) == ("plain", True, MAX_WORDS)
    assert len(second.language) == MAX_LABEL


async def test_one_that_fails_was_cut(room: RoomSession, fake: FakeRoom) -> None:
    number = begin(fake, "lk.transcription")
    fake.transfers.part(number, b"hel")
    fake.transfers.finish(number, UTDStreamException("enough", code=UTDErrorCode.NETWORK))
    [turn] = room.transcript.value
    assert (turn.text, turn.is_final, turn.was_cut) == ("hel", True, True)
    number = begin(fake, "lk.transcription", "t")
    fake.transfers.part(number, b"again")
    await room.leave()
    assert [turn.was_cut for turn in room.transcript.value] == [True, True]


async def test_the_chat_of_livekits_components_is_the_chat(
    room: RoomSession, fake: FakeRoom
) -> None:
    data: list[bytes] = []
    room.data.subscribe(lambda message: data.append(message.payload))
    number = begin(fake, "lk.chat", "a")
    fake.transfers.part(number, "h\u00e9".encode())
    assert written(room) == []  # it is not whole yet
    fake.transfers.part(number, b"llo")
    fake.transfers.finish(number)
    wires: tuple[dict[str, object], ...] = (
        {"id": "b", "timestamp": 8_500, "message": "older"},
        {"id": "a", "timestamp": 7_500, "message": "h\u00e9llo", "ignoreLegacy": True},
        {"id": "c", "message": 1},
    )
    for wire in wires:
        fake.emit(DataReceived(json.dumps(wire).encode(), "ben", "lk-chat-topic"))
    failing = begin(fake, "lk.chat", "d")
    fake.transfers.part(failing, b"half")
    fake.transfers.finish(failing, UTDStreamException("enough", code=UTDErrorCode.NETWORK))
    blank = begin(fake, "lk.chat", "e")
    fake.transfers.finish(blank)
    await settle()
    told = [(one.id, one.text, one.sender, one.sent_at) for one in room.chat_history.value]
    assert told == [("a", "h\u00e9llo", "ben", 7.5), ("b", "older", "ben", 8.5)]
    assert data == []


async def test_the_chat_has_texts_in_the_order_in_which_their_sender_began_them(
    room: RoomSession, fake: FakeRoom
) -> None:
    one, two, three = (begin(fake, "lk.chat", id_) for id_ in "abc")
    other = begin(fake, "lk.chat", "d", sender="cy")
    for number in (three, two, other):
        fake.transfers.part(number, b"%d" % number)
        fake.transfers.finish(number)
    assert written(room) == [str(other)]
    fake.transfers.part(one, b"1")
    fake.transfers.finish(one, UTDStreamException("enough", code=UTDErrorCode.NETWORK))
    assert written(room) == [str(number) for number in (other, two, three)]


async def test_a_text_that_stalls_holds_up_the_later_ones_for_a_bound(fake: FakeRoom) -> None:
    clock = FakeClock()
    async with RoomSession(URL, TOKEN, room=fake, clock=clock) as room:
        await room.join()
        first, second = begin(fake, "lk.chat", "a"), begin(fake, "lk.chat", "b")
        begin(fake, "lk.chat", "c")
        fake.transfers.part(second, b"later")
        fake.transfers.finish(second)
        clock.advance(HOLD - 0.1)
        assert written(room) == []
        clock.advance(0.2)
        assert written(room) == ["later"]
        fake.transfers.part(first, b"late")
        fake.transfers.finish(first)
        assert written(room) == ["later", "late"]
    assert clock.next_at is None


async def test_turns_are_in_the_order_in_which_their_texts_began(
    room: RoomSession, fake: FakeRoom
) -> None:
    def text(said: str, **attributes: str) -> int:
        return begin(fake, "lk.transcription", said, **attributes)

    def heard() -> list[tuple[str, bool]]:
        return [(turn.text, turn.is_final) for turn in room.transcript.value]

    interim = text("1", segment_id="1", transcription_final="false")
    final, silent, later = text("2", segment_id="1"), text("3"), text("4")
    fake.transfers.part(later, b"Later.")
    fake.transfers.part(final, b"Good morning, Ana.")
    fake.transfers.finish(final)
    assert heard() == []
    fake.transfers.part(interim, b"Good mor")
    fake.transfers.finish(silent)
    fake.transfers.part(interim, b"ning")
    assert heard() == [("Good morning, Ana.", True), ("Later.", False)]


async def test_what_is_written_is_read_by_livekits_components_newer_and_older(
    room: RoomSession, fake: FakeRoom
) -> None:
    texts = [f"m{n}" for n in range(30)]
    messages = await asyncio.gather(*map(room.chat.send, texts))
    assert written(room) == texts
    sent = fake.transfers.sent
    assert [b"".join(one.parts).decode() for one in sent] == texts
    assert {(one.header.topic, one.header.is_text, one.reason) for one in sent} == {
        ("lk.chat", True, "")
    }
    assert [one.header.id for one in sent] == [one.id for one in messages]
    assert {topic for _, topic, _ in fake.sent} == {"lk-chat-topic"}
    copies = [json.loads(payload) for payload, _, _ in fake.sent]
    assert [(one["id"], one["message"], one["ignoreLegacy"]) for one in copies] == [
        (one.id, one.text, True) for one in messages
    ]


@pytest.mark.parametrize("topic", ["lk.chat", "lk.transcription"])
async def test_the_texts_that_a_session_takes_an_app_does_not(
    room: RoomSession, topic: str
) -> None:
    with pytest.raises(UTDStreamException, match="taken by the session") as refused:
        room.text_streams(topic)
    assert refused.value.reason is ConflictReason.ALREADY
    room.files(topic)
