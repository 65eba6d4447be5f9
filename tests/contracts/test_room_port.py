"""What every room port promises, held by the fake and by `UTDRoom` on both SFUs."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable
from typing import Protocol, TypeVar

import pytest
from livekit import api

from tests.support.sfu import (
    MISSING_LIVEKIT,
    SfuKind,
    is_livekit_missing,
    is_livekit_required,
    running_sfu,
)
from utd_rx import ToneSource, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import (
    Disconnected,
    LocalTrackPublished,
    LocalTrackUnpublished,
    ParticipantPermissionsChanged,
    RoomEvent,
    TrackMuted,
    TrackUnmuted,
)
from utd_rx.models.participant import TrackSource
from utd_rx.ports.data import MAX_DATA
from utd_rx.rtc.port import RoomPort
from utd_rx.rtc.room import UTDRoom
from utd_rx.testing.room import FakeRoom

PATIENCE = 20.0
ROOM, IDENTITY = "contract", "ana"
E = TypeVar("E", bound=RoomEvent)


class Server(Protocol):
    """What the test asks of whoever is behind the port."""

    url: str
    token: str

    async def grant(self, can_publish: bool) -> None: ...
    async def remove(self) -> None: ...


class FakeServer:
    url, token = "ws://127.0.0.1:1", "token"

    def __init__(self, room: FakeRoom) -> None:
        self._room = room

    async def grant(self, can_publish: bool) -> None:
        self._room.grant(can_publish=can_publish)

    async def remove(self) -> None:
        self._room.lose(DisconnectReason.PARTICIPANT_REMOVED)


class RealServer:
    def __init__(self, url: str, livekit: api.LiveKitAPI, key: str, secret: str) -> None:
        self.url = url
        self._livekit = livekit
        grants = api.VideoGrants(room_join=True, room=ROOM, can_publish=False)
        self.token = (
            api.AccessToken(key, secret).with_identity(IDENTITY).with_grants(grants).to_jwt()
        )

    async def grant(self, can_publish: bool) -> None:
        permission = api.ParticipantPermission(
            can_subscribe=True, can_publish_data=True, can_publish=can_publish
        )
        await self._livekit.room.update_participant(
            api.UpdateParticipantRequest(room=ROOM, identity=IDENTITY, permission=permission)
        )

    async def remove(self) -> None:
        await self._livekit.room.remove_participant(
            api.RoomParticipantIdentity(room=ROOM, identity=IDENTITY)
        )


class Bench:
    """A room, its server, and everything the room said."""

    def __init__(self, room: RoomPort, server: Server) -> None:
        self.room = room
        self.server = server
        self.events: list[RoomEvent] = []
        self._news = asyncio.Event()
        room.listen(self._take)

    def _take(self, events: tuple[RoomEvent, ...]) -> None:
        self.events.extend(events)
        self._news.set()

    async def connect(self) -> None:
        await self.room.connect(self.server.url, self.server.token)

    async def seen(self, kind: type[E], count: int = 1) -> E:
        """Return the `count`-th event of a kind, when it has come."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._news.clear()
                await self._news.wait()
        return found[count - 1]

    async def granted(self) -> None:
        await self.server.grant(can_publish=True)
        await self.seen(ParticipantPermissionsChanged)


@pytest.fixture(
    params=[
        "fake",
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("livekit", marks=pytest.mark.livekit),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    kind: str = request.param
    if kind == "fake":
        fake = FakeRoom(IDENTITY)
        yield Bench(fake, FakeServer(fake))
        await fake.aclose()
        return
    sfu_kind: SfuKind = "embedded" if kind == "embedded" else "livekit"
    if sfu_kind == "livekit" and is_livekit_missing():
        if is_livekit_required():
            pytest.fail(MISSING_LIVEKIT)
        pytest.skip(MISSING_LIVEKIT)
    async with (
        running_sfu(sfu_kind) as sfu,
        api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret) as livekit,
        UTDRoom() as room,
    ):
        yield Bench(room, RealServer(sfu.url, livekit, sfu.api_key, sfu.api_secret))


async def code_of(command: Awaitable[object]) -> UTDErrorCode:
    """Await a command that must fail, and return its code."""
    with pytest.raises(UTDStreamException) as raised:
        await command
    return raised.value.code


async def test_the_snapshot_tells_who_one_is_and_what_one_may(bench: Bench) -> None:
    snapshot = await bench.room.connect(bench.server.url, bench.server.token)
    assert snapshot.local.identity == IDENTITY
    assert not snapshot.local.permission.can_publish
    assert snapshot.remotes == ()
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


async def test_publishing_without_the_grant_is_refused_at_once(bench: Bench) -> None:
    await bench.connect()
    assert await code_of(bench.room.publish_audio(ToneSource())) is UTDErrorCode.FORBIDDEN


async def test_a_granted_track_is_published_muted_unmuted_and_unpublished(bench: Bench) -> None:
    await bench.connect()
    await bench.granted()
    track = await bench.room.publish_audio(ToneSource())
    assert (track.source, track.is_muted) == (TrackSource.MICROPHONE, False)
    assert (await bench.seen(LocalTrackPublished)).track == track
    await bench.room.set_muted(track.sid, True)
    muted = await bench.seen(TrackMuted)
    assert (muted.identity, muted.track.sid, muted.track.is_muted) == (IDENTITY, track.sid, True)
    await bench.room.set_muted(track.sid, False)
    await bench.seen(TrackUnmuted)
    await bench.room.unpublish(track.sid)
    assert (await bench.seen(LocalTrackUnpublished)).track.sid == track.sid
    await bench.room.unpublish(track.sid)
    assert len([event for event in bench.events if isinstance(event, TrackMuted)]) == 1


async def test_losing_the_grant_unpublishes_once(bench: Bench) -> None:
    await bench.connect()
    await bench.granted()
    track = await bench.room.publish_audio(ToneSource())
    await bench.server.grant(can_publish=False)
    assert (await bench.seen(LocalTrackUnpublished)).track.sid == track.sid
    assert await code_of(bench.room.publish_audio(ToneSource())) is UTDErrorCode.FORBIDDEN
    await bench.room.disconnect()
    gone = [event for event in bench.events if isinstance(event, LocalTrackUnpublished)]
    assert len(gone) == 1


async def test_a_connected_room_does_not_connect_again(bench: Bench) -> None:
    await bench.connect()
    assert await code_of(bench.connect()) is UTDErrorCode.CONFLICT


async def test_a_disconnected_room_refuses_commands_and_connects_again(bench: Bench) -> None:
    await bench.connect()
    await bench.room.disconnect()
    await bench.room.disconnect()
    assert await code_of(bench.room.send_data(b"x")) is UTDErrorCode.CONFLICT
    assert await code_of(bench.room.publish_audio(ToneSource())) is UTDErrorCode.CONFLICT
    await bench.connect()
    await bench.room.send_data(b"x")


async def test_a_message_that_is_too_large_with_its_destinations_is_refused(bench: Bench) -> None:
    await bench.connect()
    many = [f"{n:064}" for n in range(20)]
    for data, to in ((b"x" * (MAX_DATA + 1), None), (b"x" * MAX_DATA, many)):
        sending = bench.room.send_data(data, destination_identities=to)
        assert await code_of(sending) is UTDErrorCode.VALIDATION
    await bench.room.send_data(b"x" * 61_000, destination_identities=many)


async def test_it_reconnects_where_it_was_joined_last(bench: Bench) -> None:
    assert await code_of(bench.room.reconnect()) is UTDErrorCode.CONFLICT
    await bench.connect()
    assert await code_of(bench.room.reconnect()) is UTDErrorCode.CONFLICT
    await bench.server.remove()
    await bench.seen(Disconnected)
    snapshot = await bench.room.reconnect()
    assert snapshot.local.identity == IDENTITY
    await bench.room.send_data(b"x")


async def test_removal_by_the_server_is_the_last_event_and_says_why(bench: Bench) -> None:
    await bench.connect()
    await bench.server.remove()
    assert (await bench.seen(Disconnected)).reason is DisconnectReason.PARTICIPANT_REMOVED
    await bench.room.disconnect()
    assert isinstance(bench.events[-1], Disconnected)
    assert await code_of(bench.room.send_data(b"x")) is UTDErrorCode.CONFLICT


async def test_who_stops_listening_hears_nothing_more(bench: Bench) -> None:
    heard: list[tuple[RoomEvent, ...]] = []
    stop = bench.room.listen(heard.append)
    stop()
    stop()
    await bench.connect()
    await bench.granted()
    assert heard == []


async def test_every_event_can_be_pickled(bench: Bench) -> None:
    await bench.connect()
    await bench.granted()
    await bench.room.publish_audio(ToneSource())
    await bench.room.disconnect()
    assert bench.events
    assert pickle.loads(pickle.dumps(bench.events)) == bench.events
