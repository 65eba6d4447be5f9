"""Plays a script on one side, a moment for each step; and compares what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, TypeAlias

from attrs import frozen

from tests.differential.plays import Actor
from tests.differential.scripts import Script, Step
from tests.differential.watching import Moment, Watch
from utd_rx import TestPattern, UTDStreamClient, UTDStreamException, UTDStreamType
from utd_rx.models.audio import AudioFormat, AudioInputStream, FrameSink

PATIENCE: Final = 15.0
"""Seconds that a real side may take to get where the other one got."""

MakeClient: TypeAlias = Callable[[str], UTDStreamClient]
"""Returns a client of a side's engine, for somebody."""

KEEPER: Final = "zoe"
"""Is in the room from the beginning to the end and does nothing, so that it stays."""


class Mute:
    """Is open and says nothing."""

    async def wait_ended(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None: ...


@frozen
class SilentMicrophone:
    """A microphone that costs nothing."""

    format: AudioFormat = AudioFormat()

    async def open(self, sink: FrameSink) -> AudioInputStream:
        return Mute()


@frozen
class SilentCamera:
    """A camera that costs nothing."""

    format = TestPattern(160, 90, 5.0).format

    async def open(self, sink: object) -> AudioInputStream:
        return Mute()


class Player:
    """One script on one side.

    Args:
        script: What is done.
        client: Makes the clients.
        room: The name of the room; everybody's identity has it, too, where they may call others.
        expected: What came of it elsewhere, and is waited for after each step.
        quiet: Waits instead until nothing more comes of a step.
    """

    def __init__(
        self,
        script: Script,
        client: MakeClient,
        room: str,
        *,
        expected: Sequence[Moment] = (),
        quiet: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.script = script
        self.moments: list[Moment] = []
        self._client = client
        self._room = room
        self._expected = expected
        self._quiet = quiet or self._as_expected
        self._stirred = asyncio.Event()
        self._watch = Watch(script.play.kind, self._stirred.set)
        self._actors: dict[str, Actor] = {}
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Have everybody come, one after the other."""
        self._watch.only_ends = True
        for number, who in enumerate(self.script.play.cast):
            await self._come(who, leads=number == 0)
        if self.script.play.kind != "calls":
            await self._come(KEEPER, leads=False)
        await self._settle(None)
        self._watch.only_ends = False

    async def act(self, number: int) -> None:
        """Play an act; stops where it has gone another way."""
        for step in self.script.acts[number]:
            if not self.has_differed:
                self._watch.begin(step.who, step.verb)
                answer = await self._do(step)
                if step.verb == "kick" and not isinstance(answer, tuple):  # a refusal
                    self._watch.kicked(step.args[0])
                await self._settle(answer)

    async def pause(self) -> None:
        """See what came of the time that has passed."""
        self._watch.only_ends = True
        if not self.has_differed:
            await self._settle("time passed")
        self._watch.only_ends = False

    async def aclose(self) -> None:
        """Have everybody leave."""
        await self._stack.aclose()

    @property
    def has_differed(self) -> bool:
        """Whether the last moment was another one than expected."""
        number = len(self.moments) - 1
        return bool(self._expected) and self.moments[number] != self._expected[number]

    async def _come(self, who: str, *, leads: bool) -> None:
        kind = self.script.play.kind
        client = self._client(who)
        self._stack.push_async_callback(client.aclose)
        session: Any
        if kind == "calls":
            await client.authenticate(self._named(who), name=who.title())
            await client.signal_connected.until(True, timeout=PATIENCE)
            session = client.call_session(
                UTDStreamType.VIDEO_CALL, microphone=SilentMicrophone(), camera=SilentCamera()
            )
        elif kind == "audio room":
            session = client.audio_room(
                who,
                self._room,
                as_host=leads,
                name=who.title(),
                seat_count=4,
                host_seat=0,
                microphone=SilentMicrophone(),
            )
        else:
            session = client.live_stream(
                who,
                self._room,
                as_host=leads,
                name=who.title(),
                microphone=SilentMicrophone(),
                camera=SilentCamera(),
            )
        self._stack.push_async_callback(session.aclose)
        self._watch.follow(who, client, session)
        if kind != "calls":
            await session.join()
        self._actors[who] = Actor(client, session)

    def _named(self, who: str) -> str:
        """Callers are known to the whole engine, so they are somebody else in each script."""
        return f"{who}.{self._room}"

    async def _do(self, step: Step) -> object:
        args = step.args
        if self.script.play.kind == "calls":
            args = tuple(self._named(arg) if isinstance(arg, str) else arg for arg in args)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._actors[step.who].do(step.verb, *args)
        except TimeoutError:
            return "nothing came"
        except UTDStreamException as error:
            return error.code.name, error.reason and error.reason.name, error.status_code

    async def _settle(self, answer: object) -> None:
        await self._quiet()
        self.moments.append(self._watch.take(answer))

    async def _as_expected(self) -> None:
        """Wait until as much was told as elsewhere, for as long as there is patience.

        What comes later than that shows in the next step.
        """
        wanted = self._expected[len(self.moments)].told
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._watch.told != wanted:
                    self._stirred.clear()
                    await self._stirred.wait()


def differences(script: Script, here: Sequence[Moment], there: Sequence[Moment]) -> Iterator[str]:
    """Say where two plays of a script differ first, a line for each stream."""
    steps: list[object] = ["everybody comes"]
    for number, act in enumerate(script.acts):
        steps += ["time passes"] * (number > 0) + list(act)
    for step, one, other in zip(steps, here, there, strict=False):
        if one == other:
            continue
        if one.answer != other.answer:
            yield f"{step}: answered {one.answer!r} and {other.answer!r}"
        for key in sorted({**one.told, **other.told}):
            if one.told.get(key) != other.told.get(key):
                who, stream = key
                yield f"{step}: {who}.{stream} {one.told.get(key)} and {other.told.get(key)}"
        return
