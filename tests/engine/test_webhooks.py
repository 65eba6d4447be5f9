"""Webhooks reach a real receiver in order, signed, and are tried again as the contract says."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from tests.engine.backend import PATIENCE, SECRET, Backend, running_backend
from tests.engine.fakes import FakeClock
from tests.fixtures import wire_fixture
from utd_rx.engine.webhooks import (
    MAX_WAITING,
    MAX_WAITING_BYTES,
    PAUSES,
    TRY_SECONDS,
    WebhookSender,
    pause_after,
)


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running_backend() as found:
        yield found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def sender(backend: Backend, clock: FakeClock) -> AsyncIterator[WebhookSender]:
    made = WebhookSender(backend.url, SECRET, clock)
    try:
        yield made
    finally:
        await made.aclose()


async def pass_time(clock: FakeClock, seconds: float) -> None:
    """Wait until the sender pauses, and let so much time pass."""
    async with asyncio.timeout(PATIENCE):
        await clock.somebody_sleeps.wait()
    clock.somebody_sleeps.clear()
    await clock.advance(seconds)


@pytest.mark.parametrize(
    ("attempt", "status", "pause"),
    [
        (1, 200, None),
        (1, 204, None),
        (1, 400, None),
        (1, 404, None),
        (1, 429, None),
        (1, None, 2.0),
        (1, 301, 2.0),
        (1, 500, 2.0),
        (2, 503, 4.0),
        (3, 500, 8.0),
        (4, 500, 16.0),
        (5, None, 32.0),
        (6, None, None),
        (6, 500, None),
        (6, 200, None),
    ],
)
def test_when_one_is_tried_again(attempt: int, status: int | None, pause: float | None) -> None:
    assert pause_after(attempt, status) == pause


async def test_an_event_comes_as_the_fixture_has_it(
    backend: Backend, sender: WebhookSender
) -> None:
    expected = wire_fixture("webhooks")["ours"]["user_online"]
    sender.start()
    sender.post("user_online", participant={"identity": "mona"})
    got = await backend.next()
    assert set(got.body) == set(expected)
    assert got.body["participant"] == expected["participant"]
    assert got.body["created_at"] == "2027-01-15T08:16:40.000Z"
    assert got.body["id"].startswith("evt_")
    assert got.attempt == "1"


async def test_events_come_in_order_and_each_once(backend: Backend, sender: WebhookSender) -> None:
    for number in range(50):
        sender.post("room_started", number=number)
    sender.start()
    for number in range(50, 100):
        sender.post("room_started", number=number)
    got = [await backend.next() for _ in range(100)]
    assert [one.body["number"] for one in got] == list(range(100))
    assert len({one.body["id"] for one in got}) == 100
    assert backend.got.empty()


async def test_an_id_of_the_events_own_stays(backend: Backend, sender: WebhookSender) -> None:
    sender.start()
    sender.post("room_started", id="EV_1")
    assert (await backend.next()).body["id"] == "EV_1"


async def test_one_that_is_not_taken_comes_six_times_and_the_next_waits(
    backend: Backend, sender: WebhookSender, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    backend.statuses = [500, 503, 500, 302, 500, 500]
    sender.start()
    sender.post("call_initiated")
    sender.post("call_accepted")
    tries = []
    for pause in PAUSES:
        tries.append(await backend.next())
        await pass_time(clock, pause - 0.001)
        assert backend.got.empty()  # not a moment too early
        await clock.advance(0.001)
    with caplog.at_level(logging.WARNING):
        tries.append(await backend.next())
        after = await backend.next()
    assert [one.attempt for one in tries] == ["1", "2", "3", "4", "5", "6"]
    assert {one.event for one in tries} == {"call_initiated"}
    assert len({one.body["id"] for one in tries}) == 1
    assert (after.event, after.attempt) == ("call_accepted", "1")
    assert "given up" in caplog.text
    assert backend.url not in caplog.text


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429])
async def test_one_that_is_refused_is_not_sent_again(
    backend: Backend, sender: WebhookSender, status: int
) -> None:
    backend.statuses = [status]
    sender.start()
    sender.post("first")
    sender.post("second")
    assert [(await backend.next()).event for _ in range(2)] == ["first", "second"]


async def test_a_backend_that_does_not_answer_has_five_seconds(
    backend: Backend, sender: WebhookSender, clock: FakeClock
) -> None:
    backend.is_mute = True
    sender.start()
    sender.post("user_online")
    await backend.next()
    await clock.advance(TRY_SECONDS - 0.001)
    assert not clock.somebody_sleeps.is_set()
    await clock.advance(0.001)
    backend.is_mute = False
    await pass_time(clock, PAUSES[0])
    assert (await backend.next()).attempt == "2"


async def test_a_backend_that_is_not_there_yet_is_tried_again(clock: FakeClock) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    listener.close()
    sender = WebhookSender(f"http://{host}:{port}/", SECRET, clock)
    sender.start()
    try:
        sender.post("user_online")
        for pause in PAUSES:
            await pass_time(clock, pause)
    finally:
        await sender.aclose()
    assert clock.now == 1000.0 + sum(PAUSES)


async def test_at_most_a_thousand_wait_and_the_oldest_are_dropped(
    backend: Backend, sender: WebhookSender, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MAX_WAITING + 3):
        sender.post("room_started", number=number)
    assert len(caplog.records) == 3
    sender.start()
    got = [await backend.next() for _ in range(MAX_WAITING)]
    assert [one.body["number"] for one in got] == list(range(3, MAX_WAITING + 3))


async def test_at_most_eight_mebibytes_wait_and_the_oldest_are_dropped(
    backend: Backend, sender: WebhookSender, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(12):
        sender.post("room_started", number=number, text="x" * (MAX_WAITING_BYTES // 10))
    assert len(caplog.records) == 3  # nine of ten, with what is around the text
    sender.start()
    got = [await backend.next() for _ in range(9)]
    assert [one.body["number"] for one in got] == list(range(3, 12))


async def test_closing_waits_for_nobody(
    backend: Backend, sender: WebhookSender, caplog: pytest.LogCaptureFixture
) -> None:
    backend.is_mute = True
    sender.start()
    sender.post("first")
    sender.post("second")
    await backend.next()
    await sender.aclose()
    await sender.aclose()
    assert backend.got.empty()
    assert "1 webhooks were not sent" in caplog.text
