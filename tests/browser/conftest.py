"""A page with livekit-client in headless Chromium, where the machine has both."""

from __future__ import annotations

import os
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pytest
from aiohttp import web

from tests.browser.chromium import Chromium, Page, find_chromium

HERE: Final = Path(__file__).parent
BROWSER_TONE: Final = 880.0


def library(release: str = "livekit-client") -> Path:
    """Return the script of a release, by its name in package.json; skip where it is missing."""
    path = HERE / "node_modules" / release / "dist" / "livekit-client.umd.js"
    hint = "install it with Node: npm ci --prefix tests/browser"
    require(path.exists(), f"{release} not found; {hint}")
    return path


def require(is_there: object, missing: str) -> None:
    """Skip what needs something that is missing, or fail where all has to be there."""
    if not is_there and os.environ.get("UTD_RX_REQUIRE_BROWSER") == "1":
        pytest.fail(missing)
    if not is_there:
        pytest.skip(missing)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser for all tests of a module; each opens a page of its own."""
    program = find_chromium()
    require(program, "Chromium not found; install it (Debian: apt install chromium)")
    folder = tmp_path_factory.mktemp("chromium")
    assert program is not None
    browser = Chromium(program, folder, _write_tone(folder / "microphone.wav"))
    try:
        yield browser
    finally:
        browser.close()


def _write_tone(path: Path) -> Path:
    time = np.arange(48_000) / 48_000  # whole periods, so that the loop has no click
    samples = np.round(12_000 * np.sin(2 * np.pi * BROWSER_TONE * time)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    """A fresh page with the functions of page.js."""
    async with served(chromium, HERE / "page.html", HERE / "page.js", library()) as page:
        yield page


class BrowserPage(Protocol):
    """A page of any browser."""

    async def call(self, function: str, *arguments: object) -> Any: ...
    async def seen(self, event: str, **fields: object) -> dict[str, Any]: ...


P = TypeVar("P", bound=BrowserPage, covariant=True)


class Browser(Protocol[P]):
    def page(self, url: str) -> AbstractAsyncContextManager[P]: ...


@asynccontextmanager
async def served(browser: Browser[P], *files: Path, query: str = "") -> AsyncIterator[P]:
    """Open the first of these files as a page, with the others beside it; localhost counts as a
    secure context."""
    application = web.Application()
    for path in files:
        application.router.add_get(f"/{path.name}", _serve(path))
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = runner.addresses[0]
        url = f"http://{address[0]}:{address[1]}/{files[0].name}?{query}"
        async with browser.page(url) as page:
            yield page
    finally:
        await runner.cleanup()


def _serve(path: Path) -> Callable[[web.Request], Awaitable[web.FileResponse]]:
    async def handler(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    return handler
