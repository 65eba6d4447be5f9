"""Who may come in, whatever their token says: bans and mint floors."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.rules.gate import FLOOR_SECONDS, MAX_BANS, MAX_ROOM_BANS, Ban, Gate
from utd_rx.engine.rules.refusal import Reason, Refusal


def banned(*entries: Ban) -> Gate:
    found = Gate()
    for entry in entries:
        found, _ = found.ban(entry)
    return found


def minted(gate: Gate) -> tuple[Gate, int]:
    """The gate after a mint, and its serial."""
    return evolve(gate, next_serial=gate.next_serial + 1), gate.next_serial


def test_a_ban_from_a_room_leaves_the_others_open() -> None:
    found = banned(Ban(0, "omar", 10.0, room="friday"))
    assert found.is_banned("omar", "friday", 11.0)
    assert not found.is_banned("omar", "monday", 11.0)
    assert not found.is_banned("omar", None, 11.0)
    assert not found.is_banned("mona", "friday", 11.0)


def test_a_project_ban_closes_everything() -> None:
    found = banned(Ban(0, "omar", 10.0))
    assert found.is_banned("omar", "friday", 11.0)
    assert found.is_banned("omar", None, 11.0)


def test_an_expired_ban_counts_no_more() -> None:
    found = banned(Ban(0, "omar", 10.0, expires_at=20.0))
    assert found.is_banned("omar", None, 19.9)
    assert not found.is_banned("omar", None, 20.0)
    assert found.active_bans(20.0) == ()


def test_a_second_ban_of_the_same_scope_replaces_the_first() -> None:
    found = banned(Ban(0, "omar", 1.0, reason="a"), Ban(0, "omar", 2.0, reason="b"))
    assert [(one.reason, one.id) for one in found.active_bans(3.0)] == [("b", 2)]


def full(rooms: int, each: int, ends: float | None = None) -> Gate:
    """As many bans from each of so many rooms."""
    return banned(
        *(Ban(0, f"u{n}", 1.0, f"r{room}", "", ends) for room in range(rooms) for n in range(each))
    )


def test_a_room_has_so_many_bans_and_other_rooms_and_the_project_have_theirs() -> None:
    gate = full(1, MAX_ROOM_BANS)
    with pytest.raises(Refusal) as refused:
        gate.ban(Ban(0, "one more", 2.0, "r0"))
    assert refused.value.reason is Reason.CONFLICT
    assert gate.ban(Ban(0, "u7", 2.0, "r0"))[1].id == MAX_ROOM_BANS + 1  # in place of the first
    for room in ("r1", None):
        assert gate.ban(Ban(0, "one more", 2.0, room))[0].is_banned("one more", room, 3.0)
    gate, _ = gate.unban("u7", "r0")
    assert gate.ban(Ban(0, "one more", 2.0, "r0"))[0].is_banned("one more", "r0", 3.0)


def test_all_rooms_have_so_many_bans_and_the_project_has_more() -> None:
    gate = full(MAX_BANS // MAX_ROOM_BANS, MAX_ROOM_BANS)
    with pytest.raises(Refusal):
        gate.ban(Ban(0, "mona", 2.0, "another"))
    assert gate.ban(Ban(0, "mona", 2.0))[0].is_banned("mona", "another", 3.0)


def test_bans_that_ended_make_room() -> None:
    gate, entry = full(2, MAX_ROOM_BANS, 60.0).ban(Ban(0, "mona", 61.0, "r0"))
    assert gate.active_bans(1.0) == (entry,)


def test_the_newest_ban_is_the_first_whatever_it_is_from() -> None:
    gate = banned(*(Ban(0, who, 1.0, room) for who, room in (("a", "r"), ("b", None), ("a", "s"))))
    gate, _ = gate.ban(Ban(0, "a", 2.0, "r"))
    assert [one.id for one in gate.active_bans(3.0)] == [4, 3, 2]
    assert [one.id for one in gate.active_bans(3.0, "r")] == [4]


def test_lifting_without_a_room_lifts_all() -> None:
    found = banned(Ban(0, "omar", 1.0), Ban(0, "omar", 1.0, "friday"), Ban(0, "mona", 1.0))
    left, lifted = found.unban("omar", None)
    assert lifted == 2
    assert [one.identity for one in left.active_bans(1.0)] == ["mona"]
    left, lifted = found.unban("omar", "friday")
    assert lifted == 1
    assert [one.room for one in left.active_bans(1.0)] == [None, None]
    assert left.unban("sara", None) == (left, 0)


def test_who_is_banned_is_thrown_out_even_with_a_token_of_livekits_own_key() -> None:
    found = banned(Ban(0, "mona", 1.0, room="friday", expires_at=60.0))
    assert found.is_unwelcome("friday", "mona", None, 59.0)
    assert not found.is_unwelcome("friday", "mona", None, 61.0)
    assert not found.is_unwelcome("saturday", "mona", None, 59.0)
    assert not found.is_unwelcome("friday", "sara", None, 59.0)


def test_a_floor_makes_older_tokens_worthless_and_newer_ones_not() -> None:
    gate, old = minted(Gate())
    gate = gate.void_tokens("friday", "omar", 0.0)
    gate, new = minted(gate)
    assert gate.is_unwelcome("friday", "omar", old, 0.0)
    assert not gate.is_unwelcome("friday", "omar", new, 0.0)
    assert not gate.is_unwelcome("friday", "mona", old, 0.0)
    assert not gate.is_unwelcome("monday", "omar", old, 0.0)


def test_a_closed_room_makes_every_token_worthless() -> None:
    gate, old = minted(Gate())
    assert gate.void_tokens("friday", None, 0.0).is_stale("friday", "anybody", old)


def test_floors_are_forgotten_once_every_token_below_has_expired() -> None:
    gate = Gate().void_tokens("friday", "omar", 0.0)
    gate = gate.void_tokens("friday", "mona", FLOOR_SECONDS)
    assert list(gate.floors) == [("friday", "mona")]


@given(st.lists(st.sampled_from(["mint", "kick", "close"]), max_size=30))
def test_serials_only_grow(steps: list[str]) -> None:
    gate, last = minted(Gate())
    for step in steps:
        if step == "mint":
            gate, serial = minted(gate)
            assert serial > last
            assert not gate.is_stale("r", "omar", serial)
            last = serial
        else:
            gate = gate.void_tokens("r", "omar" if step == "kick" else None, 0.0)
            assert gate.is_stale("r", "omar", last)
