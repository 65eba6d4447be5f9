"""Local tracks, by a LiveKit that answers when told to."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from livekit.rtc._proto.participant_pb2 import ParticipantPermission as Granted

from tests.rtc.bench import Tone, eventually
from tests.rtc.pictures import Camera
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.models.participant import ParticipantPermission, TrackSource
from utd_rx.rtc.publisher import Publisher

FORMAT = AudioFormat()


class Native:
    """LiveKit's local participant as far as publishing needs it."""

    def __init__(self, *, can_publish: bool = True) -> None:
        self.permissions = Granted(can_publish=can_publish)
        self.track_publications: dict[str, Any] = {}
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def publish_track(self, track: Any, options: Any) -> Any:
        self.asked.set()
        sid = await asyncio.shield(self.answer)
        made = SimpleNamespace(
            sid=sid, name=track.name, kind=1, source=options.source, muted=False, encryption_type=0
        )
        self.track_publications[sid] = made
        return made

    async def unpublish_track(self, sid: str) -> None:
        self.track_publications.pop(sid, None)


class Bench:
    """A publisher of a connection that stands until told otherwise."""

    def __init__(self, native: Native) -> None:
        self.native = native
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told: list[ev.RoomEvent] = []
        self.unpublished: list[str] = []
        room: Any = SimpleNamespace(local_participant=native)
        self.publisher = Publisher(room, self.ended, self.told.append, self.unpublished.append)

    async def aclose(self) -> None:
        await self.publisher.aclose()
        if not self.ended.done():
            self.ended.set_result(None)
        await self.publisher.wait_tasks()


async def code_of(publishing: Awaitable[Any]) -> UTDErrorCode:
    with pytest.raises(UTDStreamException) as caught:
        await publishing
    return caught.value.code


async def test_a_permission_taken_while_publishing_refuses_it() -> None:
    bench, tone = Bench(Native()), Tone()
    publishing = asyncio.create_task(bench.publisher.publish(tone, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    bench.publisher.enforce(ParticipantPermission())
    assert await code_of(publishing) is UTDErrorCode.FORBIDDEN
    assert tone.open_streams == 0
    bench.native.answer.set_result("TR_late")
    await bench.aclose()
    assert bench.native.track_publications == {}  # it was taken back when it came


async def test_the_end_of_the_connection_ends_what_is_under_way() -> None:
    bench, tone = Bench(Native()), Tone()
    publishing = asyncio.create_task(bench.publisher.publish(tone, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    bench.ended.set_result(None)
    assert await code_of(publishing) is UTDErrorCode.CONFLICT
    assert tone.open_streams == 0
    await bench.aclose()


async def test_a_track_that_comes_while_the_room_is_left_is_closed() -> None:
    bench, tone = Bench(Native()), Tone()
    publishing = asyncio.create_task(bench.publisher.publish(tone, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    await bench.publisher.aclose()
    bench.native.answer.set_result("TR_late")  # before LiveKit has left
    assert await code_of(publishing) is UTDErrorCode.CONFLICT
    assert tone.open_streams == 0
    bench.ended.set_result(None)
    async with asyncio.timeout(1.0):
        await bench.publisher.wait_tasks()


class Custom:
    """An input of an app's own: delivers frames when told to, and may fail."""

    def __init__(self, audio_format: Any = FORMAT) -> None:
        self.format = audio_format
        self.is_open = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sink: FrameSink = lambda frame: None

    async def open(self, sink: FrameSink) -> Custom:
        self.is_open, self.sink = True, sink
        return self

    async def wait_ended(self) -> None:
        await asyncio.shield(self.over)

    async def aclose(self) -> None:
        self.is_open = False


async def published(source: Custom) -> Bench:
    bench = Bench(Native())
    bench.native.answer.set_result("TR_1")
    await bench.publisher.publish(source, TrackSource.MICROPHONE)
    return bench


async def failure(bench: Bench) -> UTDStreamException:
    await eventually(lambda: bench.unpublished == ["TR_1"])
    (told,) = bench.told
    assert isinstance(told, ev.LocalTrackFailed)
    assert told.track_sid == "TR_1"
    assert bench.native.track_publications == {}
    await bench.aclose()
    return told.error


async def test_an_input_that_delivers_what_cannot_be_sent_ends_with_a_typed_failure() -> None:
    source = Custom()
    bench = await published(source)
    source.sink(AudioFrame(np.zeros((960, 1), np.int16), 48_000))  # of 20 ms: no failure
    await asyncio.to_thread(source.sink, AudioFrame(np.zeros((480, 2), np.int16), 48_000))
    error = await failure(bench)
    assert (error.code, source.is_open) == (UTDErrorCode.VALIDATION, False)
    assert pickle.loads(pickle.dumps(ev.LocalTrackFailed("TR_1", error))) == ev.LocalTrackFailed(
        "TR_1", error
    )


class Alike:
    """Has what a frame has, and of it only what is not."""

    def __init__(self, samples: Any, sample_rate: Any) -> None:
        self.samples, self.sample_rate = samples, sample_rate


MONO = np.zeros((480, 1), np.int16)


@pytest.mark.parametrize(
    "handed",
    [
        *(MONO, None, MONO.tobytes(), "sound", 5, (), object()),
        *(Alike(MONO, "48000"), Alike(MONO, [1]), Alike(MONO, None), Alike([[0], [0, 1]], 48_000)),
    ],
    ids=lambda handed: type(handed).__name__,
)
async def test_whatever_is_handed_over_instead_of_a_frame_ends_with_a_typed_failure(
    handed: Any,
) -> None:
    source = Custom()
    bench = await published(source)
    await asyncio.to_thread(source.sink, handed)
    await asyncio.to_thread(source.sink, handed)
    error = await failure(bench)
    assert (error.code, source.is_open) == (UTDErrorCode.VALIDATION, False)
    assert error.message.startswith("The audio input delivers ")


async def test_an_input_that_breaks_is_told_by_its_kind_alone() -> None:
    source = Custom()
    bench = await published(source)
    source.over.set_exception(OSError("password=hunter2"))
    error = await failure(bench)
    assert error.message == "the audio input failed: OSError"
    assert str(error.__cause__) == "password=hunter2"


async def test_a_typed_failure_of_an_input_is_told_as_it_says() -> None:
    source = Custom()
    bench = await published(source)
    source.over.set_exception(UTDStreamException("the cable", code=UTDErrorCode.NOT_FOUND))
    error = await failure(bench)
    assert (error.message, error.code) == ("the cable", UTDErrorCode.NOT_FOUND)


async def test_a_frame_that_cannot_be_sent_before_the_track_is_up_refuses_the_publication() -> None:
    source, bench = Custom(), Bench(Native())
    publishing = asyncio.create_task(bench.publisher.publish(source, TrackSource.MICROPHONE))
    await bench.native.asked.wait()
    source.sink(AudioFrame(np.zeros((480, 2), np.int16), 48_000))
    assert await code_of(publishing) is UTDErrorCode.VALIDATION
    assert not source.is_open
    bench.native.answer.set_result("TR_late")
    await bench.aclose()
    assert bench.native.track_publications == {}
    assert bench.told == []


@pytest.mark.parametrize("rate", [22_050, 7, "48k", None])
async def test_a_format_that_is_none_is_refused_before_the_input_is_opened(rate: Any) -> None:
    source, bench = Custom(SimpleNamespace(sample_rate=rate, channels=1)), Bench(Native())
    publishing = asyncio.create_task(bench.publisher.publish(source, TrackSource.MICROPHONE))
    assert await code_of(publishing) is UTDErrorCode.VALIDATION
    assert not source.is_open
    await bench.aclose()


async def shown(camera: Camera) -> Bench:
    bench = Bench(Native())
    bench.native.answer.set_result("TR_1")
    await bench.publisher.publish(camera, TrackSource.CAMERA)
    return bench


async def test_a_camera_is_closed_while_it_is_muted_and_the_last_word_counts() -> None:
    camera = Camera()
    bench = await shown(camera)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: camera.open_streams == 0)
    for muted in (False, True, False):
        bench.publisher.mute_changed("TR_1", muted)
    await eventually(lambda: camera.opened == 2)
    for muted in (True, False, True):
        bench.publisher.mute_changed("TR_1", muted)
    await eventually(lambda: camera.open_streams == 0)
    bench.publisher.mute_changed("TR_other", False)
    await bench.aclose()
    assert camera.open_streams == 0
    assert bench.told == []


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [
        (UTDStreamException, UTDErrorCode.UNKNOWN, "pin=1234"),
        (OSError, UTDErrorCode.UNKNOWN, "the video input failed: OSError"),
    ],
)
async def test_a_camera_that_cannot_be_opened_again_ends_its_track(
    kind: type[Exception], code: UTDErrorCode, message: str
) -> None:
    camera = Camera()
    bench = await shown(camera)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: camera.open_streams == 0)
    camera.error = kind("pin=1234")
    bench.publisher.mute_changed("TR_1", False)
    told = await failure(bench)
    assert (told.code, told.message) == (code, message)


async def test_a_camera_that_cannot_be_opened_raises_what_it_raises_and_publishes_nothing() -> None:
    bench, camera = Bench(Native()), Camera()
    camera.error = OSError("in use")
    with pytest.raises(OSError, match="in use"):
        await bench.publisher.publish(camera, TrackSource.CAMERA)
    assert not bench.native.asked.is_set()
    await bench.aclose()


async def test_closing_while_a_camera_is_opened_again_leaves_it_closed() -> None:
    camera = Camera()
    bench = await shown(camera)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: camera.open_streams == 0)
    camera.asked.clear()
    camera.gate.clear()
    bench.publisher.mute_changed("TR_1", False)
    await camera.asked.wait()
    await bench.aclose()
    assert (camera.opened, camera.open_streams) == (1, 0)


async def test_a_camera_that_delivers_what_is_no_frame_ends_its_track() -> None:
    camera = Camera()
    bench = await shown(camera)
    wrong: Any = np.zeros((480, 1), np.int16)
    camera.sink(wrong)
    assert (await failure(bench)).code is UTDErrorCode.VALIDATION
    assert camera.open_streams == 0


async def test_a_camera_that_ends_is_told_and_stays_published() -> None:
    camera = Camera()
    bench = await shown(camera)
    camera.over.set_result(None)
    await eventually(lambda: bench.told == [ev.LocalVideoEnded("TR_1")])
    assert list(bench.native.track_publications) == ["TR_1"]
    await bench.aclose()


async def test_another_camera_takes_its_place_on_the_same_track() -> None:
    first, second = Camera(), Camera()
    bench = await shown(first)
    second.gate.clear()
    replacing = asyncio.create_task(bench.publisher.replace("TR_1", second))
    await second.asked.wait()
    assert first.open_streams == 1  # until the other one is there
    second.gate.set()
    await replacing
    assert (first.open_streams, second.open_streams) == (0, 1)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: second.open_streams == 0)
    bench.publisher.mute_changed("TR_1", False)
    await eventually(lambda: second.open_streams == 1)
    assert (first.opened, second.opened, bench.told) == (1, 2, [])
    second.over.set_result(None)
    await eventually(lambda: bench.told == [ev.LocalVideoEnded("TR_1")])
    await bench.aclose()


async def test_one_that_cannot_be_opened_leaves_the_one_there_is() -> None:
    first, busy, shapeless = Camera(), Camera(), Camera(SimpleNamespace())
    busy.error = UTDStreamException("in use", code=UTDErrorCode.CONFLICT)
    bench = await shown(first)
    for wrong, code in ((busy, UTDErrorCode.CONFLICT), (shapeless, UTDErrorCode.VALIDATION)):
        assert await code_of(bench.publisher.replace("TR_1", wrong)) is code
    assert (first.open_streams, shapeless.opened, bench.told) == (1, 0, [])
    first.over.set_result(None)
    await eventually(lambda: bench.told == [ev.LocalVideoEnded("TR_1")])  # it is watched
    await bench.aclose()


async def test_while_it_is_muted_another_camera_waits() -> None:
    first, second = Camera(), Camera()
    bench = await shown(first)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: first.open_streams == 0)
    await bench.publisher.replace("TR_1", second)
    assert second.opened == 0
    bench.publisher.mute_changed("TR_1", False)
    await eventually(lambda: second.open_streams == 1)
    assert first.opened == 1
    await bench.aclose()


@pytest.mark.parametrize("ends", ["the track", "the caller"])
async def test_what_ends_while_another_camera_opens_leaves_nothing_behind(ends: str) -> None:
    first, second = Camera(), Camera()
    bench = await shown(first)
    second.gate.clear()
    replacing = asyncio.create_task(bench.publisher.replace("TR_1", second))
    await second.asked.wait()
    if ends == "the caller":
        replacing.cancel()
        await asyncio.wait([replacing])
        second.gate.set()
        await eventually(lambda: (first.open_streams, second.open_streams) == (0, 1))
    else:
        await bench.publisher.unpublish("TR_1")
        second.gate.set()
        await replacing
        assert second.opened == 1
    await bench.aclose()
    assert first.open_streams == second.open_streams == 0


async def test_a_track_that_ends_while_its_camera_closes_for_another_leaves_neither_open() -> None:
    first, second, closing, closes = Camera(), Camera(), asyncio.Event(), asyncio.Event()
    bench = await shown(first)
    track = bench.publisher.find(TrackSource.CAMERA)
    assert track is not None
    assert track.stream is not None
    close = track.stream.aclose

    async def slow() -> None:
        closing.set()
        await closes.wait()
        await close()

    track.stream.aclose = slow  # type: ignore[method-assign] # a camera that takes its time
    replacing = asyncio.create_task(bench.publisher.replace("TR_1", second))
    await closing.wait()
    ending = asyncio.create_task(bench.publisher.unpublish("TR_1"))
    await asyncio.sleep(0)
    closes.set()
    await asyncio.gather(replacing, ending)
    assert first.open_streams == second.open_streams == 0
    async with asyncio.timeout(1.0):
        await bench.aclose()


async def test_sound_keeps_its_source_and_what_is_gone_has_none() -> None:
    bench, camera = Bench(Native()), Camera()
    bench.native.answer.set_result("TR_1")
    await bench.publisher.publish(Tone(), TrackSource.MICROPHONE)
    assert await code_of(bench.publisher.replace("TR_1", camera)) is UTDErrorCode.VALIDATION
    await bench.publisher.replace("TR_gone", camera)
    assert camera.opened == 0
    await bench.aclose()


async def test_a_camera_that_is_unplugged_is_told_and_so_is_that_it_is_back() -> None:
    camera, broken = Camera(), UTDStreamException("unplugged", code=UTDErrorCode.NOT_FOUND)
    lost, back = ev.LocalVideoInterrupted("TR_1", broken), ev.LocalVideoResumed("TR_1")
    bench = await shown(camera)
    await camera.watched.wait()
    for failure in (broken, None, None):
        camera.told(failure)
    assert bench.told == [lost, back]
    camera.told(broken)
    bench.publisher.mute_changed("TR_1", True)
    await eventually(lambda: camera.open_streams == 0)
    bench.publisher.mute_changed("TR_1", False)
    await eventually(lambda: bench.told == [lost, back, lost, back])  # it opened
    camera.told(broken)
    await bench.publisher.replace("TR_1", Camera())
    await eventually(lambda: bench.told[4:] == [lost, back])
    await bench.aclose()


@pytest.mark.parametrize("source", [TrackSource.CAMERA, TrackSource.SCREEN_SHARE])
async def test_sound_is_no_picture_and_a_picture_no_sound(source: TrackSource) -> None:
    bench, tone, camera = Bench(Native()), Tone(), Camera()
    for wrong, as_what in ((tone, source), (camera, TrackSource.MICROPHONE)):
        publishing = asyncio.create_task(bench.publisher.publish(wrong, as_what))
        assert await code_of(publishing) is UTDErrorCode.VALIDATION
    assert tone.open_streams == camera.opened == 0
    await bench.aclose()
