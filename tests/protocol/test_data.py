"""The engine's messages: hints when nobody sent them, forgeries when somebody did."""

from __future__ import annotations

import json

import pytest

from utd_rx.models.events import DataReceived
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import Invitation, InvitationAnswer
from utd_rx.models.stage import Stage
from utd_rx.protocol import data
from utd_rx.protocol.facts.people import BanHinted, LockHinted, RoleHinted
from utd_rx.protocol.facts.seats import ModeHinted, QueueHinted, SeatGridHinted
from utd_rx.protocol.facts.stage import HandHinted, LiveEndHinted, StageHinted

ALL = {**data.PEOPLE, **data.SEATS, **data.STAGE}
ANSWER = {"invitation_id": 4, "inviter_identity": "me", "target_identity": "ana"}


def message(sender: str | None = None, **wire: object) -> DataReceived:
    return DataReceived(json.dumps(wire).encode(), sender)


HINTS = [
    (message(type="_role_change", identity="ana", role="admin"), RoleHinted("ana", UTDRole.ADMIN)),
    (message(type="_role_change", identity="ana", role="king"), RoleHinted("ana", None)),
    (message(type="_comment_lock", locked=True), LockHinted(True)),
    (message(type="_mode_change", mode_id="duo", seat_count=2), ModeHinted("duo", 2)),
    (message(type="_speaker_request", request_id=7, identity="ana"), QueueHinted(7, True)),
    (
        message(type="_speaker_request_rejected", request_id=7, identity="ana"),
        QueueHinted(7, False),
    ),
    (message(type="_stage_update", members=[], rev=2), StageHinted(Stage(revision=2))),
    (message(type="_stage_request", identity="ana"), HandHinted("ana", True)),
    (message(type="_stage_request_closed", identity="ana"), HandHinted("ana", False)),
]


@pytest.mark.parametrize(("event", "hint"), HINTS)
def test_a_message_without_a_sender_is_a_hint(event: DataReceived, hint: object) -> None:
    assert data.decode(event, ALL) == hint
    assert not data.is_forged(event)


@pytest.mark.parametrize("event", [event for event, _ in HINTS])
def test_the_same_message_of_a_participant_is_a_forgery(event: DataReceived) -> None:
    forged = DataReceived(event.payload, "mallory")
    assert data.decode(forged, ALL) is None
    assert data.is_forged(forged)


def test_a_grid_and_a_ban_are_hints_with_what_they_say() -> None:
    grid = data.decode(message(type="_seat_update", count=3), ALL)
    assert isinstance(grid, SeatGridHinted)
    assert grid.grid.count == 3
    ban = data.decode(message(type="_banned", identity="me", reason="spam"), ALL)
    assert isinstance(ban, BanHinted)
    assert (ban.identity, ban.notice.reason) == ("me", "spam")


def test_a_kind_of_session_hears_what_its_row_names() -> None:
    seats = message(type="_mode_change", mode_id="duo", seat_count=2)
    assert data.decode(seats, data.PEOPLE) is None
    assert data.decode(seats, data.SEATS) is not None
    assert not set(data.PEOPLE) & set(data.SEATS) & set(data.STAGE)
    assert {*data.PEOPLE, *data.SEATS, *data.STAGE} == data.RESERVED_TYPES


def test_the_end_of_a_broadcast_may_be_a_participants_word() -> None:
    ended = message(type="_live_ended")
    assert data.decode(ended, ALL) == LiveEndHinted()
    told = DataReceived(ended.payload, "sara")
    assert data.decode(told, ALL) is None
    assert not data.is_forged(told)
    assert data.type_of(told) == data.LIVE_ENDED


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[1]", b"{}", b'{"type": 7}', b'{"type": "_unheard_of"}', b'{"type": "hello"}'],
)
def test_anything_else_hints_at_nothing(payload: bytes) -> None:
    assert data.decode(DataReceived(payload, None), ALL) is None
    assert not data.is_forged(DataReceived(payload, "ana"))


def test_what_is_larger_than_the_engine_sends_is_not_read() -> None:
    large = message(type="_comment_lock", locked=True, note="x" * data.MAX_ENGINE_MESSAGE)
    assert data.decode(large, ALL) is None


def test_who_invited_is_told_of_their_own_invitations_alone() -> None:
    told = DataReceived(
        json.dumps({"type": "_speaker_invitation_accepted", **ANSWER}).encode(), None
    )
    expected = InvitationAnswer(Invitation(4, "me", "ana", None), True)
    assert data.invitation_answer(told, "me") == expected
    assert data.invitation_answer(told, "sara") is None
    assert data.invitation_answer(DataReceived(told.payload, "mallory"), "me") is None


@pytest.mark.parametrize("metadata", ["", "{}", "[]", '{"_seats": 7}', "{", '{"_seats": {}}'])
def test_metadata_without_a_grid_carries_none(metadata: str) -> None:
    assert data.seats_in_metadata(metadata) is None


@pytest.mark.parametrize("metadata", ["", "{}", "_stage", '{"_stage": 7}', '{"_stage": {}}'])
def test_metadata_without_a_stage_carries_none(metadata: str) -> None:
    assert data.stage_in_room(metadata) is None
