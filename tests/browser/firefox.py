"""Headless Firefox over WebDriver BiDi: just what the test of its clients needs."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.browser.browser_process import BrowserProcess

_CALL_TIMEOUT: Final = 40.0

_PREFERENCES: Final[dict[str, bool | int]] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # There is nobody to resolve the names that hide addresses.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.proxy.type": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


def find_firefox() -> str | None:
    """Return the browser to test with, or None."""
    return next((path for name in ("firefox-esr", "firefox") if (path := shutil.which(name))), None)


class Firefox(BrowserProcess):
    """A browser process with a profile of its own.

    Args:
        program: what to run.
        folder: an empty folder for its profile and log.
        tone: the frequency, in Hz, of the sound of its fake microphone.
    """

    def __init__(self, program: str, folder: Path, tone: float) -> None:
        preferences = {**_PREFERENCES, "media.navigator.audio.fake_frequency": round(tone)}
        lines = (f'user_pref("{name}", {json.dumps(one)});' for name, one in preferences.items())
        (folder / "user.js").write_text("\n".join(lines))
        command = (program, "--headless", "--no-remote", "--profile", str(folder))
        note = folder / "WebDriverBiDiServer.json"
        super().__init__((*command, "--remote-debugging-port=0"), folder, note)
        server = json.loads(self.told)
        self._url = f"ws://{server['ws_host']}:{server['ws_port']}/session"

    @asynccontextmanager
    async def page(self, url: str) -> AsyncIterator[FirefoxPage]:
        """Open a page in the only tab of a session, for the length of the block."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self._url, max_msg_size=0) as socket,
        ):
            page = FirefoxPage(socket)
            await page.open(url)
            try:
                yield page
            finally:
                await page.close()


class FirefoxPage:
    """One page; `call` runs its functions, one at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._context = ""

    async def open(self, url: str) -> None:
        await self._command("session.new", capabilities={})
        self._context = (await self._command("browsingContext.create", type="tab"))["context"]
        where = {"context": self._context, "url": url, "wait": "complete"}
        await self._command("browsingContext.navigate", **where)

    async def close(self) -> None:
        await self._command("browsingContext.close", context=self._context)
        await self._command("session.end")

    async def call(self, function: str, *arguments: object) -> Any:
        """Call a function of the page and return what it, or its promise, gives.

        Raises:
            AssertionError: it threw.
        """
        called = f"{function}({', '.join(map(json.dumps, arguments))})"
        reply = await self._command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await {called}) ?? null))()",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if reply["type"] != "success":
            raise AssertionError(f"{called[:60]}: {reply['exceptionDetails']['text']}")
        return json.loads(reply["result"]["value"])

    async def seen(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for the next event of that name with these fields (page.js)."""
        found: dict[str, Any] = await self.call("seen", event, fields)
        return found

    async def _command(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_CALL_TIMEOUT):
            while True:
                reply = await self._socket.receive_json()
                if reply.get("id") == number:
                    break
        if reply["type"] == "error":
            raise AssertionError(f"{method}: {reply['message']}")
        result: dict[str, Any] = reply["result"]
        return result
