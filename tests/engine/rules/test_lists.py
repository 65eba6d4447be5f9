"""BanList, mint floors, names and the rate limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.rules import bans, limits, mints, names
from utd_rx.engine.rules.bans import Ban, BanList
from utd_rx.engine.rules.limits import Limits
from utd_rx.engine.rules.mints import FLOOR_SECONDS, Mints
from utd_rx.engine.rules.refusal import Refusal


def banned(*entries: Ban) -> BanList:
    found = BanList()
    for entry in entries:
        found, _ = bans.add(found, entry)
    return found


def test_a_ban_from_a_room_leaves_the_others_open() -> None:
    found = banned(Ban(0, "omar", 10.0, room="friday"))
    assert bans.find(found, "omar", "friday", 11.0) is not None
    assert bans.find(found, "omar", "monday", 11.0) is None
    assert bans.find(found, "omar", None, 11.0) is None
    assert bans.find(found, "mona", "friday", 11.0) is None


def test_a_project_ban_closes_everything() -> None:
    found = banned(Ban(0, "omar", 10.0))
    assert bans.find(found, "omar", "friday", 11.0) is not None
    with pytest.raises(Refusal) as caught:
        bans.refuse_banned(found, "omar", None, 11.0)
    assert (caught.value.status, caught.value.code.value) == (403, "banned")
    assert caught.value.message == "User is banned"


def test_an_expired_ban_counts_no_more() -> None:
    found = banned(Ban(0, "omar", 10.0, expires_at=20.0))
    assert bans.find(found, "omar", None, 19.9) is not None
    assert bans.find(found, "omar", None, 20.0) is None
    assert bans.active(found, 20.0) == ()


def test_a_second_ban_of_the_same_scope_replaces_the_first() -> None:
    found = banned(Ban(0, "omar", 1.0, reason="a"), Ban(0, "omar", 2.0, reason="b"))
    assert [entry.reason for entry in bans.active(found, 3.0)] == ["b"]


def test_lifting_without_a_room_lifts_all() -> None:
    found = banned(Ban(0, "omar", 1.0), Ban(0, "omar", 1.0, "friday"), Ban(0, "mona", 1.0))
    left, lifted = bans.lift(found, "omar", None)
    assert len(lifted) == 2
    assert [entry.identity for entry in left.entries] == ["mona"]
    _, lifted = bans.lift(found, "omar", "friday")
    assert [entry.room for entry in lifted] == ["friday"]
    assert bans.lift(left, "omar", None) == (left, ())


def test_a_floor_makes_older_tokens_worthless_and_newer_ones_not() -> None:
    state, old = mints.take_serial(Mints())
    state = mints.raise_floor(state, "friday", "omar", 0.0)
    state, new = mints.take_serial(state)
    assert mints.is_stale(state, "friday", "omar", old)
    assert not mints.is_stale(state, "friday", "omar", new)
    assert not mints.is_stale(state, "friday", "mona", old)
    assert not mints.is_stale(state, "monday", "omar", old)


def test_a_closed_room_makes_every_token_worthless() -> None:
    state, old = mints.take_serial(Mints())
    state = mints.raise_floor(state, "friday", None, 0.0)
    assert mints.is_stale(state, "friday", "anybody", old)


def test_floors_are_forgotten_once_every_token_below_has_expired() -> None:
    state = mints.raise_floor(Mints(), "friday", "omar", 0.0)
    state = mints.raise_floor(state, "friday", "mona", FLOOR_SECONDS)
    assert list(state.floors) == [("friday", "mona")]


@given(st.lists(st.sampled_from(["mint", "kick", "close"]), max_size=30))
def test_serials_only_grow(steps: list[str]) -> None:
    state, last = mints.take_serial(Mints())
    for step in steps:
        if step == "mint":
            state, serial = mints.take_serial(state)
            assert serial > last
            assert not mints.is_stale(state, "r", "omar", serial)
            last = serial
        else:
            state = mints.raise_floor(state, "r", "omar" if step == "kick" else None, 0.0)
            assert mints.is_stale(state, "r", "omar", last)


@pytest.mark.parametrize("name", ["a", "friday-room_7", "A" * 128])
def test_good_room_names(name: str) -> None:
    assert names.check_room_name(name) == name


@pytest.mark.parametrize("name", ["", "A" * 129, "a b", "a/b", "é", "a\n", "٣", "a\x00", "p:1"])
def test_bad_room_names(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        names.check_room_name(name)
    assert caught.value.status == 422


@pytest.mark.parametrize("identity", ["a", "李雷", "علي", "a b", "a/b", "😀", "x" * 128])
def test_good_identities(identity: str) -> None:
    assert names.check_identity(identity) == identity


@pytest.mark.parametrize("identity", ["", "x" * 129, "a\n", "\x00", "\x7f", "\x85", "\ud800"])
def test_bad_identities(identity: str) -> None:
    with pytest.raises(Refusal) as caught:
        names.check_identity(identity)
    assert caught.value.status == 422


@given(st.text(alphabet="ab_p-1", min_size=1, max_size=20))
def test_a_rooms_name_survives_the_prefix(name: str) -> None:
    assert names.engine_room_name("123", names.livekit_room_name("123", name)) == name


@pytest.mark.parametrize("foreign", ["friday", "p124_friday", "p123_", "p1234_friday", ""])
def test_other_projects_rooms_are_not_ours(foreign: str) -> None:
    assert names.engine_room_name("123", foreign) is None


def test_the_limit_refuses_says_when_and_recovers() -> None:
    state = Limits(2)
    for now in (0.0, 30.0):
        state = limits.count_request(state, "rest", now)
    with pytest.raises(Refusal) as caught:
        limits.count_request(state, "rest", 59.5)
    assert (caught.value.status, caught.value.retry_after) == (429, 1)
    limits.count_request(state, "mint", 59.5)
    limits.count_request(state, "rest", 60.0)
