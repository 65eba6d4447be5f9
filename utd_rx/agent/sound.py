"""What is heard and spoken in a session, and what the rules hear of it.

Sound goes past the rules. They are told when the agent's voice begins to wait to be heard, when all
of it was played, and amounts now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from utd_rx.agent.hearing import AgentHearing
from utd_rx.agent.speaking import AgentPlayer
from utd_rx.errors import UTDStreamException
from utd_rx.models.agent import AgentError
from utd_rx.models.audio import AudioInput
from utd_rx.ports.clock import Cancel, Clock
from utd_rx.protocol.facts import agent as facts
from utd_rx.protocol.wire import atoms
from utd_rx.sessions.rules_runner import Handlers, RulesRunner

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
        runner: RulesRunner[Any],
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
        self._one_by_one = asyncio.Lock()
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
        self._is_wanted = True
        self._runner.spawn(self.settled(), "agent devices")

    def _end(self, _: facts.EndAgentSession) -> None:
        self._session = None
        self._more()

    def _release(self, _: facts.ReleaseAgentDevices) -> None:
        self._is_wanted = False
        self._runner.spawn(self.settled(), "agent devices")

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
        """Open or let go of the devices, as the newest word is, and wait until that is done."""
        async with self._one_by_one:
            if self._is_wanted and not self._is_open:
                session = self._session
                try:
                    await self._player.open()
                    if self._hearing is not None:
                        await self._hearing.open()
                    self._is_open = True
                except UTDStreamException as error:
                    await self._let_go()
                    self._failed(session, error)
            elif self._is_open and not self._is_wanted:
                await self._let_go()

    async def aclose(self) -> None:
        """Let go of everything. Idempotent."""
        self._is_wanted = False
        self._stop_measuring()
        async with self._one_by_one:
            await self._let_go()
            await self._player.aclose()

    async def _let_go(self) -> None:
        self._is_open = False
        if self._hearing is not None:
            await self._hearing.aclose()
        await self._player.release()

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
