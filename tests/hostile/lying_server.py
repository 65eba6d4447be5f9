"""A media server that lies: a genuine one behind a proxy that changes what its signalling says.

`python -m tests.hostile.lying_server`, a process of its own, started with `kind`, `api_key` and
`api_secret`. Whoever joins at `<lying>/<name of a lie>` is told that lie (`server_lies.LIES`), and
at `<honest>` none. Media goes past the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final

import aiohttp
from aiohttp import WSMsgType, web
from google.protobuf.message import Message
from livekit.protocol import rtc

from tests.hostile.lies import arguments, serve
from tests.hostile.server_lies import Tell, tell_of
from tests.support.sfu import SfuKind, running_sfu
from utd_rx.engine.sfu.options import SfuOptions

SEED: Final = 17
_PASSED_ON: Final = ("Authorization", "User-Agent")


class LyingProxy:
    """Passes a media server's signalling on, changed by who is asked for by name in the path."""

    def __init__(self, target: str, find: Callable[[str], Tell] = tell_of) -> None:
        self._target = target.replace("ws://", "http://").rstrip("/")
        self._find = find
        self._rounds = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        tell = self._find(request.match_info["lie"])
        url = f"{self._target}/{request.match_info['rest']}"
        headers = {one: request.headers[one] for one in _PASSED_ON if one in request.headers}
        async with aiohttp.ClientSession(headers=headers) as http:
            if request.headers.get("Upgrade", "").lower() != "websocket":
                async with http.get(url, params=request.query) as reply:
                    return web.Response(status=reply.status, body=await reply.read())
            async with http.ws_connect(url, params=request.query, max_msg_size=0) as server:
                client = web.WebSocketResponse(max_msg_size=0)
                await client.prepare(request)
                self._rounds += 1
                up = asyncio.create_task(_pass_on(client, server), name="to the server")
                try:
                    with suppress(ConnectionError):
                        await _lie(server, client, tell, Random(SEED + self._rounds))
                finally:
                    up.cancel()
                    await asyncio.wait([up])
                    await client.close()
                return client


async def _pass_on(client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse) -> None:
    with suppress(ConnectionError):
        async for message in client:
            if message.type is WSMsgType.BINARY:
                await server.send_bytes(message.data)
    await server.close()


async def _lie(
    server: aiohttp.ClientWebSocketResponse,
    client: web.WebSocketResponse,
    tell: Tell,
    random: Random,
) -> None:
    async for message in server:
        if message.type is not WSMsgType.BINARY:
            continue
        said = rtc.SignalResponse.FromString(message.data)
        for one in tell(said, random):
            if one is None:
                await client.close()
            elif isinstance(one, Message):
                await client.send_bytes(one.SerializeToString())
            else:
                await client.send_bytes(one)


@asynccontextmanager
async def served(proxy: LyingProxy) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Serve a proxy for the length of the block: its url, and a function that cuts who is there."""
    app = web.Application()
    app.router.add_get("/{lie}/{rest:.*}", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()

    def cut() -> None:
        assert runner.server is not None
        for one in runner.server.connections:
            if one.transport is not None:
                one.transport.close()

    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}", cut
    finally:
        await runner.cleanup()


async def main(told: Mapping[str, str]) -> None:
    """Run both until whoever started this process is done."""
    options = SfuOptions(api_key=told["api_key"], api_secret=told["api_secret"])
    kind: SfuKind = "livekit" if told["kind"] == "livekit" else "embedded"
    async with running_sfu(kind, options) as sfu, served(LyingProxy(sfu.url)) as (lying, _):
        await serve(lying=lying, honest=sfu.url, api_url=sfu.api_url)


if __name__ == "__main__":
    asyncio.run(main(arguments()))
