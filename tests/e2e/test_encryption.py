"""Encryption on both SFUs, with a client in the room that is LiveKit's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from livekit import rtc

from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from tests.support.simulator import simulate
from utd_rx import (
    Encryption,
    EncryptionState,
    RoomSession,
    TestPattern,
    ToneSource,
    TrackSource,
    VideoFrame,
    open_room,
)
from utd_rx.models.events import DataReceived, ParticipantEncryptionChanged, Reconnected

# Sound is in real time; the contract of room ports has the promises themselves.
pytestmark = pytest.mark.realtime

KEY = "k3y-of-the-r00m"
FAST = Encryption(KEY, ratchet_window=0)


@asynccontextmanager
async def bare(
    sfu: RunningSfu, identity: str, key: str | None, keys: dict[str, str] | None = None
) -> AsyncIterator[rtc.Room]:
    """A client of LiveKit's own, as whoever copies its documentation makes one."""
    room = rtc.Room()
    options = rtc.KeyProviderOptions(shared_key=None if key is None else key.encode())
    encryption = rtc.E2EEOptions(key_provider_options=options)
    is_clear = key is None and keys is None
    await room.connect(
        sfu.url, token(sfu, identity), rtc.RoomOptions(encryption=None if is_clear else encryption)
    )
    provider = room.e2ee_manager.key_provider if not is_clear else None
    for who, its in (keys or {}).items():
        assert provider is not None
        provider.set_key(who, its.encode(), 0)
    try:
        yield room
    finally:
        await room.disconnect()


@asynccontextmanager
async def speaking(room: rtc.Room) -> AsyncIterator[None]:
    """A tone, as a microphone."""
    source = rtc.AudioSource(48_000, 1, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(track, options)

    async def run() -> None:
        loop, count = asyncio.get_running_loop(), 0
        begin = loop.time()
        while True:
            phase = 2 * np.pi * 400 * (np.arange(480) + 480 * count) / 48_000
            samples = (8_000 * np.sin(phase)).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), 48_000, 1, 480))
            count += 1
            await asyncio.sleep(max(0.0, begin + count / 100 - loop.time()))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def is_heard(room: rtc.Room) -> bool:
    """Whether the first track of sound of somebody is a tone within a second."""
    found = asyncio.get_running_loop().create_future()

    def take(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and not found.done():
            found.set_result(track)

    room.on("track_subscribed", take)
    for who in room.remote_participants.values():
        for there in who.track_publications.values():
            if there.track is not None:
                take(there.track)
    stream = rtc.AudioStream(await found, sample_rate=48_000, num_channels=1)
    pure = 0
    async for event in stream:
        pure += is_tone(np.frombuffer(event.frame.data, np.int16))
        if pure >= 20:
            break
    await stream.aclose()
    return True


def is_tone(samples: np.ndarray) -> bool:
    """Whether most of what is in it is one pitch."""
    power = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples)))) ** 2
    return bool(power.sum() > 0 and power[np.argsort(power)[-4:]].sum() > 0.9 * power.sum())


class Ears:
    """What a session hears of somebody: frames that are a tone, and those that are noise."""

    def __init__(self, session: RoomSession, identity: str) -> None:
        self.tones = self.noises = self.silences = 0
        self._news = asyncio.Event()
        session.audio(identity).subscribe(lambda frame: self._take(frame.samples[:, 0]))

    def _take(self, samples: np.ndarray) -> None:
        if np.abs(samples.astype(int)).max() < 100:
            self.silences += 1
        elif is_tone(samples):
            self.tones += 1
        else:
            self.noises += 1
        self._news.set()

    async def wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()


async def judged(session: RoomSession, identity: str, state: EncryptionState) -> None:
    def read(now: Any) -> object:
        who = now.session.roster.find(identity)
        return None if who is None else who.encryption

    await session.select(read).until(state, timeout=PATIENCE)


async def test_a_bare_client_with_the_key_and_a_session_hear_and_read_each_other(
    sfu: RunningSfu,
) -> None:
    async with (
        open_room(
            sfu.url, token(sfu, "ana"), microphone=ToneSource(), encryption=Encryption(KEY)
        ) as ana,
        bare(sfu, "ben", KEY) as ben,
        speaking(ben),
    ):
        ears, read = Ears(ana, "ben"), asyncio.Queue[bytes]()
        ben.on("data_received", lambda packet: read.put_nowait(packet.data))
        await ana.set_microphone(True)
        await judged(ana, "ben", EncryptionState.OK)
        await judged(ana, "ana", EncryptionState.OK)
        await ears.wait(lambda: ears.tones >= 20)
        assert ears.noises <= 2  # at the edges
        async with asyncio.timeout(PATIENCE):
            assert await is_heard(ben)
            await ana.send_data(b"secret")
            assert await read.get() == b"secret"
            told = asyncio.Queue[DataReceived]()
            ana.data.subscribe(told.put_nowait)
            await ben.local_participant.publish_data(b"another", reliable=True)
            assert (await told.get()).payload == b"another"


@pytest.mark.parametrize("own", [Encryption("a guess", ratchet_window=0), None])
async def test_what_there_is_no_key_for_is_told_and_never_heard_seen_or_read(
    sfu: RunningSfu, own: Encryption | None, caplog: pytest.LogCaptureFixture
) -> None:
    """LiveKit plays it as noise at full volume, where nothing decrypts, and as long as it takes
    to set up what does."""
    caplog.set_level(logging.DEBUG)
    pictures: list[VideoFrame] = []
    data: list[DataReceived] = []
    async with (
        open_room(sfu.url, token(sfu, "ana"), encryption=own) as ana,
        open_room(
            sfu.url,
            token(sfu, "cam"),
            camera=TestPattern(320, 180, 15),
            encryption=FAST,
        ) as cam,
        bare(sfu, "ben", KEY) as ben,
    ):
        ears = Ears(ana, "ben")
        ana.video("cam").subscribe(pictures.append)
        ana.data.subscribe(data.append)
        await cam.set_camera(True)
        async with speaking(ben):
            wrong = EncryptionState.DECRYPTION_FAILED
            for who in ("ben", "cam"):
                await judged(ana, who, EncryptionState.MISSING_KEY if own is None else wrong)
            await ben.local_participant.publish_data(b"secret", reliable=True)
            await ears.wait(lambda: ears.silences >= 100)
            assert (ears.noises, ears.tones, pictures, data) == (0, 0, [], [])
            if own is not None:
                await ana.set_key(KEY, index=0)
                await judged(ana, "ben", EncryptionState.OK)
                await ears.wait(lambda: ears.tones >= 20)
                assert ears.noises <= 2
    for key in (KEY, "a guess"):  # native code writes bytes as numbers
        for spelled in (key, str(list(key.encode()))):
            assert spelled not in caplog.text


@pytest.mark.parametrize("own", [None, Encryption("a guess", ratchet_window=0)])
async def test_of_who_only_sends_data_the_key_that_does_not_fit_is_told(
    sfu: RunningSfu, own: Encryption | None
) -> None:
    """LiveKit says so in its log alone."""
    async with (
        open_room(sfu.url, token(sfu, "ana"), encryption=own) as ana,
        bare(sfu, "ben", KEY) as ben,
    ):
        read: asyncio.Future[DataReceived] = asyncio.get_running_loop().create_future()
        ana.data.subscribe(read.set_result)
        await ana.remote_participants.until(bool, timeout=PATIENCE)
        await ben.local_participant.publish_data(b"secret", reliable=True)
        missing, failed = EncryptionState.MISSING_KEY, EncryptionState.DECRYPTION_FAILED
        await judged(ana, "ben", missing if own is None else failed)
        if own is not None:
            await ana.set_key(KEY, index=0)
            await judged(ana, "ben", EncryptionState.NONE)
            await ben.local_participant.publish_data(b"again", reliable=True)
            async with asyncio.timeout(PATIENCE):
                assert (await read).payload == b"again"
        assert read.done() is (own is not None)


async def test_each_with_a_key_of_their_own_and_changing_it(sfu: RunningSfu) -> None:
    keys = {"ana": "of ana", "ben": "of ben"}
    own = Encryption(keys={"ana": "of ana"})
    async with (
        open_room(sfu.url, token(sfu, "ana"), microphone=ToneSource(), encryption=own) as ana,
        bare(sfu, "ben", None, keys) as ben,
        speaking(ben),
    ):
        ears = Ears(ana, "ben")
        await judged(ana, "ben", EncryptionState.MISSING_KEY)
        await ana.set_key("of ben", identity="ben")
        await judged(ana, "ben", EncryptionState.OK)
        await ears.wait(lambda: ears.tones >= 20)
        provider = ben.e2ee_manager.key_provider
        assert provider is not None
        provider.set_key("ana", b"next of ana", 1)
        await ana.set_key("next of ana", identity="ana")
        await ana.set_microphone(True)
        async with asyncio.timeout(PATIENCE):
            assert await is_heard(ben)
        await ana.ratchet_key("ana")  # ben follows by himself
        async with asyncio.timeout(PATIENCE):
            assert await is_heard(ben)


async def test_in_a_room_of_keys_what_is_in_clear_is_told(sfu: RunningSfu) -> None:
    async with (
        open_room(sfu.url, token(sfu, "ana"), encryption=FAST) as ana,
        bare(sfu, "ben", None) as ben,
        speaking(ben),
    ):
        ears = Ears(ana, "ben")
        await ears.wait(lambda: ears.tones >= 20)
        await judged(ana, "ben", EncryptionState.NONE)
        [who] = ana.remote_participants.value
        track = who.track(TrackSource.MICROPHONE)
        assert track is not None
        assert not track.is_encrypted


async def test_a_key_of_another_index_outlasts_a_full_reconnect(sfu: RunningSfu) -> None:
    """In which LiveKit begins each track anew with the key of index 0."""
    async with (
        open_room(sfu.url, token(sfu, "ana"), microphone=ToneSource(), encryption=FAST) as ana,
        open_room(sfu.url, token(sfu, "ben"), encryption=FAST) as ben,
    ):
        for sends in (False, True):
            for session in (ana, ben):
                await session.set_key("the next", index=3, sends=sends)
        await ana.set_microphone(True)
        ears = Ears(ben, "ana")
        await ears.wait(lambda: ears.tones >= 20)
        told: list[ParticipantEncryptionChanged] = []
        ben.on(ParticipantEncryptionChanged).subscribe(told.append)
        back = asyncio.Event()
        ana.on(Reconnected).subscribe(lambda _: back.set())
        await simulate(ana, rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await asyncio.wait_for(back.wait(), PATIENCE)
        tones = ears.tones
        await ears.wait(lambda: ears.tones >= tones + 50)
        assert ears.noises <= 4  # at the edges
        assert EncryptionState.DECRYPTION_FAILED not in [event.encryption for event in told]
