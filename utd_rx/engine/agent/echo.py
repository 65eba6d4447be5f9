"""`EchoAgent`: says back what it hears, and lets itself be interrupted.

A turn of the user's begins with 60 ms of sound that is loud enough and ends with half a second that
is not; what lies between, to the piece, is what is said back. Time is counted in the sound itself,
so that what comes late or all at once is heard alike.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import Final

import numpy as np

from utd_rx.engine.agent.call import AgentCall
from utd_rx.engine.agent.messages import SoundSent
from utd_rx.models.audio import Samples

ONSET_SECONDS: Final = 0.06
"""Shorter sounds are no speech: clicks, a key."""

PAUSE_SECONDS: Final = 0.5
"""Pauses within a turn are shorter."""

LONGEST_SECONDS: Final = 60.0
"""After which a turn ends, whoever still speaks."""

LOUD: Final = 330.0
"""RMS of speech at least, of int16: -40 dBFS."""


class EchoEar:
    """Cuts what is heard into turns.

    Args:
        sample_rate: Of the sound, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._pieces: list[Samples] = []
        self._loud = 0  # of the pieces up to the last loud one, samples
        self._kept = 0  # pieces up to the last loud one
        self._quiet = 0  # samples behind it
        self.is_hearing = False

    @property
    def seconds(self) -> float:
        """Of loud sound in the turn so far, 0 between turns."""
        return self._loud / self._rate if self.is_hearing else 0.0

    def hear(self, piece: Samples) -> Samples | None:
        """Take the next piece; return the turn that ends with it, if one does."""
        if len(piece) and float(np.sqrt(np.mean(np.square(piece, dtype=np.float64)))) >= LOUD:
            self._pieces.append(piece)
            self._kept, self._quiet = len(self._pieces), 0
            self._loud += len(piece)
            if self._loud >= ONSET_SECONDS * self._rate:
                self.is_hearing = True
            return self._turn() if self._loud >= LONGEST_SECONDS * self._rate else None
        if not self.is_hearing:
            self._forget()
            return None
        self._pieces.append(piece)
        self._quiet += len(piece)
        return self._turn() if self._quiet >= PAUSE_SECONDS * self._rate else None

    def _turn(self) -> Samples:
        turn = np.concatenate(self._pieces[: self._kept])
        self._forget()
        return turn

    def _forget(self) -> None:
        self._pieces.clear()
        self._loud = self._kept = self._quiet = 0
        self.is_hearing = False


class EchoAgent:
    """Says back what it hears, and what is typed to it.

    Args:
        speed: How much faster than it is heard its sound is sent; a real one's is faster, too.
        dotted: Whether it spells start and stop of talking with a dot.
    """

    def __init__(self, speed: float = 4.0, *, dotted: bool = False) -> None:
        self._speed = speed
        self._dotted = dotted

    async def __call__(self, call: AgentCall) -> None:
        """Serve one session."""
        await call.create()
        ear, told = EchoEar(call.sample_rate), 0
        reply: asyncio.Task[None] | None = None
        try:
            async for message in call.messages():
                if isinstance(message, SoundSent):
                    turn = ear.hear(np.frombuffer(message.pcm, dtype="<i2").astype(np.int16))
                    if ear.is_hearing and call.is_talking:
                        await self._fall_silent(call, reply)
                    halves = ceil(2 * ear.seconds)
                    if halves > told:
                        await call.hear(_words(ear.seconds), is_final=False)
                    told = halves
                    if turn is None:
                        continue
                    text = _words(len(turn) / call.sample_rate)
                    await call.hear(text)
                else:
                    text, turn = message.text, None
                    if call.is_talking:
                        await self._fall_silent(call, reply)
                    await call.hear(text)
                saying = call.say(text, turn, speed=self._speed, dotted=self._dotted)
                reply = asyncio.create_task(saying, name="agent-reply")
        finally:
            if reply is not None:
                reply.cancel()
                await asyncio.wait((reply,))

    async def _fall_silent(self, call: AgentCall, reply: asyncio.Task[None] | None) -> None:
        if reply is not None:
            reply.cancel()
            await asyncio.wait((reply,))
        await call.interrupt(dotted=self._dotted)


def _words(seconds: float) -> str:
    return f"You spoke for {seconds:.1f} s"
