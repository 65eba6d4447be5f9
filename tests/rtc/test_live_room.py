"""From LiveKit's events to batches of values: in order, each alone, and none before its time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc

from tests.rtc.bench import Tone
from tests.rtc.test_publisher import Native
from tests.rtc.test_translate import FakeRoom, participant
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import TrackSource
from utd_rx.rtc import native
from utd_rx.rtc.live_room import LiveRoom


class Room(FakeRoom):
    """LiveKit's room, as far as a connection needs it; the test emits."""

    on_emit: Any

    def __init__(self) -> None:
        super().__init__()
        local = Native()
        self.local_participant = participant("me", publish_track=local.publish_track)
        self.local_participant.unpublish_track = local.unpublish_track
        self.local_participant.track_publications = local.track_publications
        local.answer.set_result("TR_1")
        self.was_left = False

    def emit(self, name: str, *args: Any) -> None:
        self.on_emit(name, args)

    async def disconnect(self) -> None:
        self.was_left = True


class Bench:
    """A joined room and what was delivered of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = Room()
        monkeypatch.setattr(native, "new_room", lambda: cast("rtc.Room", self.room))
        self.batches: list[tuple[ev.RoomEvent, ...]] = []
        self.live = LiveRoom(self.batches.append)
        self.snapshot = self.live.joined()


UPDATED = ev.RoomUpdated("room", "RM_1")


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_what_one_turn_brings_is_one_delivery_and_waits_for_the_release(
    bench: Bench,
) -> None:
    bench.room.emit("room_updated")
    await asyncio.sleep(0)
    assert bench.batches == []  # nobody has the snapshot yet
    bench.room.emit("token_refreshed")
    bench.live.release()
    assert bench.batches == [(UPDATED, ev.TokenRefreshed())]
    bench.room.emit("room_metadata_changed", "", "a")
    bench.room.emit("room_metadata_changed", "a", "b")
    assert len(bench.batches) == 1
    await asyncio.sleep(0)
    assert bench.batches[1:] == [(ev.RoomMetadataChanged("a"), ev.RoomMetadataChanged("b"))]
    await bench.live.aclose()


async def test_what_waits_can_be_had_at_once_and_is_delivered_once(bench: Bench) -> None:
    bench.live.release()
    bench.room.emit("room_updated")
    bench.live.deliver()
    bench.live.deliver()
    await asyncio.sleep(0)
    assert bench.batches == [(UPDATED,)]
    await bench.live.aclose()


async def test_an_event_that_cannot_be_told_takes_no_other_with_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.live.release()
    bench.room.emit("room_updated")
    bench.room.emit("participant_connected", SimpleNamespace(identity="broken"))
    bench.room.emit("track_subscribed", None, None, None)
    bench.room.emit("token_refreshed")
    await asyncio.sleep(0)
    assert bench.batches == [(UPDATED, ev.TokenRefreshed())]
    assert caplog.messages.count("a room event was lost") >= 2
    await bench.live.aclose()


async def test_a_server_cannot_say_that_this_client_left(bench: Bench) -> None:
    bench.live.release()
    bench.room.emit("disconnected", DisconnectReason.CLIENT_INITIATED.value)
    await bench.live.aclose()
    assert bench.batches == [(ev.Disconnected(DisconnectReason.UNKNOWN),)]


@pytest.mark.parametrize("by_server", [True, False])
async def test_the_end_is_the_last_event_and_lets_go_of_everything(
    bench: Bench, by_server: bool
) -> None:
    bench.live.release()
    if by_server:
        bench.room.emit("disconnected", DisconnectReason.ROOM_DELETED.value)
    await bench.live.aclose()
    await bench.live.aclose()
    reason = DisconnectReason.ROOM_DELETED if by_server else DisconnectReason.CLIENT_INITIATED
    assert bench.batches == [(ev.Disconnected(reason),)]
    assert bench.room.was_left
    bench.room.emit("room_updated")
    await asyncio.sleep(0)
    assert len(bench.batches) == 1


async def test_the_microphone_follows_the_last_intent(bench: Bench) -> None:
    bench.live.release()
    first, second = Tone(), Tone()
    with pytest.raises(UTDStreamException) as caught:
        await bench.live.switch(TrackSource.MICROPHONE, True, None)
    assert caught.value.code is UTDErrorCode.VALIDATION
    await bench.live.switch(TrackSource.MICROPHONE, False, None)  # there is none: nothing
    overtaken = bench.live.switch(TrackSource.MICROPHONE, True, first)
    await asyncio.gather(overtaken, bench.live.switch(TrackSource.MICROPHONE, True, second))
    assert (first.open_streams, second.open_streams) == (0, 1)
    await bench.live.aclose()
    assert second.open_streams == 0


async def test_who_left_and_what_did_not_come_back_is_forgotten_of_what_is_encrypted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates, told = bench.live.receiver.gates, list[Any]()
    monkeypatch.setattr(gates, "left", told.append)
    monkeypatch.setattr(gates, "keep", told.append)
    bench.live.release()
    bench.room.emit("participant_disconnected", participant("ana"))
    bench.room.emit("reconnecting")
    bench.room.emit("reconnected")
    await asyncio.sleep(0)
    assert told == ["ana", set()]
    await bench.live.aclose()
