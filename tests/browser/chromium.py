"""Headless Chromium over its DevTools protocol: just what the test of this folder needs."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from tests.browser.browser_process import BrowserProcess

_CALL_TIMEOUT: Final = 40.0

SEEN: Final = "typeof seen == 'function'"
"""Of a page that keeps what happened for the test."""

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise, as in CI
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers give it 64 MB there
    "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # Without it Chromium offers no candidate on a machine whose only interface is loopback.
    "--allow-loopback-in-peer-connection",
)


def find_chromium() -> str | None:
    """Return the browser to test with, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


class Chromium(BrowserProcess):
    """A browser process with a profile of its own.

    Args:
        program: what to run.
        folder: an empty folder for its profile and log.
        microphone: the WAV file its fake microphone plays in a loop.
    """

    def __init__(self, program: str, folder: Path, microphone: Path) -> None:
        flags = (
            *_FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            f"--use-file-for-fake-audio-capture={microphone}",
        )
        note = folder / "profile" / "DevToolsActivePort"
        super().__init__((program, *flags, "about:blank"), folder, note)
        self._port = int(self.told.split()[0])

    @asynccontextmanager
    async def page(self, url: str, ready: str = SEEN) -> AsyncIterator[Page]:
        """Open a page in a tab of its own, for the length of the block, from when it is `ready`."""
        devtools = f"http://127.0.0.1:{self._port}/json"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{devtools}/new?{quote(url)}") as reply:
                target = await reply.json()
            try:
                # Replies may be long, and a message is never larger than what the test asked for.
                async with session.ws_connect(
                    target["webSocketDebuggerUrl"], max_msg_size=0
                ) as socket:
                    page = Page(socket)
                    try:
                        await page.start(ready)
                        yield page
                    finally:
                        await page.aclose()
            finally:
                async with session.get(f"{devtools}/close/{target['id']}") as reply:
                    await reply.read()


class Page:
    """One page; `call` runs its functions.

    Attributes:
        problems: What it failed at: exceptions nobody caught, files that were missing or forbidden.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._console: deque[str] = deque(maxlen=40)
        self.problems: list[str] = []
        self._reader = asyncio.create_task(self._read(), name="DevTools")

    async def start(self, ready: str) -> None:
        """Listen to its console and wait until `ready`, an expression, is so: its script ran."""
        await self._command("Runtime.enable")
        await self._command("Log.enable")
        # A new tab shows an empty page first, whose own end of loading would say nothing.
        async with asyncio.timeout(_CALL_TIMEOUT):
            while True:
                # Between the two pages there is none to ask.
                with suppress(AssertionError):
                    if await self.evaluate(ready):
                        return
                await asyncio.sleep(0.02)

    async def aclose(self) -> None:
        """Stop listening."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def call(self, function: str, *arguments: object) -> Any:
        """Call a function of the page and return what it, or its promise, gives.

        Raises:
            AssertionError: it threw; the message ends with the page's console.
        """
        return await self.evaluate(f"{function}({', '.join(map(json.dumps, arguments))})")

    async def seen(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for the next event of that name with these fields (page.js)."""
        found: dict[str, Any] = await self.call("seen", event, fields)
        return found

    async def screenshot(self) -> bytes:
        """Return what it looks like, a PNG file."""
        reply = await self._command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(reply["data"])

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression, or its promise, gives, as if the user had just clicked.

        Raises:
            AssertionError: it threw; the message ends with the page's console.
        """
        reply = await self._command(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in reply:
            details = reply["exceptionDetails"]
            text = details.get("exception", {}).get("description", details.get("text"))
            console = "\n  ".join(self._console)
            raise AssertionError(f"{expression[:60]}: {text}\nconsole:\n  {console}")
        return reply["result"].get("value")

    async def _command(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_CALL_TIMEOUT):
            content: dict[str, Any] = await reply
            return content

    async def _read(self) -> None:
        async for message in self._socket:
            content = json.loads(message.data)
            if "id" not in content:
                self._note(content)
                continue
            waiting = self._waiting.pop(content["id"])
            if waiting.done():
                continue
            if "error" in content:
                waiting.set_exception(AssertionError(content["error"]["message"]))
            else:
                waiting.set_result(content["result"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(AssertionError("the page is gone"))

    def _note(self, event: dict[str, Any]) -> None:
        match event:
            case {"method": "Runtime.consoleAPICalled", "params": {"type": kind, "args": values}}:
                words = [str(value.get("value", value.get("description", ""))) for value in values]
                self._console.append(f"{kind}: {' '.join(words)}")
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.problems.append(str(details.get("exception", details)))
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "error"} as entry}}:
                self.problems.append(f"{entry['text']} {entry.get('url', '')}")
