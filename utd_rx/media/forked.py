"""What becomes of the ends of media processes in a process that is forked off the app.

They are the parent's. The copies of their sockets are closed here, or the child would not see the
app's end while its fork lives. What a worker needs then it starts itself.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Final, Protocol

from utd_rx.errors import ConflictReason, UTDStreamException, conflict


class Inherited(Protocol):
    """What a fork has a copy of."""

    def forked(self) -> None:
        """Let go of it, here."""


def mind(end: Inherited) -> None:
    """Have it let go of in every process that is forked off from now on."""
    _ends.add(end)


def then(forget: Callable[[], None]) -> None:
    """Have it called in every such process, behind what lets go."""
    _forgets.append(forget)


def failure() -> UTDStreamException:
    """Return what is raised there."""
    return conflict(
        ConflictReason.CLOSED,
        "this process was forked from the one whose media process it is: ask that one, or start "
        "processes by spawn, which join by themselves",
    )


def _let_go() -> None:
    for end in tuple(_ends):
        end.forked()
    for forget in _forgets:
        forget()


_forgets: Final[list[Callable[[], None]]] = []
_ends: Final = weakref.WeakSet[Inherited]()

if hasattr(os, "register_at_fork"):  # where there are no forks there is nothing to let go of
    os.register_at_fork(after_in_child=_let_go)
