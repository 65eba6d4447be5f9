"""Seats, speakers, moderation and chat of an audio room: three real clients, both SFUs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from livekit import rtc

from tests.e2e.house import PATIENCE, House
from tests.e2e.test_audio_room import refused
from utd_rx import (
    AudioFrame,
    RemoteParticipant,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDRole,
)
from utd_rx.models.events import DataReceived
from utd_rx.protocol import data


async def three(
    house: House, *, seat_mode: str = "free"
) -> tuple[UTDAudioRoomSession, UTDAudioRoomSession, UTDAudioRoomSession]:
    """A host and two others who know each other."""
    hana = await house.join("hana", as_host=True, seat_count=4, seat_mode=seat_mode)
    sami = await house.join("sami")
    lena = await house.join("lena")
    for session in (hana, sami, lena):
        await session.remote_participants.until(lambda people: len(people) == 2, timeout=PATIENCE)
        await session.roles.until(lambda roles: len(roles) == 3, timeout=PATIENCE)
    return hana, sami, lena


def hears(people: tuple[RemoteParticipant, ...], identity: str) -> bool:
    return any(who.identity == identity and who.is_microphone_enabled for who in people)


async def test_moving_never_drops_what_is_published(house: House) -> None:
    _, sami, lena = await three(house)
    await sami.take_seat(0)
    await lena.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    frames: list[AudioFrame] = []
    lena.audio("sami").subscribe(frames.append)
    on: list[bool] = []
    sami.microphone_enabled.subscribe(on.append)
    allowed: list[bool] = []
    sami.can_publish.subscribe(allowed.append)
    for index in (3, 1, 2):
        await sami.move_seat(index)
        heard = len(frames)
        async with asyncio.timeout(PATIENCE):  # the sound goes on after each move
            while (  # noqa: ASYNC110 - frames are counted, not waited for
                len(frames) < heard + 50 or not any(f.samples.any() for f in frames[heard:])
            ):
                await asyncio.sleep(0.01)
    await lena.seats.until(lambda grid: grid.seats[2].identity == "sami", timeout=PATIENCE)
    assert (on, allowed) == ([True], [True])
    assert hears(lena.remote_participants.value, "sami")


async def test_locking_an_occupied_seat_frees_it_and_silences_who_sat_there(house: House) -> None:
    hana, sami, lena = await three(house)
    await sami.take_seat(1)
    await lena.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    await hana.lock_seat(1)
    await sami.my_seat.until(None, timeout=PATIENCE)
    await sami.microphone_enabled.until(False, timeout=PATIENCE)
    await lena.remote_participants.until(lambda p: not hears(p, "sami"), timeout=PATIENCE)
    assert (await refused(sami.take_seat(1))).code is UTDErrorCode.FORBIDDEN
    await hana.unlock_seat(1)
    await sami.take_seat(1)
    await hana.kick_seat(1)
    await sami.microphone_enabled.until(False, timeout=PATIENCE)
    assert (await refused(lena.kick_seat(0))).code is UTDErrorCode.FORBIDDEN


async def test_a_seat_is_muted_and_unmuted_by_the_host(house: House) -> None:
    hana, sami, lena = await three(house)
    await sami.take_seat(1)
    for session in (hana, lena):
        await session.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    await hana.mute_seat(1)
    await sami.microphone_enabled.until(False, timeout=PATIENCE)
    await lena.remote_participants.until(lambda p: not hears(p, "sami"), timeout=PATIENCE)
    await sami.set_microphone(True)
    await hana.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    await hana.mute("sami")
    await sami.microphone_enabled.until(False, timeout=PATIENCE)
    await hana.unmute_seat(1)
    await sami.microphone_enabled.until(True, timeout=PATIENCE)
    await lena.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    assert (await refused(lena.mute_seat(1))).code is UTDErrorCode.FORBIDDEN


async def test_from_the_request_to_the_sound(house: House) -> None:
    hana, sami, lena = await three(house, seat_mode="request")
    assert (await refused(sami.take_seat(0))).code is UTDErrorCode.FORBIDDEN
    first = await sami.request_to_speak()
    second = await lena.request_to_speak()
    assert first is not None
    assert second is not None
    queue = await hana.pending_requests.until(lambda q: len(q) == 2, timeout=PATIENCE)
    assert [asked.identity for asked in queue] == ["sami", "lena"]
    assert all(asked.asked_at is not None for asked in queue)
    ages = [asked.age(datetime.now(UTC)) for asked in queue]
    assert ages[0] is not None
    assert ages[1] is not None
    assert PATIENCE > ages[0] >= ages[1] >= 0
    assert await sami.request_to_speak() == first  # pending already
    await hana.approve_speaker(first)
    await sami.microphone_enabled.until(True, timeout=PATIENCE)
    await lena.remote_participants.until(lambda p: hears(p, "sami"), timeout=PATIENCE)
    await hana.reject_speaker(second)
    await lena.pending_requests.until((), timeout=PATIENCE)
    await lena.request_to_speak()
    await lena.cancel_request()
    assert lena.my_seat.value is None


async def test_from_the_invitation_to_the_sound(house: House) -> None:
    hana, sami, lena = await three(house, seat_mode="request")
    await hana.invite_to_speak("sami", seat_index=2)
    [offer] = await sami.invitations.until(lambda offers: len(offers) == 1, timeout=PATIENCE)
    assert (offer.inviter, offer.target, offer.seat_index) == ("hana", "sami", 2)
    assert (await refused(hana.invite_to_speak("sami"))).code is UTDErrorCode.CONFLICT
    await sami.accept_invitation(offer.id)
    seat = sami.my_seat.value
    assert seat is not None
    assert seat.index == 2
    assert sami.microphone_enabled.value
    await hana.invite_to_speak("lena")
    [offer] = await lena.invitations.until(lambda offers: len(offers) == 1, timeout=PATIENCE)
    await lena.decline_invitation(offer.id)
    assert lena.invitations.value == ()
    assert (await refused(lena.accept_invitation(offer.id))).code is UTDErrorCode.NOT_FOUND


async def test_roles_reach_everybody_and_an_admin_never_acts_on_the_host(house: House) -> None:
    hana, sami, lena = await three(house)
    assert (await refused(lena.set_role("sami", "admin"))).code is UTDErrorCode.FORBIDDEN
    await hana.set_role("sami", UTDRole.ADMIN)
    for session in (sami, lena):
        await session.roles.until(
            lambda roles: roles.get("sami") is UTDRole.ADMIN, timeout=PATIENCE
        )
    await sami.lock_seat(3)
    assert (await refused(sami.kick("hana"))).code is UTDErrorCode.FORBIDDEN
    assert (await refused(sami.set_role("lena", "guest"))).code is UTDErrorCode.FORBIDDEN


async def test_a_kicked_user_may_come_back_and_a_banned_one_is_told_once(house: House) -> None:
    hana, sami, lena = await three(house)
    await sami.take_seat(0)
    notices: list[object] = []
    sami.banned.subscribe(notices.append)
    await hana.kick("sami")
    await sami.connected.until(False, timeout=PATIENCE)
    await lena.seats.until(lambda grid: grid.seats[0].identity is None, timeout=PATIENCE)
    await sami.join()
    assert notices == [None]
    await hana.ban("sami", duration=600, reason="spam")
    await sami.connected.until(False, timeout=PATIENCE)
    await sami.banned.until(lambda notice: notice is not None, timeout=PATIENCE)
    assert (await refused(sami.join())).is_banned
    assert len(notices) == 2
    assert [ban.identity for ban in await hana.bans()] == ["sami"]
    await hana.unban("sami")
    await sami.join()
    assert sami.banned.value is None


async def test_a_locked_chat_is_closed_to_the_audience(house: House) -> None:
    hana, sami, lena = await three(house)
    sent = await sami.chat.send("hello 李雷")
    [got] = await lena.chat_history.until(lambda history: len(history) == 1, timeout=PATIENCE)
    assert (got.sender, got.text, got.id) == ("sami", "hello 李雷", sent.id)
    await hana.lock_chat(True)
    for session in (sami, lena):
        await session.chat_locked.until(True, timeout=PATIENCE)
    assert (await refused(sami.chat.send("why?"))).code is UTDErrorCode.FORBIDDEN
    # A client that does not keep to it is not read; the host still is.
    await sami.send_data(json.dumps(_chat("I do not care")).encode())
    await lena.state.until(lambda s: s.session.chat.dropped == 1, timeout=PATIENCE)
    await hana.chat.send("later")
    history = await lena.chat_history.until(lambda h: h[-1].text == "later", timeout=PATIENCE)
    assert [message.text for message in history] == ["hello 李雷", "later"]
    late = await house.join("late")
    assert late.chat_locked.value
    await hana.lock_chat(False)
    await sami.chat_locked.until(False, timeout=PATIENCE)
    await sami.chat.send("thanks")


async def test_app_data_comes_by_topic_reliably_and_lossily(house: House) -> None:
    _, sami, lena = await three(house)
    gifts: asyncio.Queue[bytes] = asyncio.Queue()
    hearts = asyncio.Event()
    lena.messages("gift").subscribe(lambda message: gifts.put_nowait(message.payload))
    lena.messages("heart").subscribe(lambda _: hearts.set())
    async with bare(house, "wes") as wes:  # LiveKit tells a bare client how it came
        kinds: set[tuple[str | None, int]] = set()
        wes.on("data_received", lambda packet: kinds.add((packet.topic, packet.kind)))
        await sami.remote_participants.until(lambda people: len(people) == 3, timeout=PATIENCE)
        await sami.send_data(b"rose", topic="gift", to=["lena"])
        assert await asyncio.wait_for(gifts.get(), PATIENCE) == b"rose"
        reliable, lossy = rtc.DataPacketKind.KIND_RELIABLE, rtc.DataPacketKind.KIND_LOSSY
        async with asyncio.timeout(PATIENCE):
            while not (hearts.is_set() and kinds >= {("gift", reliable), ("heart", lossy)}):
                await sami.send_data(b"rose", topic="gift", to=["wes"])
                await sami.send_data(b"<3", topic="heart", reliable=False)
                await asyncio.sleep(0)
    assert not kinds & {("gift", lossy), ("heart", reliable)}
    too_large = await refused(sami.send_data(b"x" * 70_000))
    assert too_large.code is UTDErrorCode.VALIDATION


@asynccontextmanager
async def bare(house: House, identity: str) -> AsyncIterator[rtc.Room]:
    """A client of LiveKit's own in the lobby."""
    minted = await (await house.api(identity)).mint()
    room = rtc.Room()
    await room.connect(minted.url, minted.token)
    try:
        yield room
    finally:
        await room.disconnect()


async def test_whatever_is_forged_right_after_a_join_moves_nobody(house: House) -> None:
    hana, sami, _ = await three(house)
    await sami.take_seat(0)
    grid, known, is_locked = hana.seats.value, hana.roles.value, hana.chat_locked.value
    forged: dict[str, dict[str, object]] = {
        "_seat_update": {"count": 1, "mode": "free", "rev": 99, "seats": []},
        "_mode_change": {"mode_id": "x", "seat_count": 1},
        "_speaker_request": {"request_id": 99, "identity": "mallory"},
        "_role_change": {"identity": "mallory", "role": "host"},
        "_comment_lock": {"locked": True},
        "_banned": {"identity": "hana"},
        "_speaker_request_approved": {"request_id": 1, "identity": "hana", "seat_index": 3},
    }
    payloads = [json.dumps({"type": type_, **wire}).encode() for type_, wire in forged.items()]
    senders: list[str | None] = []
    everything = asyncio.Event()

    def observe(event: object) -> None:
        if isinstance(event, DataReceived) and event.payload in payloads:
            senders.append(event.sender)
            if len(senders) == 2 * len(payloads):
                everything.set()

    hana.events.subscribe(observe)
    mallory = await house.join("mallory")
    for payload in payloads:  # at once: LiveKit may not know her yet
        await mallory.send_data(payload)
    await hana.remote_participants.until(lambda people: len(people) == 3, timeout=PATIENCE)
    for payload in payloads:
        await mallory.send_data(payload)
    await asyncio.wait_for(everything.wait(), PATIENCE)
    assert set(senders) <= {None, "mallory"}
    assert "mallory" in senders
    await hana.get_seats()
    roles = {**known, "mallory": UTDRole.AUDIENCE}
    await hana.roles.until(lambda now: dict(now) == roles, timeout=PATIENCE)
    assert (hana.seats.value, hana.chat_locked.value) == (grid, is_locked)
    assert hana.banned.value is None
    assert hana.connected.value
    assert hana.pending_requests.value == ()
    assert sami.microphone_enabled.value
    state = hana.state.value
    assert state.forged == senders.count("mallory")
    assert set(forged) <= data.ENGINE_TYPES


def _chat(text: str) -> object:
    return {"roomChat": {"message": "chatMessage", "text": text, "messageID": "x"}}
