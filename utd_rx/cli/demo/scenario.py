"""The demo's story: a host opens a room, one user speaks, another may not and listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

from attrs import define, field, frozen
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
)
from utd_rx.cli.demo.journal import Journal
from utd_rx.engine import LocalEngine
from utd_rx.models.audio import AudioInputStream, FrameSink
from utd_rx.models.events import LocalAudioEnded

HOST: Final = "hana"
SPEAKER: Final = "sami"
LISTENER: Final = "lena"
USERS: Final = (HOST, SPEAKER, LISTENER)
SEAT: Final = 2
SEATS: Final = 8

PATIENCE: Final = 20.0
"""Seconds for anything the demo waits for; each takes well under one on a quiet machine."""

TAIL: Final = 0.5
"""Seconds to go on listening after the last sound was sent: jitter buffer and network."""


@frozen
class Heard:
    """What the story leaves to be judged."""

    sent_started_at: float
    heard_started_at: float
    refusal: UTDStreamException
    refused_after: float


@define
class Stopwatch:
    """When a run of frames began, from the times of all of them.

    One frame may be late, and the first often is; the median of them all is not.
    """

    _starts: list[float] = field(factory=list)
    _seconds: float = 0.0

    def take(self, frame: AudioFrame) -> None:
        """Take the next frame."""
        self._starts.append(frame.at - self._seconds)
        self._seconds += frame.duration

    @property
    def began_at(self) -> float:
        """Seconds of `time.monotonic()`."""
        return median(self._starts)


@frozen
class Tapped:
    """An audio input that shows each of its frames to `tap` on its way."""

    source: AudioInput
    tap: FrameSink = field(repr=False)

    @property
    def format(self) -> AudioFormat:
        """The source's format."""
        return self.source.format

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Open the source; `tap` sees a frame before `sink` does."""

        def both(frame: AudioFrame) -> None:
            self.tap(frame)
            sink(frame)

        return await self.source.open(both)


async def play(
    engine: LocalEngine, journal: Journal, *, microphone: AudioInput, recording: Path
) -> Heard:
    """Play the story on a running engine.

    Args:
        engine: Where.
        journal: Sees every stream of every user.
        microphone: What the speaker says; it must end.
        recording: The file for what the listener hears.

    Raises:
        UTDStreamException: Something that should have worked did not.
    """
    sent, heard = Stopwatch(), Stopwatch()
    sent_level, heard_level = journal.meter("sent"), journal.meter("heard")

    def tap(frame: AudioFrame) -> None:
        sent.take(frame)
        sent_level(frame)

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_client(engine)) for _ in USERS]
        host = clients[0].audio_room(HOST, "demo", as_host=True, name="Hana", seat_count=SEATS)
        speaker = clients[1].audio_room(
            SPEAKER, "demo", name="Sami", microphone=Tapped(microphone, tap)
        )
        listener = clients[2].audio_room(LISTENER, "demo", name="Lena", microphone=microphone)
        for who, session in zip(USERS, (host, speaker, listener), strict=True):
            await stack.enter_async_context(session)
            _watch(journal, who, session)
            await session.join()
            journal.say(f"{who} joined")

        refusal, refused_after = await _refused(journal, listener)
        recorder = stack.enter_context(WavRecorder(recording))
        first_frame = asyncio.Event()
        frames = listener.audio(SPEAKER).pipe(
            ops.do_action(heard_level),
            ops.do_action(heard.take),
            ops.do_action(lambda _: first_frame.set()),
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
        async with asyncio.timeout(PATIENCE):
            await over.wait()
        await asyncio.sleep(TAIL)
        subscription.dispose()
        await speaker.leave_seat()
        journal.say(f"{SPEAKER} left the seat")
        await listener.remote_participants.until(
            lambda people: not any(who.tracks for who in people), timeout=PATIENCE
        )
        journal.say(f"{LISTENER} sees nobody speak")
        for who, session in zip(USERS, (host, speaker, listener), strict=True):
            await session.leave()
            journal.say(f"{who} left")
        return Heard(sent.began_at, heard.began_at, refusal, refused_after)


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


def _watch(journal: Journal, who: str, session: UTDAudioRoomSession) -> None:
    journal.watch(
        who,
        connection_state=session.connection_state,
        connected=session.connected,
        can_publish=session.can_publish,
        my_seat=session.my_seat,
        microphone_enabled=session.microphone_enabled,
        seats=session.seats,
        remote_participants=session.remote_participants,
        active_speakers=session.active_speakers,
        failure=session.failure,
    )


@asynccontextmanager
async def _client(engine: LocalEngine) -> AsyncIterator[UTDStreamClient]:
    client = UTDStreamClient(
        engine.app_id,
        engine.app_key,
        base_url=engine.base_url,
        token_base_url=engine.token_base_url,
    )
    async with client:
        yield client
