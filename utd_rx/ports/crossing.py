"""From any thread to an event loop, in batches, without ever waiting for it: frames and states."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from attrs import evolve

from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFrame
from utd_rx.models.device_state import MicrophoneState, SpeakerState

MAX_WAITING: Final = FRAMES_PER_SECOND
"""Frames that wait for the loop, a second of sound; beyond it the oldest are dropped."""

MAX_FAILURES: Final = 20
"""States that wait for the loop because the failure changed; beyond it the oldest are dropped."""

S = TypeVar("S", bound=MicrophoneState | SpeakerState)


class FrameBox:
    """Carries frames; one crossing, and one delivery, for all that wait.

    Args:
        loop: Where they are delivered.
        deliver: Takes them, on that loop, at least one.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[tuple[AudioFrame, ...]], None]
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_WAITING)
        self._is_closed = False

    def post(self, frame: AudioFrame) -> None:
        """Take a frame, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            self._waiting.append(frame)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody listens any more
                self._loop.call_soon_threadsafe(self._flush)

    def close(self) -> None:
        """Deliver no more, on the loop; what waits is dropped. Idempotent."""
        self._is_closed = True

    def _flush(self) -> None:
        with self._lock:
            frames = tuple(self._waiting)
            self._waiting.clear()
        if not self._is_closed:
            self._deliver(frames)


class StateBox(Generic[S]):
    """Carries a device's state; while the loop is busy only the newest is kept.

    But a failure that was over before the loop looked is delivered all the same.

    Args:
        loop: Where it is delivered.
        deliver: Takes what waits, on that loop, at least one.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[tuple[S, ...]], None]
    ) -> None:
        self.loop = loop
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[S] = deque(maxlen=MAX_FAILURES)
        self._is_closed = False

    def post(self, state: S) -> None:
        """Take the newest state, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            if is_scheduled and self._waiting[-1].failure is state.failure:
                self._waiting.pop()
            self._waiting.append(state)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody listens any more
                self.loop.call_soon_threadsafe(self.flush)

    def close(self) -> None:
        """Deliver no more, on the loop. Idempotent."""
        self._is_closed = True

    def flush(self) -> None:
        """Deliver what waits, on the loop."""
        with self._lock:
            states = tuple(self._waiting)
            self._waiting.clear()
        if states and not self._is_closed:
            self._deliver(states)


class Teller(Generic[S]):
    """Keeps the state of a device and tells it on the loops that listen.

    Args:
        state: To begin with.
    """

    def __init__(self, state: S) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._boxes: tuple[StateBox[S], ...] = ()

    @property
    def state(self) -> S:
        """What the device told last."""
        return self._state

    def post(self, **changes: Any) -> None:
        """Change the state, on any thread; never waits."""
        with self._lock:
            self._state = evolve(self._state, **changes)
            for box in self._boxes:
                box.post(self._state)

    def listen(self, deliver: Callable[[tuple[S, ...]], None]) -> Callable[[], None]:
        """Tell `deliver` on this loop, beginning with the state as it is; call to stop."""
        box = StateBox(asyncio.get_running_loop(), deliver)
        with self._lock:
            box.post(self._state)
            self._boxes = (*self._boxes, box)

        def stop() -> None:
            box.close()
            with self._lock:
                self._boxes = tuple(other for other in self._boxes if other is not box)

        return stop

    def flush(self) -> None:
        """Deliver at once what waits for this loop."""
        loop = asyncio.get_running_loop()
        for box in self._boxes:
            if box.loop is loop:
                box.flush()
