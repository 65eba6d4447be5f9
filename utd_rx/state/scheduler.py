"""The scheduler of the session's event loop, for RxPY's time operators."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from reactivex import abc, typing
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from utd_rx.state.reports import report, running_loop

Action = typing.ScheduledAction[Any]


class LoopScheduler(AsyncIOScheduler):
    """An `AsyncIOScheduler` that may be asked from any thread and reads the loop's clock.

    RxPY's own takes `now` from the wall clock, which a loop on virtual time does not follow and
    which jumps; and its thread-safe variant waits for the loop when it cancels.
    """

    @property
    def now(self) -> datetime:
        """The time of the loop's clock; only differences mean something."""
        return self.to_datetime(self._loop.time())

    def schedule(self, action: Action, state: Any = None) -> abc.DisposableBase:
        """Run the action in the loop's next turn."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: Action, state: Any = None
    ) -> abc.DisposableBase:
        """Run the action on the loop after `duetime` seconds."""
        sad, seconds = SingleAssignmentDisposable(), self.to_seconds(duetime)

        def arm() -> None:
            if seconds > 0:
                sad.disposable = super(LoopScheduler, self).schedule_relative(
                    seconds, action, state
                )
            else:
                sad.disposable = super(LoopScheduler, self).schedule(action, state)

        if running_loop() is self._loop:
            arm()
        else:
            self._loop.call_soon_threadsafe(arm)
        return sad

    def invoke_action(self, action: Action, state: Any = None) -> abc.DisposableBase:
        """Run the action now; what it raises is the error of an observer behind it."""
        try:
            return super().invoke_action(action, state)
        except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
            report(error, "an observer behind a time operator")
            return Disposable()


def loop_scheduler(loop: asyncio.AbstractEventLoop | None = None) -> LoopScheduler:
    """Return a scheduler of the given, or the running, event loop.

    Raises:
        RuntimeError: No loop was given and none is running on this thread.
    """
    loop = loop or running_loop()
    if loop is None:
        raise RuntimeError(
            "time operators run on an event loop and none is running here: subscribe inside a "
            "coroutine, or pass scheduler=loop_scheduler(loop)"
        )
    return LoopScheduler(loop)
