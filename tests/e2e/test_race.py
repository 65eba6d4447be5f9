"""Two hundred users want eight seats at once: eight get one, and nobody else is heard."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from tests.e2e.conftest import PATIENCE, House
from utd_rx import (
    AudioFrame,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDStreamException,
    UTDStreamType,
)
from utd_rx.rest.api import UTDApi

TAKERS, SEATS, LISTENERS = 200, 8, 4


def count(heard: Counter[str], identity: str, _: AudioFrame) -> None:
    heard[identity] += 1


async def first_frame(session: UTDAudioRoomSession, identity: str) -> None:
    heard = asyncio.Event()
    subscription = session.audio(identity).subscribe(lambda _: heard.set())
    await heard.wait()
    subscription.dispose()


async def test_two_hundred_takers_for_eight_seats(house: House) -> None:
    host = await house.join("hana", as_host=True, seat_count=SEATS)
    people = [await house.join(f"real{n}") for n in range(LISTENERS)]
    heard: Counter[str] = Counter()
    for person in people:
        host.audio(person.identity).subscribe(partial(count, heard, person.identity))

    client = await house.client()
    # Two of the real ones come first, and two when the seats are gone.
    apis: list[UTDApi] = [person._api for person in people[:2]]
    for n in range(TAKERS - LISTENERS):
        reply = await client._api.mint_token(
            identity=f"user{n}", room_name="lobby", type=UTDStreamType.AUDIO_ROOM
        )
        apis.append(client._api.with_bearer(reply.user_token))
    apis += [person._api for person in people[2:]]
    results = await asyncio.gather(
        *(api.take_seat("lobby", n % SEATS) for n, api in enumerate(apis)), return_exceptions=True
    )
    winners = [n for n, result in enumerate(results) if result is None]
    losses = [result for result in results if isinstance(result, UTDStreamException)]
    assert (len(winners), len(losses)) == (SEATS, TAKERS - SEATS)
    assert {(loss.code, loss.status_code) for loss in losses} == {(UTDErrorCode.CONFLICT, 409)}

    # Everybody sees the same eight.
    truth = await host.get_seats()
    seated = {seat.identity for seat in truth.seats}
    assert len(seated) == SEATS
    for session in (host, *people):
        await session.seats.until(lambda grid: grid == truth, timeout=PATIENCE)

    # Who of the real ones sits speaks; the SFU has no track of any other and forwards none.
    for person in people:
        if person.identity in seated:
            await person.can_publish.until(True, timeout=PATIENCE)
            await person.set_microphone(True)
        else:
            try:
                await person.set_microphone(True)
            except UTDStreamException as error:
                assert error.code is UTDErrorCode.FORBIDDEN
            else:
                raise AssertionError("a microphone without a seat")
    speakers = {person.identity for person in people if person.identity in seated}
    for who in speakers:
        await asyncio.wait_for(first_frame(host, who), PATIENCE)
    hub = house.engine.hub
    listed = await hub.media.list_participants(hub.rooms.livekit_name("lobby"))
    assert {who.identity for who in listed if who.tracks} == speakers
    assert set(heard) == speakers
