"""What the media server reports is believed only when it signed it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import time
from collections.abc import Mapping

import aiohttp
import jwt
import pytest
from google.protobuf.json_format import MessageToJson
from livekit import api

from tests.engine.backend import SECRET, Backend, running_backend
from tests.engine.conftest import Reply, World, on_fakes
from tests.engine.fakes import FakeClock, FakeMedia
from tests.fixtures import wire_fixture
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.rules.seat_state import (
    ABSENCE_SECONDS,
    DEPARTURE_SECONDS,
)


def hooked(backend: Backend) -> EngineOptions:
    return EngineOptions(app_secret=SECRET, webhook_url=backend.url)


def event_of(world: World, name: str) -> api.WebhookEvent:
    event = api.WebhookEvent(event=name)
    event.room.name = world.livekit()
    event.room.sid = "RM_1"
    return event


async def post(world: World, body: str, *, secret: str | None = None, digest: str = "") -> Reply:
    engine = world.engine
    digest = digest or base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    token = jwt.encode(
        {"iss": engine.livekit_api_key, "exp": int(time.time()) + 60, "sha256": digest},
        secret or engine.livekit_api_secret,
        algorithm="HS256",
    )
    return await world.call(
        "POST", "/livekit/webhook", data=body.encode(), headers={"Authorization": token}
    )


async def test_a_signed_report_is_a_fact(world: World) -> None:
    sara = await world.host()
    mona, who = await world.connect("mona")
    await world.seats("1/take", mona)
    left = event_of(world, "participant_left")
    left.participant.identity, left.participant.sid = "mona", who.sid
    left.participant.disconnect_reason = api.DisconnectReason.PARTICIPANT_REMOVED
    assert (await post(world, MessageToJson(left))).status == 200
    assert (await world.occupants(sara))[1] is None


async def test_who_hears_that_reports_were_dropped_asks_who_is_there() -> None:
    async with LocalEngine(EngineOptions()) as engine, aiohttp.ClientSession() as http:
        world = World(engine, FakeMedia(), FakeClock(), http)
        sara = await world.host()
        joined = event_of(world, "participant_joined")
        joined.participant.identity, joined.participant.sid = "ghost", "PA_1"
        news = event_of(world, "track_unpublished")
        for report in (joined, news):
            assert (await post(world, MessageToJson(report))).status == 200
            assert "ghost" in sessions(world)
        news.num_dropped = 3
        assert (await post(world, MessageToJson(news))).status == 200
        async with asyncio.timeout(20):
            while "ghost" in sessions(world):
                await world.grid(sara)


def sessions(world: World) -> Mapping[str, str]:
    room = world.engine.core.rooms.all().get("friday")
    return {} if room is None else room.sessions


@pytest.mark.parametrize(
    ("reason", "grace"),
    [
        (api.DisconnectReason.CLIENT_INITIATED, DEPARTURE_SECONDS),
        (api.DisconnectReason.SIGNAL_CLOSE, ABSENCE_SECONDS),
        (api.DisconnectReason.DUPLICATE_IDENTITY, ABSENCE_SECONDS),
        (api.DisconnectReason.UNKNOWN_REASON, ABSENCE_SECONDS),
    ],
)
async def test_why_somebody_left_says_how_long_the_seat_waits(
    world: World, reason: api.DisconnectReason, grace: float
) -> None:
    sara = await world.host()
    mona, who = await world.connect("mona")
    await world.seats("1/take", mona)
    left = event_of(world, "participant_left")
    left.participant.identity, left.participant.sid = "mona", who.sid
    left.participant.disconnect_reason = reason
    await post(world, MessageToJson(left))
    await world.clock.advance(grace - 0.1)
    assert (await world.occupants(sara))[1] == "mona"
    await world.clock.advance(0.2)
    assert (await world.occupants(sara))[1] is None


async def test_joining_and_the_rooms_end_are_reported_too(world: World) -> None:
    minted = await world.mint("sara", role="host", seat_count=2)
    joined = event_of(world, "participant_joined")
    joined.participant.identity, joined.participant.sid = "sara", "PA_9"
    joined.participant.metadata = jwt.decode(minted["token"], options={"verify_signature": False})[
        "metadata"
    ]
    await post(world, MessageToJson(joined))
    assert world.engine.core.rooms.all()["friday"].sessions == {"sara": "PA_9"}
    finished = event_of(world, "room_finished")
    finished.room.sid = world.media.rooms[world.livekit()].sid
    await post(world, MessageToJson(finished))
    assert world.engine.core.rooms.all() == {}


async def test_a_new_track_of_somebody_who_is_muted_is_muted(world: World) -> None:
    sara = await world.host()
    mona, who = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.seats("1/mute", sara)
    world.media.publish(world.livekit(), "mona")
    published = event_of(world, "track_published")
    published.participant.identity, published.participant.sid = "mona", who.sid
    assert (await post(world, MessageToJson(published))).status == 200
    [track] = world.media.people[world.livekit()]["mona"].tracks
    assert track.is_muted


@pytest.mark.parametrize("is_muted", [True, False])
async def test_how_a_track_was_left_says_whether_the_next_one_is_muted(
    world: World, is_muted: bool
) -> None:
    sara = await world.host()
    mona, who = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.seats("1/mute", sara)
    world.media.publish(world.livekit(), "mona")
    for name in ("track_unpublished", "track_published"):
        event = event_of(world, name)
        event.participant.identity, event.participant.sid = "mona", who.sid
        event.track.type, event.track.muted = api.TrackType.AUDIO, is_muted
        assert (await post(world, MessageToJson(event))).status == 200
    [track] = world.media.people[world.livekit()]["mona"].tracks
    assert track.is_muted is is_muted


async def test_events_the_engine_does_not_know_are_taken_and_ignored(world: World) -> None:
    for name in ("ingress_started", "egress_started", "something_new"):
        assert (await post(world, MessageToJson(event_of(world, name)))).status == 200


async def test_a_backend_hears_of_them_as_the_fixture_has_it() -> None:
    """With the report's own id, which a repeated report has, too."""
    expected = wire_fixture("webhooks")["ours"]["track_published"]
    async with running_backend() as backend, on_fakes(hooked(backend)) as world:
        await world.host()
        event = event_of(world, "track_published")
        event.id = expected["id"]
        event.participant.identity, event.participant.name = "mona", "Mona"
        event.track.sid, event.track.type = "TR_1", api.TrackType.VIDEO
        event.track.width, event.track.height = 640, 360
        for _ in range(2):
            await post(world, MessageToJson(event))
            assert (await backend.next()).body == expected


async def test_a_backend_hears_of_rooms_participants_and_tracks_and_of_nothing_else() -> None:
    told = ["room_started", "participant_joined", "track_published", "track_unpublished"]
    told += ["participant_left", "room_finished"]
    async with running_backend() as backend, on_fakes(hooked(backend)) as world:
        for name in ("egress_started", "participant_connection_aborted", *told):
            event = event_of(world, name)
            if not name.startswith("room"):
                event.participant.identity = "mona"
            await post(world, MessageToJson(event))
        foreign = event_of(world, "room_started")
        foreign.room.name = "somebody's own"
        await post(world, MessageToJson(foreign))
        got = [await backend.next() for _ in told]
        await world.engine.aclose()
    assert [one.event for one in got] == told
    assert got[0].body["room"] == {"name": "friday", "room_name": "friday", "sid": "RM_1"}
    assert got[0].body["id"].startswith("evt_")
    assert "participant" not in got[0].body
    assert got[1].body["participant"] == {"identity": "mona"}
    assert backend.got.empty()


async def test_a_forged_report_is_refused(world: World) -> None:
    await world.host()
    finished = MessageToJson(event_of(world, "room_finished"))
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    for reply in (
        await post(world, finished, secret="0" * 64),
        await post(world, finished, digest=other),
        await post(world, finished, digest="not base64"),
        await post(world, "{"),
        await world.call("POST", "/livekit/webhook", data=finished.encode()),
    ):
        assert reply.refusal == (401, "unauthorized")
    assert len(world.engine.core.rooms.all()) == 1


async def test_a_body_beyond_any_report_is_refused(world: World) -> None:
    for size, status in ((2 * 1024 * 1024, 401), (2 * 1024 * 1024 + 1, 413)):
        body = io.BytesIO(bytes(size))
        assert (await world.call("POST", "/livekit/webhook", data=body)).status == status
