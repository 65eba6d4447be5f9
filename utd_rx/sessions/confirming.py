"""Waiting for the state to show what the engine said yes to (`utd_rx.protocol.promises`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.promises import Promise, Verdict, Wait
from utd_rx.protocol.speakers import GRANT_TIMEOUT
from utd_rx.state import StateSubject, StreamCompletedError

PUSH_TIMEOUT: Final = 2.0
"""Seconds to wait for the engine's push before asking it: a push behind a join may be lost
(facts/utd-engine.md §7.2, 12)."""


class Confirmation:
    """One command's wait; made before the engine is asked, it belongs to the join of then.

    Args:
        state: The session's.
        ask: Asks the engine for the grid, and lets the state have it.
    """

    def __init__(
        self, state: StateSubject[AudioRoomState], ask: Callable[[], Awaitable[UTDSeatGrid]]
    ) -> None:
        self._state = state
        self._ask = ask
        self._epoch = state.value.session.connection.epoch

    async def confirm(self, promise: Promise) -> None:
        """Wait until the state shows what was promised; ask when no push comes.

        Raises:
            UTDStreamException: `CONFLICT` left, or it was taken back; `TIMEOUT`.
        """
        wait = Wait(promise, self._epoch)

        def judge(state: AudioRoomState) -> bool:
            nonlocal wait
            wait, verdict = wait.judge(state)
            if verdict is Verdict.LEFT:
                raise UTDStreamException(
                    f"left while waiting for {promise.what}", code=UTDErrorCode.CONFLICT
                )
            if verdict is Verdict.TAKEN_BACK:
                raise _taken_back(promise)
            return verdict is Verdict.SHOWN

        try:
            async with asyncio.timeout(GRANT_TIMEOUT):
                try:
                    await self._state.until(judge, timeout=PUSH_TIMEOUT)
                except TimeoutError:
                    if not promise.holds(await self._ask()):
                        raise _taken_back(promise) from None
                    await self._state.until(judge)
        except TimeoutError as error:
            raise UTDStreamException(
                f"{promise.what} did not arrive within {GRANT_TIMEOUT:.0f} s",
                code=UTDErrorCode.TIMEOUT,
            ) from error
        except StreamCompletedError as error:
            raise UTDStreamException("the session is closed", code=UTDErrorCode.CONFLICT) from error


def _taken_back(promise: Promise) -> UTDStreamException:
    return UTDStreamException(
        f"{promise.what} was taken back at once by somebody else", code=UTDErrorCode.CONFLICT
    )
