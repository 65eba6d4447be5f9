"""Data messages on their way: a few with LiveKit at a time, the others wait their turn.

Each `publish_data` listens to every native event until its own answer comes, so what is under way
together costs the square of its number: of 1,000 at once most were told that they timed out, though
all arrived, and the loop stood still for seconds (docs/livekit.md, "Floods of data").
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.data import DataMessage
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

MAX_UNDER_WAY: Final = 8
"""Messages that LiveKit has at a time; it hands them on in the order in which it gets them."""

SEND_TIMEOUT: Final = 10.0
"""Seconds from when LiveKit has a message; it answers when its channel has taken it."""


class Outbox:
    """The messages of one connection, which is over when `ended` is done."""

    def __init__(self, room: rtc.Room, ended: asyncio.Future[None]) -> None:
        self._room = room
        self._ended = ended
        self._slots = asyncio.Semaphore(MAX_UNDER_WAY)

    async def send(self, message: DataMessage) -> None:
        """See `RoomPort.send_data`; `SERVER` LiveKit failed to send."""
        async with self._slots:
            if self._ended.done():
                raise conflict(ConflictReason.LEFT, "The room was left; the message was not sent.")
            local = self._room.local_participant
            if not local.permissions.can_publish_data:
                raise UTDStreamException(
                    "The server has not granted sending data.", code=UTDErrorCode.FORBIDDEN
                )
            if message.to == ():
                return  # LiveKit takes an empty list for everybody
            sending = asyncio.create_task(
                local.publish_data(
                    message.data,
                    reliable=message.reliable,
                    topic=message.topic,
                    destination_identities=list(message.to or ()),
                ),
                name="utd_rx.rtc: send data",
            )
            try:
                await self._settle(sending)
            finally:
                sending.cancel()

    async def _settle(self, sending: asyncio.Task[None]) -> None:
        rivals: list[asyncio.Future[Any]] = [sending, self._ended]
        await asyncio.wait(rivals, timeout=SEND_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            why = "the connection ended" if self._ended.done() else "LiveKit does not answer"
            raise UTDStreamException(
                f"It is not known whether the message was sent: {why}.", code=UTDErrorCode.TIMEOUT
            )
        if isinstance(error := sending.exception(), native.sdk().participant.PublishDataError):
            raise UTDStreamException(
                f"Sending failed: {foreign_text(error.message)}.", code=UTDErrorCode.SERVER
            )
        sending.result()
