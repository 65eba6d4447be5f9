"""What time does to rooms and to who is in them; no network, and time is an argument."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from livekit.protocol import room as wire

from tests.engine.sfu.rooms import CERTIFICATE, join
from tests.support.sfu import fresh_options
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_participant import Reason, State
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender


class Rooms(SfuRooms):
    """Rooms whose time passes when the test says so."""

    def later(self, seconds: float) -> None:
        """Carry out what is due that long after now."""
        self.tick(self.context.now() + seconds)

    def names(self) -> list[str]:
        """Those there are."""
        return [one.name for one in self]


@pytest.fixture
async def rooms() -> AsyncIterator[Rooms]:
    options = fresh_options()
    made = Rooms(SfuContext(options, UdpMux(), CERTIFICATE, SfuWebhookSender(options)))
    yield made
    made.close_all()


async def test_who_never_connects_is_removed_after_a_minute(rooms: Rooms) -> None:
    room = rooms.get_or_create("r")
    alice, signal = join(room, "alice", now=rooms.context.now())
    rooms.later(59.0)
    assert room.get("alice") is alice
    rooms.later(61.0)
    assert room.get("alice") is None
    assert signal.sent[-1].leave.reason == Reason.JOIN_FAILURE


async def test_a_token_is_pushed_every_five_minutes(rooms: Rooms) -> None:
    alice, signal = join(rooms.get_or_create("r"), "alice", now=rooms.context.now())
    alice.state = State.ACTIVE
    for seconds, count in ((299.0, 0), (301.0, 1), (599.0, 1), (602.0, 2)):
        rooms.later(seconds)
        assert sum(one.HasField("refresh_token") for one in signal.sent) == count


async def test_an_empty_room_goes_after_its_time_out(rooms: Rooms) -> None:
    rooms.get_or_create("a", wire.CreateRoomRequest(empty_timeout=10))
    rooms.get_or_create("b")
    rooms.later(11.0)
    assert rooms.names() == ["b"]
    rooms.later(299.0)
    assert rooms.names() == ["b"]
    rooms.later(302.0)
    assert rooms.names() == []


async def test_a_left_room_goes_after_its_departure_time_out(rooms: Rooms) -> None:
    alice, _ = join(rooms.get_or_create("r"), "alice", now=rooms.context.now())
    alice.close(Reason.CLIENT_INITIATED)
    rooms.later(19.0)
    assert rooms.names() == ["r"]
    rooms.later(22.0)
    assert rooms.names() == []


async def test_a_room_that_fails_does_not_stop_the_others(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = rooms.get_or_create("broken"), rooms.get_or_create("other")
    ticked: list[float] = []

    def fail(now: float) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(broken, "tick", fail)
    monkeypatch.setattr(other, "tick", ticked.append)
    rooms.later(1.0)
    assert len(ticked) == 1
