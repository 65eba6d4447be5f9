"""A stream behind a web socket or server-sent events: newest value, bounded, and it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.sessions.stage import Stage
from utd_rx import StateFeed, StateSubject, Store, UTDStreamException, leave_on
from utd_rx.ports.at_signal import first_at
from utd_rx.testing import run_virtual

SOCKET = {"type": "websocket", "path": "/"}
EVENTS = {"type": "http", "method": "GET", "path": "/"}
LAST = {
    "websocket": {"type": "websocket.close", "code": 1001},
    "http": {"type": "http.response.body"},
}
GONE = {"websocket": "websocket.disconnect", "http": "http.disconnect"}


class Browser:
    """Somebody who listens, as an ASGI server would bring them."""

    def __init__(self, feed: StateFeed[Any], scope: dict[str, Any]) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.may_send = asyncio.Event()
        self.may_send.set()
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._kind = scope["type"]
        first = {"websocket": "websocket.connect", "http": "http.request"}[self._kind]
        self._said.put_nowait({"type": first})
        self.serving = asyncio.create_task(feed(scope, self._said.get, self._send))

    async def _send(self, message: Any) -> None:
        await self.may_send.wait()
        self.told.put_nowait(message)

    def vanish(self) -> None:
        self._said.put_nowait({"type": GONE[self._kind]})

    async def hear(self) -> object:
        """Return the next value, past what opens the connection."""
        while True:
            message = await self.told.get()
            if text := message.get("text") or message.get("body", b"").decode():
                return json.loads(text.removeprefix("data: "))


def counter() -> tuple[Store[int, int], StateSubject[int]]:
    store = Store(0, lambda _, number: number)
    return store, store.select(lambda number: number, name="number")


def watchers(stream: StateSubject[Any]) -> str:
    return repr(stream).rpartition(", ")[2]


@pytest.fixture(params=[SOCKET, EVENTS], ids=["web socket", "server-sent events"])
def scope(request: pytest.FixtureRequest) -> dict[str, Any]:
    wanted: dict[str, Any] = request.param
    return wanted


async def test_a_browser_is_told_what_is_and_each_newer_value_until_it_vanishes(
    joined: Stage, scope: dict[str, Any]
) -> None:
    session = joined.session
    browsers = [Browser(StateFeed(lambda _: session.seats), scope) for _ in range(30)]
    for browser in browsers:
        assert isinstance(told := await browser.hear(), dict)
        assert told["seats"][1]["identity"] is None
    await session.take_seat(1)
    for browser in browsers:
        assert isinstance(told := await browser.hear(), dict)
        assert told["seats"][1]["identity"] == "me"
    before = len(browsers)
    assert watchers(session.seats) == f"{before} observers>"
    for browser in browsers:
        browser.vanish()
    await asyncio.gather(*(browser.serving for browser in browsers))
    assert watchers(session.seats) == "0 observers>"


async def test_who_is_slow_skips_and_nothing_piles_up(scope: dict[str, Any]) -> None:
    store, stream = counter()
    browser = Browser(StateFeed(stream, shown=lambda number: [number]), scope)
    assert await browser.hear() == [0]
    browser.may_send.clear()
    for number in range(1, 1_001):
        store.dispatch(number)
        await asyncio.sleep(0)
    browser.may_send.set()
    heard = [await browser.hear(), await browser.hear()]
    assert heard == [[1], [1_000]]
    browser.vanish()
    await browser.serving


async def test_it_ends_with_the_stream(scope: dict[str, Any]) -> None:
    store, stream = counter()
    browser = Browser(StateFeed(stream), scope)
    assert await browser.hear() == 0
    store.close()
    await browser.serving
    assert browser.told.get_nowait() == LAST[scope["type"]]


@pytest.fixture
async def ended() -> AsyncIterator[list[int]]:
    """What a server does at the signals that stop it, as its handler that was there before."""
    seen: list[int] = []
    before = [
        (number, signal.signal(number, lambda number, _: seen.append(number)))
        for number in (signal.SIGINT, signal.SIGTERM)
    ]
    yield seen
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_when_the_server_is_told_to(
    scope: dict[str, Any], ended: list[int], number: signal.Signals
) -> None:
    handler = signal.getsignal(number)
    _, stream = counter()
    browsers = [Browser(StateFeed(stream), scope) for _ in range(2)]
    for browser in browsers:
        await browser.hear()
    os.kill(os.getpid(), number)
    await asyncio.gather(*(browser.serving for browser in browsers))
    assert [browser.told.get_nowait() for browser in browsers] == [LAST[scope["type"]]] * 2
    assert ended == [number]
    assert signal.getsignal(number) is handler
    assert watchers(stream) == "0 observers>"


async def test_what_it_cannot_show_is_an_error_of_the_server_and_leaves_nothing(
    scope: dict[str, Any],
) -> None:
    _, stream = counter()
    browser = Browser(StateFeed(stream, shown=lambda _: 1 / 0), scope)
    with pytest.raises(ZeroDivisionError):
        await browser.serving
    assert watchers(stream) == "0 observers>"


async def test_a_browser_that_is_gone_while_it_is_told_is_no_error(scope: dict[str, Any]) -> None:
    _, stream = counter()

    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        if message.get("text") or message.get("body"):
            raise BrokenPipeError("gone")

    await StateFeed(stream)(scope, said.get, send)
    assert watchers(stream) == "0 observers>"


async def test_only_what_reads_is_served() -> None:
    _, stream = counter()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await StateFeed(stream)({"type": "http", "method": "POST"}, asyncio.Queue[Any]().get, send)
    assert sent[0]["status"] == 405
    with pytest.raises(NotImplementedError, match="lifespan"):
        await StateFeed(stream)({"type": "lifespan"}, asyncio.Queue[Any]().get, send)


def test_a_reader_that_hears_nothing_else_hears_a_sign_of_life() -> None:
    async def listen() -> list[bytes]:
        _, stream = counter()
        browser = Browser(StateFeed(stream), EVENTS)
        await browser.hear()
        signs = [(await browser.told.get())["body"] for _ in range(2)]
        browser.vanish()
        await browser.serving
        return signs

    assert run_virtual(listen()) == [b":\n\n"] * 2


def test_whoever_comes_first_at_a_signal_hands_it_on(ended: list[int]) -> None:
    came: list[str] = []
    undoing: list[Callable[[], None]] = [
        first_at(signal.SIGTERM, lambda: came.append("one")),
        first_at(signal.SIGTERM, lambda: came.append("two")),
    ]
    signal.raise_signal(signal.SIGTERM)
    undoing[0]()
    signal.raise_signal(signal.SIGTERM)
    undoing[1]()
    signal.raise_signal(signal.SIGTERM)
    assert came == ["one", "two", "two"]
    assert len(ended) == 3


def test_a_handler_that_came_over_ours_and_hands_on_to_it_is_no_circle(ended: list[int]) -> None:
    came: list[str] = []
    undoing = [first_at(signal.SIGTERM, lambda: came.append("early"))]
    ours: Any = signal.getsignal(signal.SIGTERM)

    def theirs(number: int, frame: object) -> None:
        came.append("theirs")
        ours(number, frame)

    signal.signal(signal.SIGTERM, theirs)
    undoing.append(first_at(signal.SIGTERM, lambda: came.append("late")))
    signal.raise_signal(signal.SIGTERM)
    undoing[0]()
    undoing[1]()
    assert signal.getsignal(signal.SIGTERM) is theirs
    signal.raise_signal(signal.SIGTERM)
    assert came == ["late", "theirs", "early", "theirs"]
    assert ended == [signal.SIGTERM] * 2


@pytest.mark.parametrize("number", [signal.SIGKILL, 0, 9_999])
def test_what_is_no_signal_is_refused(number: int) -> None:
    with pytest.raises(UTDStreamException, match="is no signal to be handled"):
        leave_on(number)


def test_what_would_have_to_be_awaited_is_refused() -> None:
    async def later(given: Any) -> Any: ...

    _, number = counter()
    given: list[tuple[Any, Any]] = [(later, str), (number, later)]
    for stream, shown in given:
        with pytest.raises(UTDStreamException, match="is not awaited"):
            StateFeed(stream, shown=shown)
