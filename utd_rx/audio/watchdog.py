"""Tells a dead stream from a busy interpreter.

A stream that the sound server killed goes silent without an error
(docs/audio.md, "Cards and sound servers"), so silence of its callbacks is what there is to see. But
callbacks also pause while a Python thread holds the GIL, and then the watching thread pauses with
them. So what counts is not the time since the last callback but how much of it the watcher has
*seen* pass, in steps no longer than `STEP`.
"""

from __future__ import annotations

from typing import Final

SILENCE: Final = 0.5
"""Seconds without a callback after which a stream is dead: 10 of the longest blocks there are."""

GRACE: Final = 2.5
"""The same before the first callback: a card may need 1-2 s to warm up
(docs/audio.md, "Cards and sound servers")."""

STEP: Final = 0.1
"""Longest step counted; the watcher looks at least twice as often."""


class Watchdog:
    """Watches a counter of callbacks; one thread, time is an argument.

    Args:
        now: In seconds.
    """

    def __init__(self, now: float) -> None:
        self._looked_at = now
        self._beats = 0
        self._silent = 0.0

    def is_dead(self, beats: int, now: float) -> bool:
        """Take the counter's value and say whether the stream is dead."""
        passed, self._looked_at = min(STEP, now - self._looked_at), now
        if beats != self._beats:
            self._beats, self._silent = beats, 0.0
            return False
        self._silent += passed
        return self._silent > (SILENCE if beats else GRACE)
