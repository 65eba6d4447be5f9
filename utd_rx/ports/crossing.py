"""From any thread to an event loop, in batches, without ever waiting for it: frames and states."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from attrs import evolve

from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFrame
from utd_rx.models.device_state import MicrophoneState, SpeakerState

MAX_WAITING: Final = FRAMES_PER_SECOND
"""Frames that wait for the loop, a second of sound; beyond it the oldest are dropped."""

MAX_FAILURES: Final = 20
"""States that wait for the loop because the failure changed; beyond it the oldest are dropped."""

T = TypeVar("T")
S = TypeVar("S", bound=MicrophoneState | SpeakerState)


class Box(Generic[T]):
    """Carries what comes on any thread to a loop; one crossing and delivery for all that waits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[tuple[T, ...]], None],
        *,
        bound: int = MAX_WAITING,
        is_stale: Callable[[T, T], bool] = lambda waiting, newer: False,
    ) -> None:
        self.loop = loop
        self._deliver = deliver
        self._is_stale = is_stale
        self._lock = threading.Lock()
        self._waiting: deque[T] = deque(maxlen=bound)
        self._is_closed = False

    def post(self, item: T) -> None:
        """Take one more, on any thread."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            if is_scheduled and self._is_stale(self._waiting[-1], item):
                self._waiting.pop()
            self._waiting.append(item)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody listens any more
                self.loop.call_soon_threadsafe(self.flush)

    def close(self) -> None:
        """Deliver no more, on the loop; what waits is dropped. Idempotent."""
        self._is_closed = True

    def flush(self) -> None:
        """Deliver what waits, on the loop."""
        with self._lock:
            items = tuple(self._waiting)
            self._waiting.clear()
        if items and not self._is_closed:
            self._deliver(items)


FrameBox: TypeAlias = Box[AudioFrame]


LEVELS: Final = frozenset(["level", "is_speaking"])
"""What of a state changes many times a second."""


class LevelSink(ABC):
    """A sink of states that is told at once, not on its loop, what differs by `LEVELS` alone."""

    @abstractmethod
    def __call__(self, batch: Any) -> None:
        """Take what `marked` has returned for the other states, on its loop."""

    @abstractmethod
    def marked(self, state: Any) -> Any:
        """Return a state that waits for the loop, with its `failure`, and which levels came before
        it; any thread."""

    @abstractmethod
    def take_level(self, state: Any) -> None:
        """Take one that differs from the one before it by `LEVELS` alone; any thread, in order with
        `marked`. Never waits or raises."""


class Teller(Generic[S]):
    """Keeps the state of a device and tells it on the loops that listen."""

    def __init__(self, state: S) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._boxes: tuple[tuple[Box[Any], LevelSink | None], ...] = ()

    @property
    def state(self) -> S:
        return self._state

    def post(self, **changes: Any) -> None:
        """Change the state, on any thread."""
        with self._lock:
            before = self._state
            is_level = changes.keys() <= LEVELS and None not in changes.values()
            if is_level and all(getattr(before, name) == it for name, it in changes.items()):
                return  # as in a silence
            state = self._state = evolve(before, **changes)
            for box, sink in self._boxes:
                if sink is None:
                    box.post(state)
                elif is_level:
                    sink.take_level(state)
                else:
                    box.post(sink.marked(state))

    def listen(self, deliver: Callable[[tuple[S, ...]], None]) -> Callable[[], None]:
        """Tell `deliver` on this loop, beginning with the state as it is; call to stop."""
        # Only the newest state waits, but a failure that was over is seen, too.
        sink = deliver if isinstance(deliver, LevelSink) else None
        box = Box[Any](
            asyncio.get_running_loop(),
            deliver,
            bound=MAX_FAILURES,
            is_stale=lambda waiting, newer: waiting.failure is newer.failure,
        )
        with self._lock:
            box.post(self._state if sink is None else sink.marked(self._state))
            self._boxes = (*self._boxes, (box, sink))

        def stop() -> None:
            box.close()
            with self._lock:
                self._boxes = tuple(other for other in self._boxes if other[0] is not box)

        return stop

    def flush(self) -> None:
        """Deliver at once what waits for this loop."""
        loop = asyncio.get_running_loop()
        for box, _ in self._boxes:
            if box.loop is loop:
                box.flush()
