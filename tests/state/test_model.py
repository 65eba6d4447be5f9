"""A store driven at random against a trivial model.

The model is the list of states, folded by the test itself from the items in the order in which the
store's step saw them. From it follows, for every observer, exactly which values it must have seen
at which version; and every callback checks on the spot that all values are of one version.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from utd_rx.state import StateSubject, Store, StoreClosedError, combine_state


class State(NamedTuple):
    a: int = 0
    b: int = 0


Item = tuple[str, int]
BAD: Item = ("bad", 0)
Noted = tuple[int, Item]  # with the number of its dispatch, which is one commit


class BadItemError(Exception):
    """Raised by the step."""


class ObserverError(Exception):
    """Raised by an observer."""


def step(state: State, item: Item) -> State:
    field, value = item
    if item == BAD:
        raise BadItemError
    new = State(value, value) if field == "both" else state._replace(**{field: value})
    return state if new == state else new


VIEWS: dict[str, Callable[[State], Any]] = {
    "state": lambda s: s,
    "a": lambda s: s.a,
    "b": lambda s: s.b,
    "a is even": lambda s: s.a % 2 == 0,
    "a, b": lambda s: (s.a, s.b),
    "b, (a is even)": lambda s: (s.b, s.a % 2 == 0),
}

items = st.one_of(st.tuples(st.sampled_from(["a", "b", "both"]), st.integers(0, 3)), st.just(BAD))
actions = st.one_of(
    st.just(("none", None)),
    st.just(("raise", None)),
    st.just(("dispose me", None)),
    st.tuples(st.just("dispose"), st.integers(0, 20)),
    st.tuples(st.just("dispatch"), items),
    st.tuples(st.just("dispatch each"), st.lists(items, min_size=2, max_size=3)),
    st.tuples(st.just("dispatch all"), st.lists(items, max_size=3)),
    st.tuples(st.just("subscribe"), st.sampled_from(sorted(VIEWS))),
    st.tuples(st.just("thread"), items),
)
scripts = st.lists(actions, max_size=4)
Script = list[tuple[str, Any]]


class Watcher:
    """An observer that notes what it sees and then does what its script says."""

    def __init__(self, drive: StoreDrive, view: str, script: Script) -> None:
        self.drive = drive
        self.view = view
        self.script = iter(script)
        self.seen: list[tuple[int, Any]] = []
        self.completed = 0
        self.ended_at: int | None = None
        self.lock = threading.Lock()
        self.disposer = 0
        self.subscription: Any = None  # a script may dispose before subscribe() has returned
        self.subscription = drive.subjects[view].subscribe(self.on_next, None, self.on_completed)
        if self.ended_at is not None:
            self.subscription.dispose()

    def on_next(self, value: Any) -> None:
        drive = self.drive
        if self.ended_at is not None:
            # A call that was under way on another thread, or before subscribe() has returned.
            assert self.disposer != threading.get_ident() or self.subscription is None
            return
        assert self.lock.acquire(blocking=False), "called twice at once"
        try:
            self.seen.append((drive.store.version, value))
            drive.check_one_version()
            assert value == drive.subjects[self.view].value
            action, argument = next(self.script, ("none", None))
        finally:
            self.lock.release()
        drive.act(action, argument, self)
        drive.check_one_version()

    def on_completed(self) -> None:
        assert self.drive.store.closed
        self.completed += 1

    def dispose(self) -> None:
        if self.ended_at is None:
            self.disposer = threading.get_ident()
            self.ended_at = self.drive.store.version
        if self.subscription is not None:
            self.subscription.dispose()

    def expected(self, states: list[State]) -> tuple[list[tuple[int, Any]], bool]:
        """What this observer must have seen, and whether the last of it is optional."""
        view = VIEWS[self.view]
        first = self.seen[0][0]
        end = len(states) - 1 if self.ended_at is None else self.ended_at
        wanted = [(first, view(states[first]))]
        for version in range(first + 1, end + 1):
            if view(states[version]) != wanted[-1][1]:
                wanted.append((version, view(states[version])))
        # Disposed during the delivery of a commit, it may have been before or behind its disposer.
        return wanted, self.ended_at is not None and wanted[-1][0] == self.ended_at


class StoreDrive(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folded: list[Noted] = []
        self.numbers = itertools.count()
        self.refused: set[int] = set()
        self.accepted = 0
        self.errors: list[BaseException] = []
        self.raised = 0
        self.reported = 0
        self.guard = threading.Lock()
        self.watchers: list[Watcher] = []
        self.store: Store[State, Noted] = Store(State(), self.noting_step)
        select = self.store.select
        a, b = select(VIEWS["a"], name="a"), select(VIEWS["b"], name="b")
        even = select(VIEWS["a is even"], name="a is even")
        self.subjects: dict[str, StateSubject[Any]] = {
            "state": select(VIEWS["state"], name="state"),
            "a": a,
            "b": b,
            "a is even": even,
            "a, b": combine_state(a, b),
            "b, (a is even)": combine_state(b, even),
        }
        assert self.subjects.keys() == VIEWS.keys()
        self.handler = logging.Handler()
        self.handler.emit = self.on_report  # type: ignore[method-assign] # the shortest handler
        logger = logging.getLogger("utd_rx.state")
        logger.addHandler(self.handler)
        logger.propagate = False

    def teardown(self) -> None:
        logger = logging.getLogger("utd_rx.state")
        logger.removeHandler(self.handler)
        logger.propagate = True

    def on_report(self, record: logging.LogRecord) -> None:
        assert record.exc_info
        error = record.exc_info[1]
        if isinstance(error, ObserverError):
            self.reported += 1
        elif error is not None:
            self.errors.append(error)  # an assertion of a callback: raised by the invariant

    def noting_step(self, state: State, noted: Noted) -> State:
        self.folded.append(noted)  # under the store's lock, hence in the order of commits
        return step(state, noted[1])

    # --- what observers and rules do ---

    def dispatch(self, batch: list[Item]) -> None:
        number = next(self.numbers)
        try:
            if len(batch) == 1:
                self.store.dispatch((number, batch[0]))
            else:
                self.store.dispatch_all([(number, item) for item in batch])
        except BadItemError:
            assert BAD in batch
            self.refused.add(number)
        except StoreClosedError:
            assert self.store.closed
        else:
            assert BAD not in batch
            with self.guard:
                self.accepted += len(batch)

    def dispatch_each(self, batch: list[Item]) -> None:
        for item in batch:
            self.dispatch([item])

    def act(self, action: str, argument: Any, me: Watcher) -> None:
        if action == "raise":
            with self.guard:
                self.raised += 1
            raise ObserverError
        if action == "dispose me":
            me.dispose()
        elif action == "dispose" and self.watchers:
            self.watchers[argument % len(self.watchers)].dispose()
        elif action == "dispatch":
            self.dispatch([argument])
        elif action == "dispatch each":
            self.dispatch_each(argument)
        elif action == "dispatch all":
            self.dispatch(argument)
        elif action == "subscribe":
            self.subscribe(argument, [])
        elif action == "thread":
            self.in_threads([lambda: self.dispatch([argument])])

    def in_threads(self, jobs: list[Callable[[], None]]) -> None:
        def run(job: Callable[[], None]) -> None:
            try:
                job()
            except Exception as error:
                self.errors.append(error)

        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "deadlock"

    def check_one_version(self) -> None:
        """In a callback: nothing can be published, so all this belongs together."""
        state, version = self.store.state, self.store.version
        for view, subject in self.subjects.items():
            assert subject.value == VIEWS[view](state)
        assert (self.store.state, self.store.version) == (state, version)

    # --- rules ---

    @initialize(views=st.lists(st.tuples(st.sampled_from(sorted(VIEWS)), scripts), max_size=3))
    def begin(self, views: list[tuple[str, Script]]) -> None:
        for view, script in views:
            self.subscribe(view, script)

    @rule(view=st.sampled_from(sorted(VIEWS)), script=scripts)
    def subscribe(self, view: str, script: Script) -> None:
        watcher = Watcher(self, view, script)
        self.watchers.append(watcher)

    @rule(index=st.integers(0, 20))
    @precondition(lambda self: self.watchers)
    def dispose(self, index: int) -> None:
        self.watchers[index % len(self.watchers)].dispose()

    @rule(item=items)
    def dispatch_one(self, item: Item) -> None:
        self.dispatch([item])

    @rule(batch=st.lists(items, min_size=2, max_size=4))
    def dispatch_several(self, batch: list[Item]) -> None:
        self.dispatch(batch)

    @rule(feeds=st.lists(st.lists(items, min_size=1, max_size=5), min_size=2, max_size=3))
    def feed_from_threads(self, feeds: list[list[Item]]) -> None:
        def feed(batch: list[Item]) -> Callable[[], None]:
            return lambda: self.dispatch_each(batch)

        self.in_threads([feed(batch) for batch in feeds])

    @rule(feed=st.lists(items, min_size=1, max_size=4), view=st.sampled_from(sorted(VIEWS)))
    def subscribe_while_a_thread_feeds(self, feed: list[Item], view: str) -> None:
        def subscribe() -> None:
            for _ in range(3):
                self.subscribe(view, [("none", None), ("dispose me", None)])

        self.in_threads([lambda: self.dispatch_each(feed), subscribe])

    @rule()
    @precondition(lambda self: self.accepted > 4)
    def close(self) -> None:
        self.store.close()

    # --- what must hold whenever nothing runs ---

    @invariant()
    def every_observer_saw_what_it_must(self) -> None:
        if self.errors:
            raise self.errors[0]
        states = self.states_by_version()
        assert (self.store.state, self.store.version) == (states[-1], len(states) - 1)
        self.check_one_version()
        for watcher in self.watchers:
            wanted, optional = watcher.expected(states)
            assert watcher.seen == wanted or (optional and watcher.seen == wanted[:-1]), (
                watcher.view,
                watcher.ended_at,
            )
            live = watcher.ended_at is None
            assert watcher.completed <= 1
            assert watcher.completed == 1 or not (live and self.store.closed)
        assert self.raised == self.reported

    def states_by_version(self) -> list[State]:
        states = [State()]
        accepted = [noted for noted in self.folded if noted[0] not in self.refused]
        assert len(accepted) == self.accepted
        for _, commit in itertools.groupby(accepted, key=lambda noted: noted[0]):
            state = states[-1]
            for _, item in commit:
                state = step(state, item)
            if state is not states[-1]:
                states.append(state)
        return states


TestStore = StoreDrive.TestCase
