"""What is heard and spoken in a session, and what the rules hear of it.

Sound goes past the rules. They are told when the agent's voice begins to wait to be heard, when all
of it was played, and amounts now and then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import numpy as np

from utd_rx.agent.hearing import AgentHearing
from utd_rx.agent.speaking import AgentPlayer
from utd_rx.errors import UTDStreamException, foreign_failure
from utd_rx.models.agent import AgentError
from utd_rx.models.audio import AudioInput
from utd_rx.ports.clock import Cancel, Clock
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.facts import agent as facts
from utd_rx.protocol.wire import atoms
from utd_rx.sessions.rules_runner import CLOSE_TIMEOUT, Handlers, RulesRunner

logger: Final = logging.getLogger("utd_rx.agent")

MEASURED_EVERY: Final = 0.25
"""Seconds between two amounts that the rules are told; each is a commit."""


class AgentSound:
    """The microphone and the voice of a session.

    Args:
        microphone: What is sent, None for nothing.
        player: Plays what the agent says; it tells `emptied` when nothing waits any more.
        sample_rate: That is expected, in Hz.
        runner: Hears of it.
        wake: Called when there is something to send.
        clock: Of what is measured.

    Raises:
        UTDStreamException: `FEATURE_DISABLED`: a rate has to be converted, and soxr is missing.
    """

    def __init__(
        self,
        microphone: AudioInput | None,
        player: AgentPlayer,
        sample_rate: int,
        *,
        runner: RulesRunner[AgentState],
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._player = player
        self._runner = runner
        self._wake = wake
        self._clock = clock
        self._hearing: AgentHearing | None = None
        if microphone is not None:
            self._hearing = AgentHearing(
                microphone,
                sample_rate,
                wake=self._more,
                on_speaking=lambda is_on: runner.offer(facts.UserSpeakingChanged(is_on)),
                clock=clock,
            )
        self._session: facts.BeginAgentSession | None = None
        self._is_wanted = self._is_open = False
        self._opening: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._measuring: Cancel | None = None
        self._measured = facts.AgentAudioMeasured(0, 0.0, 0.0)
        self.handlers: Handlers = {
            facts.EndAgentSession: self._end,
            facts.ReleaseAgentDevices: self._release,
            facts.SilenceMicrophone: self._silence,
            facts.FlushAgentSound: lambda _: player.flush(),
        }

    # --- what the rules ask for -----------------------------------------------------------------

    def begin(self, effect: facts.BeginAgentSession) -> None:
        """Let the microphone be sent and the voice be played, at the rate of the session."""
        self._session = effect
        try:
            self._player.begin(effect.sample_rate)
            if self._hearing is not None:
                self._hearing.expect(effect.sample_rate)
        except UTDStreamException as error:
            self._failed(effect, error)
            return
        self._measure_later()
        self._want(is_wanted=True)

    def _end(self, _: facts.EndAgentSession) -> None:
        self._session = None
        self._more()

    def _release(self, _: facts.ReleaseAgentDevices) -> None:
        self._want(is_wanted=False)

    def _silence(self, effect: facts.SilenceMicrophone) -> None:
        if self._hearing is not None:
            self._hearing.silenced = effect.is_silent

    # --- on its way -----------------------------------------------------------------------------

    def pull(self) -> str | None:
        """Return the next message with sound of the microphone, None while there is none."""
        chunk = None if self._hearing is None or self._session is None else self._hearing.take()
        return None if chunk is None else atoms.append_audio(chunk)

    def feed(self, audio: bytes) -> None:
        """Play what arrived of the agent's voice: PCM16 LE mono at the session's rate."""
        if self._session is None or not audio:
            return
        samples = np.frombuffer(audio, "<i2").astype(np.int16)[:, np.newaxis]
        if not self._player.is_playing:
            seconds = len(samples) / self._session.sample_rate
            self._runner.offer(facts.AgentSoundArrived(seconds))
        self._player.feed(samples)

    def finish(self) -> None:
        """The server has sent all of a turn."""
        self._player.finish()

    def emptied(self, tail: float) -> None:
        """All that arrived was played; the last of it is heard in so many seconds."""
        self._runner.offer(facts.AgentSoundEnded(tail))

    # --- the devices ----------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until the devices are open or let go of, as the newest word is.

        Bounded in time, whatever a device does. Cancelling is safe: it goes on.
        """
        if self._settling is not None:
            _, stuck = await asyncio.wait((self._settling,), timeout=CLOSE_TIMEOUT)
            if stuck:
                logger.error("a device of an agent's session does not close")

    async def aclose(self) -> None:
        """Let go of everything. Idempotent."""
        self._want(is_wanted=False)
        self._stop_measuring()
        await self.settled()
        await self._player.aclose()

    def _want(self, *, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        opening = None if is_wanted else self._opening
        if opening is not None:
            self._opening = None
            opening.cancel()
        if self._settling is None or self._settling.done():
            self._settling = self._runner.spawn(self._settle(), "agent devices")

    async def _settle(self) -> None:
        while self._is_wanted is not self._is_open:
            await (self._let_go() if self._is_open else self._take_up())

    async def _take_up(self) -> None:
        """Open the devices; what they fail with, whatever it is, ends the session."""
        session = self._session
        opening = self._opening = asyncio.create_task(self._open(), name="utd_rx.agent: open")
        try:
            await asyncio.wait((opening,))
        finally:
            opening.cancel()
        if self._opening is opening and not opening.cancelled() and opening.exception() is None:
            self._opening, self._is_open = None, True
            return
        await self._let_go()
        if self._opening is not opening:
            return  # not wanted any more
        self._opening, self._is_wanted = None, False
        self._failed(session, _told_of(opening))

    async def _open(self) -> None:
        await self._player.open()
        if self._hearing is not None:
            await self._hearing.open()

    async def _let_go(self) -> None:
        """Close the devices; one that fails keeps no other open."""
        self._is_open = False
        hearing = self._hearing
        for close in (None if hearing is None else hearing.aclose, self._player.release):
            try:
                if close is not None:
                    await close()
            except Exception:
                logger.exception("a device of an agent's session failed to close")

    def _more(self) -> None:
        if self._session is not None:
            self._wake()
        elif self._hearing is not None:
            while self._hearing.take() is not None:
                pass  # between two sessions it is for nobody

    def _failed(self, session: facts.BeginAgentSession | None, error: UTDStreamException) -> None:
        failure = AgentError(error.code.value, error.message, retryable=False)
        if session is not None:
            self._runner.offer(facts.AgentSoundFailed(session.attempt, failure))

    # --- amounts --------------------------------------------------------------------------------

    def _measure_later(self) -> None:
        self._stop_measuring()
        at = self._clock.now() + MEASURED_EVERY
        self._measuring = self._clock.call_at(at, self._measure)

    def _measure(self) -> None:
        self._measuring = None
        hearing = self._hearing
        dropped, depth = (0, 0.0) if hearing is None else (hearing.dropped, hearing.depth)
        queue_ms, playback_ms = 1000.0 * depth, 1000.0 * self._player.waiting
        measured = facts.AgentAudioMeasured(dropped, round(queue_ms, 1), round(playback_ms, 1))
        if measured != self._measured:
            self._measured = measured
            self._runner.offer(measured)
        if self._session is not None or self._player.is_playing:
            self._measure_later()

    def _stop_measuring(self) -> None:
        if self._measuring is not None:
            self._measuring()
        self._measuring = None


def _told_of(opening: asyncio.Task[None]) -> UTDStreamException:
    """Return why devices did not open, in the SDK's words."""
    error = (None if opening.cancelled() else opening.exception()) or asyncio.CancelledError()
    if isinstance(error, UTDStreamException):
        return error
    logger.error("a device of an agent's session does not open", exc_info=error)
    return foreign_failure("the microphone or the speaker does not open", error)
