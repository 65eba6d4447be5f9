"""The engine's own page in a browser: it shows what goes on, and lets one hear oneself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from livekit import rtc

from tests.browser.chromium import Chromium, Page
from tests.browser.conftest import BROWSER_TONE
from tests.browser.peer import joined
from tests.engine.conftest import World, on_fakes
from tests.engine.fakes import HastyClock
from tests.engine.stage import Client
from tests.support.sfu import free_port
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.page.feed import MAX_PAGES
from utd_rx.engine.page.site import KEY, STREAM

pytestmark = [pytest.mark.browser, pytest.mark.realtime]

HOSTILE: Final = "<img src=x onerror=alert(1)>\u202e"
READY: Final = "document.querySelector('#state')?.textContent == 'live'"

UNTIL: Final = """
async function until(condition) {
  const deadline = performance.now() + 30000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(document.body.innerText);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
async function click(label) {
  const named = (one) => one.textContent === label && !one.disabled;
  (await until(() => [...document.querySelectorAll("button")].find(named))).click();
}
async function pitch() {
  const audio = new AudioContext();
  const element = await until(() => document.querySelector("#sound audio"));
  const analyser = new AnalyserNode(audio, { fftSize: 8192, smoothingTimeConstant: 0 });
  audio.createMediaStreamSource(element.srcObject).connect(analyser);
  const levels = new Float32Array(analyser.frequencyBinCount);
  return until(() => {
    analyser.getFloatFrequencyData(levels);
    const strongest = levels.indexOf(Math.max(...levels.subarray(1)));
    return levels[strongest] > -40 && strongest * audio.sampleRate / analyser.fftSize;
  });
}
"""


async def opened(page: Page) -> Page:
    await page.evaluate(UNTIL)
    return page


async def text(page: Page, selector: str) -> list[str]:
    found: list[str] = await page.evaluate(
        f"[...document.querySelectorAll({selector!r})].map((one) => one.innerText)"
    )
    return found


async def until(page: Page, condition: str) -> Any:
    return await page.evaluate(f"until(() => {condition})")


async def shows(page: Page, words: str) -> None:
    assert await until(page, f"document.body.innerText.includes({words!r})")


async def is_at_home(page: Page, url: str) -> None:
    """It broke no rule of its policy, and asked nobody but the engine."""
    assert page.problems == []
    hosts: list[str] = await page.evaluate(
        "performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)"
    )
    assert {*hosts} == {url.partition("/#")[0]}


async def test_a_newcomer_hears_herself_after_one_click(chromium: Chromium, tmp_path: Path) -> None:
    async with LocalEngine() as engine, chromium.page(engine.page_url or "", READY) as page:
        await opened(page)
        await shows(page, "No rooms yet")
        await page.evaluate("click('Hear yourself')")
        # By way of the engine's seats, its media server, the echo, and the media server again.
        assert await page.evaluate("pitch()") == pytest.approx(BROWSER_TONE, abs=10)
        await until(page, "document.querySelectorAll('.speaks').length === 2")
        assert (await text(page, ".title h2"), await text(page, ".you .name")) == (
            ["hello"],
            [next(iter(engine.core.rooms.all()["hello"].sessions))],
        )
        (tmp_path / "hear.png").write_bytes(await page.screenshot())
        await page.evaluate("document.querySelector('.buttons button').focus()")
        await page.evaluate("click('Mute')")
        await until(page, "document.querySelectorAll('.speaks').length === 0")
        # Who has no mouse is where she was, though the button is another.
        await until(page, "document.activeElement.textContent === 'Unmute'")
        await page.evaluate("click('Leave')")
        await shows(page, "0 here")
        await shows(page, "leaves seat 1")
        assert not await text(page, ".mine")
        await is_at_home(page, engine.page_url or "")


NOT_ALLOWED: Final = """
navigator.mediaDevices.getUserMedia = () =>
  Promise.reject(new DOMException("denied", "NotAllowedError"));
"""


async def test_without_a_microphone_one_is_told_and_stays(chromium: Chromium) -> None:
    async with LocalEngine() as engine, chromium.page(engine.page_url or "", READY) as page:
        await opened(page)
        await page.evaluate(NOT_ALLOWED)
        await page.evaluate("click('Hear yourself')")
        await shows(page, "was not allowed to use the microphone")
        await until(page, "document.querySelector('.you') && !document.querySelector('.busy')")
        assert [one.split("\n")[0] for one in await text(page, ".buttons button")] == [
            *("Unmute", "Hear yourself", "Stand up", "Leave")
        ]


async def test_a_free_seat_is_a_click_and_so_is_leaving_it(chromium: Chromium) -> None:
    async with LocalEngine() as engine, chromium.page(engine.page_url or "", READY) as page:
        await opened(page)
        async with aiohttp.ClientSession() as http:
            sara = Client(http, engine, "sara")
            await sara.mint(role="host", seat_count=3)
        await page.evaluate("click('Join')")
        await until(page, "[...document.querySelectorAll('.mine')].length === 1")
        await page.evaluate("click('Sit on 2')")
        await shows(page, "publishes sound")
        await until(page, "document.querySelector('.places li:nth-child(3).you.speaks')")
        await page.evaluate("click('Stand up')")
        await shows(page, "leaves seat 2")
        await shows(page, "stops publishing sound")
        assert page.problems == []


async def test_who_is_put_out_is_told(chromium: Chromium) -> None:
    async with LocalEngine() as engine, chromium.page(engine.page_url or "", READY) as page:
        await opened(page)
        async with aiohttp.ClientSession() as http:
            sara = Client(http, engine, "sara")
            await sara.mint(role="host", seat_count=3)
            await page.evaluate("click('Join')")
            await until(page, "document.querySelector('.mine')")
            (you,) = engine.core.rooms.all()["friday"].sessions
            assert await sara.call("DELETE", f"/participants/{you}") == 200
        await shows(page, "You were removed from the room.")
        assert not await text(page, ".mine")
        assert page.problems == []


async def test_a_live_stream_is_watched(chromium: Chromium, tmp_path: Path) -> None:
    async with LocalEngine() as engine, aiohttp.ClientSession() as http:
        sara = Client(http, engine, "sara")
        await sara.mint(role="host", type="live_stream")
        async with (
            joined(sara.minted["url"], sara.minted["token"]) as peer,
            peer.camera(rtc.VideoCodec.VP8),
            chromium.page(engine.page_url or "", READY) as page,
        ):
            await opened(page)
            await page.evaluate("click('Watch')")
            await shows(page, "on air")
            await until(page, "document.querySelector('.tile video')?.videoWidth > 0")
            (tmp_path / "watch.png").write_bytes(await page.screenshot())
            await is_at_home(page, engine.page_url or "")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """An engine in which a lot goes on, without a media server."""
    async with on_fakes(EngineOptions(), HastyClock()) as world:
        sara = await world.bearer("sara", role="host", seat_count=8, name="Sara Lindqvist")
        for number, name in enumerate(("ana", "ben", HOSTILE)):
            bearer, _ = await world.connect(name, name=name)
            assert (await world.seats(f"{number + 1}/take", bearer)).status == 200
        await world.seats("5/lock", sara)
        await world.seats("2/mute", sara)
        await world.connect("cid", "show", type="live_stream", role="host", name="Cid")
        dan, _ = await world.connect("dan", "show", type="live_stream", name=HOSTILE)
        hand = "/api/v1/rooms/show/stage/request"
        assert (await world.call("POST", hand, {}, bearer=dan)).status == 200
        call = {"callee_identity": HOSTILE, "type": "video_call"}
        assert (await world.call("POST", "/api/v1/calls", call, bearer=sara)).status == 201
        yield world


async def test_what_goes_on_is_shown_and_is_only_text(
    chromium: Chromium, world: World, tmp_path: Path
) -> None:
    url = world.engine.page_url or ""
    async with chromium.page(url, READY) as page:
        await opened(page)
        assert await text(page, ".title h2") == ["friday", "show"]
        tiles = [one.split("\n") for one in await text(page, ".card:first-child .tile")]
        assert [one[-1] for one in tiles[:3]] == ["free", "ana", "muted"]
        shown = HOSTILE.replace("\u202e", "\ufffd")
        assert tiles[3][-1] == shown
        assert tiles[5] == ["5", "locked"]
        await shows(page, f"Hands up: {shown}")
        assert (await text(page, ".calls li"))[0].split(" → ")[1].startswith(shown)
        assert f"{shown} sits down on seat 3" in " ".join(await text(page, "#log li"))
        assert await page.evaluate("document.querySelectorAll('main img').length") == 0
        (tmp_path / "rooms.png").write_bytes(await page.screenshot())
        await is_at_home(page, url)


async def test_names_are_no_longer_than_their_place_and_never_empty(
    chromium: Chromium, world: World
) -> None:
    for identity, name in (("zoe", "W" * 256), ("nil", " ")):
        await world.connect(identity, "long", name=name, seat_count=4, role="host")
    for seat, identity in enumerate(("zoe", "nil")):
        bearer = await world.bearer(identity, "long", role="host")
        reply = await world.call("POST", f"/api/v1/rooms/long/seats/{seat}/take", {}, bearer=bearer)
        assert reply.status == 200
    async with chromium.page(world.engine.page_url or "", READY) as page:
        tiles = "document.querySelectorAll('#rooms .card:last-child .tile .name')"
        await opened(page)
        await until(page, f"{tiles}.length === 2")
        assert await page.evaluate(f"{tiles}[0].clientHeight") < 70
        assert await page.evaluate(f"{tiles}[1].innerText") == "nil"


async def test_a_click_survives_what_happens_between_press_and_release(
    chromium: Chromium, world: World
) -> None:
    async with chromium.page(world.engine.page_url or "", READY) as page:
        await opened(page)
        await page.evaluate(
            "button = document.querySelector('.title button'); first = button.closest('.card');"
            "say = (what) => button.dispatchEvent(new PointerEvent(what, { bubbles: true }));"
            "say('pointerdown')"
        )
        await world.connect("late")
        await shows(page, "late comes")
        assert await page.evaluate("button.isConnected")
        await page.evaluate("say('pointerup')")
        await until(page, "!first.isConnected && document.body.innerText.includes('4 here')")


async def test_one_page_too_many_says_so_and_comes_when_another_goes(
    chromium: Chromium, world: World
) -> None:
    key = (world.engine.page_url or "").partition("#")[2]
    async with AsyncExitStack() as others:
        for _ in range(MAX_PAGES):
            stream = world.http.get(f"{world.engine.base_url}{STREAM}", headers={KEY: key})
            await (await others.enter_async_context(stream)).content.readline()
        waits = "document.querySelector('#state')?.textContent == 'waiting'"
        async with chromium.page(world.engine.page_url or "", waits) as page:
            await opened(page)
            await shows(page, "pages are open already; close one")
            await others.aclose()
            await world.connect("late")  # by which those that are gone are noticed
            await until(page, READY)
            assert await until(page, "document.querySelector('#notice').hidden")


async def test_it_comes_back_with_its_engine(chromium: Chromium) -> None:
    options = EngineOptions(port=free_port(), app_secret="5" * 32)
    async with on_fakes(options, HastyClock()) as world:
        url = world.engine.page_url or ""
        await world.host()
        async with chromium.page(url, READY) as page:
            await opened(page)
            await until(page, "document.querySelector('.title')")
            await world.engine.aclose()
            await shows(page, "the engine is gone")
            async with on_fakes(options, HastyClock()):
                await until(page, READY)
                await shows(page, "No rooms yet")


async def test_without_its_key_it_says_what_to_open(chromium: Chromium, world: World) -> None:
    locked = "document.querySelector('#state')?.textContent == 'locked'"
    for end in ("/", "/#wrong"):
        async with chromium.page(f"{world.engine.base_url}{end}", locked) as page:
            assert "`utd-rx engine` prints" in (await text(page, "#notice"))[0]
            assert not await text(page, ".title h2")
