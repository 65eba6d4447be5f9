"""`Machine`: a store whose step also says what must be done outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from utd_rx.state.core import Core
from utd_rx.state.store import Store

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the item
E = TypeVar("E")


class Machine(Store[S, I], Generic[S, I, E]):
    """A store for rules that read a clock and yield effects.

    The effects of a commit are performed once its values have been delivered, in order, on the
    delivering thread; what they dispatch queues up behind. The effects of commits made before
    `close()` are still performed, so an effect that reports back uses `offer`.

    Args:
        initial: A value that never changes itself.
        step: Pure: `(state, item, now) -> (state, effects)`. All items of one `dispatch_all`
            get the same `now`.
        perform: Carries out one effect. What it raises is reported and stops no other effect;
            an expected failure should come back as an item.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        initial: S,
        step: Callable[[S, I, float], tuple[S, Sequence[E]]],
        *,
        perform: Callable[[E], None],
        now: Callable[[], float],
    ) -> None:
        def fold(state: S, items: Sequence[I]) -> tuple[S, Sequence[E]]:
            at = now()
            effects: list[E] = []
            for item in items:
                state, more = step(state, item, at)
                effects += more
            return state, effects

        self._core: Core[S] = Core(initial, fold, perform)
