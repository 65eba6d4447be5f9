"""The commit machinery under `Store` and `Machine`.

A dispatch has two halves. *Folding* runs the pure step on the newest state (the head), under the
lock and on the dispatcher's thread: the order of folds is the total order of commits. *Publishing*
makes the new state the visible one: first, under the lock, the state, the version and every
observed value change together; then, without the lock, observers are called.

Publishing happens only while no callback runs, on any thread: `_active` counts the callers inside
callbacks, and the last one out publishes what has queued up meanwhile. So inside a callback every
`.value` belongs to one version, and nobody ever blocks on another thread's callback. Who publishes
elsewhere than at the core's home hands the callbacks over, and with them its place inside.

A store holds a subject only while the subject has observers, so unobserved selectors cost nothing
and leak nothing. The queue of unpublished commits has no bound: it grows only while a callback
keeps dispatching, and every observer is promised all commits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from utd_rx.state.derived import Derived, Subscription
from utd_rx.state.errors import ImpureStepError, StoreClosedError
from utd_rx.state.joining import Join
from utd_rx.state.reports import INTERRUPTS, report

S = TypeVar("S")

Fold = Callable[[S, Sequence[Any]], tuple[S, Sequence[Any]]]
Batch = list[tuple[str, Any, Sequence[Subscription[Any]]]]
Published = tuple[Batch, Sequence[Any]]
Tap = Callable[[Sequence[Any]], None]
HandOver = Callable[[Callable[[], None]], bool]
"""Has its argument called at home, unless this is home: then it returns False."""


def _settle(
    error: BaseException, what: str, interrupt: BaseException | None
) -> BaseException | None:
    """Report an error and return what must be raised in the end: the first interrupt, if any."""
    try:
        report(error, what)
    except BaseException as raised:  # noqa: BLE001 - an interrupt, or a broken log handler
        return interrupt or raised
    return interrupt


class Core(Generic[S]):
    """One value, its version, its queue of commits and its observed subjects."""

    def __init__(
        self,
        initial: S,
        fold: Fold[S],
        perform: Callable[[Any], None] = lambda effect: None,
        hand_over: HandOver | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.state = self.head = initial
        self.version = self.head_version = 0
        self.closing = False
        self.ended = False
        self.late = 0
        self.observed: dict[Derived[Any], None] = {}
        self.on_observed: Callable[[], None] | None = None
        self.taps: tuple[Tap, ...] = ()
        self._fold = fold
        self._perform = perform
        self._hand_over = hand_over
        # (state, effects); None is the end.
        self._queue: deque[tuple[S, Sequence[Any]] | None] = deque()
        self._active = 0
        # The thread that calls the observers of a commit, 0 when none does.
        self.delivering = 0
        self._held: list[Join] = []
        # The thread that runs a step or a selector, holding the lock; 0 when nobody does.
        self._folding = 0
        self._failures: list[tuple[BaseException, str]] = []

    def commit(self, items: Sequence[Any], *, may_be_late: bool = False) -> bool:
        """Fold the items into the state as one commit, and publish it if nobody is delivering;
        False, not an error, when they `may_be_late` and the store was closed."""
        with self.lock:
            self.refuse_while_folding("dispatch")
            if self.closing:
                if may_be_late:
                    self.late += len(items)
                    return False
                raise StoreClosedError("the store is closed: nothing can be dispatched to it")
            self._folding = threading.get_ident()
            try:
                head, effects = self._fold(self.head, items)
                if self.taps:
                    self._tell(items)
            finally:
                self._folding = 0
            published = None
            if head is not self.head or effects:
                self.head_version += head is not self.head
                self.head = head
                self._queue.append((head, effects))
                published = self._publish()
        if published is None:
            self.report_failures()
        else:
            self._deliver(published)
        return True

    def tap(self, callback: Tap) -> tuple[S, Callable[[], None]]:
        """Call back with the items of each commit from now on, under the lock; return the state
        those begin with, and what ends it."""

        def untap() -> None:
            with self.lock:
                self.taps = tuple(tap for tap in self.taps if tap is not callback)

        with self.lock:
            self.refuse_while_folding("be tapped")
            self.taps = (*self.taps, callback)
            return self.head, untap

    def close(self) -> None:
        """Complete all subjects once the commits made so far have been delivered. Idempotent."""
        with self.lock:
            self.refuse_while_folding("close")
            if self.closing:
                return
            self.closing = True
            self._queue.append(None)
            published = self._publish()
        self._deliver(published)

    def refuse_while_folding(self, what: str) -> None:
        """Refuse what a step function or a selector must not do. Call it with the lock held."""
        if self._folding:
            raise ImpureStepError(f"a step function or a selector must be pure: it cannot {what}")

    def admit(self, subject: Derived[Any], subscription: Subscription[Any]) -> None:
        """Add an observer and call it with the current value, on this thread."""
        with self.lock:
            self.refuse_while_folding("subscribe")
            value = self.compute(subject)
            ended = self.ended
            is_first = not self.observed and not ended
            subject._add(subscription)
            if not ended:
                self.observed[subject] = None
            self._active += 1
        try:
            self.report_failures()
            on_completed = subscription.on_completed
            try:
                subscription.on_next(value)
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, f"an observer of {subject.name!r}")
            if ended and subscription.on_completed is on_completed:  # not disposed meanwhile
                subscription.dispose()
                try:
                    on_completed()
                except BaseException as error:  # noqa: BLE001 - likewise
                    report(error, f"an observer of {subject.name!r}")
        except BaseException:
            # The caller will never get hold of the subscription, so it must not live on.
            subscription.dispose()
            raise
        finally:
            self.leave()
        if is_first and self.on_observed is not None:
            self.on_observed()

    def enter(self) -> None:
        """Pin the published version until `leave()`: nothing is published in between."""
        with self.lock:
            self.refuse_while_folding("subscribe")
            self._active += 1

    def leave(self) -> None:
        """Publish and deliver what has queued up, if this was the last one inside."""
        with self.lock:
            self._active -= 1
            published = self._publish()
        self._deliver(published)

    def probe(self, selector: Callable[[S], Any]) -> Any:
        """Apply a selector to the published state; what it raises goes to the caller."""
        with self.lock:
            was_folding, self._folding = self._folding, threading.get_ident()
            try:
                return selector(self.state)
            finally:
                self._folding = was_folding

    def compute(self, subject: Derived[Any]) -> Any:
        """Bring a value up to the published version; `report_failures` is to follow, unlocked."""
        with self.lock:
            if subject._seen != self.version:
                was_folding, self._folding = self._folding, threading.get_ident()
                try:
                    subject._recompute(self.state, self.version)
                except INTERRUPTS:  # not the selector's, so it is asked again
                    raise
                except BaseException as error:  # noqa: BLE001 - reported without the lock
                    if subject._keep_old(self.version):
                        self.fail(error, f"the selector of {subject.name!r}")
                finally:
                    self._folding = was_folding
            return subject._latest

    def fail(self, error: BaseException, what: str) -> None:
        """Note what raised under the lock; `report_failures` is to follow, unlocked."""
        self._failures.append((error, what))

    def report_failures(self) -> None:
        """Report what raised, without the lock: a log handler is foreign code."""
        # Read by one selector inside another, a value is not the place: the lock is held.
        while self._failures and self._folding != threading.get_ident():
            try:
                failure = self._failures.pop()
            except IndexError:  # another thread was faster
                return
            report(*failure)

    def _tell(self, items: Sequence[Any]) -> None:
        """Call the taps; one that raises is dropped, and reported when the lock is free."""
        for tap in self.taps:
            try:
                tap(items)
            except INTERRUPTS:
                raise
            except BaseException as error:  # noqa: BLE001 - reported without the lock
                self.taps = tuple(other for other in self.taps if other is not tap)
                self.fail(error, "a tap, which hears no more,")

    def _publish(self) -> Published | None:
        """Make the oldest queued commit the visible one, with the lock held; the caller is inside
        from now on, and must deliver it. An interrupt (Ctrl-C) leaves it queued."""
        if self._active or not self._queue:
            return None
        before = self.state, self.version
        self._active = 1
        try:
            entry = self._queue[0]
            batch: Batch = []
            if entry is None:
                batch = [(s.name, None, s._snapshot()) for s in list(self.observed)]
                self.observed.clear()
                self.ended = True
                effects: Sequence[Any] = ()
            else:
                state, effects = entry
                if state is not self.state:
                    self.state = state
                    self.version = version = self.version + 1
                    # A copy: the garbage collector may dispose subscriptions at any allocation.
                    for subject in list(self.observed):
                        value = self.compute(subject)
                        if subject._changed_at == version:
                            batch.append((subject.name, value, subject._snapshot()))
            self._queue.popleft()
        except BaseException:
            self.state, self.version = before
            self._active = 0
            raise
        return batch, effects

    def _deliver(self, published: Published | None) -> None:
        """Call the observers of one commit, then perform its effects, then go on with the next.

        An interrupt out of a callback is raised only when everybody has been served.
        """
        if published and self._hand_over and self._hand_over(partial(self._deliver, published)):
            return
        interrupt: BaseException | None = None
        while published is not None:
            try:
                batch, effects = published  # not starred: that call costs a tenth of a delivery
                interrupt = self._call(batch, effects, interrupt)
            except BaseException:  # a signal between two callbacks: leave no store stuck
                with self.lock:
                    self._active -= 1
                raise
            with self.lock:
                self._active -= 1
                published = self._publish() if self._queue else None
        if interrupt is not None:
            raise interrupt

    def _call(
        self, batch: Batch, effects: Sequence[Any], interrupt: BaseException | None
    ) -> BaseException | None:
        try:
            self.report_failures()
        except BaseException as error:  # noqa: BLE001 - raised by the caller
            interrupt = interrupt or error
        ended = self.ended
        self.delivering = threading.get_ident()
        try:
            for name, value, subscriptions in batch:
                for subscription in subscriptions:
                    try:
                        if ended:
                            on_completed = subscription.on_completed
                            subscription.dispose()
                            on_completed()
                        else:  # looked up first: a call of a slot costs a fifth more
                            on_next = subscription.on_next
                            on_next(value)
                    except BaseException as error:  # noqa: BLE001 - reported, or raised by the caller
                        interrupt = _settle(error, f"an observer of {name!r}", interrupt)
            while self._held:
                interrupt = self._release(interrupt)
        finally:
            self.delivering = 0
        for effect in effects:
            try:
                self._perform(effect)
            except BaseException as error:  # noqa: BLE001 - reported, or raised by the caller
                interrupt = _settle(error, f"the effect {type(effect).__name__}", interrupt)
        return interrupt

    def hold(self, join: Join) -> None:
        """Let a join pass on what it holds when the commit that is being delivered has reached
        everybody; on the delivering thread."""
        if join not in self._held:
            self._held.append(join)

    def _release(self, interrupt: BaseException | None) -> BaseException | None:
        """Let the first of the joins go on: one that others are behind comes before them."""
        held = self._held
        join = held[0] if len(held) == 1 else min(held, key=attrgetter("rank", "serial"))
        held.remove(join)
        try:
            join.release(self)
        except BaseException as error:  # noqa: BLE001 - reported, or raised by the caller
            return _settle(error, f"an observer of {join.name!r}", interrupt)
        return interrupt
