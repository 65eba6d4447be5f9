"""Something of each of several, where those several change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase

F = TypeVar("F")


class Following(Generic[F]):
    """Observes something of each identity that is named, and of nobody else.

    Args:
        observe: What of an identity.
        take: Called with what comes of it.
        forget: Called with who is named no more.
    """

    def __init__(
        self,
        observe: Callable[[str], Observable[F]],
        take: Callable[[str, F], None],
        forget: Callable[[str], None],
    ) -> None:
        self._observe, self._take, self._forget = observe, take, forget
        self._observed: dict[str, DisposableBase] = {}

    def follow(self, identities: Iterable[str]) -> None:
        """Observe these from now on."""
        wanted = tuple(identities)
        for identity in self._observed.keys() - frozenset(wanted):
            self._observed.pop(identity).dispose()
            self._forget(identity)
        for identity in wanted:
            if identity not in self._observed:
                self._observed[identity] = self._begin(identity)

    def _begin(self, identity: str) -> DisposableBase:
        return self._observe(identity).subscribe(lambda one: self._take(identity, one))
