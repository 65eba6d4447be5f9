"""Data waits its turn: a few messages with LiveKit, the others in order, and a clock for each."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.rtc._proto.participant_pb2 import ParticipantPermission
from livekit.rtc.participant import PublishDataError

from tests.rtc.bench import Party
from tests.state.virtual import run
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.ports.data import DataMessage
from utd_rx.rtc.outbox import MAX_UNDER_WAY, SEND_TIMEOUT, Outbox


class Native:
    """LiveKit's local participant: takes messages, and answers after `delay` seconds."""

    def __init__(self, delay: float = 1.0) -> None:
        self.permissions = ParticipantPermission(can_publish_data=True)
        self.delay = delay
        self.taken: list[bytes] = []
        self.under_way = self.most = 0

    async def publish_data(self, data: bytes, **_: Any) -> None:
        self.taken.append(data)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.under_way -= 1


def outbox(native: Native) -> tuple[Outbox, asyncio.Future[None]]:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    room: Any = SimpleNamespace(local_participant=native)
    return Outbox(room, ended), ended


async def send_all(box: Outbox, count: int) -> list[UTDStreamException | None]:
    sending = (box.send(DataMessage(b"%d" % number)) for number in range(count))
    answers = await asyncio.gather(*sending, return_exceptions=True)
    return [answer if isinstance(answer, UTDStreamException) else None for answer in answers]


def test_the_time_counts_from_when_livekit_has_it_and_order_is_kept() -> None:
    async def flood() -> None:
        native = Native(delay=SEND_TIMEOUT / 2)
        count = 6 * MAX_UNDER_WAY  # the last are handed over long after their time, if it ran now
        assert await send_all(outbox(native)[0], count) == [None] * count
        assert native.taken == [b"%d" % number for number in range(count)]
        assert native.most == MAX_UNDER_WAY

    run(flood())


def test_what_was_handed_over_and_not_answered_may_have_been_sent() -> None:
    async def send() -> None:
        native = Native(delay=3 * SEND_TIMEOUT)
        (error,) = await send_all(outbox(native)[0], 1)
        assert error is not None
        assert error.code is UTDErrorCode.TIMEOUT
        assert "not known whether" in error.message
        assert native.under_way == 0

    run(send())


async def test_the_end_of_the_connection_says_which_were_sent_for_certain_not() -> None:
    native = Native()
    box, ended = outbox(native)
    sending = asyncio.ensure_future(send_all(box, MAX_UNDER_WAY + 20))
    while native.under_way < MAX_UNDER_WAY:  # noqa: ASYNC110 - turns of the loop, no time
        await asyncio.sleep(0)
    ended.set_result(None)
    errors = [error for error in await sending if error is not None]
    codes = [error.code for error in errors]
    assert codes == [UTDErrorCode.TIMEOUT] * MAX_UNDER_WAY + [UTDErrorCode.CONFLICT] * 20
    assert {error.reason for error in errors[MAX_UNDER_WAY:]} == {ConflictReason.LEFT}
    assert len(native.taken) == MAX_UNDER_WAY


async def test_who_is_cancelled_gives_the_turn_to_the_next() -> None:
    native = Native(delay=0.0)
    box, _ = outbox(native)
    first = [asyncio.ensure_future(box.send(DataMessage(b"x"))) for _ in range(MAX_UNDER_WAY)]
    second = asyncio.ensure_future(box.send(DataMessage(b"never")))
    third = asyncio.ensure_future(box.send(DataMessage(b"third")))
    await asyncio.sleep(0)
    for task in (first[0], second):
        task.cancel()
    await asyncio.wait([*first, second])
    await third
    assert b"never" not in native.taken
    assert native.taken[-1] == b"third"


async def test_what_the_server_or_livekit_refuses_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    native = Native()
    box, _ = outbox(native)

    async def refuse(*_: Any, **__: Any) -> None:
        raise PublishDataError("no\n\x1b[2J")

    monkeypatch.setattr(native, "publish_data", refuse)
    (error,) = await send_all(box, 1)
    assert error is not None
    assert error.code is UTDErrorCode.SERVER
    assert error.message == "Sending failed: no \ufffd[2J."
    assert (error.__cause__, error.__context__) == (None, None)  # LiveKit's own words, raw
    native.permissions = ParticipantPermission(can_publish_data=False)
    (error,) = await send_all(box, 1)
    assert error is not None
    assert error.code is UTDErrorCode.FORBIDDEN


@pytest.mark.long
async def test_a_flood_arrives_whole_and_in_order(party: Party) -> None:
    ann, ann_ear = await party.join("ann")
    _, ear = await party.join("bob")
    await ann_ear.wait(ev.ParticipantActive, lambda event: event.identity == "bob")
    sent = [b"%d" % number for number in range(1_000)]
    await asyncio.gather(*(ann.send_data(data) for data in sent))
    await ear.wait(ev.DataReceived, lambda event: event.payload == sent[-1])
    assert [event.payload for event in ear.of(ev.DataReceived)] == sent
