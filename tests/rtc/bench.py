"""What the tests of `utd_rx.rtc` share: tokens, the server's own API, sounds, and ears."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import numpy as np
import pytest
from livekit import api
from livekit.rtc._ffi_client import FfiClient

from tests.support.sfu import RunningSfu
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import RoomEvent
from utd_rx.ports import living
from utd_rx.rtc.room import UTDRoom

E = TypeVar("E", bound=RoomEvent)

PATIENCE = 20.0
"""Seconds to wait for anything; generous, since the two cores are shared."""


def token(
    sfu: RunningSfu, identity: str, room: str = "room", *, secret: str | None = None, **grants: Any
) -> str:
    """Mint a LiveKit token."""
    video = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True, **grants)
    minted = api.AccessToken(sfu.api_key, secret or sfu.api_secret).with_identity(identity)
    return minted.with_name(identity.title()).with_grants(video).to_jwt()


@asynccontextmanager
async def admin(sfu: RunningSfu) -> AsyncIterator[api.LiveKitAPI]:
    """Open the server's own API."""
    async with api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret) as server:
        yield server


async def permit(
    server: api.LiveKitAPI, identity: str, *, publish: bool, data: bool = True, room: str = "room"
) -> None:
    """Grant or revoke publishing."""
    permission = api.ParticipantPermission(
        can_publish=publish, can_subscribe=True, can_publish_data=data
    )
    await server.room.update_participant(
        api.UpdateParticipantRequest(room=room, identity=identity, permission=permission)
    )


async def identities(server: api.LiveKitAPI, room: str = "room") -> list[str]:
    """Return who the server says is in the room."""
    found = await server.room.list_participants(api.ListParticipantsRequest(room=room))
    return [participant.identity for participant in found.participants]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, where nothing says when it does."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def subscribers() -> int:
    """Return how many listen to LiveKit's native events."""
    return len(FfiClient.instance.queue._subscribers)


async def raises(code: UTDErrorCode, command: Any) -> UTDStreamException:
    """Await a command that must fail so; return its error."""
    with pytest.raises(UTDStreamException) as caught:
        await command
    assert caught.value.code is code
    return caught.value


class Ear:
    """Hears the events of a room and waits for some of them."""

    def __init__(self, room: UTDRoom) -> None:
        self.heard: list[RoomEvent] = []
        self._news = asyncio.Event()
        room.listen(self._hear)

    def _hear(self, events: tuple[RoomEvent, ...]) -> None:
        self.heard.extend(events)
        self._news.set()

    def of(self, kind: type[E]) -> list[E]:
        """Return what was heard of `kind`."""
        return [event for event in self.heard if isinstance(event, kind)]

    async def wait(self, kind: type[E], matches: Callable[[E], bool] = lambda _: True) -> E:
        """Return the first event of `kind` that matches, waiting for it if need be."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._news.clear()
                for event in self.of(kind):
                    if matches(event):
                        return event
                await self._news.wait()


class Frames:
    """Takes frames on any thread and waits for them."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    def __call__(self, frame: AudioFrame) -> None:
        self.frames.append(frame)
        self._loop.call_soon_threadsafe(self._news.set)

    def take(self, frames: tuple[AudioFrame, ...]) -> None:
        """Take a batch, on the loop."""
        self.frames.extend(frames)
        self._news.set()

    def has(self, count: int) -> bool:
        """Whether so many frames have come."""
        return len(self.frames) >= count

    @property
    def peak(self) -> int:
        """The loudest sample so far."""
        return max((int(np.abs(frame.samples).max()) for frame in self.frames), default=0)

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after some frame."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()


class LoudVoice:
    """A place in the mix of a `Loudspeaker`."""

    def __init__(self, name: str, gain: float) -> None:
        self.name, self.gain = name, gain
        self.is_closed = False
        self.frames = Frames()
        self.threads: set[int] = set()

    def __call__(self, frame: AudioFrame) -> None:
        self.threads.add(threading.get_ident())
        self.frames(frame)

    def close(self) -> None:
        self.is_closed = True


class Loudspeaker:
    """A speaker that lives in this process; its voices are heard by the test."""

    def __init__(self) -> None:
        self.voices: list[LoudVoice] = []
        self.key = DeviceKey("speaker")
        living.enter(self.key, self)

    def voice(self, name: str, *, gain: float = 1.0) -> LoudVoice:
        self.voices.append(LoudVoice(name, gain))
        return self.voices[-1]


class Tone:
    """A tone of `frames` frames, None for ever; counts how often it is open."""

    def __init__(self, frames: int | None = None, audio_format: AudioFormat | None = None) -> None:
        self.frames = frames
        self.format = audio_format or AudioFormat()
        self.open_streams = 0

    async def open(self, sink: FrameSink) -> ToneStream:
        self.open_streams += 1
        return ToneStream(self, sink)


class ToneStream:
    """An open `Tone`."""

    def __init__(self, tone: Tone, sink: FrameSink) -> None:
        self._tone = tone
        self._sink = sink
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="test tone")

    async def _run(self) -> None:
        begin, count = time.monotonic(), 0
        while self._tone.frames is None or count < self._tone.frames:
            self._sink(tone_frame(self._tone.format, count))
            count += 1
            await asyncio.sleep(max(0.0, begin + count / 100 - time.monotonic()))

    async def wait_ended(self) -> None:
        await asyncio.shield(self._task)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._closed:
            self._closed = True
            self._tone.open_streams -= 1


def tone_frame(audio_format: AudioFormat, count: int = 0, amplitude: int = 8_000) -> AudioFrame:
    """Return the `count`th frame of a 400 Hz tone."""
    n = audio_format.samples_per_frame
    phase = 2 * np.pi * 400 * (np.arange(n) + count * n) / audio_format.sample_rate
    mono = (amplitude * np.sin(phase)).astype(np.int16)
    samples = np.repeat(mono[:, None], audio_format.channels, axis=1)
    samples.flags.writeable = False
    return AudioFrame(samples, audio_format.sample_rate, time.monotonic())


class Party:
    """Rooms of one test: joined with `join`, left at the end."""

    def __init__(self, sfu: RunningSfu) -> None:
        self.sfu = sfu
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Party:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def room(self, *, adaptive_stream: bool = True) -> UTDRoom:
        """Return a room that is not joined."""
        return await self._stack.enter_async_context(UTDRoom(adaptive_stream=adaptive_stream))

    async def join(self, identity: str, room: str = "room", **grants: Any) -> tuple[UTDRoom, Ear]:
        """Join as `identity`."""
        joined = await self.room()
        ear = Ear(joined)
        await joined.connect(self.sfu.url, token(self.sfu, identity, room, **grants))
        return joined, ear

    async def server(self) -> api.LiveKitAPI:
        """Return the server's own API."""
        return await self._stack.enter_async_context(admin(self.sfu))
