"""The engine with real clients, on both SFUs: what the rules decide is what a client may do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from livekit import rtc

from tests.engine.stage import PATIENCE, Stage, on_stage
from tests.support.sfu import SfuKind, running_sfu
from utd_rx.engine import EngineOptions


@pytest.fixture
async def stage(sfu_kind: SfuKind) -> AsyncIterator[Stage]:
    async with on_stage(EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)) as found:
        yield found


async def test_a_seat_is_the_right_to_publish(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    assert not mona.may_publish
    assert mona.occupants == [None] * 4
    assert await mona.call("POST", "/seats/1/take") == 200
    await mona.until(lambda: mona.may_publish)
    await sara.until(lambda: sara.occupants[1] == "mona")
    assert await sara.call("POST", "/seats/1/lock") == 200
    await mona.until(lambda: not mona.may_publish)
    await mona.until(lambda: mona.grid["seats"][1]["locked"] is True)
    assert await mona.call("POST", "/seats/1/take") == 403


async def test_a_token_from_before_the_seat_may_publish_after_rejoining(stage: Stage) -> None:
    await stage.host()
    mona = await stage.join("mona")
    assert await mona.call("POST", "/seats/1/take") == 200
    await mona.until(lambda: mona.may_publish)
    await mona.reconnect()
    await mona.until(lambda: mona.may_publish)
    assert mona.occupants[1] == "mona"


async def test_taking_before_connecting_grants_on_joining(stage: Stage) -> None:
    await stage.host()
    mona = await stage.join("mona", connect=False)
    assert await mona.call("POST", "/seats/1/take") == 200
    await mona.connect()
    await mona.until(lambda: mona.may_publish)


async def test_who_leaves_loses_the_seat(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await mona.call("POST", "/seats/1/take")
    await sara.until(lambda: sara.occupants[1] == "mona")
    await mona.room.disconnect()
    await sara.until(lambda: sara.occupants[1] is None)


async def test_after_a_kick_the_old_token_does_not_come_back(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    assert await sara.call("DELETE", "/participants/mona") == 200
    await mona.until(lambda: mona.reason is not None)
    await mona.reconnect()
    await mona.until(lambda: mona.reason is not None)
    await mona.mint()
    await mona.reconnect()
    assert await mona.call("POST", "/seats/1/take") == 200
    await mona.until(lambda: mona.may_publish)


async def test_a_banned_user_is_told_before_being_removed(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    # A push right after joining is lost, so wait until one arrives
    # (docs/contract.md, "Lost pushes").
    for index in (1, 2, 3):
        await sara.call("POST", "/seats/leave")
        await sara.call("POST", f"/seats/{index}/take")
    await mona.until_told("_seat_update")
    headers = {"Authorization": f"Bearer {sara.minted['user_token']}"}
    url = f"{stage.engine.base_url}/api/v1/rooms/ban"
    body = {"identity": "mona", "room_name": "friday", "reason": "spam"}
    async with stage.http.post(url, json=body, headers=headers) as reply:
        assert reply.status == 201
    await mona.until(lambda: mona.reason is not None)
    assert (await mona.until_told("_banned"))["reason"] == "spam"


async def test_muting_a_seat_mutes_the_track_for_everybody(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await mona.call("POST", "/seats/1/take")
    await mona.until(lambda: mona.may_publish)
    source = rtc.AudioSource(48_000, 1, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("mic", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    published = await mona.room.local_participant.publish_track(track, options)

    def muted() -> list[bool]:
        who = sara.room.remote_participants.get("mona")
        return [] if who is None else [p.muted for p in who.track_publications.values()]

    def is_muted(sid: str) -> bool:
        found = sara.room.remote_participants["mona"].track_publications.get(sid)
        return found is not None and found.muted

    await sara.until(lambda: muted() == [False])
    assert await sara.call("POST", "/seats/1/mute") == 200
    await sara.until(lambda: muted() == [True])
    # A muted seat stays muted though its occupant publishes anew.
    await mona.room.local_participant.unpublish_track(published.sid)
    track = rtc.LocalAudioTrack.create_audio_track("mic", source)
    published = await mona.room.local_participant.publish_track(track, options)
    await sara.until(lambda: is_muted(published.sid))
    # The SDK repeats to the server what the server told it, and must not do so after the next word.
    await mona.until(lambda: track.muted)
    assert await sara.call("POST", "/seats/1/unmute") == 200
    await sara.until(lambda: muted() == [False])
    await mona.room.local_participant.unpublish_track(published.sid)
    await source.aclose()


async def test_who_unmuted_the_microphone_comes_back_unmuted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    await mona.call("POST", "/seats/1/take")
    await mona.until(lambda: mona.may_publish)
    core = stage.engine.core
    track_published, heard = core.track_published, asyncio.Queue[str]()

    async def spied(room: str, identity: str) -> None:
        await track_published(room, identity)
        heard.put_nowait(room)

    monkeypatch.setattr(core, "track_published", spied)
    source = rtc.AudioSource(48_000, 1, queue_size_ms=0)

    async def publish() -> rtc.LocalAudioTrack:
        """Have a track, of which the engine heard and did what it does."""
        track = rtc.LocalAudioTrack.create_audio_track("mic", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await mona.room.local_participant.publish_track(track, options)
        await asyncio.wait_for(heard.get(), PATIENCE)
        return track

    def muted() -> list[bool]:
        who = sara.room.remote_participants.get("mona")
        return [] if who is None else [p.muted for p in who.track_publications.values()]

    track = await publish()
    # Muted by herself first: the SDK repeats what the server tells it, perhaps after her next word.
    track.mute()
    await sara.until(lambda: muted() == [True])
    assert await sara.call("POST", "/seats/1/mute") == 200
    track.unmute()
    await sara.until(lambda: muted() == [False])
    await mona.reconnect()
    await mona.until(lambda: mona.may_publish)
    await publish()
    found = await core.media.get_participant(core.rooms.livekit_name("friday"), "mona")
    assert found is not None
    assert [known.is_muted for known in found.tracks] == [False]
    await source.aclose()


async def test_closing_the_room_disconnects_everybody(stage: Stage) -> None:
    sara = await stage.host()
    mona = await stage.join("mona")
    assert await mona.call("DELETE", "") == 403
    assert await sara.call("DELETE", "") == 200
    for client in (sara, mona):
        await client.until(lambda client=client: client.reason is not None)  # type: ignore[misc]
    assert await sara.call("GET", "") == 404


async def test_two_hundred_takers_of_eight_seats_make_eight_winners(stage: Stage) -> None:
    sara = await stage.join("sara", role="host", seat_count=8)
    takers = [await stage.join(f"user-{n}", connect=False) for n in range(200)]
    statuses = await asyncio.gather(
        *(taker.call("POST", f"/seats/{n % 8}/take") for n, taker in enumerate(takers))
    )
    assert Counter(statuses) == {200: 8, 409: 192}
    winners = {
        taker.identity for taker, status in zip(takers, statuses, strict=True) if status == 200
    }
    await sara.until(lambda: set(sara.occupants) == winners)


async def test_an_external_server_is_asked_who_is_there(sfu_kind: SfuKind) -> None:
    async with running_sfu(sfu_kind) as sfu:
        options = EngineOptions(
            sfu="livekit",
            livekit_url=sfu.url,
            livekit_api_key=sfu.api_key,
            livekit_api_secret=sfu.api_secret,
        )
        async with on_stage(options) as stage:
            sara = await stage.host()
            mona = await stage.join("mona", connect=False)
            await mona.call("POST", "/seats/1/take")
            await mona.connect()
            assert await sara.call("PUT", "/participants/mona/role", {"role": "guest"}) == 200
            await mona.until(lambda: mona.may_publish)
            await stage.join("omar")
            assert await sara.call("POST", "/speakers/invite", {"target_identity": "omar"}) == 200
