"""Layers of video and what is lost of it, from camera to picture; each picture has a number."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import numpy as np
import pytest
from attrs import evolve
from livekit import rtc
from livekit.rtc._proto.track_publication_pb2 import VideoQuality

from tests.engine.sfu.clients import TIMEOUT, Camera, Client
from tests.engine.sfu.conftest import Join
from tests.support.sfu import fresh_options
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.udp_mux import Address, UdpMux
from utd_rx.video.pattern import read_counter

pytestmark = pytest.mark.long

LOW, MEDIUM = VideoQuality.VIDEO_QUALITY_LOW, VideoQuality.VIDEO_QUALITY_MEDIUM


class Viewer:
    """Pictures of one track, as they come; their numbers are kept."""

    def __init__(self, track: rtc.Track) -> None:
        self._stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24)
        self.numbers: list[int] = []

    async def picture(self) -> int:
        """The width of the next picture."""
        frame = (await anext(self._stream)).frame
        pixels = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 3)
        number = read_counter(pixels)
        assert number is not None, "a damaged picture"
        self.numbers.append(number)
        return frame.width

    async def sees(self, width: int) -> None:
        """Wait for three pictures in a row of that width."""
        matching = 0
        async with asyncio.timeout(TIMEOUT):
            while matching < 3:
                matching = matching + 1 if await self.picture() == width else 0

    async def aclose(self) -> None:
        """Stop looking."""
        await self._stream.aclose()


Watch = Callable[..., Awaitable[tuple[Viewer, rtc.RemoteTrackPublication]]]


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    """Look at the video that somebody sends: `await watch(bob, "alice")`."""
    async with AsyncExitStack() as stack:

        async def look(client: Client, whose: str) -> tuple[Viewer, rtc.RemoteTrackPublication]:
            track = await client.subscribed(whose)
            viewer = Viewer(track)
            stack.push_async_callback(viewer.aclose)
            publications = client.room.remote_participants[whose].track_publications
            return viewer, publications[track.sid]

        yield look


@pytest.fixture
def sfu_options() -> SfuOptions:
    return evolve(fresh_options(), dynacast_pause_delay=0.2)


MakeCamera = Callable[..., Camera]


async def choose_layers(
    join: Join, camera: MakeCamera, watch: Watch, codec: rtc.VideoCodec.ValueType
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await camera(alice, 1280, 720).publish(simulcast=True, codec=codec)
    viewer, publication = await watch(bob, "alice")
    await viewer.sees(1280)
    publication.set_video_quality(LOW)
    await viewer.sees(320)
    publication.set_video_quality(MEDIUM)
    await viewer.sees(640)
    # A picture may be seen in the layer that is left and in the one that is entered.
    assert viewer.numbers == sorted(viewer.numbers)


@pytest.mark.parametrize("codec", [rtc.VideoCodec.VP8, rtc.VideoCodec.AV1], ids=["vp8", "av1"])
async def test_a_viewer_gets_the_layer_it_asks_for(
    join: Join, camera: MakeCamera, watch: Watch, codec: rtc.VideoCodec.ValueType
) -> None:
    await choose_layers(join, camera, watch, codec)


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # of livekit-server two kinds of layers suffice
@pytest.mark.parametrize("codec", [rtc.VideoCodec.H264, rtc.VideoCodec.VP9], ids=["h264", "vp9"])
async def test_a_viewer_gets_the_layer_it_asks_for_of_each_codec(
    join: Join, camera: MakeCamera, watch: Watch, codec: rtc.VideoCodec.ValueType
) -> None:
    await choose_layers(join, camera, watch, codec)


async def encoded(track: rtc.LocalTrack) -> dict[str, int]:
    """How many pictures were encoded of each layer, by its name."""
    stats = [one.outbound_rtp for one in await track.get_stats() if one.HasField("outbound_rtp")]
    return {one.outbound.rid: one.outbound.frames_encoded for one in stats}


async def test_layers_nobody_receives_are_not_encoded(
    join: Join, camera: MakeCamera, watch: Watch
) -> None:
    alice = await join("alice", options=rtc.RoomOptions(dynacast=True))
    bob = await join("bob")
    source = camera(alice, 1280, 720)
    await source.publish(simulcast=True)
    viewer, publication = await watch(bob, "alice")
    await viewer.sees(1280)
    publication.set_video_quality(LOW)
    await viewer.sees(320)
    async with asyncio.timeout(TIMEOUT):
        before = now = await encoded(source.track)
        while now["q"] == before["q"] or now["f"] > before["f"]:
            # Pictures that waited to be looked at say nothing of time: the small ones' number does.
            if now["q"] > before["q"]:
                before = now
            await viewer.sees(320)
            now = await encoded(source.track)
    publication.set_video_quality(MEDIUM)
    await viewer.sees(640)


@pytest.mark.realtime
@pytest.mark.parametrize("sfu_kind", ["embedded"])  # the other's socket is in another process
@pytest.mark.parametrize("in_layers", [False, True], ids=["whole", "layers"])
@pytest.mark.parametrize(
    ("codec", "fps"),
    [(rtc.VideoCodec.VP8, 30), (rtc.VideoCodec.H264, 30), (rtc.VideoCodec.VP9, 20),
     (rtc.VideoCodec.AV1, 20)],
    ids=["vp8", "h264", "vp9", "av1"],
)  # fmt: skip
async def test_pictures_go_on_though_packets_are_lost(
    join: Join,
    camera: MakeCamera,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    codec: rtc.VideoCodec.ValueType,
    fps: int,
    in_layers: bool,
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await camera(alice, 1280, 720, fps=fps).publish(simulcast=in_layers, codec=codec)
    viewer, publication = await watch(bob, "alice")
    await viewer.sees(1280)
    if in_layers:
        publication.set_video_quality(MEDIUM)
        await viewer.sees(640)
    lost = lose(monkeypatch, 0.02)
    viewer.numbers.clear()
    async with asyncio.timeout(TIMEOUT):
        while len(viewer.numbers) < 60 or sum(lost) < 8:
            await viewer.picture()
    # Not repaired, a loss stops the picture for two seconds and more.
    assert np.diff(viewer.numbers).max() < 30
    assert viewer.numbers[-1] - viewer.numbers[0] < 2 * len(viewer.numbers)


def lose(monkeypatch: pytest.MonkeyPatch, share: float) -> list[bool]:
    """Lose that share of all datagrams at the socket from now on, both ways."""
    chance, lost = random.Random(1), []
    send, receive = UdpMux.send, UdpMux.receive

    def is_lost() -> bool:
        lost.append(chance.random() < share)
        return lost[-1]

    def lossy_send(self: UdpMux, data: bytes, address: Address) -> None:
        if not is_lost():
            send(self, data, address)

    def lossy_receive(self: UdpMux, data: bytes, address: Address, now: float) -> None:
        if not is_lost():
            receive(self, data, address, now)

    monkeypatch.setattr(UdpMux, "send", lossy_send)
    monkeypatch.setattr(UdpMux, "receive", lossy_receive)
    return lost
