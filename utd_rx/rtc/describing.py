"""What this client says of itself: its name, metadata and attributes, one change after the other.

LiveKit sends what it knows of the others along with each, so of two at once the later would undo
the former: the next one waits until the one before has been told. And LiveKit's own methods ignore
why a server refuses (docs/livekit.md, "Refusals unheard").
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.data import SelfDescription
from utd_rx.rtc import ffi

if TYPE_CHECKING:
    from livekit import rtc

ANSWER_TIMEOUT: Final = 10.0
"""Seconds for an answer; LiveKit itself waits 5."""

TOLD_TIMEOUT: Final = 1.0
"""Seconds after it for the news of the change, which usually comes first."""

_REFUSALS: Final = (
    ("exceed|limit", UTDErrorCode.VALIDATION),
    ("permission|allowed", UTDErrorCode.FORBIDDEN),
    ("timeout", UTDErrorCode.TIMEOUT),
)
"""The server's words; the first that fit decide."""


class Describer:
    """One connection's, which is over when `ended` is done; told when this client `changed`."""

    def __init__(self, room: rtc.Room, ended: asyncio.Future[None]) -> None:
        self._room = room
        self._ended = ended
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    def changed(self) -> None:
        self._news.set()

    async def describe(self, what: SelfDescription) -> None:
        """See `RoomPort.describe`."""
        async with self._turn:
            for part in what.parts():
                if self._ended.done():
                    raise conflict(ConflictReason.LEFT, "The room was left meanwhile.")
                if not self._room.local_participant.permissions.can_update_metadata:
                    raise UTDStreamException(
                        "The server has not granted it: the token needs canUpdateOwnMetadata.",
                        code=UTDErrorCode.FORBIDDEN,
                    )
                if not self._is_so(part):
                    await self._say(part)

    async def _say(self, part: SelfDescription) -> None:
        request = ffi.description_request(self._room.local_participant, part)
        asking = asyncio.ensure_future(ffi.ask(request))
        telling = asyncio.ensure_future(self._told(part))
        rivals: list[asyncio.Future[Any]] = [asking, telling, self._ended]
        try:
            await asyncio.wait(rivals, timeout=ANSWER_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                return  # LiveKit misses the answer now and then, and fails after 5 s
            if not asking.done():
                why = "the connection ended" if self._ended.done() else "LiveKit does not answer"
                message = f"It is not known whether this client was changed: {why}."
                raise UTDStreamException(message, code=UTDErrorCode.TIMEOUT)
            if refusal := foreign_text(asking.result().error):
                raise _refused(refusal)
            await asyncio.wait(
                (telling, self._ended),
                timeout=TOLD_TIMEOUT,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            asking.cancel()
            telling.cancel()

    async def _told(self, part: SelfDescription) -> None:
        """Return when LiveKit has told of the change."""
        while not self._is_so(part):
            self._news.clear()
            await self._news.wait()

    def _is_so(self, part: SelfDescription) -> bool:
        me = self._room.local_participant
        return part.describes(me.name, me.metadata, me.attributes)


def _refused(refusal: str) -> UTDStreamException:
    fits = (code for words, code in _REFUSALS if re.search(words, refusal, re.IGNORECASE))
    code = next(fits, UTDErrorCode.SERVER)
    return UTDStreamException(f"The server refused the change: {refusal}.", code=code)
