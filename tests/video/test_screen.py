"""A screen as a source: what is on it, and nothing where there is none."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.xvfb import FakeScreen, is_screen_required, missing_screen
from utd_rx.devices import supervisor
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.video import Screen, TestPattern, read_counter

PATTERN = TestPattern(320, 180)


@pytest.fixture(scope="module")
def screen() -> Iterator[FakeScreen]:
    missing = missing_screen()
    if missing and not is_screen_required():
        pytest.skip(missing)
    assert missing is None
    made = FakeScreen(640, 360)
    made.start()
    yield made
    made.stop()


class Viewer:
    """The newest picture of a screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.failures: asyncio.Queue[UTDStreamException | None] = asyncio.Queue()
        self.stream: Any = None
        self._frames: asyncio.Queue[VideoFrame] = asyncio.Queue()

    async def __aenter__(self) -> Viewer:
        loop, take = asyncio.get_running_loop(), self._frames.put_nowait

        def sink(frame: VideoFrame) -> None:
            loop.call_soon_threadsafe(take, frame)

        self.stream = await self.screen.open(sink)
        self.stream.watch(self.failures.put_nowait)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stream.aclose()

    async def see(self, number: int | None) -> VideoFrame:
        """Wait until the pattern's picture of that number is seen."""
        async with asyncio.timeout(20):
            while read_counter(frame := await self._frames.get()) != number:
                pass
        return frame


async def test_what_is_on_it_is_seen(screen: FakeScreen) -> None:
    screen.show(TestPattern(640, 360).picture(5))
    async with Viewer(Screen(screen.display, format=VideoFormat(320, 320, 30))) as viewer:
        frame = await viewer.see(5)
        assert (frame.width, frame.height) == (320, 180)  # as large as fits, its shape kept
        screen.show(TestPattern(640, 360).picture(6))
        await viewer.see(6)
    assert viewer.failures.empty()


async def test_a_region_is_seen_alone_and_never_enlarged(
    screen: FakeScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.show(PATTERN.picture(7), left=200, top=100)
    monkeypatch.setenv("DISPLAY", screen.display)
    async with Viewer(Screen(region=(200, 100, 320, 180))) as viewer:
        frame = await viewer.see(7)
        assert (frame.width, frame.height) == (320, 180)


async def test_a_region_beyond_it_is_refused(screen: FakeScreen) -> None:
    with pytest.raises(UTDStreamException, match=r"no region \(600, 0, 320, 180\)") as raised:
        await Screen(screen.display, region=(600, 0, 320, 180)).open(print)
    assert raised.value.code is UTDErrorCode.VALIDATION


async def test_a_server_that_ends_is_told_and_comes_back(
    screen: FakeScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RETRY", 0.05)
    screen.show(TestPattern(640, 360).picture(8))
    async with Viewer(Screen(screen.display)) as viewer:
        await viewer.see(8)
        screen.kill()
        lost = await asyncio.wait_for(viewer.failures.get(), 10)
        assert lost is not None
        assert lost.code is UTDErrorCode.NOT_FOUND
        assert screen.display in lost.message
        screen.start()
        assert await asyncio.wait_for(viewer.failures.get(), 10) is None
        screen.show(TestPattern(640, 360).picture(9))
        await viewer.see(9)


@pytest.mark.parametrize(
    ("display", "told"), [(":9999", ":9999 cannot be opened"), (None, "DISPLAY is not set")]
)
async def test_one_that_there_is_not_is_named(
    display: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UTDStreamException, match=told) as raised:
        await Screen(display).open(print)
    assert raised.value.code is UTDErrorCode.NOT_FOUND


async def test_where_there_is_no_x11_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UTDStreamException, match="only screens of X11") as raised:
        await Screen(":0").open(print)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED


async def test_without_pyav_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UTDStreamException, match=r"pip install 'utd-rx\[camera\]'") as raised:
        await Screen(":0").open(print)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED


@pytest.mark.parametrize(
    "region", [(0, 0, 320), (-1, 0, 320, 180), (0, 0, 8, 180), (0, 0.5, 320, 180), "all", 7]
)
def test_a_region_that_is_none_is_refused(region: Any) -> None:
    with pytest.raises(UTDStreamException, match=r"region|width") as raised:
        Screen(":0", region=region)
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_it_is_a_small_value() -> None:
    screen = Screen(":0", region=(0, 0, 320, 180))
    assert pickle.loads(pickle.dumps(screen)) == screen
