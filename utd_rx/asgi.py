"""A stream's values to browsers: an ASGI application for web sockets and server-sent events.

It needs no package: FastAPI, Starlette, Quart or Litestar mount it, uvicorn or hypercorn run it
(docs/web.md).
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from utd_rx.errors import UTDStreamException
from utd_rx.models import checks
from utd_rx.models.value import to_json
from utd_rx.ports.at_signal import first_at
from utd_rx.state import StateSubject

T = TypeVar("T")
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

SIGN_OF_LIFE: Final = 15.0
"""Seconds without a value until a comment is sent: proxies end what is silent for longer, and a
browser that vanished without a word is found by it. Web sockets have pings of the server's own."""

GOING_AWAY: Final = 1001
"""The close code that says that the server ends, or the room is over."""

ENDS: Final = (signal.SIGINT, signal.SIGTERM)
"""At which a server stops, and waits for whoever still listens."""

_END: Final[dict[str, Message]] = {
    "websocket": {"type": "websocket.close", "code": GOING_AWAY},
    "http": {"type": "http.response.body"},
}
_HARMLESS: Final = (asyncio.CancelledError, OSError)
"""A browser that is gone is an OSError to some servers."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx collects otherwise
]


class StateFeed(Generic[T]):
    """Sends a stream to every browser that asks: its value now, and each newer one.

    A web socket gets text messages of JSON, anything else server-sent events of the same JSON. Who
    is slow skips values, so nothing piles up. It ends with the browser, with the stream, or when
    the server is told to stop by SIGINT or SIGTERM, which it does not hold up; nothing is left
    behind in any case.

    Args:
        stream: The stream, or what finds it by the request's ASGI scope, such as
            `lambda scope: rooms[scope["path_params"]["name"]].seats`.
        shown: What is made of a value: something that `json.dumps` takes.

    Raises:
        UTDStreamException: `VALIDATION`: an `async def`, whose answer nobody would await.
    """

    def __init__(
        self,
        stream: StateSubject[T] | Callable[[Message], StateSubject[T]],
        *,
        shown: Callable[[T], object] = to_json,
    ) -> None:
        self._stream = checks.answering(stream, "stream") if callable(stream) else stream
        self._shown = checks.answering(shown, "shown")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one browser; what an ASGI server calls."""
        stream = self._stream if isinstance(self._stream, StateSubject) else self._stream(scope)
        match scope["type"]:
            case "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                telling = self._to_socket(stream, send)
            case "http" if scope["method"] == "GET":
                start = {"type": "http.response.start", "status": 200, "headers": _HEADERS}
                await send(start)
                telling = self._to_reader(stream, send)
            case "http":
                await send({"type": "http.response.start", "status": 405, "headers": []})
                await send({"type": "http.response.body"})
                return
            case other:
                raise NotImplementedError(f"a feed serves websocket and http, not {other}")
        if await _outlived(telling, _gone(receive)):
            with suppress(OSError):
                await send(dict(_END[scope["type"]]))

    def _text(self, value: T) -> str:
        return json.dumps(self._shown(value), ensure_ascii=False, default=to_json)

    async def _to_socket(self, stream: StateSubject[T], send: Send) -> None:
        async for value in stream.changes():
            await send({"type": "websocket.send", "text": self._text(value)})

    async def _to_reader(self, stream: StateSubject[T], send: Send) -> None:
        async def tell(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        changes = stream.changes()
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE):
                    value = await anext(changes)
            except TimeoutError:
                await tell(":\n\n")
            except StopAsyncIteration:
                return
            else:
                await tell(f"data: {self._text(value)}\n\n")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] not in ("websocket.disconnect", "http.disconnect"):
        pass


async def _outlived(telling: Awaitable[None], gone: Awaitable[None]) -> bool:
    """Do both until one ends, or the server is told to stop; return whether the browser is there
    still."""
    with _stopping() as stopped:
        tasks = [asyncio.ensure_future(one) for one in (telling, gone, stopped.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            is_there = not tasks[1].done()
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, _HARMLESS):
            raise error
    return is_there


@contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """Give what is set at the signals that stop a server."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        loop.call_soon_threadsafe(stopped.set)

    with ExitStack() as undoing:
        # On another thread a server has no signals either, and ends by other means.
        with suppress(UTDStreamException):
            for number in ENDS:
                undoing.callback(first_at(number, stop))
        yield stopped
