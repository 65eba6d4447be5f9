"""`HeldBack`: what a port tells while it is asked for something new."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class HeldBack(Generic[T]):
    """What was told before it began with that, and what since."""

    def __init__(self) -> None:
        self.before: list[T] = []
        self.since: list[T] = []
        self.has_begun = False

    def append(self, told: T) -> None:
        """Hold one more back."""
        (self.since if self.has_begun else self.before).append(told)
