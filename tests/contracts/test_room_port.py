"""The room contract, held by the fake and by `UTDRoom` on both SFUs, here and behind a pipe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pytest
from attrs import evolve
from livekit import api

from tests.support.sfu import (
    MISSING_LIVEKIT,
    RunningSfu,
    SfuKind,
    is_livekit_missing,
    is_livekit_required,
    running_sfu,
)
from utd_rx import ToneSource
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.events import (
    DataReceived,
    ParticipantConnected,
    RoomEvent,
    TrackPublished,
    TrackSubscribed,
)
from utd_rx.models.methods import MethodFailed
from utd_rx.models.participant import (
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.video import VideoFrame, VideoInput
from utd_rx.ports.methods import MethodRequest, Reply
from utd_rx.ports.room import RoomPort
from utd_rx.rtc.room import UTDRoom
from utd_rx.testing.contracts import Batches
from utd_rx.testing.contracts.room import RoomContract
from utd_rx.testing.contracts.room_bench import RoomBench
from utd_rx.testing.pickled import pickled
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.world.network import Network
from utd_rx.testing.world.room import WorldRoom
from utd_rx.testing.world.sfu import VirtualSfu
from utd_rx.testing.world.tokens import RoomTicket
from utd_rx.video import TestPattern

T = TypeVar("T")

ROOM, IDENTITY, OTHER = "contract", "ana", "ben"
TRACK = TrackPublication(
    "TR_ben", "microphone", TrackKind.AUDIO, TrackSource.MICROPHONE, is_subscribed=True
)

CAMERA = TrackPublication(
    "TR_camera", "camera", TrackKind.VIDEO, TrackSource.CAMERA, is_subscribed=True
)
PATTERN = TestPattern(320, 180, 15)


Talk: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Calls a method with a payload."""

NOT_YOU = MethodFailed("not you", code=UTDErrorCode.FORBIDDEN)


class FakeServer:
    """The server of a `FakeRoom`, which lives on `loop`."""

    url, token, identity = "ws://127.0.0.1:1", "token", IDENTITY

    def __init__(self, room: FakeRoom, loop: asyncio.AbstractEventLoop) -> None:
        self._room = room
        self._loop = loop

    async def grant(self, can_publish: bool) -> None:
        self._loop.call_soon_threadsafe(lambda: self._room.grant(can_publish=can_publish))

    async def remove(self) -> None:
        self._loop.call_soon_threadsafe(self._room.lose, DisconnectReason.PARTICIPANT_REMOVED)

    async def speak(self) -> str:
        self._loop.call_soon_threadsafe(self._speak)
        return OTHER

    async def show(self) -> str:
        self._loop.call_soon_threadsafe(self._show)
        return OTHER

    async def listen(self) -> tuple[str, Callable[[], list[tuple[bytes, str]]]]:
        return OTHER, lambda: [
            (data, topic) for data, topic, to in self._room.sent if to is None or OTHER in to
        ]

    async def converse(self) -> tuple[str, Talk]:
        self._room.methods.others |= {"echo": _echo, "refuse": _refuse, "silent": _stay_silent}

        async def call(method: str, payload: str) -> str:
            asked = self._room.methods.invoke(method, payload, caller=OTHER, timeout=1)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, self._loop))

        return OTHER, call

    def _speak(self) -> None:
        self._publish(TRACK)
        self._sound()

    def _show(self) -> None:
        self._publish(CAMERA)
        self._picture(0)

    def _publish(self, track: TrackPublication) -> None:
        self._room.emit(
            ParticipantConnected(RemoteParticipant(OTHER)),
            TrackPublished(OTHER, evolve(track, is_subscribed=False)),
            TrackSubscribed(OTHER, track),
        )

    def _picture(self, number: int) -> None:
        if self._room.is_connected:
            self._room.show(CAMERA.sid, VideoFrame(PATTERN.picture(number)))
            self._loop.call_later(0.001, self._picture, number + 1)

    def _sound(self) -> None:
        if self._room.is_connected:
            self._room.play("TR_ben", AudioFrame(np.ones((480, 1), np.int16), 48_000))
            self._loop.call_later(0.001, self._sound)


class WorldServer:
    """A `VirtualSfu`, which lives on `loop`."""

    url, token, identity = "ws://world", "token of ana", IDENTITY

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sfu = VirtualSfu(lambda report: None, self._read)
        self._network = Network()
        self.others: list[WorldRoom] = []

    def room(self, who: str = IDENTITY) -> WorldRoom:
        return WorldRoom(self.sfu, self._network.link(who))

    async def grant(self, can_publish: bool) -> None:
        await self._there(self.sfu.set_grant(ROOM, IDENTITY, Grant(can_publish=can_publish)))

    async def remove(self) -> None:
        await self._there(self.sfu.remove(ROOM, IDENTITY))

    async def speak(self) -> str:
        return await self._there(self._come(ToneSource(), TrackSource.MICROPHONE))

    async def show(self) -> str:
        return await self._there(self._come(PATTERN, TrackSource.CAMERA))

    async def listen(self) -> tuple[str, Callable[[], list[tuple[bytes, str]]]]:
        told = Batches[RoomEvent]()

        async def come() -> None:
            self.others.append(other := self.room(OTHER))
            other.listen(told.take)
            await other.connect(self.url, "token of ben")

        await self._there(come())
        return OTHER, lambda: [
            (event.payload, event.topic) for event in told.told if isinstance(event, DataReceived)
        ]

    async def converse(self) -> tuple[str, Talk]:
        if not self.others:
            await self.listen()
        other = self.others[0]
        await self._there(_serve(other))

        async def call(method: str, payload: str) -> str:
            return await self._there(other.call(MethodRequest(method, payload, IDENTITY, 1)))

        return OTHER, call

    async def aclose(self) -> None:
        for other in self.others:
            await self._there(other.aclose())
        await self._there(self.sfu.aclose())

    async def _come(self, source: AudioInput | VideoInput, track_source: TrackSource) -> str:
        self.others.append(other := self.room(OTHER))
        await other.connect(self.url, "token of ben")
        await other.publish(source, track_source)
        return OTHER

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    def _read(self, token: str) -> RoomTicket:
        identity = {"token of ana": IDENTITY, "token of ben": OTHER}[token]
        grant = Grant(can_publish=identity == OTHER)
        ends_at = time.time() + 60
        return RoomTicket(ROOM, identity, "", "", grant, ends_at, can_update_metadata=True)


class RealServer:
    """An SFU, by its server API."""

    identity = IDENTITY

    def __init__(self, sfu: RunningSfu, livekit: api.LiveKitAPI, stack: AsyncExitStack) -> None:
        self.url, self.token = sfu.url, self._token(sfu, IDENTITY, can_publish=False)
        self._speaking = self._token(sfu, OTHER, can_publish=True)
        self._livekit, self._stack = livekit, stack
        self._listening: UTDRoom | None = None

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

    async def speak(self) -> str:
        other = await self._stack.enter_async_context(UTDRoom())
        await other.connect(self.url, self._speaking)
        await other.publish(ToneSource())
        return OTHER

    async def show(self) -> str:
        other = await self._stack.enter_async_context(UTDRoom())
        await other.connect(self.url, self._speaking)
        await other.publish(PATTERN, TrackSource.CAMERA)
        return OTHER

    async def listen(self) -> tuple[str, Callable[[], list[tuple[bytes, str]]]]:
        other = self._listening = await self._stack.enter_async_context(UTDRoom())
        told = Batches[RoomEvent]()
        other.listen(told.take)
        await other.connect(self.url, self._speaking)
        # What is sent before its data channel is open reaches nobody.
        while not any(isinstance(event, DataReceived) for event in told.told):
            await self._livekit.room.send_data(
                api.SendDataRequest(room=ROOM, topic="open?", destination_identities=[OTHER])
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await told.until(lambda event: isinstance(event, DataReceived))
        return OTHER, lambda: [
            (event.payload, event.topic)
            for event in told.told
            if isinstance(event, DataReceived) and event.topic != "open?"
        ]

    async def converse(self) -> tuple[str, Talk]:
        if self._listening is None:
            await self.listen()
        other = self._listening
        assert other is not None
        await _serve(other)

        async def call(method: str, payload: str) -> str:
            return await other.call(MethodRequest(method, payload, IDENTITY, 1))

        return OTHER, call

    def _token(self, sfu: RunningSfu, identity: str, *, can_publish: bool) -> str:
        grants = api.VideoGrants(
            room_join=True, room=ROOM, can_publish=can_publish, can_update_own_metadata=True
        )
        token = api.AccessToken(sfu.api_key, sfu.api_secret).with_identity(identity)
        return token.with_grants(grants).to_jwt()


async def _echo(request: MethodRequest) -> str:
    return request.payload


async def _refuse(request: MethodRequest) -> str:
    raise NOT_YOU


async def _stay_silent(request: MethodRequest) -> str:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def _serve(other: UTDRoom | WorldRoom) -> None:
    """Let `other` serve the three methods, once."""
    tasks = set[asyncio.Task[None]]()

    def answer(number: int, reply: Reply) -> None:
        task = asyncio.create_task(other.answer(number, reply))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with suppress(UTDStreamException):  # it does already
        other.serve("echo", lambda invocation: answer(invocation.number, invocation.payload))
        other.serve("refuse", lambda invocation: answer(invocation.number, NOT_YOU))
        other.serve("silent", lambda invocation: None)


async def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


class FarFake(FakeRoom):
    """A `FakeRoom` that can be asked on which loop it lives."""

    def __init__(self) -> None:
        super().__init__(IDENTITY)
        local = self.snapshot.local
        able = evolve(local.permission, can_update_metadata=True)
        self.snapshot = evolve(self.snapshot, local=evolve(local, permission=able))
        self.loop = asyncio.get_running_loop()


class TestFakeRoom(RoomContract):
    @pytest.fixture(params=["here", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        fakes: list[FarFake] = []

        def make() -> FarFake:
            fakes.append(FarFake())
            return fakes[-1]

        async with AsyncExitStack() as stack:
            is_far = request.param == "pickled"
            room: RoomPort = await stack.enter_async_context(pickled(make)) if is_far else make()
            yield RoomBench(room, FakeServer(fakes[0], fakes[0].loop))
            await room.aclose()


class TestWorldRoom(RoomContract):
    @pytest.fixture(params=["here", "pickled"])
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        servers: list[WorldServer] = []

        def make() -> WorldRoom:
            servers.append(WorldServer())
            return servers[-1].room()

        async with AsyncExitStack() as stack:
            is_far = request.param == "pickled"
            room: RoomPort = await stack.enter_async_context(pickled(make)) if is_far else make()
            yield RoomBench(room, servers[0])
            await room.aclose()
            await servers[0].aclose()


class TestUTDRoom(RoomContract):
    @pytest.fixture(
        params=[
            pytest.param(("embedded", "here"), marks=pytest.mark.embedded, id="embedded"),
            pytest.param(
                ("embedded", "pickled"),
                marks=(pytest.mark.embedded, pytest.mark.long),
                id="embedded-pickled",
            ),
            pytest.param(("livekit", "here"), marks=pytest.mark.livekit, id="livekit"),
        ]
    )
    async def bench(self, request: pytest.FixtureRequest) -> AsyncIterator[RoomBench]:
        sfu_kind: SfuKind
        sfu_kind, where = request.param
        if sfu_kind == "livekit" and is_livekit_missing():
            if is_livekit_required():
                pytest.fail(MISSING_LIVEKIT)
            pytest.skip(MISSING_LIVEKIT)
        async with AsyncExitStack() as stack:
            sfu = await stack.enter_async_context(running_sfu(sfu_kind))
            livekit = await stack.enter_async_context(
                api.LiveKitAPI(sfu.api_url, sfu.api_key, sfu.api_secret)
            )
            is_far = where == "pickled"
            room: RoomPort = (
                await stack.enter_async_context(pickled(UTDRoom)) if is_far else UTDRoom()
            )
            stack.push_async_callback(room.aclose)
            yield RoomBench(room, RealServer(sfu, livekit, stack))
