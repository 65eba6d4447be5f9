"""Whatever bytes arrive, the decoders do not raise and the state stays one that can be."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fixtures import wire_fixture
from utd_rx.models import events as e
from utd_rx.models.participant import LocalParticipant, RemoteParticipant
from utd_rx.protocol import audio_room
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.chat import MAX_HISTORY
from utd_rx.protocol.facts.connection import JoinStarted, JoinSucceeded
from utd_rx.protocol.roles import MAX_WANTED
from utd_rx.protocol.speakers import MAX_OFFERS
from utd_rx.protocol.wire.chat import MAX_TEXT
from utd_rx.protocol.wire.errors import error_from_wire
from utd_rx.protocol.wire.moderation import (
    bans_from_wire,
    comment_lock_in_metadata,
    role_change_from_wire,
)
from utd_rx.protocol.wire.reading import parse_object
from utd_rx.protocol.wire.seats import (
    MAX_SEATS,
    grid_from_wire,
    invitation_from_wire,
    requests_from_wire,
)
from utd_rx.protocol.wire.speakers import invitations_from_wire, request_id_from_push
from utd_rx.protocol.wire.tokens import session_from_wire, token_from_wire

COUNT: Final = 100_000 if os.environ.get("UTD_RX_HYPOTHESIS_PROFILE") == "nightly" else 2_000
"""Inputs of each of the two tests."""

ODD: Final[tuple[object, ...]] = (
    None,
    True,
    -1,
    2**70,
    10**400,
    1e308,
    "",
    "me",
    "\ud800",
    [],
    {},
    [[]],
    {"type": "_banned"},
)
TOKENS: Final = (b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"1e999", b"-", b"\xff", b"\\u")

CHAT: Final = {"roomChat": {"message": "chatMessage", "text": "hi", "messageID": "1"}}
GRID: Final = {"count": 2, "mode": "request", "rev": 3, "seats": [{"index": 0, "identity": "me"}],
               "requests": [{"id": 1, "identity": "ana"}]}  # fmt: skip

REPLIES: Final[tuple[Callable[[Any], object], ...]] = (
    grid_from_wire, invitation_from_wire, bans_from_wire, token_from_wire, session_from_wire,
    role_change_from_wire, comment_lock_in_metadata, request_id_from_push,
    lambda wire: error_from_wire(403, wire),
)  # fmt: skip
LISTS: Final = (requests_from_wire, invitations_from_wire)
"""What reads a part of a reply, and of any other part nothing."""


def corpus() -> list[object]:
    """Everything an engine really sends, and what clients send."""
    folder = Path(__file__).parent.parent / "fixtures" / "wire"
    whole: list[object] = [wire_fixture(path.stem) for path in sorted(folder.glob("*.json"))]
    parts = [part for one in whole if isinstance(one, dict) for part in one.values()]
    named = [{"type": "_seat_update", **GRID}, CHAT, {"role": "host"}]
    return [*whole, *parts, *named, {"_seats": GRID, "_comment_lock": {"locked": True}}]


CORPUS: Final = corpus()


def mutated(chance: random.Random, value: Any, depth: int = 0) -> Any:
    """Return `value` with some of its parts replaced, repeated or gone."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict) and depth < 6:
        changed = {key: mutated(chance, part, depth + 1) for key, part in value.items()}
        if changed and chance.random() < 0.2:
            del changed[chance.choice(list(changed))]
        return changed
    if isinstance(value, list) and depth < 6:
        parts = [mutated(chance, part, depth + 1) for part in value]
        return parts * chance.choice((0, 1, 1, 1, 2, 60))
    return value


def damaged(chance: random.Random, payload: bytes) -> bytes:
    """Return `payload` with bytes cut, doubled, replaced or put in."""
    data = bytearray(payload)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 8))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(TOKENS)
            case 1:
                del data[at : at + chance.randrange(1, 12)]
            case 2:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                data[at:at] = data[max(0, at - 9) : at]
    return bytes(data)


def message(chance: random.Random) -> bytes:
    wire = mutated(chance, chance.choice(CORPUS))
    return damaged(chance, json.dumps(wire).encode())


def joined() -> AudioRoomState:
    people = (RemoteParticipant("ana", metadata='{"role": "admin"}'), RemoteParticipant("ben"))
    snapshot = e.RoomSnapshot("room", LocalParticipant("me"), remotes=people)
    state, _ = audio_room.step(AudioRoomState("me"), JoinStarted(), 0.0)
    return audio_room.step(state, JoinSucceeded(1, snapshot), 0.0)[0]


def check(state: AudioRoomState) -> None:
    session, grid = state.session, state.seats.grid
    assert session.connection.is_connected
    assert session.bans.notice is None
    assert [seat.index for seat in grid.seats] == list(range(grid.count))
    assert grid.count <= MAX_SEATS
    assert len(state.speakers.offers) <= MAX_OFFERS
    assert all(offer.invitation.target == "me" for offer in state.speakers.offers)
    assert len(session.chat.history) <= MAX_HISTORY
    assert all(0 < len(said.text) <= MAX_TEXT for said in session.chat.history[-1:])
    assert len(session.roles.wanted) <= MAX_WANTED
    assert set(session.roles.known) <= {"me", "ana", "ben"}
    assert not session.microphone.is_granted


@pytest.mark.timeout(600)
def test_no_message_and_no_metadata_breaks_the_state() -> None:
    chance = random.Random(20260504)
    state = joined()
    for number in range(COUNT):
        payload = message(chance)
        text = payload.decode("utf-8", "replace")
        fact: object = e.DataReceived(payload, chance.choice((None, None, "ana", "ben")))
        kind = chance.randrange(8)
        if kind == 0:
            fact = e.RoomMetadataChanged(text)
        elif kind == 1:
            fact = e.ParticipantMetadataChanged(chance.choice(("ana", "ben", "me")), text)
        before = state
        state, _ = audio_room.step(state, fact, number * 0.01)
        check(state)
        if isinstance(fact, e.DataReceived):  # a message moves nothing that the engine owns
            assert state.seats.grid is before.seats.grid
            assert state.session.roles.known is before.session.roles.known
            assert state.session.chat.is_locked is before.session.chat.is_locked
        if number % 1_000 == 999:
            state = joined()


@pytest.mark.timeout(600)
def test_no_reply_breaks_a_reader() -> None:
    chance = random.Random(20260505)
    found = [0 for _ in LISTS]
    for _ in range(COUNT):
        wire = parse_object(message(chance))
        if wire is not None:
            for read in REPLIES:
                read(wire)
            for part in wire.values():
                found = [n + len(read(part)) for n, read in zip(found, LISTS, strict=True)]
            grid = grid_from_wire(wire)
            assert grid.count <= MAX_SEATS
    assert all(found), "a reader was given nothing that it reads"
