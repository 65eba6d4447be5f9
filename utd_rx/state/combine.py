"""`combine_state`: several values as one, without a torn mixture.

Subjects of one store become one selector on it, so their tuple is of one version by construction.
Subjects of several stores are grouped by store, and the groups feed a private store. Every tuple
it shows pairs one version of each store; versions of different stores have no common order, so
a change of two stores shows as two values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar, overload

from reactivex import abc

from utd_rx.state.core import Core
from utd_rx.state.subject import StateSubject, Subscription

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

Values = tuple[Any, ...]
Build = Callable[[Sequence[Any]], Values]


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
        ValueError: Without any subject.
    """
    if not subjects:
        raise ValueError("combine_state needs at least one subject")
    name = ", ".join(subject.name for subject in subjects)
    # A combination of other stores counts as its leaves: in combine(combine(a1, b), a2) the two
    # values of store a must come from one commit.
    leaves = tuple(dict.fromkeys(leaf for s in subjects for leaf in _leaves(s)))
    builds = [_builder(s, leaves) for s in subjects]

    def build(values: Sequence[Any]) -> Values:
        return tuple(b(values) for b in builds)

    by_core: dict[Core[Any], list[int]] = {}
    for i, leaf in enumerate(leaves):
        by_core.setdefault(leaf._core, []).append(i)
    groups = [(_group(core, [leaves[i] for i in at]), at) for core, at in by_core.items()]
    if len(groups) > 1:
        return _Joint(groups, leaves, build, name)
    return StateSubject(leaves[0]._core, lambda _: build([leaf.value for leaf in leaves]), name)


def _leaves(subject: StateSubject[Any]) -> tuple[StateSubject[Any], ...]:
    return subject.leaves if isinstance(subject, _Joint) else (subject,)


def _builder(
    subject: StateSubject[Any], leaves: Sequence[StateSubject[Any]]
) -> Callable[[Sequence[Any]], Any]:
    at = [leaves.index(leaf) for leaf in _leaves(subject)]
    if isinstance(subject, _Joint):
        build = subject.build
        return lambda values: build([values[i] for i in at])
    return lambda values: values[at[0]]


def _group(core: Core[Any], leaves: Sequence[StateSubject[Any]]) -> StateSubject[Values]:
    """The values of several subjects of one store, of one version.

    The selector reads the subjects rather than calling their selectors: their values keep their
    identity from commit to commit, so arrays among them compare as unchanged.
    """
    return StateSubject(core, lambda _: tuple([leaf.value for leaf in leaves]), "group")


class _Joint(StateSubject[Values]):
    """A combination of several stores.

    It follows its sources only while it is observed; unobserved, its value is computed from
    theirs when read. So it never outlives its use, and no weak reference is needed.
    """

    def __init__(
        self,
        groups: Sequence[tuple[StateSubject[Values], Sequence[int]]],
        leaves: tuple[StateSubject[Any], ...],
        build: Build,
        name: str,
    ) -> None:
        self.leaves = leaves
        self.build = build
        self._groups = groups
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
        return tuple([group.value for group, _ in self._groups])

    def _assemble(self, state: tuple[Values, ...]) -> Values:
        values: list[Any] = [None] * len(self.leaves)
        for (_, at), part in zip(self._groups, state, strict=True):
            for i, value in zip(at, part, strict=True):
                values[i] = value
        return self.build(values)

    @property
    def value(self) -> Values:  # type: ignore[override] # read-only, as in StateSubject
        """The current values; also after the stores have closed."""
        # Not committed: a first observer may come meanwhile, whose values would then be newer.
        return super().value if self._users else self._assemble(self._parts())

    def _admit(self, subscription: Subscription[Values]) -> None:
        with ExitStack() as sources:
            # Nothing is published meanwhile: else this thread might be the one to deliver it, and
            # would run other people's callbacks with the lock held.
            for group, _ in self._groups:
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
        for i, (group, _) in enumerate(self._groups):

            def feed(values: Values, i: int = i) -> None:
                self._core.commit(((i, values),), may_be_late=True)

            def complete(i: int = i) -> None:
                ended.add(i)
                if len(ended) == len(self._groups):
                    self._core.close()

            self._links.append(group.subscribe(feed, None, complete))
