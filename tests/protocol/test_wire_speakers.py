"""Pushes about requests and invitations: exact out, tolerant in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from utd_rx.models.seats import Invitation, SpeakRequest
from utd_rx.protocol.wire.seats import invitation_from_wire
from utd_rx.protocol.wire.speakers import (
    ListedInvitation,
    invitation_answer_to_push,
    invitation_to_push,
    invitation_to_rest,
    invitations_from_wire,
    request_answer_to_push,
    request_id_from_push,
    request_to_push,
)

PUSHES = wire_fixture("pushes")
REQUEST = SpeakRequest(7, "李雷", "2026-05-04T10:00:05.000Z")
INVITATION = Invitation(4, "sara", "علي", 2)


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("_speaker_request", request_to_push(REQUEST)),
        ("_speaker_request_approved", request_answer_to_push(REQUEST, 3)),
        ("_speaker_request_rejected", request_answer_to_push(REQUEST, None)),
        ("_speaker_invitation", invitation_to_push(INVITATION)),
        ("_speaker_invitation_accepted", invitation_answer_to_push(INVITATION, 2)),
        ("_speaker_invitation_declined", invitation_answer_to_push(INVITATION, None)),
    ],
)
def test_what_is_written_is_the_fixture(type_: str, payload: dict[str, object]) -> None:
    assert {"type": type_, **payload} == PUSHES[type_]


def test_the_fixtures_are_read() -> None:
    for type_ in ("_speaker_request", "_speaker_request_approved", "_speaker_request_rejected"):
        assert request_id_from_push(PUSHES[type_]) == 7
    assert invitation_from_wire(PUSHES["_speaker_invitation"]) == INVITATION
    declined = invitation_from_wire(PUSHES["_speaker_invitation_declined"])
    assert declined == Invitation(4, "sara", "علي")


def test_the_list_of_invitations_is_written_and_read() -> None:
    listed = wire_fixture("speakers")["invitations"]["invitations"]
    assert [invitation_to_rest(INVITATION, expires_in=41.5)] == listed
    assert invitations_from_wire(listed) == (ListedInvitation(INVITATION, 41.5),)
    odd = [{**listed[0], "expires_in": value} for value in (None, "soon", True, 1e400, -(2**2000))]
    assert {one.expires_in for one in invitations_from_wire([*odd, {}, 7])} == {None}


def test_the_queues_spelling_of_the_id_is_read_too() -> None:
    assert request_id_from_push({"id": "7", "identity": "mona"}) == 7


@pytest.mark.parametrize("wire", [{}, {"request_id": 7}, {"identity": "mona"}, {"id": True}])
def test_what_names_nothing_is_none(wire: dict[str, object]) -> None:
    assert request_id_from_push(wire) is None


@given(
    st.dictionaries(
        st.sampled_from(["id", "request_id", "identity", "seat_index"]),
        st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_nothing_raises(wire: dict[str, object]) -> None:
    id_ = request_id_from_push(wire)
    assert id_ is None or type(id_) is int
