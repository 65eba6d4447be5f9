"""What the texts of a topic tell, in the order in which they began, per sender."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from utd_rx.ports.clock import Cancel
from utd_rx.sessions.runner import Runner

HOLD: Final = 2.0
"""Seconds from its beginning for which a text holds up the later ones of its sender: far more than
parts of a short one are late by, and short enough for what follows one that stalls."""


class TextPlace:
    """That of one text: what it tells waits until the earlier ones have passed on."""

    def __init__(self, offer: Callable[[object], None], advance: Callable[[], None]) -> None:
        self._offer = offer
        self._advance = advance
        self._waits: object | None = None
        self._is_free = False
        self.has_passed = False
        self.cancel: Cancel = lambda: None

    def tell(self, fact: object) -> None:
        """Have a fact told, which says all that those before it did."""
        self._waits = fact
        if self._is_free:
            self.free()

    def pass_on(self) -> None:
        """Hold up nobody any more. Idempotent."""
        if not self.has_passed:
            self.has_passed = True
            self.cancel()
            self._advance()

    def free(self) -> None:
        """Tell what waits, and from now on at once."""
        self._is_free = True
        fact, self._waits = self._waits, None
        if fact is not None:
            self._offer(fact)


class TextOrder:
    """The places of a topic's texts."""

    def __init__(self, runner: Runner[Any]) -> None:
        self._runner = runner
        self._lines: dict[str, deque[TextPlace]] = {}

    def begin(self, sender: str) -> TextPlace:
        """Return the place of a text that begins now."""
        place = TextPlace(self._runner.offer, lambda: self._advance(sender))
        place.cancel = self._runner.call_in(HOLD, place.pass_on)
        self._lines.setdefault(sender, deque()).append(place)
        self._advance(sender)
        return place

    def _advance(self, sender: str) -> None:
        line = self._lines.get(sender, deque())
        while line:
            (first := line[0]).free()
            if not first.has_passed:
                return
            if line and line[0] is first:  # else an observer of what it told has led here as well
                line.popleft()
        if self._lines.get(sender) is line:
            del self._lines[sender]
