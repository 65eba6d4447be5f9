"""Switching the microphone: intents come at any time, are carried out in turn, the last one wins."""

from __future__ import annotations

import asyncio

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.participant import TrackSource
from utd_rx.rtc.connection import Connection


class MicrophoneSwitch:
    """Publishes, mutes and replaces the microphone of one room."""

    def __init__(self) -> None:
        self._epoch = 0
        self._turn = asyncio.Lock()

    async def switch(
        self, connection: Connection, enabled: bool, source: AudioInput | None
    ) -> None:
        """Carry out an intent, unless a later one overtakes it while it waits for its turn.

        Cancelling is safe.

        Raises:
            UTDStreamException: `FORBIDDEN` at once, `VALIDATION` nothing to publish, or as
                `Publisher.publish`.
        """
        if enabled:
            connection.publisher.check(TrackSource.MICROPHONE)
        self._epoch += 1
        epoch = self._epoch
        async with self._turn:
            if epoch == self._epoch:
                await _apply(connection, enabled, source)


async def _apply(connection: Connection, enabled: bool, source: AudioInput | None) -> None:
    publisher = connection.publisher
    audio = publisher.find(TrackSource.MICROPHONE)
    if audio is not None and enabled and source is not None and source is not audio.source:
        await publisher.unpublish(audio.sid)
        audio = None
    if audio is not None:
        connection.local_mute_changed(audio.sid, not enabled)
    elif enabled:
        if source is None:
            raise UTDStreamException(
                "No microphone is published; pass its source.", code=UTDErrorCode.VALIDATION
            )
        await publisher.publish(source, "microphone", TrackSource.MICROPHONE)
