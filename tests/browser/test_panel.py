"""The panel of a notebook in a browser: what the model says is on the page, and is only text."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.browser.chromium import Chromium, Page
from tests.browser.conftest import HERE, served
from utd_rx.notebook import Panel, watch
from utd_rx.testing import FakeWorld

pytestmark = [pytest.mark.browser, pytest.mark.realtime]

PANEL: Final = HERE.parents[1] / "utd_rx" / "notebook"
HOSTILE: Final = "<img src=x onerror=alert(1)>\u202e"


def model_of(panel: Panel) -> dict[str, Any]:
    """What a kernel would send to the page."""
    thumbnails = {who: base64.b64encode(one).decode() for who, one in panel.thumbnails.items()}
    return {
        "shown": panel.shown,
        "log": panel.log,
        "levels": panel.levels,
        "thumbnails": thumbnails,
        "is_live": panel.is_live,
    }


@pytest.fixture(scope="module")
def audio_room() -> dict[str, Any]:
    with FakeWorld() as world:
        host = world.join_audio_room("host", host=True, seats=8)
        panel = world.run(_watched(host))
        for seat, name in enumerate(("anna", "ben", "carla", HOSTILE), 1):
            guest = world.join_audio_room(name)
            world.run(guest.take_seat(seat))
            world.run(guest.chat.send(f"hello from {name}"))
        world.run(host.lock_seat(6))
        world.spawn(world.microphone("anna").say(3.0))
        world.advance(2)
        return model_of(panel)


@pytest.fixture(scope="module")
def live_stream() -> dict[str, Any]:
    with FakeWorld() as world:
        world.live_stream("sara")
        viewer = world.join_live_stream("vera")
        panel = world.run(_watched(viewer))
        pixels = np.zeros((180, 320, 3), np.uint8)
        pixels[:, :, 0] = np.linspace(0, 255, 320)
        pixels[:, :, 2] = np.linspace(0, 255, 180)[:, np.newaxis]
        for _ in range(8):
            world.run(world.camera("sara").show(pixels))
            world.advance(0.2)
        return model_of(panel)


async def _watched(session: Any) -> Panel:
    return watch(session)


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    files = (HERE / "panel.html", PANEL / "panel.js", PANEL / "panel.css")
    async with served(chromium, *files) as page:
        yield page


async def test_an_audio_room_is_on_the_page_and_what_others_wrote_is_text(
    page: Page, audio_room: dict[str, Any], tmp_path: Path
) -> None:
    await page.call("set", audio_room)
    assert await page.call("text", ".pill.good") == ["connected"]
    tiles = [text.split("\n") for text in await page.call("text", ".tile")]
    assert tiles[:3] == [["0", "free"], ["1", "anna"], ["2", "ben"]]
    assert tiles[4] == ["4", HOSTILE.replace("\u202e", "\ufffd")]  # which turns no line round
    assert tiles[6] == ["6", "locked"]
    assert await page.call("text", ".tile.speaks") == ["1\nanna"]
    assert await page.call("count", "img") == 0
    assert await page.call("count", ".person") == 4
    (tmp_path / "room.png").write_bytes(await page.screenshot())
    assert await page.call("release") == 0  # it listens to nothing any more


async def test_a_live_stream_is_on_the_page_with_its_pictures(
    page: Page, live_stream: dict[str, Any], tmp_path: Path
) -> None:
    await page.call("set", live_stream)
    await page.call("set", live_stream)
    assert await page.call("widths") == [160]
    assert (await page.call("text", ".stage .tile"))[0].startswith("sara")
    (tmp_path / "stream.png").write_bytes(await page.screenshot())
