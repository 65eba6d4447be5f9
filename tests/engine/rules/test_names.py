"""Names of rooms and people, and LiveKit's name of a room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.fakes import FakeClock, FakeMedia
from utd_rx.engine.registry import Registry
from utd_rx.engine.rules import names
from utd_rx.engine.rules.refusal import Refusal

ROOMS = Registry("123", FakeMedia(), FakeClock())


@pytest.mark.parametrize("name", ["a", "friday-room_7", "A" * 128])
def test_good_room_names(name: str) -> None:
    names.check_room_name(name)
    assert names.is_room_name(name)


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
    assert ROOMS.engine_name(ROOMS.livekit_name(name)) == name


@pytest.mark.parametrize("foreign", ["friday", "p124_friday", "p123_", "p1234_friday", ""])
def test_other_projects_rooms_are_not_ours(foreign: str) -> None:
    assert ROOMS.engine_name(foreign) is None
