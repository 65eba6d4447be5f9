"""Encryption with the newest livekit-client in Chromium: sound, pictures and data, both ways."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.browser.chromium import Chromium, Page
from tests.browser.conftest import HERE, library, served
from tests.browser.test_browser import token
from tests.e2e.test_encryption import Ears, judged
from tests.support.sfu import RunningSfu
from utd_rx import (
    Encryption,
    EncryptionState,
    KeyDerivation,
    TestPattern,
    ToneSource,
    VideoFrame,
    open_room,
)
from utd_rx.models.events import DataReceived
from utd_rx.video.pattern import read_counter

# A browser hears and shows in real time, and needs a core for it.
pytestmark = [pytest.mark.browser, pytest.mark.realtime]

PATIENCE = 20.0
BYTES = bytes(range(1, 33))


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    """A page whose room is encrypted, once it has a key."""
    script = library()
    files = HERE / "page.html", HERE / "page.js", script
    worker = script.with_name("livekit-client.e2ee.worker.js")
    async with served(chromium, *files, worker, query="encrypted") as page:
        yield page


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("a passphrase", Encryption("a passphrase")),
        (list(BYTES), Encryption(BYTES, derivation=KeyDerivation.HKDF)),
    ],
    ids=["text", "bytes"],
)
async def test_each_hears_sees_and_reads_the_other(
    sfu: RunningSfu, page: Page, key: object, ours: Encryption
) -> None:
    async with open_room(
        sfu.url,
        token(sfu, "ann"),
        microphone=ToneSource(),
        camera=TestPattern(640, 360, 15),
        encryption=ours,
    ) as ann:
        await page.call("encrypt", key)
        await page.call("join", sfu.url, token(sfu, "bob"))
        await page.call("publishMicrophone")
        await page.call("publishCamera", "vp8")
        ears, pictures, told = Ears(ann, "bob"), asyncio.Queue[VideoFrame](), asyncio.Queue[bytes]()
        ann.video("bob").subscribe(pictures.put_nowait)
        ann.data.subscribe(lambda message: told.put_nowait(message.payload))
        await ann.set_microphone(True)
        await ann.set_camera(True)
        await judged(ann, "bob", EncryptionState.OK)
        await ears.wait(lambda: ears.tones >= 20)
        assert ears.noises <= 2
        async with asyncio.timeout(PATIENCE):
            await pictures.get()
            assert await page.call("pitch", "ann") > 0
            seen = await page.call("picture", "ann", 640)
            pixels = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
            assert read_counter(pixels.reshape(seen["height"], 640, 4)[:, :, :3]) is not None
            await page.call("send", "hello", "t", True)
            assert await told.get() == b"hello"
            await ann.send_data(b"hello back", topic="t")
            assert (await page.seen("dataReceived", topic="t"))["text"] == "hello back"


async def test_a_browser_with_another_key_is_silence_until_it_has_the_right_one(
    sfu: RunningSfu, page: Page
) -> None:
    ours = Encryption("right", ratchet_window=0)
    data: list[DataReceived] = []
    async with open_room(sfu.url, token(sfu, "ann"), encryption=ours) as ann:
        ann.data.subscribe(data.append)
        await page.call("encrypt", "wrong")
        await page.call("join", sfu.url, token(sfu, "bob"))
        await page.call("publishMicrophone")
        ears = Ears(ann, "bob")
        await judged(ann, "bob", EncryptionState.DECRYPTION_FAILED)
        await page.call("send", "secret", "t", True)
        await ears.wait(lambda: ears.silences >= 50)
        assert (ears.tones, ears.noises, data) == (0, 0, [])
        await page.call("encrypt", "right")  # and nobody tells this side
        await judged(ann, "bob", EncryptionState.OK)
        await ears.wait(lambda: ears.tones >= 20)
        assert ears.noises <= 2
