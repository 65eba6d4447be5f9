"""LiveKit clients for the tests: `livekit.rtc.Room`s that remember their events, and a tone."""

from __future__ import annotations

import asyncio
import itertools
import math
from array import array
from collections.abc import Callable
from typing import Any, Final, get_args

from livekit import api, rtc
from livekit.rtc.room import EventTypes

from tests.support.sfu import RunningSfu
from utd_rx.video.pattern import TestPattern

# Generous: the machine is shared, and the real server holds silent participants back for 3 s.
TIMEOUT: Final = 20.0
_AUDIBLE_RMS: Final = 500
_RATE: Final = 48000
_FRAME: Final = 480


def token(sfu: RunningSfu, identity: str, room: str, **grants: Any) -> str:
    """A token that lets `identity` into `room`."""
    return (
        api.AccessToken(sfu.api_key, sfu.api_secret)
        .with_identity(identity)
        .with_grants(api.VideoGrants(room_join=True, room=room, **grants))
        .to_jwt()
    )


class Client:
    """One connection and everything it was told."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        self._news = asyncio.Event()
        for name in get_args(EventTypes):
            self.room.on(name, self._recorder(name))

    def _recorder(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            self.events.append((name, args))
            self._news.set()

        return record

    @property
    def me(self) -> rtc.LocalParticipant:
        """The local participant."""
        return self.room.local_participant

    def count(self, name: str) -> int:
        """How often an event happened."""
        return sum(1 for event, _ in self.events if event == name)

    async def wait_for(
        self, name: str, matches: Callable[..., bool] = lambda *_: True, *, since: int = 0
    ) -> tuple[Any, ...]:
        """The arguments of the first such event, past or to come.

        Args:
            since: ignore the first so many recorded events.
        """
        async with asyncio.timeout(TIMEOUT):
            while True:
                for event, args in self.events[since:]:
                    if event == name and matches(*args):
                        return args
                self._news.clear()
                await self._news.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; looked at after every event."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def sees(self, identity: str) -> rtc.RemoteParticipant:
        """The remote participant, once it is known."""
        await self.until(lambda: identity in self.room.remote_participants)
        return self.room.remote_participants[identity]

    async def subscribed(self, identity: str, *, since: int = 0) -> rtc.Track:
        """The first track of `identity` that is subscribed after `since`."""
        track, _, _ = await self.wait_for(
            "track_subscribed", lambda _t, _p, who: who.identity == identity, since=since
        )
        assert isinstance(track, rtc.RemoteAudioTrack | rtc.RemoteVideoTrack)
        return track

    async def disconnect(self) -> None:
        """Leave."""
        await self.room.disconnect()


class Microphone:
    """A published audio track fed with 10 ms frames of tone or silence."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._source = rtc.AudioSource(_RATE, 1, 0)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        self.is_sounding = True
        self._task: asyncio.Task[None] | None = None

    async def publish(
        self,
        source: rtc.TrackSource.ValueType = rtc.TrackSource.SOURCE_MICROPHONE,
        *,
        dtx: bool = True,
    ) -> rtc.LocalTrackPublication:
        """Publish and start feeding."""
        publication = await self._client.me.publish_track(
            self.track, rtc.TrackPublishOptions(source=source, dtx=dtx)
        )
        if self._task is None:
            self._task = asyncio.create_task(self._feed(), name="test-microphone")
        return publication

    async def _feed(self) -> None:
        tone = array("h", (int(8000 * math.sin(2 * math.pi * n / 48)) for n in range(_FRAME)))
        silence = bytes(2 * _FRAME)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            data = tone.tobytes() if self.is_sounding else silence
            await self._source.capture_frame(rtc.AudioFrame(data, _RATE, 1, _FRAME))
            due = max(due + 0.01, loop.time() - 0.1)
            await asyncio.sleep(due - loop.time())

    async def aclose(self) -> None:
        """Stop feeding."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._source.aclose()


async def heard(track: rtc.Track, *, audible: bool = True) -> None:
    """Wait until ten frames in a row are audible, or ten are not."""
    stream = rtc.AudioStream(track, capacity=10)
    try:
        async with asyncio.timeout(TIMEOUT):
            await _frames(stream, 10, audible)
    finally:
        await stream.aclose()


async def quiet(track: rtc.Track) -> None:
    """Wait until an unsubscribed track has been silent for half a second, or without frames."""
    stream = rtc.AudioStream(track, capacity=10)
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                try:
                    await asyncio.wait_for(_frames(stream, 1, True), 0.5)
                except TimeoutError:
                    return
    finally:
        await stream.aclose()


async def _frames(stream: rtc.AudioStream, wanted: int, audible: bool) -> None:
    matching = 0
    async for event in stream:
        samples = event.frame.data
        rms = math.sqrt(sum(one * one for one in samples) / len(samples))
        matching = matching + 1 if (rms > _AUDIBLE_RMS) == audible else 0
        if matching == wanted:
            return
    raise AssertionError("the stream ended")


class Camera:
    """A published video track fed with numbered pictures, 15 a second unless it says so."""

    def __init__(
        self, client: Client, width: int = 640, height: int = 360, fps: float = 15
    ) -> None:
        self._client = client
        self._fps = fps
        self._source = rtc.VideoSource(width, height)
        self._pattern = TestPattern(width, height)
        self.track = rtc.LocalVideoTrack.create_video_track("camera", self._source)
        self._task: asyncio.Task[None] | None = None

    async def publish(
        self,
        *,
        simulcast: bool = False,
        codec: rtc.VideoCodec.ValueType = rtc.VideoCodec.VP8,
    ) -> rtc.LocalTrackPublication:
        """Publish and start feeding; with `simulcast` in layers, as the codec has them."""
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast, video_codec=codec
        )
        if simulcast and codec in (rtc.VideoCodec.VP9, rtc.VideoCodec.AV1):
            options.scalability_mode = "L3T3_KEY"
        publication = await self._client.me.publish_track(self.track, options)
        self._task = asyncio.create_task(self._feed(), name="test-camera")
        return publication

    async def _feed(self) -> None:
        for number in itertools.count():
            pixels = self._pattern.picture(number)
            height, width, _ = pixels.shape
            self._source.capture_frame(
                rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, pixels.tobytes())
            )
            await asyncio.sleep(1 / self._fps)

    async def aclose(self) -> None:
        """Stop feeding."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._source.aclose()


async def seen(track: rtc.Track, frames: int = 5) -> rtc.VideoFrame:
    """Wait for some decoded frames and return the last one."""
    stream = rtc.VideoStream(track)
    try:
        async with asyncio.timeout(TIMEOUT):
            async for event in stream:
                frames -= 1
                if frames == 0:
                    return event.frame
        raise AssertionError("the stream ended")
    finally:
        await stream.aclose()
