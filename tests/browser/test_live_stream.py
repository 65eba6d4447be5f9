"""A browser's unmodified livekit-client watches a live stream of the engine, and hosts one."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing

import numpy as np
import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import BROWSER_TONE
from tests.browser.peer import PYTHON_TONE
from tests.e2e.house import PATIENCE
from tests.e2e.phones import SkippingClock
from tests.e2e.shows import (
    AT_ONCE,
    CAMERA,
    FEW,
    MICROPHONE,
    PATTERN,
    Show,
    Viewing,
    on_stage,
    sees,
    viewing,
)
from tests.support.sfu import SfuKind
from utd_rx import AudioFrame, ToneSource, UTDLiveStreamSession
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.rest import UTDApi, UTDApiClient
from utd_rx.video.pattern import read_counter

# A browser hears and shows in real time, and needs a core for it.
pytestmark = [pytest.mark.browser, pytest.mark.realtime]

LOW = 180
"""Rows of the least layer of the browser's camera."""


@pytest.fixture
async def show(sfu_kind: SfuKind) -> AsyncIterator[Show]:
    """An engine that waits for its hosts no longer than it must."""
    options = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1, host_grace=1.0)
    clock = SkippingClock()
    async with LocalEngine(options, clock=clock) as engine, AsyncExitStack() as stack:
        yield Show(engine, stack, clock)


async def comes(page: Page, show: Show, *, role: str) -> None:
    """Bob joins with the browser, by a mint with the app key, and is granted what he asked for."""
    engine = show.engine
    rest = UTDApiClient(engine.token_base_url, app_id=engine.app_id, app_key=engine.app_key)
    async with aclosing(rest):
        reply = await UTDApi(rest).mint_token(
            identity="bob", room_name="show", type=UTDStreamType.LIVE_STREAM, role=role, name="Bob"
        )
    assert reply.role == role
    assert await page.call("join", reply.url, reply.token) == "bob"


async def goes_on_air(page: Page) -> None:
    await page.call("publishCamera", "vp8")
    await page.call("publishMicrophone")


async def number_seen(page: Page, whom: str) -> int | None:
    """Return the number of the picture that the browser sees of somebody's test pattern.

    Of a damaged one it is None.
    """
    width = PATTERN.format.width
    seen = await page.call("picture", whom, width)
    pixels = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
    return read_counter(pixels.reshape(seen["height"], width, 4)[:, :, :3])


async def watches(page: Page, whom: str) -> None:
    """Wait until the browser has seen a picture, and a later one."""
    numbers: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while len(set(numbers)) < 2:
            if (number := await number_seen(page, whom)) is not None:
                numbers.append(number)
    assert numbers == sorted(numbers)


async def moves(view: Viewing) -> None:
    """Wait for some frames more of the browser's camera, in which something moves."""
    enough = len(view.eye.counters) + FEW
    await view.eye.wait(lambda: len(view.eye.counters) >= enough)
    before, *_, now = (frame.pixels for frame in view.eye.frames)
    assert now.std() > 1
    assert not np.array_equal(before, now)


async def pitch(session: UTDLiveStreamSession, whom: str) -> float:
    """Return the frequency of the strongest tone that somebody sends, as soon as there is one."""
    heard: list[AudioFrame] = []
    enough = asyncio.Event()

    def take(frame: AudioFrame) -> None:
        if not enough.is_set():
            heard[:] = [*heard, frame] if np.abs(frame.samples).max() > 300 else []
            if len(heard) == 25:
                enough.set()

    listening = session.audio(whom).subscribe(take)
    try:
        await asyncio.wait_for(enough.wait(), PATIENCE)
    finally:
        listening.dispose()
    samples = np.concatenate([frame.samples[:, 0] for frame in heard[5:]])  # after the fade-in
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * heard[0].sample_rate / len(samples)


async def names(page: Page) -> set[str]:
    """Return what happened in the browser and was not asked for."""
    return set(await page.call("(() => events.map(({ name }) => name))"))


async def test_a_browser_watches_and_is_asked_on_the_stage_and_off_it(
    show: Show, page: Page
) -> None:
    tone = ToneSource(PYTHON_TONE)
    hana = await show.attend("hana", as_host=True, microphone=tone)
    vera = await show.attend("vera")
    await hana.go_live()
    await comes(page, show, role="audience")
    await watches(page, "hana")
    assert await page.call("pitch", "hana") == pytest.approx(PYTHON_TONE, abs=10)
    for session in (hana, vera):
        await session.viewer_count.until(2, timeout=PATIENCE)
        await on_stage(session, "hana")
    assert await page.call("mayPublish") is False
    sid = await page.call("(() => room.localParticipant.sid)")

    with (
        viewing(vera, "hana") as of_host,
        viewing(hana, "bob", max_height=LOW) as by_host,
        viewing(vera, "bob", max_height=LOW) as by_viewer,
    ):
        await hana.invite_to_stage("bob")
        await page.seen("participantPermissionsChanged", identity="bob", canPublish=True)
        await goes_on_air(page)
        await asyncio.gather(moves(by_host), moves(by_viewer))
        assert await pitch(hana, "bob") == pytest.approx(BROWSER_TONE, abs=10)
        for session in (hana, vera):
            await sees(session, "bob", MICROPHONE, CAMERA)
            await on_stage(session, "hana", "bob")
            await session.viewer_count.until(1, timeout=PATIENCE)

        await of_host.frames()
        shown = len(of_host.eye.counters)
        await hana.remove_from_stage("bob")
        for session in (hana, vera):
            await sees(session, "bob")
            await on_stage(session, "hana")
        assert len(of_host.eye.counters) - shown <= AT_ONCE
        await of_host.frames()  # in which what is on its way arrives
        seen = [len(view.eye.counters) for view in (by_host, by_viewer)]
        await of_host.frames()
        assert [len(view.eye.counters) for view in (by_host, by_viewer)] == seen

    await page.seen("participantPermissionsChanged", identity="bob", canPublish=False)
    for source in ("camera", "microphone"):
        await page.seen("localTrackUnpublished", identity="bob", source=source)
    assert await page.call("mayPublish") is False
    await watches(page, "hana")
    assert await page.call("(() => room.localParticipant.sid)") == sid
    assert not await names(page) & {"signalReconnecting", "reconnecting", "disconnected"}


async def test_a_browser_hosts_and_its_leaving_ends_the_broadcast(show: Show, page: Page) -> None:
    await comes(page, show, role="host")
    vera = await show.attend("vera")
    await on_stage(vera, "bob")
    assert vera.state.value.stage.stage.is_live is False
    with viewing(vera, "bob", max_height=LOW) as view:
        await goes_on_air(page)
        await moves(view)
    assert await pitch(vera, "bob") == pytest.approx(BROWSER_TONE, abs=10)
    await vera.state.until(lambda state: state.stage.stage.is_live is True, timeout=PATIENCE)
    await on_stage(vera, "bob")
    await sees(vera, "bob", MICROPHONE, CAMERA)
    assert (vera.live_ended.value, vera.viewer_count.value) == (False, 1)

    await page.call("leave")
    await vera.live_ended.until(True, timeout=PATIENCE)
    await vera.remote_participants.until((), timeout=PATIENCE)
    assert vera.state.value.stage.stage.is_live is False
    assert vera.connected.value
    await on_stage(vera)  # the place of who says goodbye is kept for 2 s
