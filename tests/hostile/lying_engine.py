"""An engine that lies: a genuine one behind a proxy that changes what it answers.

`python -m tests.hostile.lying_engine`, a process of its own. Whoever asks below
`<lying>/<name of a lie>` is told that lie (`engine_lies.LIES`), below `<base_url>` none. The pair
has a media server here, of the key that it is started with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Final
from urllib.parse import unquote

import aiohttp

from tests.hostile.engine_lies import Exchange, tell_of
from tests.hostile.lies import arguments, serve
from tests.support.sfu import running_sfu
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.sfu.options import SfuOptions

SEED: Final = 17
_SECRETS: Final = ("x-app-key", "authorization")


class LyingProxy:
    """Passes requests on, and answers as the lie says that is named in the path."""

    def __init__(self, target: str, http: aiohttp.ClientSession) -> None:
        self._target = target
        self._http = http
        self._rounds = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request and hang up."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            fields = dict(line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in fields.items()}
            body = await reader.readexactly(int(headers.pop("content-length", "0")))
            _, lie, path = target.split("/", 2)
            passed = {name: value for name, value in headers.items() if name != "host"}
            async with self._http.request(
                method, f"{self._target}/{path}", data=body, headers=passed
            ) as reply:
                credentials = tuple(
                    headers[name].removeprefix("Bearer ") for name in _SECRETS if name in headers
                )
                said = Exchange(f"/{path}", credentials, reply.status, await reply.read())
            self._rounds += 1
            writer.write(tell_of(unquote(lie))(said, Random(SEED + self._rounds)))
            await writer.drain()
        writer.close()


async def main(told: Mapping[str, str]) -> None:
    """Run all of it until whoever started this process is done."""
    options = EngineOptions(silent_update_interval=0.1)
    async with (
        LocalEngine(options) as engine,
        aiohttp.ClientSession() as http,
        running_sfu(
            "embedded", SfuOptions(api_key=told["api_key"], api_secret=told["api_secret"])
        ) as sfu,
    ):
        proxy = LyingProxy(engine.base_url, http)
        server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
        lying = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await serve(lying=lying, media=sfu.url, **engine.credentials)
        server.close()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
