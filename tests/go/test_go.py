"""LiveKit's Go SDK, on two peer connections: eight clients that hear and see each other and Python.

Go has no encoder; what its clients send is encoded here.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Final

import av
import numpy as np
import pytest
from livekit import rtc

from tests.browser.peer import joined
from tests.browser.test_browser import token
from tests.support.sfu import RunningSfu
from utd_rx.video.pattern import TestPattern

pytestmark = pytest.mark.realtime

# `make go-client` puts it there; to build it takes longer than a test may.
PROGRAM: Final = Path(__file__).parents[2] / "build" / "go-client"
CLIENTS: Final = 8
SECONDS: Final = 3
TONE: Final = 660.0
WIDTH, HEIGHT, FPS = 320, 180, 15


@pytest.fixture
def program() -> Path:
    if not PROGRAM.exists():
        missing = "the client on LiveKit's Go SDK is not built; with Go installed: make go-client"
        (pytest.fail if os.environ.get("UTD_RX_REQUIRE_GO") == "1" else pytest.skip)(missing)
    return PROGRAM


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_eight_go_clients_receive_every_track_of_each_other_and_lose_nothing(
    sfu: RunningSfu, program: Path, tmp_path: Path
) -> None:
    sound, picture = write_sound(tmp_path / "sound.ogg"), write_picture(tmp_path / "picture.ivf")
    tokens = [token(sfu, f"go{number}") for number in range(CLIENTS)]
    async with joined(sfu.url, token(sfu, "ann")) as ann, ann.tone():
        command = [*map(str, (program, sfu.url, sound, picture, SECONDS)), *tokens]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            heard, _, _ = await ann.seen("track_subscribed", lambda one, *_: is_audio(one))
            assert await ann.pitch(heard) == pytest.approx(TONE, abs=10)
            seen, _, _ = await ann.seen("track_subscribed", lambda one, *_: not is_audio(one))
            await ann.sees(seen, WIDTH)
            await ann.room.local_participant.publish_data("from Python")
            (packet,) = await ann.seen("data_received")
            assert packet.data == b"from Go"
            async with asyncio.timeout(40):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    first, *others = json.loads(output.splitlines()[-1])
    for one in (first, *others):
        assert (one["sounds"], one["lost"]) == (CLIENTS, 0)  # of the other seven, and of Python
        assert one["packets"] > 50 * CLIENTS
    assert (first["pictures"], first["messages"]) == (0, 1)
    assert {(one["pictures"], one["messages"]) for one in others} == {(1, 2)}


def is_audio(track: rtc.Track) -> bool:
    return track.kind == rtc.TrackKind.KIND_AUDIO


def write_sound(path: Path) -> Path:
    time = np.arange(48_000 * 3 * SECONDS) / 48_000
    samples = np.round(8_000 * np.sin(2 * np.pi * TONE * time)).astype(np.int16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        for start in range(0, len(samples), 960):
            block = np.ascontiguousarray(samples[None, start : start + 960])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_picture(path: Path) -> Path:
    pattern = TestPattern(WIDTH, HEIGHT, FPS)
    with av.open(str(path), "w") as file:
        options = {"g": f"{FPS}", "deadline": "realtime", "cpu-used": "8"}
        stream = file.add_stream("libvpx", rate=FPS, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        for number in range(FPS * 3 * SECONDS):
            pixels = np.ascontiguousarray(pattern.picture(number))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
