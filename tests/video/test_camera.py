"""A camera: found, opened, lost, brought back and left for another; and what is said of none."""

from __future__ import annotations

import asyncio
import errno
import logging
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import av
import pytest

from tests.video.cameras import Cameras
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.devices import CameraDevice
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.video import Camera, hardware, list_cameras, live, read_counter
from utd_rx.video.live import LivePictures

FRONT, BACK = CameraDevice("/dev/video0", "Front"), CameraDevice("/dev/video2", "Back")


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> Cameras:
    made = Cameras(monkeypatch)
    made.there = {one.id: one.name for one in (FRONT, BACK)}
    return made


class Viewer:
    """Opens a camera and keeps what it hears of it."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.frames: asyncio.Queue[VideoFrame] = asyncio.Queue()
        self.failures: asyncio.Queue[UTDStreamException | None] = asyncio.Queue()
        self.stream: LivePictures

    async def __aenter__(self) -> Viewer:
        loop = asyncio.get_running_loop()
        take = self.frames.put_nowait

        def sink(frame: VideoFrame) -> None:
            loop.call_soon_threadsafe(take, frame)

        self.stream = await self.camera.open(sink)
        self.stream.watch(self.failures.put_nowait)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.aclose()

    async def frame(self) -> VideoFrame:
        return await asyncio.wait_for(self.frames.get(), 10)

    async def failure(self) -> UTDStreamException | None:
        return await asyncio.wait_for(self.failures.get(), 10)


async def test_what_it_sees_is_delivered(cameras: Cameras) -> None:
    async with Viewer(Camera(format=VideoFormat(64, 36, 15))) as viewer:
        (opened,) = cameras.opened
        assert opened.path == FRONT.id
        assert opened.options == {"video_size": "64x36", "framerate": "15"}
        for number in range(3):
            opened.see(number)
        frames = [await viewer.frame() for _ in range(3)]
        assert [read_counter(frame) for frame in frames] == [0, 1, 2]
        assert frames[0].timestamp <= frames[1].timestamp <= frames[2].timestamp
        assert viewer.stream.device == FRONT
    assert opened.is_closed
    assert opened.closed_on != threading.current_thread().name
    await viewer.stream.wait_ended()
    assert viewer.failures.empty()


async def test_what_is_larger_than_it_was_asked_for_is_made_smaller(cameras: Cameras) -> None:
    async with Viewer(Camera(format=VideoFormat(64, 36))) as viewer:
        cameras.opened[0].see(size=(160, 120))
        frame = await viewer.frame()
        assert (frame.width, frame.height) == (48, 36)


async def test_a_torn_picture_is_left_out_and_an_impatient_camera_asked_again(
    cameras: Cameras, caplog: pytest.LogCaptureFixture
) -> None:
    async with Viewer(Camera(format=VideoFormat(64, 36))) as viewer:
        cameras.opened[0].tear()
        cameras.opened[0].starve()
        cameras.opened[0].see(7)
        assert read_counter(await viewer.frame()) == 7
    assert viewer.failures.empty()
    assert "a picture that cannot be read (1 times so far)" in caplog.text


async def test_one_that_is_unplugged_is_told_and_goes_on_when_it_is_back(
    cameras: Cameras, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "utd_rx")
    async with Viewer(Camera("Front", format=VideoFormat(64, 36))) as viewer:
        cameras.opened[0].see(1)
        await viewer.frame()
        del cameras.there[FRONT.id]
        cameras.opened[0].unplug()
        lost = await viewer.failure()
        assert lost is not None
        assert lost.code is UTDErrorCode.NOT_FOUND
        assert "Front stopped: unplugged" in lost.message
        assert viewer.stream.device is None
        # In another socket it may have another path.
        cameras.there["/dev/video4"] = "Front"
        assert await viewer.failure() is None
        cameras.opened[1].see(2)
        assert read_counter(await viewer.frame()) == 2
        assert viewer.stream.device == CameraDevice("/dev/video4", "Front")
        assert viewer.stream.lost == 1
    assert [one.is_closed for one in cameras.opened] == [True, True]


async def test_one_that_falls_silent_is_lost(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.PictureSide, "silence", 0.0)
    async with Viewer(Camera(format=VideoFormat(64, 36))) as viewer:
        cameras.opened[0].see()
        lost = await viewer.failure()
        assert lost is not None
        assert await viewer.failure() is None  # it is opened anew
        assert len(cameras.opened) > 1


async def test_who_watches_late_is_told_what_is_so(cameras: Cameras) -> None:
    async with Viewer(Camera("Front")) as viewer:
        del cameras.there[FRONT.id]
        cameras.opened[0].unplug()
        await viewer.failure()
        told: list[UTDStreamException | None] = []
        viewer.stream.watch(told.append)
        assert [failure and failure.code for failure in told] == [UTDErrorCode.NOT_FOUND]


async def test_closing_while_it_is_lost_ends_the_wait(cameras: Cameras) -> None:
    async with Viewer(Camera("Front")) as viewer:
        waiting = asyncio.create_task(viewer.stream.wait_ended())
        del cameras.there[FRONT.id]
        cameras.opened[0].unplug()
        await viewer.failure()
        assert not waiting.done()
    await waiting
    await viewer.stream.aclose()


@pytest.mark.parametrize(
    ("device", "path"),
    [(None, FRONT.id), ("Back", BACK.id), ("back", BACK.id), (BACK, BACK.id), (BACK.id, BACK.id)],
)
async def test_it_is_chosen_by_what_is_known_of_it(
    cameras: Cameras, device: Any, path: str
) -> None:
    async with Viewer(Camera(device)):
        assert [one.path for one in cameras.opened] == [path]


async def test_with_udev_its_id_is_its_serial_number_and_its_path_a_name(
    cameras: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "video7"
    device.touch()
    link = tmp_path / "by-id" / "usb-Test_1234-video-index0"
    link.parent.mkdir()
    link.symlink_to(device)
    monkeypatch.setattr(hardware, "BY_ID", link.parent)
    cameras.there = {str(device): "Front", BACK.id: "Back"}
    assert list_cameras() == (CameraDevice(str(link), "Front"), BACK)
    async with Viewer(Camera(str(device))):
        assert cameras.opened[0].path == str(link)


@pytest.mark.parametrize(
    ("there", "device", "code", "told"),
    [
        ({}, None, UTDErrorCode.NOT_FOUND, "there is no camera: plug one in"),
        ({}, "Front", UTDErrorCode.NOT_FOUND, "there is no camera 'Front': plug one in"),
        ({}, FRONT, UTDErrorCode.NOT_FOUND, "no camera '/dev/video0': plug one in"),
        ({BACK.id: "Back"}, "Front", UTDErrorCode.NOT_FOUND, "'Front', only Back: see `list_cam"),
        ({"a": "Cam", "b": "Cam"}, "Cam", UTDErrorCode.VALIDATION, "say which of a, b"),
    ],
)
async def test_one_that_there_is_not_is_named(
    cameras: Cameras, there: dict[str, str], device: Any, code: UTDErrorCode, told: str
) -> None:
    cameras.there = there
    with pytest.raises(UTDStreamException, match=told) as raised:
        await Camera(device).open(print)
    assert raised.value.code is code


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (errno.EBUSY, UTDErrorCode.CONFLICT, "another program uses it"),
        (errno.EACCES, UTDErrorCode.FORBIDDEN, "join the group video"),
        (errno.ENODEV, UTDErrorCode.NOT_FOUND, "it is not there"),
    ],
)
async def test_one_that_may_not_be_opened_says_why(
    cameras: Cameras, number: int, code: UTDErrorCode, told: str
) -> None:
    cameras.refusals = [OSError(number, "refused")]
    with pytest.raises(UTDStreamException, match=told) as raised:
        await Camera().open(print)
    assert raised.value.code is code
    assert "Front (/dev/video0)" in raised.value.message
    assert cameras.opened == []


async def test_one_that_has_not_the_format_delivers_its_own(cameras: Cameras) -> None:
    refused = av.error.ArgumentError(errno.EINVAL, "Invalid argument")
    cameras.refusals = [refused, refused]
    async with Viewer(Camera(format=VideoFormat(1280, 720))):
        assert cameras.opened[0].options == {}
    cameras.refusals = [refused]
    async with Viewer(Camera(format=VideoFormat(1280, 720))):
        assert cameras.opened[1].options == {"video_size": "1280x720", "framerate": "30"}
    async with Viewer(Camera(format=VideoFormat(1280, 720))):
        assert cameras.opened[2].options["input_format"] == "mjpeg"  # or USB 2 is too slow
    cameras.refusals = [refused] * 3
    with pytest.raises(UTDStreamException, match="cannot be opened: Invalid argument"):
        await Camera(format=VideoFormat(1280, 720)).open(print)


@pytest.mark.parametrize(
    ("device", "choice", "found"),
    [
        (None, None, BACK),
        ("Back", None, FRONT),
        ("gone", None, FRONT),
        (None, "Back", BACK),
        (None, FRONT, FRONT),
    ],
)
async def test_the_other_one_is_the_next_or_the_one_that_is_meant(
    cameras: Cameras, device: Any, choice: Any, found: CameraDevice
) -> None:
    camera = Camera(device, format=VideoFormat(320, 180, 15))
    assert await camera.other(choice) == Camera(found, format=camera.format)


async def test_there_is_not_always_another_one(cameras: Cameras) -> None:
    cameras.there = {FRONT.id: "Front"}
    with pytest.raises(UTDStreamException, match="no other camera than Front") as raised:
        await Camera().other()
    assert raised.value.code is UTDErrorCode.NOT_FOUND
    cameras.there = {}
    with pytest.raises(UTDStreamException, match="there is no camera"):
        await Camera().other()


def test_it_is_a_small_value() -> None:
    camera = Camera(FRONT, format=VideoFormat(320, 180))
    words = pickle.dumps(camera)
    assert len(words) < 1_000
    assert pickle.loads(words) == camera


async def test_without_pyav_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UTDStreamException, match=r"pip install 'utd-rx\[camera\]'") as raised:
        await Camera().open(print)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED


def test_where_cameras_cannot_be_listed_it_is_said(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras.is_listable = False
    with pytest.raises(UTDStreamException, match=r"cannot list cameras \(v4l2\)") as raised:
        list_cameras()
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(UTDStreamException, match="no cameras on plan9 yet"):
        list_cameras()


async def test_ffmpeg_itself_is_opened_read_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its test source, as a machine has no camera."""
    source = CameraDevice("testsrc=size=320x180:rate=30,realtime", "FFmpeg's")
    monkeypatch.setattr(hardware, "SYSTEMS", {sys.platform: "lavfi"})
    monkeypatch.setattr(hardware, "list_cameras", lambda: (source,))
    async with Viewer(Camera(format=VideoFormat(160, 160))) as viewer:
        frames = [await viewer.frame() for _ in range(3)]
    assert [(frame.width, frame.height) for frame in frames] == [(160, 90)] * 3
    assert frames[0].pixels.std() > 50
    assert viewer.failures.empty()


def test_a_machine_is_asked_without_harm() -> None:
    """The real one: there may be cameras or not."""
    assert all(isinstance(camera, CameraDevice) for camera in list_cameras())
