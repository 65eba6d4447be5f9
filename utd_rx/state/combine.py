"""`combine_state`: several values as one, without a torn mixture.

Subjects of one store become one selector on it, so their tuple is of one version by construction.
Those of several stores are grouped by store, and the groups feed a private store, whose every tuple
pairs one version of each store; a change of two stores shows as two values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any, TypeVar, overload

from reactivex import abc

from utd_rx.errors import invalid
from utd_rx.state.core import Core
from utd_rx.state.derived import Subscription
from utd_rx.state.subject import StateSubject

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

Values = tuple[Any, ...]


@overload
def combine_state(a: StateSubject[A], b: StateSubject[B], /) -> StateSubject[tuple[A, B]]: ...
@overload
def combine_state(
    a: StateSubject[A], b: StateSubject[B], c: StateSubject[C], /
) -> StateSubject[tuple[A, B, C]]: ...
@overload
def combine_state(
    a: StateSubject[A], b: StateSubject[B], c: StateSubject[C], d: StateSubject[D], /
) -> StateSubject[tuple[A, B, C, D]]: ...
@overload
def combine_state(
    a: StateSubject[A],
    b: StateSubject[B],
    c: StateSubject[C],
    d: StateSubject[D],
    e: StateSubject[E],
    /,
) -> StateSubject[tuple[A, B, C, D, E]]: ...
@overload
def combine_state(*subjects: StateSubject[Any]) -> StateSubject[tuple[Any, ...]]: ...
def combine_state(*subjects: StateSubject[Any]) -> StateSubject[Any]:
    """Combine subjects into one whose value is the tuple of their values.

    It emits when one of them changes, once per commit, and completes when all stores have closed.

    Raises:
        UTDStreamException: `VALIDATION`: without any subject.
    """
    if not subjects:
        raise invalid("combine_state needs at least one subject")
    name = ", ".join(subject.name for subject in subjects)
    by_core: dict[Core[Any], list[StateSubject[Any]]] = {}
    # A combination of other stores counts as its leaves: in combine(combine(a1, b), a2) the two
    # values of store a must come from one commit.
    leaves = (s.leaves if isinstance(s, _Joint) else (s,) for s in subjects)
    for leaf in dict.fromkeys(chain.from_iterable(leaves)):
        by_core.setdefault(leaf._core, []).append(leaf)
    core, *others = by_core
    return _Joint(subjects, by_core, name) if others else _group(core, subjects, name)


def _values(
    subjects: Sequence[StateSubject[Any]], of: Mapping[StateSubject[Any], Any]
) -> tuple[Any, ...]:
    """The values of subjects, by those of their leaves."""
    return tuple([_values(s.subjects, of) if isinstance(s, _Joint) else of[s] for s in subjects])


def _group(
    core: Core[Any], subjects: Sequence[StateSubject[Any]], name: str = "group"
) -> StateSubject[Values]:
    """The values of several subjects of one store, read so that arrays among them keep identity."""
    return StateSubject(core, lambda _: tuple([s.value for s in subjects]), name)


class _Joint(StateSubject[Values]):
    """A combination of several stores, which follows its sources only while it is observed."""

    def __init__(
        self,
        subjects: Sequence[StateSubject[Any]],
        by_core: Mapping[Core[Any], Sequence[StateSubject[Any]]],
        name: str,
    ) -> None:
        self.subjects = subjects
        self.leaves = tuple(chain(*by_core.values()))
        self._groups = [_group(core, leaves) for core, leaves in by_core.items()]
        self._links: list[abc.DisposableBase] = []
        self._users = 0
        joint: Core[tuple[Values, ...]] = Core(self._parts(), self._fold)
        super().__init__(joint, self._assemble, name)

    @staticmethod
    def _fold(
        state: tuple[Values, ...], items: Sequence[tuple[int, Values]]
    ) -> tuple[tuple[Values, ...], tuple[()]]:
        new = list(state)
        for i, values in items:
            new[i] = values
        if all(a is b for a, b in zip(new, state, strict=True)):
            return state, ()
        return tuple(new), ()

    def _parts(self) -> tuple[Values, ...]:
        return tuple([group.value for group in self._groups])

    def _assemble(self, state: tuple[Values, ...]) -> Values:
        return _values(self.subjects, dict(zip(self.leaves, chain(*state), strict=True)))

    @property
    def value(self) -> Values:  # type: ignore[override] # read-only, as in StateSubject
        """The current values; also after the stores have closed."""
        # Not committed: a first observer may come meanwhile, whose values would then be newer.
        return super().value if self._users else self._assemble(self._parts())

    @property
    def cores(self) -> tuple[Core[Any], ...]:
        return (self._core, *(group._core for group in self._groups))

    def _admit(self, subscription: Subscription[Values]) -> None:
        with ExitStack() as sources:
            # Nothing is published meanwhile: else this thread might be the one to deliver it, and
            # would run other people's callbacks with the lock held.
            for group in self._groups:
                group._core.enter()
                sources.callback(group._core.leave)
            # Locked while the links subscribe, so that a second observer finds them complete.
            with self.lock:
                if not self._users:
                    self._connect()
                self._users += 1  # only now: until the links are complete, it is read unobserved
        super()._admit(subscription)

    def _released(self) -> None:
        """Let go of the sources when the last observer has gone."""
        with self.lock:
            self._users -= 1
            links, self._links = (self._links, []) if not self._users else ([], self._links)
        for link in links:
            link.dispose()

    def _connect(self) -> None:
        ended: set[int] = set()
        for i, group in enumerate(self._groups):

            def feed(values: Values, i: int = i) -> None:
                self._core.commit(((i, values),), may_be_late=True)

            def complete(i: int = i) -> None:
                ended.add(i)
                if len(ended) == len(self._groups):
                    self._core.close()

            self._links.append(group.subscribe(feed, None, complete))
