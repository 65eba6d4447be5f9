"""A microphone without a session: toggles are carried out in turn, and the last one wins."""

from __future__ import annotations

import asyncio

from utd_rx.errors import invalid
from utd_rx.models.audio import AudioInput
from utd_rx.models.participant import TrackSource
from utd_rx.rtc.live_room import LiveRoom


class MicrophoneSwitch:
    """Publishes, mutes and replaces the microphone of one room."""

    def __init__(self) -> None:
        self._epoch = 0
        self._turn = asyncio.Lock()

    async def switch(self, live: LiveRoom, enabled: bool, source: AudioInput | None) -> None:
        """Carry out an intent, unless a later one overtakes it while it waits for its turn.

        Cancelling is safe.

        Raises:
            UTDStreamException: `FORBIDDEN` at once, `VALIDATION` nothing to publish, or as
                `Publisher.publish`.
        """
        if enabled:
            live.publisher.check(TrackSource.MICROPHONE)
        self._epoch += 1
        epoch = self._epoch
        async with self._turn:
            if epoch == self._epoch:
                await _apply(live, enabled, source)


async def _apply(live: LiveRoom, enabled: bool, source: AudioInput | None) -> None:
    publisher = live.publisher
    audio = publisher.find(TrackSource.MICROPHONE)
    if audio is not None and enabled and source is not None and source is not audio.source:
        await publisher.unpublish(audio.sid)
        audio = None
    if audio is not None:
        live.set_muted(audio.sid, not enabled)
    elif enabled:
        if source is None:
            raise invalid("No microphone is published; pass its source.")
        await publisher.publish(source, TrackSource.MICROPHONE)
