"""A camera in a room of either SFU: seen by others, muted, ended, and gone without a trace."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from livekit import api, rtc

from tests.rtc.bench import PATIENCE, Party, eventually, permit, raises
from tests.rtc.pictures import Camera, looking
from tests.video.cameras import Cameras
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.devices import CameraDevice
from utd_rx.models.participant import TrackKind, TrackSource
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.video import Camera as Webcam
from utd_rx.video import FrameSource, TestPattern

CAMERA, SCREEN = TrackSource.CAMERA, TrackSource.SCREEN_SHARE
PATTERN = TestPattern(320, 180, 15)


@pytest.mark.parametrize("source", [CAMERA, SCREEN])
async def test_pictures_arrive_in_order_and_are_the_sources_from_the_first(
    party: Party, source: TrackSource
) -> None:
    ann, ear = await party.join("ann")
    bob, other = await party.join("bob")
    track = await ann.publish(PATTERN, source)
    assert (track.kind, track.source, track.is_muted) == (TrackKind.VIDEO, source, False)
    assert track.name == source.name.lower()
    await ear.wait(ev.LocalTrackPublished)
    subscribed = await other.wait(ev.TrackSubscribed)
    assert (subscribed.track.kind, subscribed.track.source) == (TrackKind.VIDEO, source)
    async with looking(bob, track.sid) as eye:
        await eye.see(20)
        assert eye.counters[0] is not None  # LiveKit's own are blank
        assert eye.numbers == sorted(set(eye.numbers))
        assert None not in eye.counters
        assert eye.frames[-1].pixels.shape == (180, 320, 3)


async def test_a_muted_camera_is_closed_and_opened_anew(party: Party) -> None:
    ann, ear = await party.join("ann")
    bob, other = await party.join("bob")
    camera = Camera(pattern=PATTERN)
    track = await ann.publish(camera, CAMERA)
    await other.wait(ev.TrackSubscribed)
    async with looking(bob, track.sid) as eye:
        await eye.see(3)
        await ann.set_muted(track.sid, True)
        assert (await other.wait(ev.TrackMuted)).identity == "ann"
        await eventually(lambda: camera.open_streams == 0)
        await ann.set_muted(track.sid, False)
        await other.wait(ev.TrackUnmuted)
        await eventually(lambda: camera.open_streams == 1)
        await eye.see(1)
    await ann.unpublish(track.sid)
    await other.wait(ev.TrackUnpublished)
    assert (camera.opened, camera.open_streams) == (2, 0)
    assert len(ear.of(ev.TrackMuted)) == len(ear.of(ev.TrackUnmuted)) == 1


async def test_a_camera_that_the_server_mutes_is_closed(party: Party) -> None:
    ann, _ = await party.join("ann")
    camera = Camera(pattern=PATTERN)
    track = await ann.publish(camera, CAMERA)
    server = await party.server()
    await server.room.mute_published_track(
        api.MuteRoomTrackRequest(room="room", identity="ann", track_sid=track.sid, muted=True)
    )
    await eventually(lambda: camera.open_streams == 0)
    async with asyncio.timeout(PATIENCE):
        while camera.open_streams == 0:
            # LiveKit repeats the mute to the server, perhaps behind an unmute that came at once:
            # then it is muted again, by its own word.
            await ann.set_muted(track.sid, False)
            await asyncio.sleep(0.1)
    assert camera.open_streams == 1


async def test_losing_the_grant_or_the_room_closes_the_camera(party: Party) -> None:
    ann, ear = await party.join("ann")
    camera = Camera(pattern=PATTERN)
    track = await ann.publish(camera, CAMERA)
    server = await party.server()
    await permit(server, "ann", publish=False)
    assert (await ear.wait(ev.LocalTrackUnpublished)).track.sid == track.sid
    assert camera.open_streams == 0
    await permit(server, "ann", publish=True)
    await ear.wait(ev.ParticipantPermissionsChanged, lambda e: e.permission.can_publish)
    await ann.publish(camera, CAMERA)
    await ann.disconnect()
    assert camera.open_streams == 0


async def test_a_camera_that_breaks_ends_its_track(party: Party) -> None:
    ann, ear = await party.join("ann")
    camera = Camera(pattern=PATTERN)
    track = await ann.publish(camera, CAMERA)
    camera.over.set_exception(OSError("unplugged"))
    failed = await ear.wait(ev.LocalTrackFailed)
    assert failed.track_sid == track.sid
    assert failed.error.message == "the video input failed: OSError"
    await ear.wait(ev.LocalTrackUnpublished)
    assert camera.open_streams == 0


async def test_a_room_that_is_left_while_a_camera_opens_leaves_it_closed(party: Party) -> None:
    ann, _ = await party.join("ann")
    camera = Camera()
    camera.gate.clear()
    publishing = asyncio.create_task(ann.publish(camera, CAMERA))
    await camera.asked.wait()
    await ann.disconnect()
    camera.gate.set()
    with pytest.raises(UTDStreamException) as raised:
        await publishing
    assert raised.value.reason is ConflictReason.LEFT
    assert camera.open_streams == 0


@pytest.mark.parametrize("is_open", [False, True])
async def test_a_cancelled_publication_leaves_nothing(party: Party, is_open: bool) -> None:
    ann, _ = await party.join("ann")
    camera = Camera()
    if not is_open:
        camera.gate.clear()
    publishing = asyncio.create_task(ann.publish(camera, CAMERA))
    await camera.asked.wait()
    await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait([publishing])
    assert publishing.cancelled()
    await eventually(lambda: camera.open_streams == 0)
    assert ann.room is not None
    local = ann.room.local_participant
    await eventually(lambda: local.track_publications == {})


async def test_the_camera_follows_the_last_intent_beside_the_microphone(party: Party) -> None:
    room, ear = await party.join("ann")
    await raises(UTDErrorCode.VALIDATION, room.set_camera(True))
    camera = Camera(pattern=PATTERN)
    await asyncio.gather(
        room.set_camera(True, camera), room.set_camera(False), room.set_camera(True, camera)
    )
    assert camera.open_streams == 1
    await ear.wait(ev.LocalTrackPublished)
    await room.set_microphone(False)
    await room.set_camera(False)
    assert (await ear.wait(ev.TrackMuted)).track.source is CAMERA
    await eventually(lambda: camera.open_streams == 0)


async def test_a_screen_is_published_and_taken_down(party: Party) -> None:
    room, ear = await party.join("ann")
    await room.set_screen_share(False)
    await raises(UTDErrorCode.VALIDATION, room.set_screen_share(True))
    screen = Camera(pattern=PATTERN)
    for _ in range(2):
        await room.set_screen_share(True, screen)
        await room.set_screen_share(True)
        assert screen.open_streams == 1
        await room.set_screen_share(False)
        assert screen.open_streams == 0
    await eventually(lambda: len(ear.of(ev.LocalTrackUnpublished)) == 2)
    published = ear.of(ev.LocalTrackPublished)
    assert [one.track.source for one in published] == [SCREEN, SCREEN]


async def test_a_picture_may_have_another_size_than_the_format(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, other = await party.join("bob")
    camera = Camera(VideoFormat(320, 180, 15), pattern=TestPattern(240, 320, 15))
    track = await ann.publish(camera, CAMERA)
    await other.wait(ev.TrackSubscribed)
    async with looking(bob, track.sid) as eye:
        await eye.see(5)
        frame = eye.frames[-1]
        assert frame.width / frame.height == pytest.approx(240 / 320, rel=0.05)


async def test_a_camera_is_seen_and_measured_again_after_a_full_reconnect(party: Party) -> None:
    ann, ear = await party.join("ann")
    bob, other = await party.join("bob")
    camera = Camera(pattern=PATTERN)
    track = await ann.publish(camera, CAMERA)
    await other.wait(ev.TrackSubscribed)
    async with looking(bob, track.sid) as eye:
        await eye.see(3)
    assert (await ann.statistics()).tracks[0].packets > 0
    assert ann.room is not None
    await ann.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    again = (await ear.wait(ev.LocalTrackRepublished)).track
    await other.wait(ev.TrackSubscribed, lambda event: event.track.sid == again.sid)
    async with looking(bob, again.sid) as eye:
        await eye.see(3)
        await ann.set_muted(again.sid, True)
        await eventually(lambda: camera.open_streams == 0)
        await ann.set_muted(again.sid, False)
        await eye.see(3)
    assert camera.opened == 2
    (told,) = (await ann.statistics()).tracks
    assert told.track_sid == again.sid
    assert told.packets > 0
    assert told.bit_rate > 0


async def test_before_its_first_picture_a_camera_shows_nothing(party: Party) -> None:
    """LiveKit shows black of its own, ten times a second."""
    ann, _ = await party.join("ann")
    bob, other = await party.join("bob")
    camera = Camera(VideoFormat(320, 180, 15))
    track = await ann.publish(camera, CAMERA)
    await other.wait(ev.TrackSubscribed)
    async with looking(bob, track.sid) as eye, asyncio.timeout(PATIENCE):
        number = 0
        while len(eye.counters) < 4:
            number += 1
            if number > 5:  # after a time in which LiveKit would have shown several
                camera.sink(VideoFrame(PATTERN.picture(number)))
            await asyncio.sleep(0.1)
    assert None not in eye.counters
    assert min(eye.numbers) > 5


async def test_the_camera_is_switched_on_the_same_track(party: Party) -> None:
    ann, ear = await party.join("ann")
    bob, other = await party.join("bob")
    track = await ann.publish(PATTERN, CAMERA)
    await other.wait(ev.TrackSubscribed)
    source = FrameSource(PATTERN.picture(5_000_000)[np.newaxis], 15, loop=True)
    async with looking(bob, track.sid) as eye:
        await eye.see(3)
        assert await ann.switch_camera(source) is source
        await eye.wait(lambda: eye.counters[-1] == 5_000_000)
        await eye.see(5)
        switched = eye.numbers.index(5_000_000)
        assert set(eye.numbers[switched:]) == {5_000_000}  # of the one before no more
        await ann.set_muted(track.sid, True)
        assert await ann.switch_camera(PATTERN) is PATTERN
        await ann.set_muted(track.sid, False)
        await eye.wait(lambda: eye.counters[-1] in range(5_000_000))
    assert not ear.of(ev.LocalTrackUnpublished)
    assert not other.of(ev.TrackUnpublished)


async def test_without_a_camera_there_is_none_to_switch(party: Party) -> None:
    ann, _ = await party.join("ann")
    await raises(UTDErrorCode.VALIDATION, ann.switch_camera())
    await ann.publish(PATTERN, CAMERA)
    wrong: Any = 7
    for to, told in (("Front", "no Camera"), (None, "no Camera"), (wrong, "a VideoInput")):
        error = await raises(UTDErrorCode.VALIDATION, ann.switch_camera(to))
        assert told in error.message


async def test_a_camera_is_unplugged_comes_back_and_is_left_for_the_next_one(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = Cameras(monkeypatch)
    cameras.there = {"/dev/video0": "Front", "/dev/video2": "Back"}
    cameras.views = {"/dev/video0": 11, "/dev/video2": 33}
    ann, ear = await party.join("ann")
    bob, other = await party.join("bob")
    track = await ann.publish(Webcam("Front", format=VideoFormat(64, 36)), CAMERA)
    await other.wait(ev.TrackSubscribed)
    async with looking(bob, track.sid) as eye:
        await eye.wait(lambda: 11 in eye.numbers)
        del cameras.there["/dev/video0"]
        cameras.opened[0].unplug()
        lost = await ear.wait(ev.LocalVideoInterrupted)
        assert (lost.track_sid, lost.error.code) == (track.sid, UTDErrorCode.NOT_FOUND)
        cameras.there = {"/dev/video4": "Front", **cameras.there}
        cameras.views["/dev/video4"] = 22
        await ear.wait(ev.LocalVideoResumed)
        await eye.wait(lambda: 22 in eye.numbers)
        back = await ann.switch_camera()
        assert back == Webcam(CameraDevice("/dev/video2", "Back"), format=VideoFormat(64, 36))
        await eye.wait(lambda: 33 in eye.numbers)
    await ann.unpublish(track.sid)
    assert [one.is_closed for one in cameras.opened] == [True] * 3
    assert len(other.of(ev.TrackSubscribed)) == 1
