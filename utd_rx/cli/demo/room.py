"""`utd-rx demo room`: a host opens a room, one user speaks, another may not and listens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from attrs import frozen

from utd_rx import (
    AudioComparison,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDStreamException,
    WavSource,
)
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.report import Finding, Step, connects, covered, hears, in_order
from utd_rx.cli.demo.sound import Speech, Way
from utd_rx.cli.demo.story import (
    PATIENCE,
    TAIL,
    Story,
    join_all,
    leave_all,
    spoken,
    start_engine,
    until_over,
)

HOST: Final = "hana"
SPEAKER: Final = "sami"
LISTENER: Final = "lena"
USERS: Final = (HOST, SPEAKER, LISTENER)
SEAT: Final = 2
SEATS: Final = 8
VOICE: Final = Way("sent", ("heard",))

NEEDED: Final = {"my_seat": None, "can_publish": None}
"""Without which no microphone is on."""

MAX_REFUSAL: Final = 1.0
"""Seconds; LiveKit itself takes 10 (docs/livekit.md, "Refused after ten seconds")."""

PROMISED: Final[Mapping[str, tuple[Step, ...]]] = {
    **connects(USERS),
    "the seat comes before the microphone": (
        (SPEAKER, "connected", True),
        (SPEAKER, "my_seat", SEAT),
        (SPEAKER, "microphone_enabled", True),
        (SPEAKER, "microphone_enabled", False),
    ),
    "the grant comes before the microphone": (
        (SPEAKER, "can_publish", False),
        (SPEAKER, "can_publish", True),
        (SPEAKER, "microphone_enabled", True),
        (SPEAKER, "can_publish", False),
        (SPEAKER, "connected", False),
    ),
    "the listener sees the seat taken, the speaker speak, and both end": (
        (LISTENER, "seats", SPEAKER),
        (LISTENER, "remote_participants", f"{SPEAKER} speaks"),
        (LISTENER, "remote_participants", f"{SPEAKER} listens"),
        (LISTENER, "connected", False),
    ),
}
"""What must have happened in this order; of a list, that it holds the value."""


@frozen
class Heard:
    """What the story leaves to be judged."""

    comparison: AudioComparison
    refusal: UTDStreamException
    refused_after: float

    @property
    def figures(self) -> Mapping[str, object]:
        return {"audio": self.comparison, "refused_after": self.refused_after}


async def play(sfu: str, journal: DemoJournal, speech: WavSource, out: Path) -> Heard:
    """Play the story: the speaker says `speech`, and what the listener hears is recorded."""
    sound = Speech(journal, VOICE, speech, out)
    async with AsyncExitStack() as stack:
        _, make_client = await start_engine(stack, journal, sfu)
        clients = [await make_client() for _ in USERS]
        host = clients[0].audio_room(HOST, "demo", as_host=True, name="Hana", seat_count=SEATS)
        speaker = clients[1].audio_room(SPEAKER, "demo", name="Sami", microphone=sound.mouth)
        listener = clients[2].audio_room(LISTENER, "demo", name="Lena", microphone=speech)
        sessions = dict(zip(USERS, (host, speaker, listener), strict=True))
        await join_all(stack, journal, sessions, ROOM.watched)

        refusal, refused_after = await _refused(journal, listener)
        listening, over = sound.listen(stack, SPEAKER, listener), spoken(speaker)

        await speaker.take_seat(SEAT)
        journal.say(f"{SPEAKER} sits on seat {SEAT} and speaks")
        await listener.seats.until(
            lambda grid: grid.seats[SEAT].identity == SPEAKER, timeout=PATIENCE
        )
        async with asyncio.timeout(PATIENCE):
            await sound.until_heard()
        journal.say(f"{LISTENER} hears {SPEAKER}")
        await until_over(over, speech)
        await asyncio.sleep(TAIL)
        listening.dispose()
        await speaker.leave_seat()
        journal.say(f"{SPEAKER} left the seat")
        await listener.remote_participants.until(
            lambda people: not any(who.tracks for who in people), timeout=PATIENCE
        )
        journal.say(f"{LISTENER} sees nobody speak")
        await leave_all(journal, sessions)
    speech_format, samples = read_wav(speech.path)
    (comparison,) = sound.compare(samples, speech_format.sample_rate).values()
    return Heard(comparison, refusal, refused_after)


async def _refused(
    journal: DemoJournal, session: UTDAudioRoomSession
) -> tuple[UTDStreamException, float]:
    """Publish without a seat, which must be refused."""
    began = journal.elapsed()
    try:
        await session.set_microphone(True)
    except UTDStreamException as error:
        journal.say(f"{LISTENER} may not speak without a seat: {error.code.name}")
        return error, journal.elapsed() - began
    raise UTDStreamException("publishing without a seat was not refused", code=UTDErrorCode.UNKNOWN)


def judge(journal: DemoJournal, heard: Heard) -> tuple[Finding, ...]:
    """Return every promise of the demo with its verdict."""
    return (
        hears("what was sent was heard", heard.comparison),
        Finding(
            "publishing without a seat is refused at once",
            heard.refusal.code is UTDErrorCode.FORBIDDEN and heard.refused_after < MAX_REFUSAL,
            f"{heard.refusal.code.name} after {heard.refused_after * 1e3:.1f} ms",
        ),
        *(Finding(promise, *in_order(journal, steps)) for promise, steps in PROMISED.items()),
        Finding("nobody is on air without seat and grant", *covered(journal, USERS, NEEDED)),
    )


ROOM: Final = Story(
    name="room",
    users=USERS,
    watched=(
        *("connection_state", "connected", "can_publish", "my_seat", "microphone_enabled"),
        *("seats", "remote_participants", "active_speakers", "failure"),
    ),
    lanes=dict.fromkeys(
        USERS, ("connection_state", "my_seat", "can_publish", "microphone_enabled")
    ),
    columns={
        "connection": "connection_state",
        "can publish": "can_publish",
        "seat": "my_seat",
        "microphone": "microphone_enabled",
        "sees": "remote_participants",
        "seats": "seats",
    },
    ways=(VOICE,),
    play=play,
    judge=judge,
)
