"""`Store`: owns one value; everything else observes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from utd_rx.state.core import Core
from utd_rx.state.errors import INSTEAD_OF_STATE, Uncopied, refuse_async
from utd_rx.state.subject import StateSubject

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the item
T = TypeVar("T")


class Store(Uncopied, Generic[S, I]):
    """One value and its only writer.

    Args:
        initial: A value that never changes itself: frozen attrs, tuples.
        step: Pure: returns the next state, or the same object for no change. What it raises goes
            to the dispatcher and changes nothing. Runs under the store's lock.
        on_observed: Called on the thread of an observer that comes where there was none.
    """

    COPY_INSTEAD = "its `state`"

    def __init__(
        self,
        initial: S,
        step: Callable[[S, I], S],
        *,
        on_observed: Callable[[], None] | None = None,
    ) -> None:
        def fold(state: S, items: Sequence[I]) -> tuple[S, Sequence[Any]]:
            for item in items:
                state = step(state, item)
            return state, ()

        self._core: Core[S] = Core(initial, fold)
        self._core.on_observed = on_observed

    @property
    def state(self) -> S:
        """The published state: inside a callback, that of the commit being delivered."""
        return self._core.state

    @property
    def version(self) -> int:
        """How many commits have changed the published state."""
        return self._core.version

    @property
    def closed(self) -> bool:
        """Whether `close()` has been called, so that `dispatch` raises."""
        return self._core.closing

    @property
    def is_observed(self) -> bool:
        """Whether anything of it has an observer now."""
        return bool(self._core.observed)

    @property
    def late(self) -> int:
        """How many offers came after `close()`."""
        return self._core.late

    def dispatch(self, item: I) -> None:
        """Commit one item, and deliver the commit unless a callback is running.

        Thread-safe, never waits for a callback. During a callback, on this thread or another, the
        commit is delivered by whoever leaves the last callback, hence after the current one has
        reached everybody.

        Raises:
            StoreClosedError: After `close()`.
            ImpureStepError: From within a step function or a selector of this store.
            Exception: Whatever `step` raised, also during a callback; nothing has changed then.
        """
        self._core.commit((item,))

    def dispatch_all(self, items: Iterable[I]) -> None:
        """Commit several items as one: observers see the state after the last, or none of them.

        Raises:
            Exception: As `dispatch`; none of the items has had an effect then.
        """
        self._core.commit(tuple(items))

    def offer(self, item: I) -> bool:
        """Dispatch a fact that may come late: after `close()` it is counted in `late` and dropped.

        Returns:
            Whether it was committed.
        """
        return self._core.commit((item,), may_be_late=True)

    def select(self, f: Callable[[S], T], *, name: str = "") -> StateSubject[T]:
        """Derive an observable value from the state.

        It costs nothing while nobody observes it, and lives as long as somebody refers to it or
        observes it. If `f` raises later on, that is reported once and the value stays as it was
        until `f` returns again.

        Args:
            f: Pure: neither dispatches nor subscribes. Runs under the store's lock.
            name: For messages.

        Raises:
            AsyncObserverError: For an `async def`, whose answer nobody would await.
            Exception: Whatever `f` raises for the current state.
        """
        refuse_async(f, instead=INSTEAD_OF_STATE, kind="a selector")
        return StateSubject(self._core, f, name or getattr(f, "__name__", ""))

    def close(self) -> None:
        """Complete every stream, after the commits made so far; values stay readable. Idempotent.

        Called during a callback it returns before the streams have completed.
        """
        self._core.close()
