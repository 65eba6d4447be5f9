"""The hub on real sockets: who is let in, and who is told what."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import pytest

from tests.engine.fakes import settle
from tests.engine.hub_stage import CALL, LIFETIME, Stage, running_hub
from tests.engine.signalling import UNKNOWN
from utd_rx.engine.rules.signal_book import OFFLINE_SECONDS
from utd_rx.engine.rules.signal_socket import (
    AUTH_SECONDS,
)
from utd_rx.engine.serving import GuestLimits
from utd_rx.engine.signal_socket import SignalSocket

TOLD = {
    "call_id": "call_1",
    "status": "initiating",
    "type": "audio_call",
    "room_name": "call_1",
    "caller_identity": "sara",
    "callee_identity": "mona",
}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with running_hub() as found:
        yield found


# -- being let in


async def test_who_says_nothing_has_five_seconds(stage: Stage) -> None:
    hasty, silent = await stage.connect(), await stage.connect()
    await stage.clock.advance(AUTH_SECONDS - 0.001)
    await hasty.authenticate("mona/phone")
    await stage.clock.advance(0.001)
    assert await silent.end() == 4001
    await hasty.is_refused_politely()


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "[]",
        "{}",
        '"auth"',
        "[" * 100_000,
        '{"type": "auth"}',
        '{"type": "auth", "token": null}',
        '{"type": "auth", "token": 7}',
        '{"type": "auth", "token": ["mona/phone"]}',
        '{"type": "auth", "token": "nobody"}',
        '{"type": ["auth"], "token": "mona/phone"}',
        '{"type": "subscribe", "token": "mona/phone"}',
        b'{"type": "auth", "token": "mona/phone"}',
        b"\x00\xff",
    ],
)
async def test_a_first_frame_that_is_no_good_bearer_is_the_last(
    stage: Stage, frame: str | bytes
) -> None:
    wire = await stage.connect()
    await (wire.ws.send_str(frame) if isinstance(frame, str) else wire.ws.send_bytes(frame))
    assert await wire.end() == 4001
    assert stage.hub.devices("mona") == ()


async def test_who_is_banned_is_told_so(stage: Stage) -> None:
    wire = await stage.connect()
    await wire.say({"type": "auth", "token": "mallory/phone"})
    assert await wire.end() == 4003
    assert stage.posted == []


async def test_a_bearer_that_ends_ends_its_socket(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    await stage.clock.advance(LIFETIME)
    assert await wire.end() == 4001


async def test_a_guest_that_shows_nothing_is_gone_without_the_clock() -> None:
    async with running_hub(GuestLimits(seconds=0.2)) as stage:
        known, silent = await stage.connect("mona/phone"), await stage.connect()
        assert await silent.end() == 1006
        await known.is_refused_politely()


async def test_a_guest_may_send_so_much() -> None:
    async with running_hub(GuestLimits(received=10_000)) as stage:
        wire = await stage.connect()
        await wire.ws.send_str("x" * 20_000)
        assert await wire.end() == 1006


def sockets_alive() -> set[int]:
    """By id; a test that ended may have left some."""
    gc.collect()
    return {id(one) for one in gc.get_objects() if type(one) is SignalSocket}


@pytest.mark.long
async def test_nothing_is_kept_of_whoever_was_there(stage: Stage) -> None:
    before = sockets_alive()
    for token in (None, None, "mallory", "mona/phone", "mona/phone"):
        wire = await stage.connect()
        if token is not None:
            await wire.say({"type": "auth", "token": token})
        await wire.ws.close()
    del wire
    await settle()
    await stage.clock.advance(OFFLINE_SECONDS)
    assert [timer for timer in stage.clock.timers if not timer.is_cancelled] == []
    await stage.clock.advance(LIFETIME)  # the clock forgets the cancelled ones, too
    assert sockets_alive() <= before


async def test_nothing_is_decompressed(stage: Stage) -> None:
    async with stage.http.ws_connect(stage.url, compress=15) as ws:
        assert not ws.compress


# -- being told


async def test_what_rings_is_told_after_auth_ok(stage: Stage) -> None:
    stage.ringing = (CALL,)
    wire = await stage.connect("mona/phone")
    assert await wire.hear() == {"type": "call_incoming", "call": TOLD}


async def test_every_device_is_told_but_one_and_nobody_else(stage: Stage) -> None:
    phone, laptop = await stage.connect("mona/phone"), await stage.connect("mona/laptop")
    other, stranger = await stage.connect("omar/phone"), await stage.connect()
    assert stage.hub.devices("mona") == ("phone", "laptop")
    stage.hub.tell("mona", "accepted", CALL, except_device="phone")
    assert await laptop.hear() == {"type": "call_accepted", "call": TOLD}
    await phone.is_refused_politely()
    await other.is_refused_politely()
    await stranger.say(UNKNOWN)
    assert await stranger.end() == 4001


async def test_frames_come_in_the_order_in_which_they_were_told(stage: Stage) -> None:
    wire = await stage.connect("mona/phone")
    kinds = ["incoming", "ringing", "accepted", "ended"]
    for kind in kinds:
        stage.hub.tell("mona", kind, CALL)
    assert [(await wire.hear())["type"] for _ in kinds] == [f"call_{kind}" for kind in kinds]


async def test_telling_somebody_without_a_socket_does_nothing(stage: Stage) -> None:
    stage.hub.tell("mona", "incoming", CALL)
    wire = await stage.connect("mona/phone")
    await wire.is_refused_politely()


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "auth", "token": "mona/phone"},
        {"type": "whatever"},
        {},
        [],
        None,
        {"type": {"type": "auth"}},
    ],
)
async def test_an_unknown_frame_is_answered_and_does_no_harm(stage: Stage, frame: object) -> None:
    wire = await stage.connect("mona/phone")
    await wire.say(frame)
    answer = await wire.hear()
    assert (answer["type"], type(answer["message"])) == ("error", str)
    stage.hub.tell("mona", "incoming", CALL)
    assert (await wire.hear())["type"] == "call_incoming"


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b'{"type": "auth", "token": "mona/phone"}'])
async def test_a_binary_frame_is_an_unknown_one(stage: Stage, data: bytes) -> None:
    wire = await stage.connect("mona/phone")
    await wire.ws.send_bytes(data)
    assert (await wire.hear())["type"] == "error"
