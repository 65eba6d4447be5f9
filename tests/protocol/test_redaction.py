"""A redacted recording goes through the same states and shows nothing that was said."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sessions.histories import EACH_STATE, ITEMS, metadata, payloads, plain, values_of
from utd_rx.models import ban, call, chat, participant
from utd_rx.models import events as e
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.chat import ChatMessage
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.transcript import TranscriptSegment
from utd_rx.models.typed_json import encode
from utd_rx.protocol import data, facts, journal, room_promises, roster
from utd_rx.protocol.chat import decode
from utd_rx.protocol.facts.calls import CallJoined, CallTold
from utd_rx.protocol.facts.connection import JoinStarted, JoinSucceeded
from utd_rx.protocol.kinds import AUDIO_ROOM, KINDS, VIDEO_CALL, Kind
from utd_rx.protocol.redaction import HIDE, Redaction
from utd_rx.protocol.wire.calls import call_to_wire
from utd_rx.protocol.wire.chat import chat_to_wire

REDACT = Redaction(b"k" * 16, AUDIO_ROOM)
SECRET = "s3cr3t"
CALL = UTDCall(
    "call_1",
    UTDCallStatus.RINGING,
    UTDStreamType.AUDIO_CALL,
    token=SECRET,
    url=SECRET,
    metadata=FrozenMap({"why": SECRET}),
)


def test_every_field_that_no_repr_shows_is_hidden() -> None:
    secretive = {
        kind
        for module in (e, facts, participant, roster, room_promises, ban, chat, call)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if attrs.has(kind) and any(not field.repr for field in attrs.fields(kind))
    }
    marked = {ban.UTDBanNotice, call.UTDCall, call.IncomingCall, TranscriptSegment}  # by field
    assert secretive - {participant.Participant} - marked == set(HIDE)
    for kind in marked:
        secrets = [field.name for field in attrs.fields(kind) if not field.repr]
        types = {get_type_hints(kind)[name] for name in secrets}
        assert types <= {str, bytes, str | None, FrozenMap[str, object]}


def test_a_credential_leaves_nothing_behind() -> None:
    shown = Redaction(b"k" * 16, VIDEO_CALL)(CALL)
    assert (shown.token, shown.url) == (None, None)
    assert set(shown.metadata) == {"redacted"}


def test_no_item_or_state_has_a_place_for_a_token() -> None:
    for kind in [*ITEMS.values(), *(kind.state for kind in KINDS.values())]:
        for field in attrs.fields(kind):
            assert not {"token", "bearer", "secret", "key"} & set(field.name.split("_"))


@pytest.mark.parametrize(
    "value",
    [
        CallTold(CALL),
        e.RoomMetadataChanged(json.dumps({"_call": call_to_wire(CALL)})),
        RemoteParticipant("ana", metadata=SECRET),
        e.ParticipantMetadataChanged("ana", SECRET),
        e.RoomMetadataChanged('{"_seats": {"count": 2}, "other": "' + SECRET + '"}'),
        e.DataReceived(SECRET.encode(), None),
        e.DataReceived(
            b'{"roomChat": {"message": "chatMessage", "text": "' + SECRET.encode() + b'"}}', "ana"
        ),
        e.DataReceived(b'{"type": "_banned", "reason": "' + SECRET.encode() + b'"}', None),
        e.ParticipantMetadataChanged("ana", '{"role": "admin", "mood": "' + SECRET + '"}'),
        e.DataReceived(b'{"type": "_seat_update", "x": "' + SECRET.encode() + b'"}', "mallory"),
        e.DataReceived(b'{"type": "_seat_update", "x": "' + SECRET.encode() + b'"}', None),
        e.DataReceived(b'{"type": "_stage_update", "x": "' + SECRET.encode() + b'"}', None),
        e.DataReceived(b'{"type": "_live_ended", "x": "' + SECRET.encode() + b'"}', "ana"),
        JoinSucceeded(1, e.RoomSnapshot("r", LocalParticipant("me", metadata=SECRET))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_are_not_written(value: object) -> None:
    for kind in KINDS.values():
        shown = Redaction(b"k" * 16, kind)(value)
        is_item = type(value).__name__ in ITEMS
        written = journal.line_of(journal.Commit(1.0, (shown,))) if is_item else encode(shown)
        assert SECRET not in str(written)


def test_a_mark_tells_length_and_equality_and_nothing_else() -> None:
    assert REDACT.mark(b"") == ""
    assert REDACT.mark(b"yes") == REDACT.mark(b"yes") != REDACT.mark(b"noo")
    assert REDACT.mark(b"yes") != Redaction(b"x" * 16, AUDIO_ROOM).mark(b"yes")
    assert "3 bytes" in REDACT.mark(b"yes")
    assert "k" * 16 not in repr(REDACT)


def states_of(kind: Kind[Any]) -> st.SearchStrategy[Any]:
    """Any state, or one that has joined and, of a call, has one on hand."""

    def joined(call: UTDCall, snapshot: e.RoomSnapshot) -> Any:
        state = kind.begin("me", False)
        for fact in (CallJoined(call), JoinStarted(), JoinSucceeded(1, snapshot)):
            state, _ = kind.step(state, fact, 1.0)
        return state

    begun = st.builds(joined, values_of(UTDCall), values_of(e.RoomSnapshot))
    return values_of(kind.state) | begun


items: st.SearchStrategy[Any] = (
    st.one_of([values_of(kind) for kind in ITEMS.values()])
    | st.builds(e.DataReceived, payloads, st.none() | st.just("ana"))
    | st.builds(e.RoomMetadataChanged, metadata)
)


@pytest.mark.parametrize("kind", EACH_STATE, ids=lambda kind: kind.type.name)
def test_the_rules_see_in_a_redacted_item_what_they_saw_in_the_item(kind: Kind[Any]) -> None:
    @given(states_of(kind), st.lists(items, max_size=8))
    def see(state: Any, history: list[Any]) -> None:
        redact = Redaction(b"k" * 16, kind)
        shown = redact(state)
        for now, item in enumerate(history):
            state, effects = kind.rules(state, item, float(now))
            shown, again = kind.rules(shown, redact(item), float(now))
            assert plain(shown) == plain(redact(state))
            assert plain(tuple(again)) == plain(redact(tuple(effects)))

    see()


def test_what_stands_for_an_engine_message_is_never_longer_than_one_may_be() -> None:
    wire = {"type": "_role_change", "identity": "", "role": "host"}
    room = data.MAX_ENGINE_MESSAGE - len(json.dumps(wire))
    payload = json.dumps({**wire, "identity": "i" * room}).encode()
    event = e.DataReceived(payload, None)
    assert data.decode(event, data.PEOPLE) is not None
    assert REDACT(event).payload == REDACT.mark(payload).encode()


def test_of_a_chat_message_its_id_shows_no_more_than_whether_it_is_the_same() -> None:
    one, two = (ChatMessage(id_, "hello", "ana") for id_ in ("s3cr3t", "other"))
    assert SECRET not in str(REDACT((one,)))
    assert REDACT(one).id == REDACT(one).id != REDACT(two).id
    wire = json.dumps(chat_to_wire(one, "Ana")).encode()
    shown = REDACT(e.DataReceived(wire, "ana"))
    assert SECRET.encode() not in shown.payload
    assert decode(shown) == REDACT(one)
