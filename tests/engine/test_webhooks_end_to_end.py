"""What a backend hears of a room with real clients, on both SFUs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from tests.engine.backend import SECRET, Backend, Got, running_backend
from tests.engine.stage import Stage, on_stage
from tests.support.sfu import SfuKind
from utd_rx.engine import EngineOptions


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running_backend() as found:
        yield found


@pytest.fixture
async def stage(sfu_kind: SfuKind, backend: Backend) -> AsyncIterator[Stage]:
    options = EngineOptions(sfu=sfu_kind, app_secret=SECRET, webhook_url=backend.url)
    async with on_stage(options) as found:
        yield found


async def until(backend: Backend, event: str) -> list[Got]:
    """What comes until an event of this name, which is the last."""
    got: list[Got] = []
    while not got or got[-1].event != event:
        got.append(await backend.next())
    return got


async def test_a_room_from_its_beginning_to_its_end(stage: Stage, backend: Backend) -> None:
    sara = await stage.join("sara", role="host", seat_count=2, name="Sara")
    assert await sara.call("POST", "/seats/0/take") == 200
    await sara.until(lambda: sara.may_publish)
    source = rtc.AudioSource(48_000, 1)
    track = rtc.LocalAudioTrack.create_audio_track("voice", source)
    wanted = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    published = await sara.room.local_participant.publish_track(track, wanted)
    got = await until(backend, "track_published")
    assert [one.event for one in got] == ["room_started", "participant_joined", "track_published"]
    assert await sara.call("DELETE", "") == 200
    got += await until(backend, "room_finished")
    await source.aclose()
    # What ends with the room is not told in one order.
    assert {one.event for one in got[3:-1]} <= {"track_unpublished", "participant_left"}
    assert "participant_left" in [one.event for one in got]
    assert len({one.body["room"]["sid"] for one in got}) == 1
    assert {one.body["room"]["name"] for one in got} == {"friday"}
    assert len({one.body["id"] for one in got}) == len(got)
    assert got[1].body["participant"] == {"identity": "sara", "name": "Sara"}
    assert (got[2].body["track"]["sid"], got[2].body["track"]["type"]) == (published.sid, 0)
