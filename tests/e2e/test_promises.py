"""What only shows in the whole: lost pushes, real newcomers, bans that end, real outages.

Three real clients, the local engine, both SFUs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.e2e.house import PATIENCE, House
from tests.e2e.test_audio_room import next_event, refused
from tests.e2e.test_race import hear
from tests.e2e.test_whole_room import hears, three
from tests.rtc.proxy import proxied
from tests.support.sfu import SfuKind
from utd_rx import (
    AudioFrame,
    UTDAudioRoomSession,
    UTDConnectionState,
    UTDErrorCode,
    UTDStreamException,
)
from utd_rx.engine import EngineOptions, LocalEngine, media_facts
from utd_rx.media.placed_rooms import PlacedRooms
from utd_rx.models.events import DataReceived, Disconnected, Reconnecting, RoomSnapshot
from utd_rx.models.seats import UTDSeatMode
from utd_rx.ports.room import RoomPort
from utd_rx.protocol import bans, chat, connection
from utd_rx.protocol.audio_room import AudioRoomState

FORGED: dict[str, dict[str, object]] = {
    "_seat_update": {"count": 1, "mode": "free", "rev": 99, "seats": []},
    "_mode_change": {"mode_id": "x", "seat_count": 1},
    "_speaker_request": {"request_id": 99, "identity": "mallory"},
    "_speaker_invitation": {
        "invitation_id": 99,
        "inviter_identity": "mallory",
        "target_identity": "hana",
    },
    "_role_change": {"identity": "sami", "role": "admin"},
    "_comment_lock": {"locked": True},
    "_banned": {"identity": "hana"},
}


@pytest.fixture
async def batching(sfu_kind: SfuKind) -> AsyncIterator[House]:
    """A house whose embedded SFU keeps news of newcomers back as long as the real server does."""
    options = EngineOptions(sfu=sfu_kind, silent_update_interval=3.0)
    async with LocalEngine(options) as engine, AsyncExitStack() as stack:
        yield House(engine, stack)


async def backend(house: House, method: str, path: str, body: object) -> int:
    """Call as the app's own backend."""
    engine = house.engine
    headers = {"X-App-Id": engine.app_id, "X-App-Secret": engine.app_secret}
    url = f"{engine.base_url}/api/v1/{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, json=body, headers=headers) as reply,
    ):
        await reply.read()
        return reply.status


async def test_what_a_newcomer_forges_before_livekit_knows_her_is_refused_and_counted(
    batching: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rules in (bans, chat):
        monkeypatch.setattr(rules, "HINT_SECONDS", 1.0)
    hana = await batching.join("hana", as_host=True, seat_count=4)
    sami = await batching.join("sami")
    await sami.take_seat(0)
    await hana.seats.until(lambda grid: grid.seats[0].identity == "sami", timeout=PATIENCE)
    await hana.roles.until(lambda roles: len(roles) == 2, timeout=PATIENCE)
    grid = hana.seats.value
    offered: list[object] = []
    hana.invitations.subscribe(offered.append)
    payloads = [json.dumps({"type": type_, **wire}).encode() for type_, wire in FORGED.items()]
    arrived: asyncio.Queue[DataReceived] = asyncio.Queue()
    hana.events.subscribe(
        lambda event: (
            arrived.put_nowait(event)
            if isinstance(event, DataReceived) and event.payload in payloads
            else None
        )
    )
    # News of newcomers goes out every 3 s, so one of several comes well before it.
    for number in range(5):
        mallory = await batching.join(f"mallory{number}")
        for payload in payloads:
            await mallory.send_data(payload, to=["hana"])
        async with asyncio.timeout(PATIENCE):
            senders = {(await arrived.get()).sender for _ in payloads}
        if senders == {None}:
            break
        assert senders <= {None, mallory.identity}
    else:
        raise AssertionError("this SFU names every newcomer at once: nothing was tested")
    # Each of them is disproved: by a GET, by a list, or because nothing followed in time.

    def disproved(state: AudioRoomState) -> bool:
        session = state.session
        parts = (state.seats, state.speakers, session.roles, session.bans, session.chat)
        return all(part.disproved for part in parts)

    state = await hana.state.until(disproved, timeout=PATIENCE)
    assert state.refused >= state.forged + 5
    assert (hana.seats.value, offered) == (grid, [()])
    assert hana.roles.value["sami"].value == "audience"
    assert not hana.chat_locked.value
    assert hana.banned.value is None
    assert hana.connected.value
    assert sami.microphone_enabled.value


async def test_an_invitation_made_while_the_invitee_is_still_joining_arrives(house: House) -> None:
    hana = await house.join("hana", as_host=True, seat_count=4)
    invited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def invite() -> None:
        """As soon as the engine knows her, which is before she can hear a push."""
        while not invited.done():
            try:
                invited.set_result(await hana.invite_to_speak("mona", seat_index=2))
            except UTDStreamException as error:
                assert error.code is UTDErrorCode.NOT_FOUND

    inviting = asyncio.create_task(invite())
    mona = await house.join("mona")
    await asyncio.wait_for(inviting, PATIENCE)
    [offer] = await mona.invitations.until(lambda offers: len(offers) == 1, timeout=PATIENCE)
    assert (offer.id, offer.inviter, offer.seat_index) == (invited.result(), "hana", 2)
    await mona.accept_invitation(offer.id)
    assert mona.microphone_enabled.value


async def test_the_grid_is_set_up_anew_under_who_sits_there(house: House) -> None:
    hana = await house.join("hana", as_host=True, seat_count=4, host_seat=0)
    sami, lena = await house.join("sami"), await house.join("lena")
    assert (await refused(sami.take_seat(0))).code is UTDErrorCode.FORBIDDEN
    await hana.take_seat(0, microphone=False)
    await sami.take_seat(1)
    await lena.take_seat(3)
    await hana.remote_participants.until(lambda p: hears(p, "lena"), timeout=PATIENCE)
    for command in (hana.kick_seat(0), hana.lock_seat(0)):
        assert (await refused(command)).code is UTDErrorCode.FORBIDDEN
    assert (await refused(sami.setup_seats(seat_count=9))).code is UTDErrorCode.FORBIDDEN
    await hana.setup_seats(seat_count=2, seat_mode=UTDSeatMode.REQUEST, mode_id="duo")
    for session in (hana, sami, lena):
        grid = await session.seats.until(lambda grid: grid.count == 2, timeout=PATIENCE)
        assert [seat.identity for seat in grid.seats] == ["hana", "sami"]
        assert (grid.mode, grid.mode_id) == (UTDSeatMode.REQUEST, "duo")
        assert grid.seats[0].reserved_for == "hana"
    # Who was displaced is heard no more; who was not goes on.
    await lena.microphone_enabled.until(False, timeout=PATIENCE)
    await hana.remote_participants.until(lambda p: not hears(p, "lena"), timeout=PATIENCE)
    assert sami.microphone_enabled.value
    assert await hana.get_seats() == hana.seats.value


@pytest.mark.long
async def test_a_ban_from_the_project_and_one_for_a_time(house: House) -> None:
    hana, sami, lena = await three(house)
    notices: list[object] = []
    sami.banned.subscribe(notices.append)
    assert await backend(house, "POST", "rooms/ban", {"identity": "sami", "reason": "spam"}) == 201
    notice = await sami.banned.until(lambda told: told is not None, timeout=PATIENCE)
    assert notice is not None
    assert (notice.room_name, notice.reason, notice.expires_at) == (None, "spam", None)
    elsewhere = (await house.client()).audio_room("sami", "elsewhere")
    async with elsewhere:
        assert (await refused(elsewhere.join())).is_banned
    assert (await refused(sami.join())).is_banned
    assert notices == [None, notice]
    assert await backend(house, "DELETE", "rooms/ban", {"identity": "sami"}) == 200
    await sami.join()
    await lena.remote_participants.until(lambda people: len(people) == 2, timeout=PATIENCE)
    # Long enough to be asked about while it holds, however busy the machine is.
    await hana.ban("sami", duration=5)
    told = await sami.banned.until(lambda told: told is not None, timeout=PATIENCE)
    assert told is not None
    async with asyncio.timeout(PATIENCE):
        while not sami.connected.value:
            try:
                await sami.join()
            except UTDStreamException as error:
                assert error.is_banned
    assert sami.banned.value is None


async def test_a_chat_message_counts_once_and_is_its_senders(house: House) -> None:
    _, sami, lena = await three(house)
    claim = {
        "message": "chatMessage",
        "text": "I am Hana",
        "messageID": "1",
        "senderUserId": "hana",
    }
    for _ in range(2):
        await sami.send_data(json.dumps({"roomChat": claim}).encode())
    await sami.chat.send("the end")
    history = await lena.chat_history.until(
        lambda h: h[-1:] != () and h[-1].text == "the end", timeout=PATIENCE
    )
    assert [(said.sender, said.text) for said in history] == [
        ("sami", "I am Hana"),
        ("sami", "the end"),
    ]


def detoured(url: str) -> RoomPort:
    """A room whose first connection goes over `url` instead of the SFU's own."""
    room = PlacedRooms().make()
    connect = room.connect

    async def detour(_: str, token: str, **options: Any) -> RoomSnapshot:
        room.connect = connect  # type: ignore[method-assign] # of this room alone
        return await connect(url, token, **options)

    room.connect = detour  # type: ignore[assignment, method-assign] # likewise
    return room


async def through(house: House, identity: str, url: str) -> UTDAudioRoomSession:
    """Join over `url`, with a seat and a microphone that is on."""
    client = await house.client(make_room=lambda: detoured(url))
    session = await house.enter(await client.join_audio_room(identity, "lobby"))
    await session.take_seat(1)
    return session


async def test_an_outage_that_does_not_end_forces_the_exit_and_the_session_joins_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FORCE_EXIT_AFTER", 1.0)
    await house.join("hana", as_host=True, seat_count=4)
    lena = await house.join("lena")
    async with proxied(house.engine.livekit_url) as proxy:
        sami = await through(house, "sami", proxy.url)
        await sami.remote_participants.until(lambda people: len(people) == 2, timeout=PATIENCE)
        sizes: list[int] = []
        going = sami.remote_participants.subscribe(lambda people: sizes.append(len(people)))
        dropped = next_event(sami, Reconnecting)
    await asyncio.wait_for(dropped, PATIENCE)
    assert sizes == [2]
    going.dispose()
    await sami.connection_state.until(UTDConnectionState.FORCE_EXIT, timeout=PATIENCE)
    failure = sami.failure.value
    assert failure is not None
    assert failure.code is UTDErrorCode.TIMEOUT
    assert not sami.microphone_enabled.value
    assert sami.seats.value.count == 0
    await sami.join()
    if sami.my_seat.value is None:
        await sami.take_seat(2, microphone=False)
    await sami.can_publish.until(True, timeout=PATIENCE)
    await sami.set_microphone(True)
    await lena.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)


@pytest.mark.realtime(waits=True)  # LiveKit takes its time before it gives up
async def test_an_outage_that_outlasts_livekit_is_joined_anew_and_the_sound_comes_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiveKit gives up after 20 to 26 s; the session goes on, and so does who sits in it."""
    monkeypatch.setattr(media_facts, "ABSENCE_SECONDS", 60.0)  # or the seat is gone by then
    await house.join("hana", as_host=True, seat_count=4)
    lena = await house.join("lena")
    await lena.take_seat(2)
    async with proxied(house.engine.livekit_url) as proxy:
        sami = await through(house, "sami", proxy.url)
        pairs = ((lena, "sami"), (sami, "lena"))
        for listener, talker in pairs:
            await hear(listener, talker, 20)
        frames: asyncio.Queue[AudioFrame] = asyncio.Queue()
        sami.audio("lena").subscribe(frames.put_nowait)
        sizes: list[int] = []
        sami.remote_participants.subscribe(lambda people: sizes.append(len(people)))
        states: list[UTDConnectionState] = []
        sami.connection_state.subscribe(states.append)
        given_up = next_event(sami, Disconnected)
        proxy.cut()
        await asyncio.wait_for(given_up, 60)
        assert not sami.microphone_enabled.value
        proxy.mend()
        while not frames.empty():
            frames.get_nowait()
        await sami.microphone_enabled.until(True, timeout=PATIENCE)
        await hear(lena, "sami", 20)
        async with asyncio.timeout(PATIENCE):  # who observed before the outage goes on
            for _ in range(20):
                await frames.get()
        assert set(sizes) == {2}
        state = UTDConnectionState
        assert states == [state.CONNECTED, state.RECONNECTING, state.CONNECTED]
        seat = sami.my_seat.value
        assert seat is not None
        assert seat.index == 1
        # A second drop is a new outage.
        proxy.cut()
        await sami.connection_state.until(state.RECONNECTING, timeout=PATIENCE)
        proxy.mend()
        await sami.connection_state.until(state.CONNECTED, timeout=PATIENCE)
        await sami.microphone_enabled.until(True, timeout=PATIENCE)
        await hear(lena, "sami", 20)
        assert set(sizes) == {2}
