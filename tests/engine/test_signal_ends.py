"""The hub on real sockets: how each of them ends, and who counts as online."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType
from attrs import evolve

from tests.engine.fakes import settle
from tests.engine.hub_stage import CALL, Stage, running_hub
from tests.engine.signalling import UNKNOWN
from utd_rx.engine.rules import signal_book
from utd_rx.engine.rules.signal_book import MAX_DEVICES, OFFLINE_SECONDS
from utd_rx.engine.rules.signal_socket import (
    CLOSE_SECONDS,
    MAX_FRAMES,
    PING_SECONDS,
)
from utd_rx.engine.signal_socket import MAX_FRAME_BYTES
from utd_rx.models.frozen_map import FrozenMap


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with running_hub() as found:
        yield found


# -- ending


async def test_the_same_device_replaces_its_socket(stage: Stage) -> None:
    first, other = await stage.connect("mona/phone"), await stage.connect("mona/laptop")
    second = await stage.connect("mona/phone")
    assert await first.end() == 4008
    stage.hub.tell("mona", "incoming", CALL)
    assert (await second.hear())["type"] == (await other.hear())["type"] == "call_incoming"
    assert stage.hub.devices("mona") == ("laptop", "phone")


async def test_a_ban_closes_every_device_of_one_user(stage: Stage) -> None:
    wires = [await stage.connect(token) for token in ("mona/phone", "mona/laptop", "omar/phone")]
    stage.hub.tell("mona", "ended", CALL)
    stage.hub.evict("mona")
    assert (await wires[0].hear())["type"] == "call_ended"  # what was told before comes first
    assert [await wire.end() for wire in wires[:2]] == [4003, 4003]
    await wires[2].is_refused_politely()


async def test_who_answers_no_ping_is_gone(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    await stage.clock.advance(PING_SECONDS)
    await wire.is_asked()
    await wire.is_refused_politely()  # so the pong was read, which came before
    await stage.clock.advance(PING_SECONDS)
    assert (await wire.next()).type is WSMsgType.PING
    await stage.clock.advance(PING_SECONDS - 0.001)
    assert stage.hub.devices("mona") == ("phone",)
    await stage.clock.advance(0.001)
    assert await wire.end() == 1006
    await settle()
    assert stage.hub.devices("mona") == ()


async def test_a_ping_of_the_clients_is_answered(stage: Stage) -> None:
    wire = await stage.connect()
    await wire.ws.ping(b"there?")
    answer = await wire.next()
    assert (answer.type, answer.data) == (WSMsgType.PONG, b"there?")


@pytest.mark.parametrize("token", [None, "mona/phone"])
async def test_a_frame_too_large_closes(stage: Stage, token: str | None) -> None:
    wire = await stage.connect(token)
    await wire.ws.send_str("x" * (MAX_FRAME_BYTES + 1))
    assert await wire.end() == 1009


async def test_a_frame_just_not_too_large_is_answered(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    await wire.ws.send_str("x" * (MAX_FRAME_BYTES - 1))
    assert (await wire.hear())["type"] == "error"


async def test_text_that_is_none_closes(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    await wire.ws.send_frame(b"\xff\xfe", WSMsgType.TEXT)
    assert await wire.end() == 1007


@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PONG, WSMsgType.PING])
async def test_a_flood_closes(stage: Stage, kind: WSMsgType) -> None:
    wire, other = await stage.connect("mona/phone"), await stage.connect("omar/phone")
    for _ in range(MAX_FRAMES + 1):
        await wire.ws.send_frame(b"{}", kind)
    assert await wire.end() == 1008
    await other.is_refused_politely()


async def test_who_does_not_read_is_cut_off_and_nobody_waits(stage: Stage) -> None:
    slow, quick = await stage.connect("mona/phone"), await stage.connect("mona/laptop")
    large = evolve(CALL, metadata=FrozenMap({"text": "x" * 4000}))
    told = 0
    while "phone" in stage.hub.devices("mona"):
        stage.hub.tell("mona", "incoming", large)
        told += 1
        assert told < 10_000  # 40 MB: no bound would be found otherwise
        assert (await quick.hear())["call"]["metadata"]["text"]
        await settle()
    assert await slow.end() == 1006
    await quick.is_refused_politely()


async def test_a_close_that_is_not_answered_ends_in_time(stage: Stage) -> None:
    await stage.connect("mona/phone")  # which reads nothing
    stage.hub.evict("mona")
    await settle()
    assert stage.hub.devices("mona") == ()
    await stage.clock.advance(CLOSE_SECONDS)
    reached = await stage.connect("mona/phone")
    await reached.is_refused_politely()


async def test_a_socket_that_just_ends_is_forgotten(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    await wire.ws.close()
    await settle()
    assert stage.hub.devices("mona") == ()


async def test_one_device_too_many_closes_the_oldest(stage: Stage) -> None:
    wires = [await stage.connect(f"mona/{number}") for number in range(MAX_DEVICES + 1)]
    assert await wires[0].end() == 4008
    assert len(stage.hub.devices("mona")) == MAX_DEVICES
    for wire in wires[1:]:
        await wire.is_refused_politely()


async def test_when_there_are_too_many_a_new_one_is_to_try_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_book, "MAX_SOCKETS", 1)
    first, second = await stage.connect("mona/phone"), await stage.connect()
    await second.say({"type": "auth", "token": "omar/phone"})
    assert await second.end() == 1013
    await first.is_refused_politely()
    assert stage.posted == [("user_online", "mona")]


async def test_an_engine_that_ends_closes_all_and_says_of_nobody_that_they_went(
    stage: Stage,
) -> None:
    known, guest = await stage.connect("mona/phone"), await stage.connect()
    stage.hub.close()
    assert (await known.end(), await guest.end()) == (1001, 1001)
    assert await (await stage.connect()).end() == 1001
    await stage.clock.advance(60)
    assert stage.posted == [("user_online", "mona")]


async def test_who_comes_while_the_engine_ends_is_not_taken(stage: Stage) -> None:
    wire = await stage.connect()
    await wire.ws.send_json({"type": "auth", "token": "mona/phone"})
    stage.hub.close()
    assert await wire.end() == 1001
    assert stage.posted == []


# -- presence


async def test_online_is_the_first_socket_and_offline_five_seconds_after_the_last(
    stage: Stage,
) -> None:
    phone = await stage.connect("mona/phone")
    laptop = await stage.connect("mona/laptop")
    await phone.ws.close()
    await settle()
    await stage.clock.advance(60)
    assert stage.posted == [("user_online", "mona")]
    await laptop.ws.close()
    await settle()
    await stage.clock.advance(OFFLINE_SECONDS - 0.001)
    assert stage.posted == [("user_online", "mona")]
    await stage.clock.advance(0.001)
    assert stage.posted == [("user_online", "mona"), ("user_offline", "mona")]


async def test_who_reconnects_in_time_was_never_away(stage: Stage) -> None:
    for _ in range(3):
        wire = await stage.connect("mona/phone")
        await wire.ws.close()
        await settle()
        await stage.clock.advance(OFFLINE_SECONDS - 0.001)
    assert stage.posted == [("user_online", "mona")]


async def test_a_stranger_is_nobodys_presence(stage: Stage) -> None:
    wire = await stage.connect()
    await wire.ws.send_str(json.dumps(UNKNOWN))
    assert await wire.end() == 4001
    await stage.clock.advance(60)
    assert stage.posted == []
