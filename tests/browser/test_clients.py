"""Clients that are not ours, old and new: each publishes and receives sound, pictures and data."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from tests.browser.chromium import Chromium, Page
from tests.browser.conftest import BROWSER_TONE, HERE, BrowserPage, library, require, served
from tests.browser.firefox import Firefox, find_firefox
from tests.browser.peer import PYTHON_TONE, Peer, joined
from tests.browser.test_browser import token
from tests.support.pulse import Bench, missing_audio
from tests.support.sfu import RunningSfu
from utd_rx.video.pattern import read_counter

# A browser hears and shows in real time, and needs a core for it.
pytestmark = [pytest.mark.browser, pytest.mark.realtime]

# The newest with one connection is in test_browser.
TWO = "livekit-client?two"
RELEASES = (TWO, "livekit-client-2.16", "livekit-client-2.0", "livekit-client-1.15")


@pytest.fixture(params=RELEASES)
async def page(chromium: Chromium, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page with a release of livekit-client that has two peer connections."""
    release, _, query = request.param.partition("?")
    files = HERE / "page.html", HERE / "page.js", library(release)
    async with served(chromium, *files, query=query) as page:
        yield page


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_every_release_is_heard_and_hears(sfu: RunningSfu, page: BrowserPage) -> None:
    async with joined(sfu.url, token(sfu, "ann")) as ann, showing(ann):
        await page.call("join", sfu.url, token(sfu, "bob"))
        await meets(ann, page)


@pytest.mark.parametrize("sfu_kind", ["embedded"])
@pytest.mark.parametrize("page", [TWO], indirect=True)
async def test_both_connections_come_back(sfu: RunningSfu, page: BrowserPage) -> None:
    """After a resume, which restarts ICE on each, and after a new join."""
    async with joined(sfu.url, token(sfu, "ann")) as ann, showing(ann):
        await page.call("join", sfu.url, token(sfu, "bob"))
        for scenario in ("", "signal-reconnect", "full-reconnect"):
            if scenario:
                await page.call("simulate", scenario)
                await page.seen("reconnected")
            if scenario != "signal-reconnect":
                sound = await publishes(ann, page, is_new=not scenario)
            await hears(ann, page, sound)
            await reaches(ann, page)


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    """It needs a sound card, or its Web Audio never starts."""
    program = find_firefox()
    require(program, "Firefox not found; install it (Debian: apt install firefox-esr)")
    require(not (missing := missing_audio()), missing or "")
    assert program is not None
    bench = Bench()
    bench.start()
    try:
        browser = Firefox(program, tmp_path, BROWSER_TONE)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        bench.stop()


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_firefox_hears_sees_and_reaches_python_on_loopback(
    sfu: RunningSfu, firefox: Firefox
) -> None:
    """Its msid names another track than its `AddTrack`, and it has no address of loopback."""
    assert sfu.url.startswith("ws://127.0.0.1")
    for query in ("", "two"):
        files = HERE / "page.html", HERE / "page.js", library()
        async with (
            served(firefox, *files, query=query) as bob,
            joined(sfu.url, token(sfu, "ann")) as ann,
            showing(ann),
        ):
            await bob.call("join", sfu.url, token(sfu, "bob"))
            await meets(ann, bob)
            await bob.call("setMicrophoneMuted", True)
            await ann.seen("track_muted")
            await bob.call("unpublish", "microphone")
            await ann.seen("track_unsubscribed", is_of(rtc.TrackKind.KIND_AUDIO))
            assert await ann.pitch(await publishes(ann, bob)) == pytest.approx(BROWSER_TONE, abs=10)


@asynccontextmanager
async def showing(ann: Peer) -> AsyncIterator[None]:
    async with ann.tone(), ann.camera(rtc.VideoCodec.VP8, 640, simulcast=False):
        yield


async def meets(ann: Peer, bob: BrowserPage) -> None:
    """Each publishes sound, a picture and data, and gets the other's."""
    sound = await publishes(ann, bob)
    await bob.call("publishCamera", "vp8")
    picture, _, _ = await ann.seen("track_subscribed", is_of(rtc.TrackKind.KIND_VIDEO))
    await hears(ann, bob, sound)
    await ann.sees(picture)
    seen = await bob.call("picture", "ann", 640)
    pixels = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
    assert read_counter(pixels.reshape(seen["height"], 640, 4)[:, :, :3]) is not None
    await reaches(ann, bob)


async def publishes(ann: Peer, bob: BrowserPage, *, is_new: bool = True) -> rtc.Track:
    """Bob's microphone, as Ann gets it; a client that joins anew publishes it by itself."""
    if is_new:
        await bob.call("publishMicrophone")
    sound, _, _ = await ann.seen("track_subscribed", is_of(rtc.TrackKind.KIND_AUDIO))
    assert isinstance(sound, rtc.RemoteAudioTrack)
    return sound


async def hears(ann: Peer, bob: BrowserPage, sound: rtc.Track) -> None:
    assert await ann.pitch(sound) == pytest.approx(BROWSER_TONE, abs=10)
    assert await bob.call("pitch", "ann") == pytest.approx(PYTHON_TONE, abs=10)


async def reaches(ann: Peer, bob: BrowserPage) -> None:
    for is_reliable in (True, False):
        await bob.call("send", "from the browser", "chat", is_reliable)
        (packet,) = await ann.seen("data_received")
        assert (packet.data, packet.topic) == (b"from the browser", "chat")
        await ann.room.local_participant.publish_data("from Python", reliable=is_reliable)
        await bob.seen("dataReceived", text="from Python", identity="ann")


def is_of(kind: rtc.TrackKind.ValueType) -> Callable[..., bool]:
    return lambda track, *_: track.kind == kind
