"""Deadlines are data: what is due first is when the shell's one timer fires."""

from __future__ import annotations


def earliest(*deadlines: float | None) -> float | None:
    """Return the first of several times, None when there is none."""
    return min((at for at in deadlines if at is not None), default=None)
