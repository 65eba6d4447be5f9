"""Two hundred users want eight seats at once: eight get one, and nobody else is heard."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from livekit import rtc
from livekit.rtc.participant import PublishTrackError
from reactivex import operators as ops

from tests.e2e.house import PATIENCE, House
from tests.e2e.test_audio_room import refused
from tests.rtc.bench import tone_frame
from utd_rx import (
    AudioFormat,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDStreamException,
)

SEATS, SPEAKERS, OTHERS = 8, 4, 196


class Witness:
    """A bare LiveKit client that is sent everything and counts what the SFU sends it."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    async def packets(self) -> list[int]:
        """Return the audio packets received so far, of each stream that the SFU forwards."""
        told = await asyncio.wait_for(self._room.get_rtc_stats(), PATIENCE)
        # One transport carries both directions, so a stream may be told twice.
        streams = {
            one.inbound_rtp.rtc.id: one.inbound_rtp.received.packets_received
            for one in (*told.publisher_stats, *told.subscriber_stats)
            if one.HasField("inbound_rtp")
        }
        return list(streams.values())

    @property
    def publishers(self) -> set[str]:
        """Whom the SFU shows with a track."""
        people = self._room.remote_participants.items()
        return {who for who, participant in people if participant.track_publications}


class Intruder:
    """A bare LiveKit client that publishes though nobody allowed it: no client's rule stops it."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._source = rtc.AudioSource(48_000, 1, queue_size_ms=0)
        self._track = rtc.LocalAudioTrack.create_audio_track("intruder", self._source)
        self._trying = asyncio.create_task(room.local_participant.publish_track(self._track))
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        tone = tone_frame(AudioFormat())
        frame = rtc.AudioFrame(tone.samples.tobytes(), 48_000, 1, len(tone.samples))
        while True:
            await self._source.capture_frame(frame)
            await asyncio.sleep(0.01)

    async def give_up(self) -> None:
        """End; LiveKit must not have let it publish."""
        self._sending.cancel()
        await asyncio.wait([self._sending])
        assert not self._room.local_participant.track_publications
        with pytest.raises(PublishTrackError):  # after 10 s
            await self._trying
        await self._source.aclose()


async def hear(session: UTDAudioRoomSession, identity: str, frames: int) -> None:
    """Wait until so many frames of 10 ms were heard."""
    due = asyncio.Event()
    subscription = (
        session.audio(identity).pipe(ops.take(frames)).subscribe(on_completed=lambda: due.set())
    )
    await asyncio.wait_for(due.wait(), PATIENCE)
    subscription.dispose()


async def connect(stack: AsyncExitStack, url: str, token: str) -> rtc.Room:
    room = rtc.Room()
    await room.connect(url, token)
    stack.push_async_callback(room.disconnect)
    return room


@pytest.mark.realtime  # two hundred clients, who give up after a time
async def test_two_hundred_takers_for_eight_seats(house: House) -> None:
    host = await house.join("hana", as_host=True, seat_count=SEATS)
    people = [await house.join(f"real{n}") for n in range(SPEAKERS)]
    others = {
        identity: await house.api(identity) for identity in (f"user{n}" for n in range(OTHERS))
    }
    minted = {identity: await api.mint() for identity, api in others.items()}
    # Two of the real ones come first, and two when the seats are gone.
    takers = [(one.identity, await house.api(one.identity)) for one in people]
    takers[2:2] = others.items()
    # One of the real ones for sure, or there might be nobody to speak; then all the others at once.
    await takers[0][1].take_seat("lobby", 0)
    results = await asyncio.gather(
        *(api.take_seat("lobby", n % SEATS) for n, (_, api) in enumerate(takers) if n > 0),
        return_exceptions=True,
    )
    results.insert(0, None)
    winners = {who for (who, _), result in zip(takers, results, strict=True) if result is None}
    losses = [result for result in results if isinstance(result, UTDStreamException)]
    assert (len(winners), len(losses)) == (SEATS, len(takers) - SEATS) == (8, 192)
    assert {(loss.code, loss.status_code) for loss in losses} == {(UTDErrorCode.CONFLICT, 409)}

    # Everybody sees the same eight.
    truth = await host.get_seats()
    assert {seat.identity for seat in truth.seats} == winners
    for session in (host, *people):
        await session.seats.until(lambda grid: grid == truth, timeout=PATIENCE)

    async with AsyncExitStack() as stack:
        seen = await (await house.api("witness")).mint()
        witness = Witness(await connect(stack, seen.url, seen.token))
        # Who of the real ones sits speaks; to the others their session says no.
        speakers = {person.identity for person in people} & winners
        assert speakers
        for person in people:
            if person.identity in speakers:
                await person.can_publish.until(True, timeout=PATIENCE)
                await person.set_microphone(True)
            else:
                assert (await refused(person.set_microphone(True))).code is UTDErrorCode.FORBIDDEN
        # Two losers do without a session, whose rules would stop them.
        intruders = [
            Intruder(await connect(stack, minted[who].url, minted[who].token))
            for who in sorted(set(minted) - winners)[:2]
        ]
        # While two seconds of each speaker arrive, theirs would as well.
        await asyncio.gather(*(hear(host, who, 200) for who in speakers))
        async with asyncio.timeout(PATIENCE):
            packets = await witness.packets()
            while len(packets) < len(speakers) or min(packets) < 50:
                packets = await witness.packets()
        assert len(packets) == len(speakers)
        assert witness.publishers == speakers
        core = house.engine.core
        listed = await core.media.list_participants(core.rooms.livekit_name("lobby"))
        assert {who.identity for who in listed if who.tracks} == speakers
        for intruder in intruders:
            await intruder.give_up()
