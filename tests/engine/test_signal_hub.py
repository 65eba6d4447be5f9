"""The hub on real sockets: who is let in, who is told what, and how each socket ends."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from attrs import Factory, define, evolve

from tests.engine.fakes import FakeClock, settle
from tests.engine.signalling import UNKNOWN, Wire, connected
from utd_rx.engine.rules import signal_book
from utd_rx.engine.rules.refusal import Reason, Refusal, banned
from utd_rx.engine.rules.signal_book import MAX_DEVICES, OFFLINE_SECONDS
from utd_rx.engine.rules.signal_socket import (
    AUTH_SECONDS,
    CLOSE_SECONDS,
    MAX_FRAMES,
    PING_SECONDS,
)
from utd_rx.engine.serving import GuestLimits, HttpServer, trust
from utd_rx.engine.signal_hub import SignalHub, Subscriber
from utd_rx.engine.signal_socket import MAX_FRAME_BYTES, SignalSocket
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType

CALL = UTDCall(
    "call_1",
    UTDCallStatus.INITIATING,
    UTDStreamType.AUDIO_CALL,
    room_name="call_1",
    token="secret",
    url="wss://media",
    caller_identity="sara",
    callee_identity="mona",
)
TOLD = {
    "call_id": "call_1",
    "status": "initiating",
    "type": "audio_call",
    "room_name": "call_1",
    "caller_identity": "sara",
    "callee_identity": "mona",
}
LIFETIME = 100.0


@define
class Stage:
    """A hub that is served; `mona/phone` is the bearer of Mona's phone."""

    clock: FakeClock
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    hub: SignalHub = Factory(lambda stage: SignalHub(stage.clock, stage), takes_self=True)
    url: str = ""
    posted: list[tuple[str, str]] = Factory(list)
    ringing: tuple[UTDCall, ...] = ()

    def post(self, event: str, **body: Any) -> None:
        self.posted.append((event, body["participant"]["identity"]))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        def admit(token: str) -> Subscriber:
            identity, _, device = token.partition("/")
            if not device:
                raise Refusal(Reason.UNAUTHORIZED, "no bearer")
            if identity == "mallory":
                raise banned()
            trust(request)
            return Subscriber(identity, device, self.clock.monotonic() + LIFETIME, self.ringing)

        return await self.hub.serve(request, admit)

    async def connect(self, token: str | None = None) -> Wire:
        return await self.stack.enter_async_context(connected(self.http, self.url, token))


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Serve a hub, with other limits for guests where they are given."""
    async with AsyncExitStack() as stack:

        async def open_(limits: GuestLimits | None = None) -> Stage:
            clock, http = FakeClock(), await stack.enter_async_context(aiohttp.ClientSession())
            stage = Stage(clock, http, stack)
            app = web.Application()
            app.router.add_route("GET", "/signal", stage.serve)
            server = HttpServer(app, "test", shutdown_timeout=1.0, limits=limits)
            listener = socket.create_server(("127.0.0.1", 0))
            stack.push_async_callback(server.aclose)
            await server.start(listener)
            stage.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/signal"
            return stage

        yield open_


@pytest.fixture
async def stage(opened: Open) -> Stage:
    return await opened()


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


async def test_a_guest_that_shows_nothing_is_gone_without_the_clock(opened: Open) -> None:
    stage = await opened(GuestLimits(seconds=0.2))
    known, silent = await stage.connect("mona/phone"), await stage.connect()
    assert await silent.end() == 1006
    await known.is_refused_politely()


async def test_a_guest_may_send_so_much(opened: Open) -> None:
    stage = await opened(GuestLimits(received=10_000))
    wire = await stage.connect()
    await wire.ws.send_str("x" * 20_000)
    assert await wire.end() == 1006


def sockets_alive() -> set[int]:
    """By id; a test that ended may have left some."""
    gc.collect()
    return {id(one) for one in gc.get_objects() if type(one) is SignalSocket}


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
