"""Joining: giving up is safe, and LiveKit's texts become codes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import traceback
from typing import Any, cast

import pytest
from livekit import rtc

from tests.state.virtual import run
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import secrets
from utd_rx.models.secrets import printable
from utd_rx.rtc import connector, last_resort
from utd_rx.rtc.connector import Address, Connector, classify

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJxIiwidmlkZW8iOnsicm9vbSI6InIifX0.oFp00v9TxckhySnhHlyKUKEL"

TEXTS = [
    # As measured with livekit 1.2.0 against real and crippled servers.
    ("transport connection error: IO error: Connection refused (os error 111)", "NETWORK"),
    ("transport connection error: IO error: Connection reset by peer (os error 104)", "NETWORK"),
    ("transport connection error: IO error: failed to lookup address information", "NETWORK"),
    ("transport connection error: IO error: received corrupt message of type X", "NETWORK"),
    ("failed to parse the url: relative URL without a base", "VALIDATION"),
    ("failed to parse the url: unsupported scheme: ftp", "VALIDATION"),
    ("client error: 401 Unauthorized - invalid authorization token", "UNAUTHORIZED"),
    (f"client error: 401 Unauthorized - invalid token: {JWT}, error: x", "UNAUTHORIZED"),
    ("client error: 401 Unauthorized - permissions denied", "UNAUTHORIZED"),
    ("client error: 400 Bad Request - ", "VALIDATION"),
    ("client error: 403 Forbidden - ", "FORBIDDEN"),
    ("client error: 404 Not Found - ", "NOT_FOUND"),
    ("client error: 429 Too Many Requests - ", "RATE_LIMITED"),
    ("server error: 500 Internal Server Error - ", "SERVER"),
    ("server error: 502 Bad Gateway - ", "SERVER"),
    ("server error: 503 Service Unavailable - ", "SERVER"),
    ("handshake error: 500 Internal Server Error", "SERVER"),
    ("transport timed out", "TIMEOUT"),
    # A number elsewhere is in somebody's body.
    ("client error: 400 Bad Request - room 401 is full", "VALIDATION"),
    ("server error: 503 Service Unavailable - error 429", "SERVER"),
    ("server error: 502 Bad Gateway - client error: 404 Not Found", "SERVER"),
    ("transport connection error: IO error: client error: 404 Not Found", "NETWORK"),
    ("handshake error: 302 Found", "UNKNOWN"),
    ("transport connection error: Proxy connection failed: HTTP/1.1 403 Forbidden", "NETWORK"),
]


@pytest.mark.parametrize(("text", "code"), TEXTS)
def test_livekits_texts_become_codes(text: str, code: str) -> None:
    error = classify(f"engine: signal failure: {text}")
    assert error.code is UTDErrorCode[code]
    assert not set(JWT.split(".")) & set(re.split("[^-_A-Za-z0-9]", error.message))


@pytest.mark.parametrize("dot", [".", "%2E", "%2e"])
def test_a_token_is_hidden_however_a_server_quotes_it_and_wherever_it_is_cut(dot: str) -> None:
    token = "a-part-of-it.that-is-secret.and-its-signature"
    for padding in (*range(0, 540, 4), 3_990):  # whatever of it is told, a cut may be within
        quoted = "x " * (padding // 2) + token.replace(".", dot)
        error = classify(f"client error: 400 Bad Request - {quoted}", token)
        assert error.code is UTDErrorCode.VALIDATION
        assert not any(part in error.message for part in ("a-part", "that-is", "and-its"))


def test_a_body_of_any_size_costs_nothing_and_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []

    def counted(text: str) -> str:
        looked_at.append(len(text))
        return printable(text)

    monkeypatch.setattr(secrets, "printable", counted)
    for body in (
        "x" * 2_000_000,
        "eyJ" * 700_000,
        "a." * 1_000_000,
        "\n\u202e\x1b[2J\ud800" * 1_000,
    ):
        begun = time.process_time()
        error = classify(f"server error: 503 Service Unavailable - {body}", JWT)
        assert time.process_time() - begun < 1.0  # the old pattern took 45 s for a tenth of it
        assert error.code is UTDErrorCode.SERVER
        assert len(error.message) < 700
        assert error.message.isprintable()
    assert max(looked_at) <= 8 * secrets.MAX_TEXT


def test_an_unheard_text_is_unknown() -> None:
    assert classify("the moon is full").code is UTDErrorCode.UNKNOWN


def test_an_os_error_number_is_no_http_status() -> None:
    assert classify("engine: signal failure: IO error: (os error 111)").code is UTDErrorCode.NETWORK


class SlowRoom:
    """LiveKit's room as far as joining needs it; joins when told to."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.was_called = self.was_cancelled = False
        self.left = asyncio.Event()

    async def connect(self, *_: object) -> None:
        self.was_called = True
        try:
            await self.answer
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    async def disconnect(self) -> None:
        self.left.set()


class DeafRoom(SlowRoom):
    """One that LiveKit goes on to listen to when it is over."""

    def __init__(self) -> None:
        super().__init__()
        self._task = asyncio.create_task(asyncio.Event().wait(), name="listens for ever")

    @property
    def listening(self) -> asyncio.Task[Any]:
        return self._task


async def join(
    room: SlowRoom, joins: Connector, given_up: asyncio.Future[None] | None = None, **how: Any
) -> str:
    given_up = given_up or asyncio.get_running_loop().create_future()
    address = Address("url", JWT)
    return await joins.join(cast("rtc.Room", room), address, lambda: "joined", given_up, **how)


def leftovers() -> set[str]:
    """The joins that were given up and are not undone yet."""
    return {task.get_name() for task in asyncio.all_tasks() if "undo" in task.get_name()}


async def test_a_join_returns_what_was_taken_at_once() -> None:
    room, joins = SlowRoom(), Connector()
    task = asyncio.create_task(join(room, joins))
    await asyncio.sleep(0)
    room.answer.set_result(None)
    assert await task == "joined"
    assert not leftovers()


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_cancelled_join_goes_on_and_is_undone(succeeds: bool) -> None:
    room, joins = SlowRoom(), Connector()
    task = asyncio.create_task(join(room, joins))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert leftovers() == {"utd_rx.rtc: undo a late join"}
    if succeeds:
        room.answer.set_result(None)
    else:
        room.answer.set_exception(rtc.ConnectError("transport timed out"))
    await joins.aclose()
    assert room.left.is_set()
    assert not room.was_cancelled
    assert not leftovers()


async def test_a_caller_cancelled_as_the_join_succeeds_leaves_no_ghost() -> None:
    room, joins = SlowRoom(), Connector()
    task = asyncio.create_task(join(room, joins))
    await asyncio.sleep(0)
    room.answer.set_result(None)
    await asyncio.sleep(0)  # the native join is done, its caller does not know yet
    task.cancel()
    await asyncio.wait([task])
    await joins.aclose()
    assert task.cancelled() is room.left.is_set()


class Refusing(SlowRoom):
    """One that fails for these reasons, and then is joined."""

    def __init__(self, *reasons: str) -> None:
        super().__init__()
        self.answer.set_result(None)
        self.reasons, self.joins = list(reasons), 0

    async def connect(self, *of: object) -> None:
        self.joins += 1
        if self.reasons:
            raise rtc.ConnectError(self.reasons.pop(0))
        await super().connect(*of)


async def test_a_join_that_could_not_be_made_is_repeated() -> None:
    refused = "engine: signal failure: transport connection error: IO error: Connection refused"
    room = Refusing(*[refused] * 3)
    assert await join(room, Connector()) == "joined"
    assert room.joins == 4


@pytest.mark.parametrize(
    "reason",
    [
        "engine: connection error: wait_pc_connection timed out",
        "engine: signal failure: client error: 401 Unauthorized - invalid authorization token",
    ],
)
async def test_a_join_that_was_let_in_is_not_repeated(reason: str) -> None:
    """Nor one that is refused: it may have been put out for a later one of its identity."""
    room = Refusing(reason)
    with pytest.raises(UTDStreamException):
        await join(room, Connector())
    assert room.joins == 1


async def test_whatever_livekit_raises_is_typed_and_shows_no_token() -> None:
    room, joins = SlowRoom(), Connector()
    room.answer.set_exception(RuntimeError(f"a panic at {JWT}, and what to do"))
    with pytest.raises(UTDStreamException, match=r"RuntimeError: a panic.*what to do") as caught:
        await join(room, joins)
    assert caught.value.code is UTDErrorCode.UNKNOWN
    assert JWT not in "".join(traceback.format_exception(caught.value))


async def test_the_deadline_is_typed_and_leaves_the_join_to_its_keeper() -> None:
    room, joins = SlowRoom(), Connector()
    with pytest.raises(UTDStreamException) as caught:
        await join(room, joins, timeout=0)
    assert caught.value.code is UTDErrorCode.TIMEOUT
    # All that a machine without a network notices (docs/livekit.md, "Errors without a type").
    assert "only network interface is lo" in caught.value.message
    room.answer.set_result(None)
    await joins.aclose()
    assert room.left.is_set()


async def test_a_join_waits_for_the_one_given_up_before() -> None:
    """Or, for one identity, LiveKit's retry of the first would push out the second 15 s later."""
    first, second, joins = SlowRoom(), SlowRoom(), Connector()
    with pytest.raises(UTDStreamException):
        await join(first, joins, timeout=0)
    task = asyncio.create_task(join(second, joins))
    with pytest.raises(UTDStreamException) as caught:
        await join(SlowRoom(), joins, timeout=0)
    assert caught.value.code is UTDErrorCode.TIMEOUT
    assert not second.was_called
    first.answer.set_result(None)
    await first.left.wait()
    second.answer.set_result(None)
    assert await task == "joined"


async def test_giving_up_is_a_conflict() -> None:
    room, joins = SlowRoom(), Connector()
    given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(join(room, joins, given_up))
    await asyncio.sleep(0)
    given_up.set_result(None)
    with pytest.raises(UTDStreamException) as caught:
        await task
    assert caught.value.code is UTDErrorCode.CONFLICT
    room.answer.set_result(None)
    await joins.aclose()
    assert room.left.is_set()


async def test_closing_waits_for_late_joins_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector, "LEFTOVER_TIMEOUT", 0)
    room, joins = SlowRoom(), Connector()
    with pytest.raises(UTDStreamException):
        await join(room, joins, timeout=0)
    await joins.aclose()
    assert leftovers()
    room.answer.set_result(None)
    await room.left.wait()


def test_whoever_closes_a_join_given_up_waits_for_it_together() -> None:
    async def wait() -> list[float]:
        room, joins = SlowRoom(), Connector()
        with pytest.raises(UTDStreamException):
            await join(room, joins, timeout=1)
        ended = []
        for _ in range(3):
            await joins.aclose()
            ended.append(asyncio.get_running_loop().time())
        room.answer.set_result(None)
        await room.left.wait()
        return ended

    assert run(wait()) == [1 + connector.LEFTOVER_TIMEOUT] * 3


async def test_nobody_listens_to_a_room_that_was_left() -> None:
    room = DeafRoom()
    await connector.leave(cast("rtc.Room", room))
    assert room.listening.cancelled()


async def test_a_loop_that_ends_hands_its_join_over(monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over: list[str] = []
    monkeypatch.setattr(last_resort, "take_back", handed_over.append)
    room, joins = SlowRoom(), Connector()
    task = asyncio.create_task(join(room, joins))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the native join is under way
    for leftover in asyncio.all_tasks() - {asyncio.current_task(), task}:
        leftover.cancel()  # as `asyncio.run` does at its end
    await asyncio.wait([task])
    assert handed_over == [JWT]
    await joins.aclose()


def test_importing_the_room_does_not_load_livekit() -> None:
    code = (
        "import utd_rx.rtc.room, sys;"
        "sys.exit(any(m.split('.')[0] == 'livekit' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
