"""Carries out what the microphone's rules ask of the room port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.protocol.facts import (
    CancelMicrophone,
    MicrophoneFailed,
    MicrophoneMuted,
    MicrophonePublished,
    MicrophoneUnpublished,
    MuteMicrophone,
    PublishMicrophone,
    UnpublishMicrophone,
)
from utd_rx.rtc.port import RoomPort
from utd_rx.sessions.shell import Handlers

logger: Final = logging.getLogger(__name__)


class MicrophoneEffects:
    """The microphone of one session: its source, and the operations under way at the room.

    Args:
        room: Where it is published.
        source: What it sounds like, None when the app gave none.
        offer: Takes the facts that come of it.
    """

    def __init__(
        self, room: RoomPort, source: AudioInput | None, offer: Callable[..., None]
    ) -> None:
        self.source = source
        self._room = room
        self._offer = offer
        self._publishing: dict[int, asyncio.Task[object]] = {}

    @property
    def handlers(self) -> Handlers:
        """What to do for each effect of `protocol.publishing`."""
        return {
            PublishMicrophone: self._publish,
            MuteMicrophone: self._mute,
            UnpublishMicrophone: self._unpublish,
            CancelMicrophone: self._cancel,
        }

    def require_source(self) -> AudioInput:
        """Return the source.

        Raises:
            UTDStreamException: `VALIDATION` when there is none.
        """
        if self.source is None:
            raise UTDStreamException(
                "no microphone: pass microphone=WavSource(…) or another AudioInput",
                code=UTDErrorCode.VALIDATION,
            )
        return self.source

    async def _publish(self, effect: PublishMicrophone) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._publishing[effect.epoch] = task
        try:
            track = await self._room.publish_audio(self.require_source())
        except UTDStreamException as error:
            self._offer(MicrophoneFailed(effect.epoch, error))
        except Exception as error:
            # An app's own source may raise anything; without a fact every later toggle would wait.
            logger.exception("the microphone failed to open")
            # Its text may hold secrets, and the state is recorded: that is for the caller alone.
            failure = UTDStreamException(f"the microphone failed to open: {type(error).__name__}")
            failure.__cause__ = error
            self._offer(MicrophoneFailed(effect.epoch, failure))
        else:
            self._offer(MicrophonePublished(effect.epoch, track))
        finally:
            self._publishing.pop(effect.epoch, None)

    async def _mute(self, effect: MuteMicrophone) -> None:
        try:
            await self._room.set_muted(effect.track_sid, effect.muted)
        except UTDStreamException as error:
            self._offer(MicrophoneFailed(effect.epoch, error))
        else:
            self._offer(MicrophoneMuted(effect.epoch, effect.muted))

    async def _unpublish(self, effect: UnpublishMicrophone) -> None:
        try:
            await self._room.unpublish(effect.track_sid)
        except UTDStreamException as error:
            self._offer(MicrophoneFailed(effect.epoch, error))
        else:
            self._offer(MicrophoneUnpublished(effect.epoch))

    async def _cancel(self, effect: CancelMicrophone) -> None:
        task = self._publishing.get(effect.epoch)
        if task is not None:
            task.cancel()
