"""Deadlines are data: what is due first is when the shell's one timer fires.

The `next_deadline` of a noun is when time alone changes something, monotonic seconds, or None.
"""

from __future__ import annotations


def earliest(*deadlines: float | None) -> float | None:
    """Return the first of several times, None when there is none."""
    first: float | None = None
    for at in deadlines:  # without a generator: this runs with every commit
        if at is not None and (first is None or at < first):
            first = at
    return first
