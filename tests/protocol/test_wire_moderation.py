"""Role changes, the chat lock and bans: exact out, tolerant in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import wire_fixture
from tests.protocol.strategies import ban_objects, bans
from utd_rx.models.ban import UTDBan
from utd_rx.protocol.wire.moderation import (
    COMMENT_LOCK_KEY,
    IDENTITY_KEYS,
    RoleChange,
    ban_to_wire,
    bans_from_wire,
    comment_lock_from_wire,
    comment_lock_in_metadata,
    comment_lock_to_wire,
    role_change_from_wire,
    role_change_to_wire,
)

PUSHES = wire_fixture("pushes")
REPLIES = wire_fixture("moderation")
CHANGE = RoleChange("علي", "admin", "audience")


def test_a_role_change_is_written_and_read_as_the_fixtures_have_it() -> None:
    assert role_change_to_wire(CHANGE) == REPLIES["role"]
    assert {"type": "_role_change", **role_change_to_wire(CHANGE)} == PUSHES["_role_change"]
    assert role_change_from_wire(PUSHES["_role_change"]) == CHANGE


@pytest.mark.parametrize("key", IDENTITY_KEYS)
def test_the_subject_has_many_names(key: str) -> None:
    assert role_change_from_wire({key: "mona", "role": "guest"}) == RoleChange("mona", "guest")


@pytest.mark.parametrize("wire", [{}, {"identity": "mona"}, {"role": "guest"}, {"role": 1.5}])
def test_half_a_role_change_is_none(wire: dict[str, object]) -> None:
    assert role_change_from_wire(wire) is None


def test_the_lock_is_written_and_read_as_the_fixtures_have_it() -> None:
    push = PUSHES["_comment_lock"]
    assert {"type": COMMENT_LOCK_KEY, **comment_lock_to_wire(True)} == push
    assert comment_lock_from_wire(push) is True
    assert comment_lock_from_wire(REPLIES["comments_lock"]) is True
    metadata = json.loads(REPLIES["room_metadata"]["metadata"])
    assert comment_lock_in_metadata(metadata) is False


@pytest.mark.parametrize(
    ("wire", "is_locked"),
    [
        ({}, None),
        ({"_comment_lock": {}}, None),
        ({"_comment_lock": None}, None),
        ({"_comment_lock": True}, True),
        ({"_comment_lock": 0}, False),
        ({"_comment_lock": {"locked": 1}}, True),
        ({"_comment_lock": {"locked": "maybe"}}, None),
    ],
)
def test_metadata_of_other_engines(wire: dict[str, object], is_locked: bool | None) -> None:
    assert comment_lock_in_metadata(wire) is is_locked


@given(
    st.dictionaries(
        st.sampled_from([*IDENTITY_KEYS, "role", "previous_role", "locked", "_comment_lock"]),
        st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_nothing_raises(wire: dict[str, object]) -> None:
    change = role_change_from_wire(wire)
    assert change is None or (change.identity and change.role)
    assert comment_lock_from_wire(wire) in (None, True, False)
    assert comment_lock_in_metadata(wire) in (None, True, False)


def test_the_golden_page_of_bans() -> None:
    wire = wire_fixture("bans")
    read = bans_from_wire(wire)
    assert [(ban.id, ban.identity, ban.room_name) for ban in read] == [
        (3, "mallory", "friday-room"),
        (1, "трол", None),
    ]
    assert [ban_to_wire(ban) for ban in read] == wire["data"]
    assert bans_from_wire({"bans": wire["data"]}) == read


@given(bans)
def test_a_ban_survives_the_wire(ban: UTDBan) -> None:
    assert bans_from_wire({"data": [ban_to_wire(ban)]}) == (ban,)


@given(ban_objects)
def test_any_object_of_bans_is_read(wire: dict[str, object]) -> None:
    assert all(ban.identity for ban in bans_from_wire(wire))
