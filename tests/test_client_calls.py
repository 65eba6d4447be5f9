"""What `UTDStreamClient` hears of calls: from `authenticate` on, as one user, until it closes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from tests.rest.engines import ScriptedEngine, reply, scripted_engine
from tests.rest.signal_engine import signal_engine
from tests.sessions.stage import TONE
from utd_rx import ConflictReason, UTDErrorCode, UTDStreamClient, UTDStreamException, UTDStreamType
from utd_rx.models.call import IncomingCall
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.room import RoomPort
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import PATIENCE, refusal
from utd_rx.testing.contracts.signal import a_call
from utd_rx.testing.room import FakeRoom
from utd_rx.testing.signal import FakeSignal
from utd_rx.video import TestPattern

URL = "ws://127.0.0.1:1/api/v1/signal"
ME = "mona"
PUBLISHABLE = ("1234567890", "0123456789abcdef")


def session(token: str = "bearer1") -> dict[str, object]:
    return {"user_token": token, "ws_url": URL}


class Desk:
    """Makes clients of an engine that answers as it is told, on sockets that are fakes."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.socket = FakeSignal()
        self.clients: list[UTDStreamClient] = []
        engine.will(reply(session()))

    def client(
        self,
        signal: FakeSignal | None = None,
        clock: Clock | None = None,
        make_room: Callable[[], RoomPort] | None = None,
    ) -> UTDStreamClient:
        made = UTDStreamClient(
            *PUBLISHABLE,
            base_url=self.engine.base_url,
            token_base_url=self.engine.base_url,
            signal=signal or self.socket,
            clock=clock or self.clock,
            make_room=make_room,
        )
        self.clients.append(made)
        return made


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with scripted_engine() as engine:
        desk = Desk(engine)
        yield desk
        for client in desk.clients:
            await client.aclose()
    assert desk.socket.live == 0


async def signed_in(desk: Desk, identity: str = ME) -> UTDStreamClient:
    client = desk.client()
    await client.authenticate(identity)
    await client.signal_connected.until(True, timeout=PATIENCE)
    return client


async def test_nothing_is_heard_before_somebody_signs_in(desk: Desk) -> None:
    client = desk.client()
    assert not client.signal_connected.value
    assert (client.ringing_calls.value, desk.socket.dialled, desk.engine.seen) == ((), [], [])


async def test_authenticating_brings_the_socket_up_with_the_bearer(desk: Desk) -> None:
    client = await signed_in(desk)
    assert desk.socket.dialled == ["bearer1"]
    [mint] = desk.engine.seen
    assert (mint.raw_path, mint.body["identity"]) == ("/api/v1/auth/session", ME)
    assert (client.identity, client.signal_failure.value) == (ME, None)
    assert "bearer1" not in f"{client!r} {client.signal_connected!r}"


async def test_a_client_is_one_device_unless_it_is_given_another(desk: Desk) -> None:
    one, other = desk.client(), desk.client(signal=FakeSignal())
    await one.authenticate(ME)
    await one.authenticate(ME)
    await other.authenticate(ME)
    await one.authenticate(ME, device_id="kiosk-7")
    devices = [mint.body["device_id"] for mint in desk.engine.seen]
    assert len(devices[0]) == 16
    assert devices[0] == devices[1] != devices[2]
    assert devices[3] == "kiosk-7"


@pytest.mark.parametrize("more", [{"ws_url": None}, {"signaling_enabled": False}])
async def test_an_engine_without_a_socket_is_no_failure(
    desk: Desk, more: dict[str, object]
) -> None:
    desk.engine.will(reply({**session(), **more}))
    client = desk.client()
    await client.authenticate(ME)
    assert (client.signal_connected.value, desk.socket.dialled) == (False, [])
    assert client.signal_failure.value is None


async def test_incoming_calls_are_heard_and_kept_while_they_ring(desk: Desk) -> None:
    client = desk.client()
    heard: list[IncomingCall] = []
    client.incoming_calls.subscribe(heard.append)
    await client.authenticate(ME)
    await client.signal_connected.until(True, timeout=PATIENCE)
    desk.socket.tell(("incoming", a_call(1)), ("incoming", a_call(2)))
    assert [call.call_id for call in heard] == [a_call(1).call_id, a_call(2).call_id]
    assert client.ringing_calls.value == tuple(heard)


async def test_a_refused_bearer_is_minted_anew_for_the_socket(desk: Desk) -> None:
    desk.engine.will(reply(session("bearer1")), reply(session("bearer2")))
    desk.socket.refuses = {"bearer1"}
    client = await signed_in(desk)
    assert desk.socket.dialled == ["bearer1", "bearer2"]
    desk.socket.end(4001)
    failure = await client.signal_failure.until(bool, timeout=PATIENCE)
    assert failure is not None
    assert failure.code is UTDErrorCode.UNAUTHORIZED
    assert "bearer" not in f"{failure!r}".replace("bad bearer", "")


async def test_who_cannot_authenticate_keeps_what_was(desk: Desk) -> None:
    client = await signed_in(desk)
    desk.socket.tell(("incoming", a_call()))
    desk.engine.will(reply({"message": "User is banned"}, 403))
    assert (await refusal(client.authenticate("omar"))).code is UTDErrorCode.BANNED
    assert (client.identity, client.signal_connected.value) == (ME, True)
    assert len(client.ringing_calls.value) == 1


@pytest.mark.parametrize(("again", "rings"), [(ME, 1), ("omar", 0)])
async def test_authenticating_again_replaces_the_socket(desk: Desk, again: str, rings: int) -> None:
    client = await signed_in(desk)
    desk.socket.tell(("incoming", a_call()))
    desk.engine.will(reply(session("bearer2")))
    await client.authenticate(again)
    await client.signal_connected.until(True, timeout=PATIENCE)
    assert desk.socket.dialled == ["bearer1", "bearer2"]
    assert (desk.socket.live, desk.socket.most) == (1, 1)
    assert len(client.ringing_calls.value) == rings


async def test_closing_ends_the_socket_and_completes_the_streams(desk: Desk) -> None:
    client = await signed_in(desk)
    over: list[str] = []
    client.incoming_calls.subscribe(on_completed=lambda: over.append("incoming"))
    client.signal_connected.subscribe(on_completed=lambda: over.append("connected"))
    await asyncio.gather(client.aclose(), client.aclose())
    assert sorted(over) == ["connected", "incoming"]
    assert (desk.socket.live, client.signal_connected.value) == (0, False)
    error = await refusal(client.authenticate(ME))
    assert error.reason is ConflictReason.CLOSED


async def test_another_loop_is_refused(desk: Desk) -> None:
    client = await signed_in(desk)
    errors: list[UTDStreamException] = []

    async def elsewhere() -> None:
        errors.append(await refusal(client.aclose()))
        errors.append(await refusal(client.authenticate(ME)))
        with pytest.raises(UTDStreamException) as caught:
            client.call_session(UTDStreamType.AUDIO_CALL)
        errors.append(caught.value)

    await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
    assert [error.reason for error in errors] == [ConflictReason.FOREIGN_LOOP] * 3
    assert client.signal_connected.value


@pytest.mark.parametrize("type_", [UTDStreamType.AUDIO_ROOM, UTDStreamType.LIVE_STREAM, "audio"])
async def test_a_call_session_of_what_is_no_call_is_refused(
    desk: Desk, type_: UTDStreamType
) -> None:
    client = await signed_in(desk)
    with pytest.raises(UTDStreamException) as caught:
        client.call_session(type_)
    assert caught.value.code is UTDErrorCode.VALIDATION


@pytest.mark.parametrize(
    ("type_", "sources"),
    [
        (UTDStreamType.AUDIO_CALL, {"microphone": "x"}),
        (UTDStreamType.AUDIO_CALL, {"microphone": ""}),
        (UTDStreamType.AUDIO_CALL, {"microphone": TestPattern()}),
        (UTDStreamType.AUDIO_CALL, {"camera": TestPattern()}),
        (UTDStreamType.AUDIO_CALL, {"screen": TestPattern()}),
        (UTDStreamType.VIDEO_CALL, {"camera": TONE}),
        (UTDStreamType.VIDEO_CALL, {"screen": TestPattern}),
    ],
)
async def test_what_is_no_source_is_refused_where_it_is_given(
    desk: Desk, type_: UTDStreamType, sources: Any
) -> None:
    client = await signed_in(desk)
    [name] = sources
    with pytest.raises(UTDStreamException) as caught:
        client.call_session(type_, **sources)
    assert (caught.value.code, name in caught.value.message) == (UTDErrorCode.VALIDATION, True)


async def test_a_room_s_microphone_is_a_source(desk: Desk) -> None:
    microphone: Any = "x"
    with pytest.raises(UTDStreamException) as caught:
        desk.client().audio_room(ME, "lounge", microphone=microphone)
    assert caught.value.code is UTDErrorCode.VALIDATION


async def test_a_video_call_takes_every_source(desk: Desk) -> None:
    client = await signed_in(desk)
    pattern = TestPattern()
    session = client.call_session(
        UTDStreamType.VIDEO_CALL, microphone=TONE, camera=pattern, screen=pattern
    )
    await session.aclose()


async def test_a_call_session_before_authenticate_is_refused_and_told_what_to_do(
    desk: Desk,
) -> None:
    client = desk.client()
    with pytest.raises(UTDStreamException) as caught:
        client.call_session(UTDStreamType.AUDIO_CALL)
    assert caught.value.code is UTDErrorCode.UNAUTHORIZED
    assert "authenticate" in caught.value.message
    assert desk.engine.seen == []


@pytest.mark.parametrize("type_", [UTDStreamType.AUDIO_CALL, UTDStreamType.VIDEO_CALL])
async def test_a_call_session_is_of_who_authenticated(desk: Desk, type_: UTDStreamType) -> None:
    client = await signed_in(desk)
    call = client.call_session(type_)
    try:
        assert (call.identity, call.type, call.status.value) == (ME, type_, None)
    finally:
        await call.aclose()
    await client.aclose()
    with pytest.raises(UTDStreamException) as caught:
        client.call_session(type_)
    assert caught.value.reason is ConflictReason.CLOSED


async def test_whoever_is_called_is_told_the_name_of_who_signed_in(desk: Desk) -> None:
    client = desk.client()
    await client.authenticate(ME, name="Mona")
    desk.engine.will(reply({"error": "you are banned"}, status=403))
    call = client.call_session(UTDStreamType.AUDIO_CALL)
    try:
        await refusal(call.start("sara"))
    finally:
        await call.aclose()
    assert desk.engine.seen[-1].body["caller_name"] == "Mona"


ID = "call_0123456789abcdef01234567"
DIALLED = {"call_id": ID, "status": "initiating", "token": "t", "url": "ws://127.0.0.1:1"}


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_client_that_closes_hangs_up_first(desk: Desk, is_answered: bool) -> None:
    room = FakeRoom(ME)
    client = desk.client(make_room=lambda: room, clock=SYSTEM_CLOCK)
    await client.authenticate(ME)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def dialled(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return await reply(DIALLED)(request)

    desk.engine.will(dialled, reply({**DIALLED, "status": "ended"}))
    session = client.call_session(UTDStreamType.AUDIO_CALL)
    try:
        starting = asyncio.create_task(session.start("sara"))
        await asked.wait()
        if is_answered:
            go_on.set()
            await starting
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        go_on.set()
        await closing
        await asyncio.wait([starting])
        assert desk.engine.seen[-1].raw_path == f"/api/v1/calls/{ID}/end"
        assert not room.is_connected
    finally:
        await session.aclose()


@pytest.mark.parametrize("turns", range(0, 40, 3))
@pytest.mark.parametrize("how", ["cancel", "aclose"])
async def test_whenever_authenticating_is_given_up_nothing_stays_behind(
    desk: Desk, turns: int, how: str
) -> None:
    client = desk.client(clock=SYSTEM_CLOCK)  # which ends the wait before a mint is sent again
    task = asyncio.create_task(client.authenticate(ME))
    for _ in range(turns):
        await asyncio.sleep(0)
    if how == "cancel":
        task.cancel()
    await client.aclose()
    await asyncio.wait([task])
    assert desk.socket.live == 0


async def test_the_real_socket_comes_up_by_itself() -> None:
    async with signal_engine("bearer1") as sockets, scripted_engine() as engine:
        engine.will(reply({"user_token": "bearer1", "ws_url": sockets.url}))
        sockets.ringing = (a_call(),)
        async with UTDStreamClient(
            *PUBLISHABLE, base_url=engine.base_url, token_base_url=engine.base_url
        ) as client:
            await client.authenticate(ME)
            await client.ringing_calls.until(bool, timeout=PATIENCE)
            assert client.signal_connected.value
        await sockets.deserted()


async def test_streams_may_be_watched_before_any_loop_owns_the_client() -> None:
    made: list[UTDStreamClient] = []
    seen: list[bool] = []

    def make() -> None:
        client = UTDStreamClient(*PUBLISHABLE, signal=FakeSignal())
        client.signal_connected.subscribe(seen.append)
        made.append(client)

    thread = threading.Thread(target=make)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert seen == [False]
    await made[0].aclose()
