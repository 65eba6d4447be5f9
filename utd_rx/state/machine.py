"""`Machine`: a store whose step also says what must be done outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import frozen
from reactivex import abc
from reactivex.disposable import Disposable

from utd_rx.state.core import Core, HandOver
from utd_rx.state.reports import running_loop
from utd_rx.state.store import Store

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the item
E = TypeVar("E")


@frozen
class Tapped(Generic[S]):
    """Where a machine stood when it was tapped; `subscription` ends the tap."""

    state: S
    at: float
    subscription: abc.DisposableBase


class Machine(Store[S, I], Generic[S, I, E]):
    """A store for rules that read a clock and yield effects.

    The effects of a commit are performed once its values have been delivered, in order; what they
    dispatch queues up behind. Those of commits made before `close()` are still performed, so an
    effect that reports back uses `offer`; what one raises is reported and stops no other.

    All items of one `dispatch_all` get the same `now`, in monotonic seconds. Observers are called
    and effects performed on `loop` while it runs, and else on the thread that dispatches, or
    subscribes while others do.

    One that `drops_failures` is for items from outside, whose sender must not decide what becomes
    of the others: one whose step raises changes nothing, is reported, and the rest is committed.
    """

    def __init__(
        self,
        initial: S,
        step: Callable[[S, I, float], tuple[S, Sequence[E]]],
        *,
        perform: Callable[[E], None],
        now: Callable[[], float],
        loop: asyncio.AbstractEventLoop | None = None,
        drops_failures: bool = False,
    ) -> None:
        def fold(state: S, items: Sequence[I]) -> tuple[S, Sequence[E]]:
            at = self._at = now()
            effects: list[E] = []
            for item in items:
                try:
                    state, more = step(state, item, at)
                except Exception as error:
                    if not drops_failures:
                        raise
                    self._core.fail(error, f"the step of a {type(item).__name__}, now dropped,")
                else:
                    effects += more
            return state, effects

        self._now = now
        self._at = 0.0
        self._core: Core[S] = Core(initial, fold, perform, None if loop is None else _home(loop))

    @property
    def head(self) -> S:
        """The state with every commit so far, also those not yet published; what is shown belongs
        to `state`."""
        return self._core.head

    def on_commit(self, callback: Callable[[float, Sequence[I]], None]) -> Tapped[S]:
        """Call back with time and items of each commit from now on, also of those without effect.

        With the state in the answer that is all a recorder needs: the step is pure. The callback
        runs on the dispatcher's thread and under the store's lock, so it puts the items away and
        returns. It cannot dispatch; if it raises, that is reported and it is not called again.
        """
        with self._core.lock:
            state, untap = self._core.tap(lambda items: callback(self._at, items))
            return Tapped(state, self._now(), Disposable(untap))


def _home(loop: asyncio.AbstractEventLoop) -> HandOver:
    def hand_over(deliver: Callable[[], None]) -> bool:
        if running_loop() is loop or not loop.is_running():
            return False
        try:
            loop.call_soon_threadsafe(deliver)
        except RuntimeError:  # closed since
            return False
        return True

    return hand_over
