"""The other side of a browser test: a participant on bare `livekit.rtc`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import numpy as np
from livekit import rtc

from utd_rx.models.video import VideoFrame
from utd_rx.video.pattern import TestPattern

PYTHON_TONE: Final = 440.0
RATE: Final = 48_000
_PATIENCE: Final = 20.0
_FRAME: Final = RATE // 100
_QUIET: Final = 300  # of 32,768; tones arrive at several thousand


class Peer:
    """A connected room that keeps its events until a test asks for them."""

    def __init__(self, room: rtc.Room) -> None:
        self.room = room
        self._events: list[tuple[str, tuple[Any, ...]]] = []
        self._more = asyncio.Event()

    def note(self, name: str) -> Callable[..., None]:
        """Return a listener that keeps the events of that name."""

        def listener(*values: object) -> None:
            self._events.append((name, values))
            self._more.set()

        return listener

    async def seen(
        self, name: str, matches: Callable[..., bool] = lambda *_: True
    ) -> tuple[Any, ...]:
        """Wait for the next event of that name that matches; it is not found again."""
        async with asyncio.timeout(_PATIENCE):
            while True:
                for index, (event, values) in enumerate(self._events):
                    if event == name and matches(*values):
                        del self._events[index]
                        return values
                self._more.clear()
                await self._more.wait()

    async def pitch(self, track: rtc.Track) -> float:
        """Return the frequency of the strongest tone of a track, as soon as there is one."""
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, capacity=100)
        heard = np.empty(0, np.int16)
        try:
            async with asyncio.timeout(_PATIENCE):
                async for event in stream:
                    samples = np.frombuffer(event.frame.data, np.int16)
                    is_loud = np.abs(samples).max(initial=0) > _QUIET
                    heard = np.concatenate([heard, samples]) if is_loud else samples[:0]
                    if len(heard) >= RATE // 5:
                        break
        finally:
            await stream.aclose()
        # The first moment holds the decoder's fade-in.
        spectrum = np.abs(np.fft.rfft(heard[RATE // 20 :] * np.hanning(len(heard) - RATE // 20)))
        return float(np.argmax(spectrum)) * RATE / (len(heard) - RATE // 20)

    async def sees(self, track: rtc.Track, width: int | None = None) -> None:
        """Wait for a picture, of that width."""
        stream = rtc.VideoStream(track)
        try:
            async with asyncio.timeout(_PATIENCE):
                while (await anext(stream)).frame.width != width is not None:
                    pass
        finally:
            await stream.aclose()

    @asynccontextmanager
    async def tone(self) -> AsyncIterator[rtc.LocalTrackPublication]:
        """Publish a tone as the microphone for the length of the block."""
        source = rtc.AudioSource(RATE, 1, queue_size_ms=0)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        pump = asyncio.create_task(_pump(source), name="tone")
        try:
            yield publication
        finally:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
            await source.aclose()

    @asynccontextmanager
    async def camera(
        self, codec: rtc.VideoCodec.ValueType, width: int = 1280, *, simulcast: bool = True
    ) -> AsyncIterator[None]:
        """Publish numbered pictures, in layers, for the length of the block."""
        height = width * 9 // 16
        pattern = TestPattern(width, height, 15)
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("camera", source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast, video_codec=codec
        )
        if codec in (rtc.VideoCodec.VP9, rtc.VideoCodec.AV1):
            options.scalability_mode = "L3T3_KEY"

        def show(frame: VideoFrame) -> None:
            data = frame.pixels.tobytes()
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, data))

        await self.room.local_participant.publish_track(track, options)
        pictures = await pattern.open(show)
        try:
            yield
        finally:
            await pictures.aclose()
            await source.aclose()


async def _pump(source: rtc.AudioSource) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    time = np.arange(RATE) / RATE
    second = np.round(8_000 * np.sin(2 * np.pi * PYTHON_TONE * time)).astype(np.int16)
    number = 0
    while True:
        block = second[number % 100 * _FRAME :][:_FRAME]
        await source.capture_frame(rtc.AudioFrame(block.tobytes(), RATE, 1, _FRAME))
        number += 1
        await asyncio.sleep(start + number / 100 - loop.time())


_EVENTS: Final = (
    "participant_connected",
    "participant_disconnected",
    "track_subscribed",
    "track_unsubscribed",
    "track_muted",
    "track_unmuted",
    "data_received",
    "room_metadata_changed",
    "participant_metadata_changed",
    "active_speakers_changed",
)


@asynccontextmanager
async def joined(url: str, token: str) -> AsyncIterator[Peer]:
    """Join a room for the length of the block."""
    async with AsyncExitStack() as stack:
        room = rtc.Room()
        peer = Peer(room)
        for name in _EVENTS:
            room.on(name, peer.note(name))
        await room.connect(url, token)
        stack.push_async_callback(room.disconnect)
        yield peer
