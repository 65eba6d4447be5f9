"""The list of bans is read whatever is in it."""

from __future__ import annotations

from hypothesis import given

from tests.fixtures import wire_fixture
from tests.protocol.strategies import ban_objects, bans
from utd_rx.models.ban import UTDBan
from utd_rx.protocol.wire.bans import ban_to_wire, bans_from_wire


def test_the_golden_page() -> None:
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
def test_any_object_is_read(wire: dict[str, object]) -> None:
    assert all(ban.identity for ban in bans_from_wire(wire))
