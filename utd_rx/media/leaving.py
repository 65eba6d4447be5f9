"""Leaving a room as somebody whose media process has died there.

The server is told nothing of such an end and shows who was there for 20 s more, a ghost. Whoever
joins with the same identity takes its place at once, and may leave as anybody; having published
something, as the others hear 3 s late of whoever has not (docs/livekit.md, "News of the silent").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from attrs import evolve

from utd_rx.errors import UTDStreamException
from utd_rx.media.carrying_out import carry_out
from utd_rx.media.lacking import JoinAgain
from utd_rx.media.succession import Succession
from utd_rx.media.wished_parts import JoinedAt
from utd_rx.ports.room import RoomPort

logger: Final = logging.getLogger(__name__)

LEAVE_WITHIN: Final = 1.5
"""Seconds for it: a process is up after half of one, and has joined and left in a fifth."""

LEAVING: Final = "leaving"
"""The data track that makes somebody of it whose end is told at once: it opens no device."""


async def leave_anew(
    succession: Succession[Any],
    make: Callable[[Any], RoomPort],
    address: JoinedAt,
    first: Callable[[], Awaitable[None]],
) -> None:
    """Join in the process that lives, or the next, and leave; bounded in time. Where that fails the
    ghost stays, which is logged.

    Args:
        succession: Of the processes.
        make: Makes a room in one of them.
        address: Where somebody is left.
        first: Is awaited before: ends what is joined there already.
    """
    try:
        async with asyncio.timeout(LEAVE_WITHIN):
            await first()
            room = make(await succession.host())
            there = await carry_out(room, JoinAgain(evolve(address, auto_subscribe=False)))
            if there.local.permission.can_publish_data:
                with suppress(UTDStreamException):
                    await room.publish_data_track(LEAVING)
            await room.aclose()  # else it is closed as it is dropped, and nobody waits for it
    except Exception as error:  # noqa: BLE001 - whatever it is, who leaves does not mind
        why = (
            f"it took longer than {LEAVE_WITHIN:g} s" if isinstance(error, TimeoutError) else error
        )
        logger.warning("others may see who has left for some seconds more: %s", why)
