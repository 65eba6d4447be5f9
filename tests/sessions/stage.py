"""A session on the fakes: a room, an engine and a clock that the test plays itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from utd_rx.audio import ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.ports.clock import Cancel
from utd_rx.sessions.audio_room import UTDAudioRoomSession
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.engine import FakeEngine
from utd_rx.testing.room import FakeRoom

TONE = ToneSource()


class LoopClock(FakeClock):
    """The time of a loop, which a test may have made virtual."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        return self._loop.call_at(at, callback).cancel


class Stage:
    """One audio room session on fakes."""

    def __init__(
        self,
        *,
        microphone: AudioInput | None = TONE,
        is_host: bool = False,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock = clock or FakeClock(100.0)
        self.room = FakeRoom("me")
        self.engine = FakeEngine(self.room)
        self.session = UTDAudioRoomSession(
            "me",
            "room",
            is_host=is_host,
            room=self.room,
            engine=self.engine,
            microphone=microphone,
            clock=self.clock,
        )


def code_of(raised: pytest.ExceptionInfo[UTDStreamException]) -> UTDErrorCode:
    """Return what kind of failure was raised."""
    return raised.value.code
