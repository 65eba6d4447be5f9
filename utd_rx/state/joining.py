"""What holds the values of an operator that joins streams, until a commit has been delivered."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, Final, Protocol
from weakref import WeakSet

from reactivex.observer import AutoDetachObserver

from utd_rx.state.derived import Derived, Subscription
from utd_rx.state.reports import report

OnNext = Callable[[Any], None]

_serials: Final = count()
_MAX_RANK: Final = 1000
"""Only a chain that is led back into itself comes so far."""


class Delivering(Protocol):
    """What a store's core is to a join: the thread it delivers on, 0 for none, and its end."""

    delivering: int

    def hold(self, join: Join) -> None: ...


class Join:
    """Stands before a callback, and holds what it is to hear until the commit at hand is over.

    Attributes:
        rank: How many joins are before it, on the longest way: they are released earlier.
        serial: Which of those of one rank is older.
    """

    def __init__(self, on_next: OnNext, holder: AutoDetachObserver[Any] | None) -> None:
        self.on_next = on_next
        self.rank = 0
        self.serial = next(_serials)
        self._behind = WeakSet[Join]()
        # At the output of an operator: before what makes it emit, and before what it emits then.
        self._trigger: Join | None = None
        self._feeding = WeakSet[Join]()
        self._holder = holder
        self._combines = self._reduces = self._triggers = False
        # Told when the commit is over; told now, unless somebody is telling.
        self._held: list[Callable[[], None]] = []
        self._due: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._is_passing_on = False
        self._sources: list[Subscription[Any]] = []
        self._ways: Mapping[Delivering, int] = {}

    @property
    def name(self) -> str:
        """The streams behind it, for messages."""
        states = (source.derived for source in self._sources)
        return ", ".join(dict.fromkeys(state.name for state in states if state is not None))

    def __call__(self, value: Any) -> None:
        core, ways = self._busy()
        is_reduced = self._reduces and ways > 1
        is_held = core is not None and (self._combines or self._triggers or is_reduced)
        with self._lock:
            if self._combines or is_reduced:
                self._held.clear()
            (self._held if is_held else self._due).append(partial(self.on_next, value))
        if core is not None and is_held:
            core.hold(self)
        else:
            self._pass_on()

    def reached(
        self,
        source: Subscription[Any],
        before: Join | None,
        *,
        combines: bool = False,
        reduces: bool = False,
        triggers: bool = False,
    ) -> None:
        """Note a way from a stream to here, with the join that is before this one on it.

        What is here is the output of an operator that `combines` or `reduces`, or `triggers` one.
        """
        self._combines |= combines
        self._reduces |= reduces
        self._triggers |= triggers
        if source not in self._sources:
            self._sources = [one for one in (*self._sources, source) if one.derived is not None]
            states = [one.derived for one in self._sources if one.derived is not None]
            self._ways = Counter(core for state in states for core in state.cores)
        if before is not None:
            before._comes_before(self)

    def feeds(self, join: Join | None) -> None:
        """Note, at an output, a join on the way to what is emitted when there is a trigger."""
        if join is not None:
            self._feeding.add(join)
            if self._trigger is not None:
                join._comes_before(self._trigger)

    def is_triggered_by(self, join: Join) -> None:
        """Note, at an output, the join before what makes it emit; of `switch_map` the second one
        is that before the stream it chose last."""
        if self._trigger is None:
            self._trigger = join
        elif self._trigger is not join:
            self._trigger._comes_before(join)
        for fed in self._feeding:
            fed._comes_before(join)

    def _comes_before(self, other: Join) -> None:
        if other is not self:  # what one operator emits is what triggers the next
            self._behind.add(other)
            other._rise(self.rank + 1)

    def _rise(self, rank: int) -> None:
        if self.rank < rank < _MAX_RANK:
            self.rank = rank
            for join in list(self._behind):
                join._rise(rank + 1)

    def others(self, state: Derived[Any]) -> list[Subscription[Any]]:
        """The subscriptions to other streams of the same store that lead to here."""
        return [
            source
            for source in self._sources
            if source.derived not in (state, None)
            and not {*source.derived.cores}.isdisjoint(state.cores)
        ]

    def release(self, core: Delivering) -> None:
        """Pass on what is held, now that the commit of `core` is over."""
        other, _ = self._busy(besides=core)
        if other is not None:  # whose commit led to that of `core`
            other.hold(self)
        elif self._holder is None or not self._holder.is_stopped:
            self._end()

    def before(self, complete: Callable[[], None]) -> Callable[[], None]:
        """Return an end that comes after what is held."""
        return partial(self._end, complete)

    def _end(self, *complete: Callable[[], None]) -> None:
        with self._lock:
            self._due += (*self._held, *complete)
            self._held.clear()
        self._pass_on()

    def _pass_on(self) -> None:
        """Tell what is due, in order, and one at a time: stores may be fed by several threads."""
        with self._lock:
            if self._is_passing_on:
                return
            self._is_passing_on = True
        try:
            while tell := self._next():
                try:
                    tell()
                except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                    report(error, f"an observer of {self.name!r}")
        except BaseException:
            self._is_passing_on = False
            raise

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._due:
                return self._due.popleft()
            self._is_passing_on = False
            return None

    def _busy(self, besides: Delivering | None = None) -> tuple[Delivering | None, int]:
        """The store whose commit is being delivered here, and how many of its ways lead here."""
        me = threading.get_ident()
        busy, most = None, 0
        for core, ways in self._ways.items():
            if core.delivering == me and core is not besides and ways > most:
                busy, most = core, ways
        return busy, most
