"""The servers behind the room ports: a fake's, a world's, and those of both SFUs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeAlias, TypeVar

import numpy as np
from attrs import evolve
from livekit import api

from tests.support.sfu import (
    RunningSfu,
)
from utd_rx import ToneSource
from utd_rx.engine.rules.roles import Grant
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.data_tracks import DataTrackFrame, DataTrackInfo
from utd_rx.models.encryption import Encryption, EncryptionState
from utd_rx.models.events import (
    DataReceived,
    DataTrackPublished,
    DataTrackUnpublished,
    ParticipantConnected,
    ParticipantEncryptionChanged,
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
from utd_rx.models.transfers import TransferInfo
from utd_rx.models.video import VideoFrame, VideoInput
from utd_rx.ports.methods import MethodRequest, Reply
from utd_rx.ports.transfers import TransferEnded, TransferHeader, TransferNews
from utd_rx.rtc.room import UTDRoom
from utd_rx.testing.contracts import Batches
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.world.network import Network
from utd_rx.testing.world.room import WorldRoom
from utd_rx.testing.world.sealing import Seal, opened, seal_of
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
NUMBERS = DataTrackInfo("DTR_numbers", "pose")
PATTERN = TestPattern(320, 180, 15)


Talk: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Calls a method with a payload."""

NOT_YOU = MethodFailed("not you", code=UTDErrorCode.FORBIDDEN)


class FakeServer:
    """The server of a `FakeRoom`, which lives on `loop`."""

    url, token, identity, other = "ws://127.0.0.1:1", "token", IDENTITY, OTHER

    def __init__(self, room: FakeRoom, loop: asyncio.AbstractEventLoop) -> None:
        self._room = room
        self._loop = loop

    async def grant(self, can_publish: bool) -> None:
        self._loop.call_soon_threadsafe(lambda: self._room.grant(can_publish=can_publish))

    async def remove(self) -> None:
        self._loop.call_soon_threadsafe(self._room.lose, DisconnectReason.PARTICIPANT_REMOVED)

    async def speak(self, encryption: Encryption | None = None) -> str:
        self._loop.call_soon_threadsafe(self._speak, encryption)
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

    async def send(self, header: TransferHeader, parts: Sequence[bytes], reason: str) -> None:
        def send() -> None:
            others, to = self._room.transfers, header
            words = to.topic, to.name, to.mime_type, to.size, to.attributes
            number = others.begin(TransferInfo("s", OTHER, *words), is_text=header.is_text)
            for part in parts:
                others.part(number, part)
            failure = UTDStreamException(reason, code=UTDErrorCode.NETWORK) if reason else None
            others.finish(number, failure)

        self._loop.call_soon_threadsafe(send)

    async def collect(self, topic: str, is_text: bool) -> Callable[[], list[TransferNews]]:
        return lambda: [
            TransferEnded(0, UTDStreamException(sent.reason) if sent.reason else None)
            for sent in self._room.transfers.sent
            if sent.reason is not None
            and (sent.header.topic, sent.header.is_text) == (topic, is_text)
        ]

    async def publish_data(self, name: str, frame: DataTrackFrame) -> None:
        def publish() -> None:
            self._room.emit(
                ParticipantConnected(RemoteParticipant(OTHER)), DataTrackPublished(OTHER, NUMBERS)
            )
            push()

        def push() -> None:
            if self._room.is_connected:
                self._room.data_tracks.play(NUMBERS.sid, frame)
                self._loop.call_later(0.001, push)

        self._loop.call_soon_threadsafe(publish)

    async def unpublish_data(self) -> None:
        self._loop.call_soon_threadsafe(self._room.emit, DataTrackUnpublished(OTHER, NUMBERS))

    async def read_data(self, name: str) -> Callable[[], list[DataTrackFrame]]:
        return lambda: [frame for of, frame in self._room.data_tracks.pushed if of == name]

    def _speak(self, encryption: Encryption | None) -> None:
        self._publish(evolve(TRACK, is_encrypted=encryption is not None))
        self._sound(seal_of(encryption, OTHER))

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

    def _sound(self, seal: Seal | None, before: EncryptionState = EncryptionState.NONE) -> None:
        if self._room.is_connected:
            state = before if seal is None else opened(self._room.encryption, OTHER, seal)
            if state is not before:
                self._room.emit(ParticipantEncryptionChanged(OTHER, state))
            is_heard = seal is None or state is EncryptionState.OK
            samples = np.full((480, 1), is_heard, np.int16)
            self._room.play("TR_ben", AudioFrame(samples, 48_000))
            self._loop.call_later(0.001, self._sound, seal, state)


class Numbers:
    """The data track that somebody else publishes, and the one they read."""

    def __init__(self) -> None:
        self._number = 0
        self._tasks = set[asyncio.Task[Any]]()

    async def publish(self, other: UTDRoom | WorldRoom, name: str, frame: DataTrackFrame) -> None:
        self._number = await other.publish_data_track(name)
        self._begin(self._push(other, frame))

    async def end(self, other: UTDRoom | WorldRoom) -> None:
        await self.aclose()
        await other.unpublish_data_track(self._number)

    def read(self, other: UTDRoom | WorldRoom, name: str) -> Callable[[], list[DataTrackFrame]]:
        told: list[DataTrackFrame] = []

        def hear(events: tuple[RoomEvent, ...]) -> None:
            for event in events:
                if isinstance(event, DataTrackPublished) and event.track.name == name:
                    self._begin(other.read_data_track(event.track.sid, told.append))

        other.listen(hear)
        return lambda: told

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _push(self, other: UTDRoom | WorldRoom, frame: DataTrackFrame) -> None:
        while True:
            await other.push_data_frame(self._number, frame)
            await asyncio.sleep(0.01)


class WorldServer:
    """A `VirtualSfu`, which lives on `loop`."""

    url, token, identity, other = "ws://world", "token of ana", IDENTITY, OTHER

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sfu = VirtualSfu(lambda report: None, self._read)
        self._network = Network()
        self.others: list[WorldRoom] = []
        self._numbers = Numbers()

    def room(self, who: str = IDENTITY) -> WorldRoom:
        return WorldRoom(self.sfu, self._network.link(who))

    async def grant(self, can_publish: bool) -> None:
        await self._there(self.sfu.set_grant(ROOM, IDENTITY, Grant(can_publish=can_publish)))

    async def remove(self) -> None:
        await self._there(self.sfu.remove(ROOM, IDENTITY))

    async def speak(self, encryption: Encryption | None = None) -> str:
        return await self._there(self._come(ToneSource(), TrackSource.MICROPHONE, encryption))

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

    async def send(self, header: TransferHeader, parts: Sequence[bytes], reason: str) -> None:
        await self._there(_send(self.others[0], header, parts, reason))

    async def collect(self, topic: str, is_text: bool) -> Callable[[], list[TransferNews]]:
        told: list[TransferNews] = []
        self.others[0].receive_streams(topic, is_text, told.append)
        return lambda: told

    async def publish_data(self, name: str, frame: DataTrackFrame) -> None:
        await self._there(self._numbers.publish(self.others[0], name, frame))

    async def unpublish_data(self) -> None:
        await self._there(self._numbers.end(self.others[0]))

    async def read_data(self, name: str) -> Callable[[], list[DataTrackFrame]]:
        return self._numbers.read(self.others[0], name)

    async def aclose(self) -> None:
        await self._there(self._numbers.aclose())
        for other in self.others:
            await self._there(other.aclose())
        await self._there(self.sfu.aclose())

    async def _come(
        self,
        source: AudioInput | VideoInput,
        track_source: TrackSource,
        encryption: Encryption | None = None,
    ) -> str:
        self.others.append(other := self.room(OTHER))
        await other.connect(self.url, "token of ben", encryption=encryption)
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

    identity, other = IDENTITY, OTHER

    def __init__(self, sfu: RunningSfu, livekit: api.LiveKitAPI, stack: AsyncExitStack) -> None:
        self.url, self.token = sfu.url, self._token(sfu, IDENTITY, can_publish=False)
        self._speaking = self._token(sfu, OTHER, can_publish=True)
        self._livekit, self._stack = livekit, stack
        self._listening: UTDRoom | None = None
        self._numbers = Numbers()
        stack.push_async_callback(self._numbers.aclose)

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

    async def speak(self, encryption: Encryption | None = None) -> str:
        other = await self._stack.enter_async_context(UTDRoom())
        await other.connect(self.url, self._speaking, encryption=encryption)
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

    async def send(self, header: TransferHeader, parts: Sequence[bytes], reason: str) -> None:
        assert self._listening is not None
        await _send(self._listening, header, parts, reason)

    async def collect(self, topic: str, is_text: bool) -> Callable[[], list[TransferNews]]:
        assert self._listening is not None
        told: list[TransferNews] = []
        self._listening.receive_streams(topic, is_text, told.append)
        return lambda: told

    async def publish_data(self, name: str, frame: DataTrackFrame) -> None:
        assert self._listening is not None
        await self._numbers.publish(self._listening, name, frame)

    async def unpublish_data(self) -> None:
        assert self._listening is not None
        await self._numbers.end(self._listening)

    async def read_data(self, name: str) -> Callable[[], list[DataTrackFrame]]:
        assert self._listening is not None
        return self._numbers.read(self._listening, name)

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
    return str(await asyncio.get_running_loop().create_future())


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


async def _send(
    other: UTDRoom | WorldRoom, header: TransferHeader, parts: Sequence[bytes], reason: str
) -> None:
    number = await other.open_stream(header)
    for part in parts:
        await other.write_stream(number, part)
    await other.end_stream(number, reason)
