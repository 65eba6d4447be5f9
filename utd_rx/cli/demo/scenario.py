"""The demo's story: a host opens a room, one user speaks, another may not and listens."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from attrs import field, frozen
from reactivex import operators as ops

from utd_rx import (
    AudioFormat,
    AudioFrame,
    AudioInput,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDStreamClient,
    UTDStreamException,
    WavRecorder,
    WavSource,
)
from utd_rx.cli.demo.journal import Journal
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.models.audio import AudioInputStream, FrameSink
from utd_rx.models.events import LocalAudioEnded

HOST: Final = "hana"
SPEAKER: Final = "sami"
LISTENER: Final = "lena"
USERS: Final = (HOST, SPEAKER, LISTENER)
SEAT: Final = 2
SEATS: Final = 8

WATCHED: Final = (
    *("connection_state", "connected", "can_publish", "my_seat", "microphone_enabled"),
    *("seats", "remote_participants", "active_speakers", "failure"),
)
"""The streams of each user that the journal keeps."""

PATIENCE: Final = 20.0
"""Seconds for anything the demo waits for, but the sound, which is added; each takes well under one
on a quiet machine."""

TAIL: Final = 0.5
"""Seconds to go on listening after the last sound was sent: jitter buffer and network."""


@frozen
class Heard:
    """What the story leaves to be judged."""

    sent_started_at: float
    heard_started_at: float
    refusal: UTDStreamException
    refused_after: float


@frozen
class Tapped:
    """An audio input that shows each of its frames to `tap` before whoever opened it has it."""

    source: AudioInput
    tap: FrameSink = field(repr=False)

    @property
    def format(self) -> AudioFormat:
        return self.source.format

    async def open(self, sink: FrameSink) -> AudioInputStream:
        def both(frame: AudioFrame) -> None:
            self.tap(frame)
            sink(frame)

        return await self.source.open(both)


async def play(sfu: str, journal: Journal, microphone: WavSource, recording: Path) -> Heard:
    """Play the story: the speaker says what `microphone` has, which must end; it is recorded."""
    sent, heard = journal.meter("sent"), journal.meter("heard")
    async with AsyncExitStack() as stack:
        stack.callback(journal.say, "the engine is down")
        engine = await stack.enter_async_context(LocalEngine(EngineOptions(sfu=sfu)))
        journal.say(f"the engine is up, with the {sfu} SFU")
        make = partial(
            UTDStreamClient,
            engine.app_id,
            engine.app_key,
            base_url=engine.base_url,
            token_base_url=engine.token_base_url,
        )
        clients = [await stack.enter_async_context(make()) for _ in USERS]
        host = clients[0].audio_room(HOST, "demo", as_host=True, name="Hana", seat_count=SEATS)
        tapped = Tapped(microphone, sent)
        speaker = clients[1].audio_room(SPEAKER, "demo", name="Sami", microphone=tapped)
        listener = clients[2].audio_room(LISTENER, "demo", name="Lena", microphone=microphone)
        sessions = dict(zip(USERS, (host, speaker, listener), strict=True))
        for who, session in sessions.items():
            await stack.enter_async_context(session)
            for name in WATCHED:
                journal.watch(who, name, getattr(session, name))
            await session.join()
            journal.say(f"{who} joined")

        refusal, refused_after = await _refused(journal, listener)
        recorder = stack.enter_context(WavRecorder(recording))
        first_frame = asyncio.Event()
        frames = listener.audio(SPEAKER).pipe(
            ops.do_action(heard), ops.do_action(lambda _: first_frame.set())
        )
        subscription = frames.subscribe(recorder)
        over = asyncio.Event()
        speaker.events.pipe(ops.filter(lambda event: isinstance(event, LocalAudioEnded))).subscribe(
            lambda _: over.set()
        )

        await speaker.take_seat(SEAT)
        journal.say(f"{SPEAKER} sits on seat {SEAT} and speaks")
        await listener.seats.until(
            lambda grid: grid.seats[SEAT].identity == SPEAKER, timeout=PATIENCE
        )
        async with asyncio.timeout(PATIENCE):
            await first_frame.wait()
        journal.say(f"{LISTENER} hears {SPEAKER}")
        await until_over(over, microphone)
        await asyncio.sleep(TAIL)
        subscription.dispose()
        await speaker.leave_seat()
        journal.say(f"{SPEAKER} left the seat")
        await listener.remote_participants.until(
            lambda people: not any(who.tracks for who in people), timeout=PATIENCE
        )
        journal.say(f"{LISTENER} sees nobody speak")
        for who, session in sessions.items():
            await session.leave()
            journal.say(f"{who} left")
        return Heard(sent.began_at, heard.began_at, refusal, refused_after)


async def until_over(over: asyncio.Event, microphone: WavSource) -> None:
    """Wait for the end of the sound, which takes as long as it is."""
    async with asyncio.timeout(PATIENCE + microphone.duration):
        await over.wait()


async def _refused(
    journal: Journal, session: UTDAudioRoomSession
) -> tuple[UTDStreamException, float]:
    """Publish without a seat, which must be refused."""
    began = journal.elapsed()
    try:
        await session.set_microphone(True)
    except UTDStreamException as error:
        journal.say(f"{LISTENER} may not speak without a seat: {error.code.name}")
        return error, journal.elapsed() - began
    raise UTDStreamException("publishing without a seat was not refused", code=UTDErrorCode.UNKNOWN)
