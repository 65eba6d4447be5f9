"""Voice processing between a microphone's frames and whoever hears them.

It comes before mute, level and activity: so an echo is nobody speaking, and what is learnt about it
is not forgotten while the microphone is muted. What the reference plays comes on its own thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Final

from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.audio import AudioFrame, FrameSink
from utd_rx.models.voice_processing import VoiceProcessing, VoiceProcessor
from utd_rx.ports.audio import Abilities
from utd_rx.ports.threads import in_thread

ADAPTER: Final = "utd_rx.rtc.processing"
"""Where `VoiceProcessor` is served, by name as in `handle`: LiveKit is loaded only to process."""

DELAY_STEP: Final = 0.005  # seconds of change before it is told: half a speaker's block
_SETTLING: Final = 50  # frames in which it follows by 1 - 1/e; single ones come early or late


def make_processor(processing: VoiceProcessing) -> VoiceProcessor:
    """Return the processing of one microphone; blocks for 0.2 s where LiveKit is not loaded yet."""
    processor: VoiceProcessor = import_module(ADAPTER).make_processor(processing)
    return processor


def check_processing(
    processing: VoiceProcessing | None, has_reference: bool, abilities: Abilities
) -> VoiceProcessing:
    """Return what is done to a voice: what is asked for, or what these devices always do."""
    always = abilities.processing
    if always is not None:
        if processing not in (None, always):
            raise invalid(
                f'backend="{abilities.backend}" always processes a voice by all that it has: leave '
                "out processing=, or leave out backend= to choose"
            )
        return always
    if processing is not None and processing.echo_cancellation and not has_reference:
        raise invalid(
            "echo cancellation has to know what is played: Microphone(…, reference=speaker)"
        )
    return processing or VoiceProcessing()


class ProcessingStage:
    """One microphone's processing, switched while it streams.

    `listen` is that of the `ports.living.LivingReference` nearby, None for none. `latency` is the
    device's now, between the air and the callback, in seconds, and `delay` from what is played to
    its echo in a frame, 0 while nothing is; `unprocessed` are frames, heard or played, that could
    not be processed. `now` is the time base of `AudioFrame.at`.
    """

    def __init__(
        self,
        listen: Callable[[FrameSink], Callable[[], None]] | None,
        latency: Callable[[], float],
        make: Callable[[VoiceProcessing], VoiceProcessor] = make_processor,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unprocessed = 0
        self._listen = listen
        self._latency = latency
        self._make = make
        self._now = now
        # Replaced whole and never closed: either thread may still be in the old one.
        self._processor: VoiceProcessor | None = None
        self._epoch = 0
        self._stop: Callable[[], None] | None = None
        self._ahead: float | None = None
        self.delay = 0.0
        self._told = -1.0

    async def use(self, processing: VoiceProcessing) -> None:
        """Process like that from the next frame on; what was learnt of an echo is learnt anew.

        Where it fails or is cancelled the old one goes on: `NOT_FOUND` when the reference is not
        here, `CONFLICT` when a later call or the end overtook this one.
        """
        self._epoch += 1
        epoch = self._epoch
        processor = None
        if processing.is_on:
            processor = await in_thread(self._make, processing)
        if epoch != self._epoch:
            raise conflict(
                ConflictReason.OVERTAKEN,
                "the microphone was closed, or its processing changed again, before it took effect",
            )
        stop = None
        if processing.echo_cancellation and self._listen is not None:
            stop = self._listen(self._played)
        self._stop_listening()
        self._told = -1.0
        self._processor, self._stop = processor, stop

    def close(self) -> None:
        """Process no more. Idempotent."""
        self._epoch += 1
        self._stop_listening()
        self._processor = None

    def push(self, frame: AudioFrame) -> AudioFrame:
        """Return a frame as it should sound; where the card delivers, never raises."""
        processor = self._processor
        if processor is None:
            return frame
        try:
            self._tell_delay(processor, frame)
            return processor.process(frame)
        except Exception:  # noqa: BLE001 - counted: the sound goes on
            self.unprocessed += 1
            return frame

    def _played(self, frame: AudioFrame) -> None:
        processor = self._processor
        if processor is None:
            return
        try:
            self._ahead = frame.at - self._now()
            processor.played(frame)
        except Exception:  # noqa: BLE001 - as in `push`
            self.unprocessed += 1

    def _tell_delay(self, processor: VoiceProcessor, frame: AudioFrame) -> None:
        if self._ahead is None:
            return
        delay = self._ahead + self._latency() + self._now() - frame.at
        if self._told < 0:
            self.delay = delay
        self.delay += (delay - self.delay) / _SETTLING
        if abs(self.delay - self._told) >= DELAY_STEP:
            self._told = self.delay
            processor.set_delay(self.delay)

    def _stop_listening(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        self._ahead, self.delay = None, 0.0
