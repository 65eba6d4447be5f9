"""What the demos have in common: users with streams, ways between them, promises to be judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

from attrs import frozen

from utd_rx import ArraySource, UTDSession, UTDStreamClient, WavSource
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.report import Finding
from utd_rx.cli.demo.sound import Way
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.models.events import LocalAudioEnded, RoomEvent

PATIENCE: Final = 20.0
"""Seconds for anything a demo waits for, but the sound, which is added; each takes well under one
on a quiet machine.
"""

TAIL: Final = 0.5
"""Seconds to go on listening after the last sound was sent: jitter buffer and network."""


class Findings(Protocol):
    """What a story leaves to be judged."""

    @property
    def figures(self) -> Mapping[str, object]:
        """What the report holds of it."""


@frozen
class Story:
    """One demo: what is watched of whom, how it goes, and what it promised.

    Args:
        name: What the command calls it.
        users: In the order of the picture.
        watched: The streams of each that the journal keeps.
        lanes: Those of them in the picture, by user.
        columns: Those in the live view, by their headings.
        ways: Sound, from what is said to what is heard; levels in the journal, and recordings.
        play: Plays it with what is to be said, leaving recordings in a folder.
        judge: Says which promises were kept.
        sights: Pictures, from what is shown to what is seen; frames in the journal, and stills.
        has_sfu: Whether it has a media server.
    """

    name: str
    users: tuple[str, ...]
    watched: tuple[str, ...]
    lanes: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, str]
    ways: tuple[Way, ...]
    play: Callable[[str, DemoJournal, WavSource, Path], Coroutine[Any, Any, Any]]
    judge: Callable[[DemoJournal, Any], tuple[Finding, ...]]
    sights: tuple[Way, ...] = ()
    has_sfu: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """What playing it leaves: recordings and stills."""
        recordings = [file for way in self.ways for file in way.files(".wav")]
        return (*recordings, *(file for way in self.sights for file in way.files(".png")))


async def join_all(
    stack: AsyncExitStack,
    journal: DemoJournal,
    sessions: Mapping[str, UTDSession[Any]],
    watched: Iterable[str],
) -> None:
    """Let each user join a room, with the journal watching, for the length of `stack`."""
    for who, session in sessions.items():
        await stack.enter_async_context(session)
        for name in watched:
            journal.watch(who, name, getattr(session, name))
        await session.join()
        journal.say(f"{who} joined")


async def leave_all(journal: DemoJournal, sessions: Mapping[str, UTDSession[Any]]) -> None:
    """Let each user leave."""
    for who, session in sessions.items():
        await session.leave()
        journal.say(f"{who} left")


def spoken(session: UTDSession[Any]) -> asyncio.Event:
    """Return what is set when the session's microphone has said all it had."""
    over = asyncio.Event()

    def note(event: RoomEvent) -> None:
        if isinstance(event, LocalAudioEnded):
            over.set()

    session.events.subscribe(note)
    return over


async def until_over(over: asyncio.Event, sound: WavSource | ArraySource) -> None:
    """Wait until what takes as long as `sound` is over."""
    async with asyncio.timeout(PATIENCE + sound.duration):
        await over.wait()


async def start_engine(
    stack: AsyncExitStack, journal: DemoJournal, sfu: str
) -> tuple[LocalEngine, Callable[[], Awaitable[UTDStreamClient]]]:
    """Start the engine for the length of `stack`; also return what makes a client of it."""
    stack.callback(journal.say, "the engine is down")
    engine = await stack.enter_async_context(LocalEngine(EngineOptions(sfu=sfu)))
    journal.say(f"the engine is up, with the {sfu} SFU")

    async def make_client() -> UTDStreamClient:
        client = UTDStreamClient(
            engine.app_id,
            engine.app_key,
            base_url=engine.base_url,
            token_base_url=engine.token_base_url,
        )
        return await stack.enter_async_context(client)

    return engine, make_client
